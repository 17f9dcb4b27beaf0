//! What happens to each image that a build builds on: the policy's word, checked against the images themselves.

use std::collections::{BTreeMap, BTreeSet};

use plinth_layers::facts::Facts;
use plinth_proto::graph::{Edge, Graph, OpId, Rewrite};
use plinth_proto::pb;

use super::paths::names_version;
use super::uses::{Use, uses};
use crate::context::{Context, add_image, image_name, platform_id};
use crate::error::BuildError;
use crate::image::ImageConfig;
use crate::passes::chain::line;
use crate::policy::{Base, BaseDecision, familiar};
use crate::policy_source::Found;

/// What was decided about one image of the Dockerfile.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Familiar name of the image.
    pub image: String,
    /// Line of its FROM.
    pub line: Option<usize>,
    /// What happens to it.
    pub action: Action,
}

/// What happens to an image.
#[derive(Clone, Debug)]
pub enum Action {
    /// The master takes its place, on each platform (by platform ID).
    Substituted {
        /// Name of the master in the policy.
        base: String,
        /// Master of each platform.
        masters: BTreeMap<String, Master>,
    },
    /// The policy, or a built-in rule, keeps it.
    Kept(String),
    /// The policy would replace it, but it must not.
    Refused(String),
    /// The policy doesn't speak of it.
    Unmatched,
}

/// A master image for one platform.
#[derive(Clone, Debug)]
pub struct Master {
    /// Reference with digest.
    pub reference: String,
    /// Its config.
    pub config: ImageConfig,
    /// Config of the image that it takes the place of.
    pub original: ImageConfig,
}

/// All decisions of a build, by the reference that BuildKit resolved, digest included.
pub type Decisions = BTreeMap<String, Decision>;

/// One platform's graph, to decide on.
pub struct Target<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its result.
    pub root: Edge,
    /// Strings of the final config that could name an interpreter.
    pub strings: Vec<String>,
    /// The user that the final config names.
    pub user: String,
}

