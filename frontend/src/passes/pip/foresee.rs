//! What can be said of a RUN before there is a build: whether it would be assembled, as far as its operation tells.
//!
//! For looking at Dockerfiles without building them. A build asks more: what the state before the step has in it, and what
//! pip resolves there.

use plinth_proto::pb;

use super::candidate::classify;
use crate::passes::Stop;

/// What the operation of a RUN says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// It installs no Python packages, as far as its text tells.
    Unrelated,
    /// It would run as written; what it leaves may still become layers.
    AsWritten {
        /// Why. One clause without its full stop.
        reason: String,
    },
    /// Its installs are understood. Which of them it comes to, files tell.
    Understood,
}

/// Looks at the operation of a RUN.
#[must_use]
pub fn foresee(exec: &pb::ExecOp) -> Foreseen {
    match classify(exec) {
        Ok(_) => Foreseen::Understood,
        Err(Stop::Refused(reason)) => Foreseen::AsWritten { reason },
        // Nothing was asked that could fail.
        Err(Stop::Unrelated | Stop::Failed(_)) => Foreseen::Unrelated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs() {
        let run = |script: &str| {
            let args = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
            let meta = pb::Meta { args, cwd: "/".to_owned(), ..Default::default() };
            let root = pb::Mount { dest: "/".to_owned(), ..Default::default() };
            foresee(&pb::ExecOp { meta: Some(meta), mounts: vec![root], ..Default::default() })
        };
        assert_eq!(run("pip install -r requirements.txt"), Foreseen::Understood);
        assert_eq!(run("make"), Foreseen::Unrelated);
        assert!(matches!(run("poetry install"), Foreseen::AsWritten { .. }));
    }
}
