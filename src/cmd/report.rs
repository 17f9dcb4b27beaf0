//! `plinth report IMAGE`: what plinth did to an image that is already built, from the label that it carries.

use plinth_frontend::report::{LABEL, Report, render_markdown};

use crate::cli::{Outcome, json, print, runtime};
use crate::decisions;
use crate::failure::Failure;
use crate::registry::{self, Platform, Source};
use crate::ui::note;

/// The arguments of `plinth report`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// An image in a registry, or `oci:DIR` for an OCI layout on disk
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Which image of several (default: linux on this machine's architecture)
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Speak plain HTTP with a registry that is not this machine
    #[arg(long)]
    plain_http: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
}

/// Runs the command. An image without a report is a finding.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let platform = args.platform.clone().unwrap_or_else(registry::host);
    let image = runtime()?
        .block_on(async { Source::open(&args.image, args.plain_http).await?.image(&platform).await })?;
    let Some(label) = image.labels.get(LABEL) else {
        note(&format!(
            "`{}` carries no report: it was not built through plinth, or nothing in it was rewritten",
            args.image
        ));
        return Ok(Outcome::Finding);
    };
    let report = Report::from_label(label)
        .map_err(|cause| Failure::new(format!("cannot read the report of `{}`: {cause}", args.image)))?;
    print(&if args.json {
        json(&report)?
    } else if args.markdown {
        render_markdown(&report)
    } else {
        decisions::text(&report)
    })?;
    Ok(Outcome::Done)
}
