//! What `plinth analyze` is asked.

use std::path::PathBuf;

use clap::ValueEnum;
use plinth_analyze::source::{self, Mirror, Platform};
use plinth_analyze::store::Store;
use plinth_layers::lock::{self, Lock};

use crate::failure::{During as _, Failure};

/// The arguments of `plinth analyze`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to read: HOST/REPOSITORY[:TAG][@DIGEST] (globs; without a tag, all of them), HOST/** for a whole registry,
    /// oci:PATH, docker-archive:FILE, or a path
    #[arg(required = true, value_name = "SOURCE")]
    pub(super) sources: Vec<String>,
    /// Only images for this platform
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<String>,
    /// Show this image: its layers, packages and waste
    #[arg(long, value_name = "NAME", conflicts_with_all = ["layer", "package", "path"])]
    pub(super) image: Option<String>,
    /// Show this layer: who has it, and its largest files
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["package", "path"])]
    pub(super) layer: Option<String>,
    /// Show this package: its versions, and who has them
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    pub(super) package: Option<String>,
    /// Show this file, by its path or the sha256 of its content: every layer that has it
    #[arg(long = "file", value_name = "PATH|DIGEST")]
    pub(super) path: Option<String>,
    /// Rows of each table
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) top: usize,
    /// Show every row
    #[arg(long)]
    pub(super) all: bool,
    /// How to tell it
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(super) format: Format,
    /// Print JSON (the same as --format json)
    #[arg(long, conflicts_with_all = ["markdown", "format"])]
    pub(super) json: bool,
    /// Print Markdown (the same as --format markdown)
    #[arg(long, conflicts_with = "format")]
    pub(super) markdown: bool,
    /// The directory that --format parquet writes its tables to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) output: PathBuf,
    /// The policy: the limits of its [analyze], and the plinth.lock beside it
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) policy: Option<PathBuf>,
    /// The fleet's lock, for what a plan would store (default: the one beside the policy)
    #[arg(long, value_name = "FILE")]
    pub(super) lock: Option<PathBuf>,
    /// Rules as dive has them: exit code 1 if one isn't kept
    #[arg(long, value_name = "FILE")]
    pub(super) dive_ci: Option<PathBuf>,
    /// Where what is known of layers is kept, so that none is read twice
    #[arg(long, env = "PLINTH_ANALYZE_STORE", value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// Layers to read at once (default: as many as there are cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) jobs: Option<u16>,
    /// Look for the images of a registry in another one first (more than once)
    #[arg(long, value_name = "REGISTRY=HOST[/PATH]")]
    pub(super) mirror: Vec<String>,
    /// Speak plain HTTP with registries that are not this machine
    #[arg(long)]
    pub(super) plain_http: bool,
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Tables for people
    Text,
    /// One document with a version of its schema
    Json,
    /// For a pull request
    Markdown,
    /// Tables for DuckDB, Spark or Trino
    Parquet,
}

impl Args {
    /// How sources are looked through.
    pub(super) fn options(&self) -> Result<source::Options, Failure> {
        let platform = self
            .platform
            .as_deref()
            .map(|text| text.parse::<Platform>().map_err(|error| Failure::new(error.to_string())));
        let mirrors = self.mirror.iter().map(|text| {
            text.parse::<Mirror>()
                .map_err(|error| Failure::new(error.to_string()).hint(error.hint().to_owned()))
        });
        Ok(source::Options {
            platform: platform.transpose()?,
            mirrors: mirrors.collect::<Result<_, _>>()?,
            plain_http: self.plain_http,
            ..source::Options::default()
        })
    }

    /// The fleet's lock, if one is named or is beside the policy.
    pub(super) fn lock(&self) -> Result<Option<Lock>, Failure> {
        let path = match (&self.lock, &self.policy) {
            (Some(path), _) => path.clone(),
            (None, Some(policy)) => {
                let directory = if policy.is_dir() { policy.clone() } else { policy.with_file_name("") };
                let path = directory.join(lock::FILE);
                if !path.is_file() {
                    return Ok(None);
                }
                path
            }
            (None, None) => return Ok(None),
        };
        let doing = format!("read the lock `{}`", path.display());
        let text = std::fs::read_to_string(&path).during(&doing)?;
        Lock::parse(&text).map(Some).during(doing)
    }

    /// Where what is known of layers is kept.
    pub(super) fn open_store(&self) -> Result<Store, Failure> {
        let place = self.store.clone().or_else(Store::default_place).ok_or_else(|| {
            Failure::new("there is no place for what is known of layers")
                .hint("name one with --store DIR, or set HOME")
        })?;
        Store::open(&place)
            .map_err(|error| Failure::new(error.to_string()).hint("--store DIR names another place"))
    }
}