/// Decides about every image that one of the targets builds on. A base moves on all platforms or on none.
///
/// # Errors
/// If the policy names a master that isn't there, or the build was stopped.
pub async fn decide(cx: &Context, policy: &Found, targets: &[Target<'_>]) -> Result<Decisions, BuildError> {
    let mut decisions = Decisions::new();
    for target in targets {
        for used in uses(target.graph, target.root) {
            let name = familiar(&used.reference);
            let line = line(target.graph, used.image);
            let known = decisions.entry(used.reference.clone()).or_insert_with(|| Decision {
                image: name.clone(),
                line,
                action: match policy.policy.decide(&name) {
                    BaseDecision::Keep { reason, .. } => Action::Kept(reason),
                    BaseDecision::Replace { base, .. } => {
                        Action::Substituted { base: base.name.clone(), masters: BTreeMap::new() }
                    }
                    BaseDecision::Unmatched => Action::Unmatched,
                },
            });
            let Action::Substituted { base, masters } = &mut known.action else { continue };
            let Some(base) = policy.policy.bases.iter().find(|b| b.name == *base) else { continue };
            match master(cx, policy, target, &used, base).await? {
                Ok((platform, master)) => {
                    masters.insert(platform, master);
                }
                Err(reason) => known.action = Action::Refused(reason),
            }
        }
    }
    Ok(decisions)
}

/// The master for one use of an image, or why there is none.
async fn master(
    cx: &Context,
    policy: &Found,
    target: &Target<'_>,
    used: &Use,
    base: &Base,
) -> Result<Result<(String, Master), String>, BuildError> {
    let platform = target.graph[used.image].op().platform.clone();
    let id = platform.as_ref().map(platform_id).unwrap_or_default();
    let wanted = base.image.canonical();
    let resolved = match cx.image(&wanted, platform.as_ref()).await {
        Ok(resolved) => resolved,
        Err(error) if error.is_canceled() => return Err(error),
        // There, but not for this platform: then the base stays on all. Not there at all: the policy is wrong.
        Err(_) if cx.image(&wanted, None).await.is_ok() => {
            return Ok(Err(format!("the base `{}` isn't there for {id}", base.name)));
        }
        Err(error) => {
            let message = format!(
                "{}: the image of base `{}` can't be had: {}",
                policy.name,
                base.name,
                error.message()
            );
            return Err(BuildError::invalid(message).at(
                &policy.name,
                policy.text.as_bytes(),
                base.line..=base.line,
            ));
        }
    };
    let original = cx.image(&used.reference, platform.as_ref()).await?;
    let reference = pinned(&wanted, &resolved.digest);
    if original.config.platform() != resolved.config.platform() {
        let (had, has) = (original.config.platform(), resolved.config.platform());
        return Ok(Err(format!("the image is for {had} and the base `{}` is for {has}", base.name)));
    }
    let mut rewrite = Rewrite::from_edge(target.graph.clone(), target.root);
    let tool = match cx.tool(&mut rewrite) {
        Ok(tool) => tool,
        Err(reason) => return Ok(Err(reason)),
    };
    let image = add_master(&mut rewrite, used.image, &reference)?;
    let (old, _) = cx.facts(&mut rewrite, &tool, used.image).await?;
    let (new, _) = cx.facts(&mut rewrite, &tool, image).await?;
    if let Err(reason) = fits(&old, &new, base) {
        return Ok(Err(reason));
    }
    if let Some(missing) = missing(target, &original.config, &old, &new) {
        return Ok(Err(format!("the image has {missing}, and the base `{}` doesn't", base.name)));
    }
    if let (Some(old), Some(new)) = (minor(&old), minor(&new))
        && old != new
        && let Some(place) = names_version(target.graph, target.root, &target.strings, old)
    {
        let at =
            place.line.map(|line| format!("line {line} ")).unwrap_or_else(|| "the image config ".to_owned());
        return Ok(Err(format!(
            "{at}names Python {old} (`{}`), the base `{}` has {new}",
            place.text, base.name
        )));
    }
    Ok(Ok((id, Master { reference, config: resolved.config, original: original.config })))
}

/// The source operation of a master: that of the original, with another reference.
pub(super) fn add_master(rewrite: &mut Rewrite, original: OpId, reference: &str) -> Result<OpId, BuildError> {
    let name = image_name(rewrite.graph(), original).map(|name| familiar(&name)).unwrap_or_default();
    Ok(add_image(rewrite, original, reference, format!("[plinth] FROM {name} on {reference}"))?)
}

/// `name@digest`, keeping the tag for people to read.
fn pinned(reference: &str, digest: &str) -> String {
    if reference.contains('@') { reference.to_owned() } else { format!("{reference}@{digest}") }
}

fn fits(old: &Facts, new: &Facts, base: &Base) -> Result<(), String> {
    if old.libc != new.libc {
        return Err(format!("the image has {} and the base `{}` has {}", libc(old), base.name, libc(new)));
    }
    match (minor(old), minor(new)) {
        (Some(old), Some(new)) => base.accepts_minor(old, new),
        (Some(old), None) => Err(format!("the image has Python {old} and the base `{}` has none", base.name)),
        (None, _) => match (&old.node, &new.node) {
            (Some(old), Some(new)) if major(old) != major(new) => {
                Err(format!("the image has Node {old} and the base `{}` has Node {new}", base.name))
            }
            (Some(old), None) => {
                Err(format!("the image has Node {old} and the base `{}` has none", base.name))
            }
            _ => Ok(()),
        },
    }
}

/// What the config of the image, or a step of the build, names and only the image has: a user, a group, a program.
fn missing(target: &Target<'_>, config: &ImageConfig, old: &Facts, new: &Facts) -> Option<String> {
    let mut users = vec![config.user().to_owned(), target.user.clone()];
    for op in target.graph.order(target.root) {
        match &target.graph[op].op().op {
            Some(pb::op::Op::Exec(exec)) => users.extend(exec.meta.iter().map(|meta| meta.user.clone())),
            Some(pb::op::Op::File(file)) => users.extend(file.actions.iter().flat_map(owners)),
            _ => {}
        }
    }
    let gone = |name: &str, old: &BTreeSet<String>, new: &BTreeSet<String>| {
        old.contains(name) && !new.contains(name)
    };
    for user in &users {
        let (user, group) = user.split_once(':').unwrap_or((user, ""));
        if gone(user, &old.users, &new.users) {
            return Some(format!("the user `{user}`, which the build names"));
        }
        if gone(group, &old.groups, &new.groups) {
            return Some(format!("the group `{group}`, which the build names"));
        }
    }
    config.started().into_iter().find_map(|program| match program.rsplit_once('/') {
        // By a path that is not in PATH: whether the base has it isn't among the facts.
        Some((directory, _)) if !PROGRAM_DIRECTORIES.contains(&directory) => {
            Some(format!("a file that its config starts (`{program}`)"))
        }
        Some((_, name)) => {
            gone(name, &old.programs, &new.programs).then(|| format!("the program `{program}`"))
        }
        None => gone(&program, &old.programs, &new.programs).then(|| format!("the program `{program}`")),
    })
}

/// Where the facts look for programs.
const PROGRAM_DIRECTORIES: &[&str] =
    &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// `user:` and `:group` that a file operation looks up by name.
fn owners(action: &pb::FileAction) -> Vec<String> {
    use pb::file_action::Action;
    let owner = match &action.action {
        Some(Action::Copy(a)) => a.owner.as_ref(),
        Some(Action::Mkfile(a)) => a.owner.as_ref(),
        Some(Action::Mkdir(a)) => a.owner.as_ref(),
        Some(Action::Symlink(a)) => a.owner.as_ref(),
        Some(Action::Rm(_)) | None => None,
    };
    let name = |user: &Option<pb::UserOpt>| match user.as_ref().and_then(|user| user.user.as_ref()) {
        Some(pb::user_opt::User::ByName(name)) => name.name.clone(),
        _ => String::new(),
    };
    owner.map(|owner| vec![name(&owner.user), format!(":{}", name(&owner.group))]).unwrap_or_default()
}

fn minor(facts: &Facts) -> Option<&str> {
    facts.pythons.first().map(|python| python.minor.as_str())
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

fn libc(facts: &Facts) -> &'static str {
    match facts.libc {
        plinth_layers::facts::Libc::Glibc => "glibc",
        plinth_layers::facts::Libc::Musl => "musl",
        plinth_layers::facts::Libc::None => "no C library",
    }
}
