//! Which input an op continues, and which ones it only looks at.
//!
//! The result of a RUN is its root file system with changes, so the root mount is its chain; a mount beside it isn't.
//! A COPY continues the state that it copies into, not the one that it copies from. Replacing the base of a stage
//! means following chains only.

use crate::pb::{self, FileAction, file_action::Action, op::Op as Kind, user_opt::User};

/// The inputs whose file system the op's output 0 continues, as indices into `op.inputs`, each once, ascending.
///
/// ExecOp: the root mount. FileOp: the primary input of the actions that lead to output 0. MergeOp: all. Everything
/// else, a DiffOp and kinds that this version doesn't know among them: none. (The result of a build is a chain too,
/// but not an input of a step: see [`super::Rewrite::root`].)
#[must_use]
pub fn chain_inputs(op: &pb::Op) -> Vec<usize> {
    let count = op.inputs.len();
    let mut chain: Vec<usize> = match &op.op {
        Some(Kind::Exec(exec)) => {
            exec.mounts.iter().filter(|m| m.dest == "/").filter_map(|m| real(m.input, count)).collect()
        }
        Some(Kind::File(file)) => file_chain(&file.actions, count)
            .last()
            .and_then(|a| real(file.actions[*a].input, count))
            .into_iter()
            .collect(),
        Some(Kind::Merge(merge)) => merge.inputs.iter().filter_map(|i| real(i.input, count)).collect(),
        _ => Vec::new(),
    };
    chain.sort_unstable();
    chain.dedup();
    chain
}

/// Whether something other than the chain uses this input of the op too.
pub(super) fn is_shared(op: &pb::Op, input: usize) -> bool {
    let this = input as i64;
    match &op.op {
        Some(Kind::Exec(exec)) => exec.mounts.iter().any(|m| m.dest != "/" && m.input == this),
        Some(Kind::File(file)) => {
            let chain = file_chain(&file.actions, op.inputs.len());
            file.actions.iter().enumerate().any(|(i, action)| {
                let primary =
                    !chain.contains(&i) && (action.input == this || owners(action).any(|o| o == this));
                primary || action.secondary_input == this
            })
        }
        _ => false,
    }
}

/// Points the chain uses of `input` to a further input, which is to become number `count` of the op.
pub(super) fn split(op: &mut pb::Op, count: usize, input: usize) {
    let (this, new) = (input as i64, count as i64);
    match &mut op.op {
        Some(Kind::Exec(exec)) => {
            for mount in exec.mounts.iter_mut().filter(|m| m.dest == "/" && m.input == this) {
                mount.input = new;
            }
        }
        Some(Kind::File(file)) => {
            let chain = file_chain(&file.actions, count);
            for (i, action) in file.actions.iter_mut().enumerate() {
                let chained = chain.contains(&i);
                // References from `count` on are results of actions; one more input moves them up by one.
                let moved = |reference: &mut i64, follows: bool| {
                    if *reference >= new {
                        *reference += 1;
                    } else if follows && *reference == this {
                        *reference = new;
                    }
                };
                moved(&mut action.input, chained);
                moved(&mut action.secondary_input, false);
                for owner in owners_mut(action) {
                    moved(owner, chained);
                }
            }
        }
        _ => {}
    }
}

/// The actions that lead to output 0, the one with the output first. Empty if they can't be followed.
fn file_chain(actions: &[FileAction], count: usize) -> Vec<usize> {
    let mut chain = Vec::new();
    let mut next = actions.iter().position(|a| a.output == 0);
    while let Some(at) = next {
        chain.push(at);
        next = match actions[at].input.checked_sub(count as i64).map(usize::try_from) {
            // Only an earlier action: anything else would be a loop.
            Some(Ok(earlier)) if earlier < at => Some(earlier),
            Some(Ok(_)) => return Vec::new(),
            _ => None,
        };
    }
    chain
}

fn real(reference: i64, count: usize) -> Option<usize> {
    usize::try_from(reference).ok().filter(|i| *i < count)
}

/// The states in which an action looks up names of users and groups.
fn owners(action: &FileAction) -> impl Iterator<Item = i64> {
    owner(action).into_iter().flat_map(|o| [&o.user, &o.group]).flatten().filter_map(|user| {
        match &user.user {
            Some(User::ByName(name)) => Some(name.input),
            _ => None,
        }
    })
}

fn owners_mut(action: &mut FileAction) -> impl Iterator<Item = &mut i64> {
    let owner = match &mut action.action {
        Some(Action::Copy(a)) => a.owner.as_mut(),
        Some(Action::Mkfile(a)) => a.owner.as_mut(),
        Some(Action::Mkdir(a)) => a.owner.as_mut(),
        Some(Action::Symlink(a)) => a.owner.as_mut(),
        Some(Action::Rm(_)) | None => None,
    };
    owner.into_iter().flat_map(|o| [&mut o.user, &mut o.group]).flatten().filter_map(|user| {
        match &mut user.user {
            Some(User::ByName(name)) => Some(&mut name.input),
            _ => None,
        }
    })
}

fn owner(action: &FileAction) -> Option<&pb::ChownOpt> {
    match &action.action {
        Some(Action::Copy(a)) => a.owner.as_ref(),
        Some(Action::Mkfile(a)) => a.owner.as_ref(),
        Some(Action::Mkdir(a)) => a.owner.as_ref(),
        Some(Action::Symlink(a)) => a.owner.as_ref(),
        Some(Action::Rm(_)) | None => None,
    }
}
