//! Walking a script in a state: which install comes next?
//!
//! A script with several installs is walked several times, each time in the state that the installs before have left.
//! What was found in earlier states is not looked up again: a walk is given, and gives back, the outcomes so far
//! (*events*), one for each test, `cd` and install, in the order in which the shell would come to them.

use std::path::{Path, PathBuf};

use super::node::{FileTest, Install, Node};

/// What a walk asks of the state that it runs in.
pub trait World {
    /// Whether the test succeeds.
    ///
    /// # Errors
    /// If that can't be told.
    fn test(&mut self, test: FileTest, path: &Path) -> Result<bool, Refusal>;

    /// Whether a directory can be entered.
    ///
    /// # Errors
    /// If that can't be told.
    fn enter(&mut self, path: &Path) -> Result<bool, Refusal>;

    /// Whether nothing is there, not even a link that leads nowhere.
    ///
    /// # Errors
    /// If that can't be told.
    fn absent(&mut self, path: &Path) -> Result<bool, Refusal>;

    /// That sourcing this script activates the virtual environment that it is in, and does nothing else.
    ///
    /// # Errors
    /// If it might do anything else.
    fn activates(&mut self, script: &Path) -> Result<(), Refusal>;

    /// From here on, this environment is active.
    fn active(&mut self, _environment: Option<&Path>) {}

    /// Whether the install is sure to fail without changing anything.
    ///
    /// # Errors
    /// If that can't be told.
    fn fails(&mut self, install: &Install, cwd: &Path) -> Result<bool, Refusal>;
}

/// Why a script can't be followed. One sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Where a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// At an install that isn't among the events yet.
    Install {
        /// The command.
        install: Install,
        /// Its working directory.
        cwd: PathBuf,
        /// The virtual environment that is active.
        environment: Option<PathBuf>,
    },
    /// At the end, with this status.
    End {
        /// Whether it is success.
        success: bool,
    },
}

/// What a walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where it ended.
    pub next: Next,
    /// The events so far; those of an install that comes next not included.
    pub events: Vec<bool>,
    /// After the install that comes next, there is more to ask: the script must be walked again.
    pub more: bool,
}

/// Follows the script from its beginning, with `events` for what is decided already.
///
/// # Errors
/// If it comes to something that is not understood.
pub fn walk(script: &Node, cwd: &Path, events: &[bool], world: &mut dyn World) -> Result<Asked, Refusal> {
    let mut walker = Walker::new(cwd, events, world);
    let next = match walker.node(script) {
        Ok(success) | Err(Stop::Exit(success)) => Next::End { success },
        Err(Stop::Install(install)) => {
            let (cwd, environment) = (walker.cwd.clone(), walker.environment.clone());
            Next::Install { install, cwd, environment }
        }
        Err(Stop::Refused(refusal)) => return Err(refusal),
    };
    let events = walker.events;
    let more = match &next {
        Next::End { .. } => false,
        Next::Install { .. } => {
            let mut after = events.clone();
            after.push(true);
            let mut nobody = Nobody;
            let mut walker = Walker::new(cwd, &after, &mut nobody);
            // Anything but a good end has to be looked at in the state after.
            !matches!(walker.node(script), Ok(true) | Err(Stop::Exit(true)))
        }
    };
    Ok(Asked { next, events, more })
}

/// What can be said of a script before there is a state: where it is sure to come to something that is not understood.
///
/// # Errors
/// If it is.
pub fn first(script: &Node) -> Result<(), Refusal> {
    let mut hopeful = Hopeful;
    let mut walker = Walker::new(Path::new("/"), &[], &mut hopeful);
    walker.install_succeeds = true;
    match walker.node(script) {
        Err(Stop::Refused(refusal)) if refusal != unknown() => Err(refusal),
        _ => Ok(()),
    }
}

fn unknown() -> Refusal {
    Refusal("its script asks for the state of a file".to_owned())
}

/// A world in which nothing is known.
struct Nobody;

impl World for Nobody {
    fn test(&mut self, _: FileTest, _: &Path) -> Result<bool, Refusal> {
        Err(unknown())
    }

    fn enter(&mut self, _: &Path) -> Result<bool, Refusal> {
        Err(unknown())
    }

    fn absent(&mut self, _: &Path) -> Result<bool, Refusal> {
        Err(unknown())
    }

    fn activates(&mut self, _: &Path) -> Result<(), Refusal> {
        Err(unknown())
    }

    fn fails(&mut self, _: &Install, _: &Path) -> Result<bool, Refusal> {
        Err(unknown())
    }
}

/// A world in which installs succeed, and leave nothing to remove.
struct Hopeful;

impl World for Hopeful {
    fn test(&mut self, _: FileTest, _: &Path) -> Result<bool, Refusal> {
        Err(unknown())
    }

    fn enter(&mut self, _: &Path) -> Result<bool, Refusal> {
        Ok(true)
    }

    fn absent(&mut self, _: &Path) -> Result<bool, Refusal> {
        Ok(true)
    }

    fn activates(&mut self, _: &Path) -> Result<(), Refusal> {
        Ok(())
    }

    fn fails(&mut self, _: &Install, _: &Path) -> Result<bool, Refusal> {
        Ok(false)
    }
}

enum Stop {
    Install(Install),
    Exit(bool),
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

struct Walker<'a> {
    known: &'a [bool],
    events: Vec<bool>,
    world: &'a mut dyn World,
    cwd: PathBuf,
    /// The virtual environment that is active.
    environment: Option<PathBuf>,
    /// `set -e` is on, and nothing around takes note of failures.
    stops_on_failure: bool,
    /// Goes on after an install instead of stopping there.
    install_succeeds: bool,
}

impl<'a> Walker<'a> {
    fn new(cwd: &Path, known: &'a [bool], world: &'a mut dyn World) -> Self {
        Self {
            known,
            events: Vec::new(),
            world,
            cwd: cwd.to_owned(),
            environment: None,
            stops_on_failure: false,
            install_succeeds: false,
        }
    }

    /// The next event: the one that is known, or a new one.
    fn event(
        &mut self,
        ask: impl FnOnce(&mut dyn World, &Path) -> Result<bool, Refusal>,
    ) -> Result<bool, Refusal> {
        let outcome = match self.known.get(self.events.len()) {
            Some(known) => *known,
            None => ask(self.world, &self.cwd)?,
        };
        self.events.push(outcome);
        Ok(outcome)
    }

    fn node(&mut self, node: &Node) -> Result<bool, Stop> {
        match node {
            Node::Install(install) => {
                if self.known.len() > self.events.len() {
                    return Ok(self.event(|_, _| Ok(true))?);
                }
                if self.world.fails(install, &self.cwd)? {
                    if !install.outputs.is_empty() {
                        return Err(Refusal(
                            "an install of its script fails, and the shell makes a file of its output"
                                .to_owned(),
                        )
                        .into());
                    }
                    self.events.push(false);
                    return Ok(false);
                }
                if self.install_succeeds {
                    self.events.push(true);
                    return Ok(true);
                }
                Err(Stop::Install(install.clone()))
            }
            Node::Test { test, path } => Ok(self.event(|world, cwd| {
                if path.is_empty() { Ok(false) } else { world.test(*test, &cwd.join(path)) }
            })?),
            Node::Status { success } => Ok(*success),
            Node::Cd { path } => {
                let entered = self.event(|world, cwd| world.enter(&cwd.join(path)))?;
                if entered {
                    self.cwd.push(path);
                }
                Ok(entered)
            }
            Node::Remove { paths } => Ok(self.event(|world, cwd| {
                for path in paths {
                    if !world.absent(&cwd.join(path))? {
                        return Err(Refusal(format!("its script removes `{path}`, which is there")));
                    }
                }
                Ok(true)
            })?),
            Node::Activate { path } => {
                if self.environment.is_some() {
                    return Err(Refusal("its script activates one environment in another".to_owned()).into());
                }
                // Without the components that mean nothing, as a path with them is another text.
                let script: PathBuf = self.cwd.join(path).components().collect();
                self.event(|world, _| world.activates(&script).map(|()| true))?;
                self.environment = script.parent().and_then(Path::parent).map(Path::to_owned);
                self.world.active(self.environment.as_deref());
                Ok(true)
            }
            Node::StopOnFailure => {
                self.stops_on_failure = true;
                Ok(true)
            }
            Node::Exit { success } => Err(Stop::Exit(*success)),
            Node::Not { of } => Ok(!self.noted(of)?),
            Node::And { first, then } => Ok(self.noted(first)? && self.node(then)?),
            Node::Or { first, otherwise } => Ok(self.noted(first)? || self.node(otherwise)?),
            Node::Sequence { nodes } => {
                let mut status = true;
                for node in nodes {
                    status = self.node(node)?;
                    // Whether this failure is one that `set -e` minds is a matter of fine print.
                    if !status && self.stops_on_failure {
                        return Err(
                            Refusal("a command of its script fails, and `set -e` is on".to_owned()).into()
                        );
                    }
                }
                Ok(status)
            }
            Node::If { condition, then, otherwise } => match (self.noted(condition)?, otherwise) {
                (true, _) => self.node(then),
                (false, Some(otherwise)) => self.node(otherwise),
                (false, None) => Ok(true),
            },
            Node::Subshell { of } => {
                let (cwd, stops) = (self.cwd.clone(), self.stops_on_failure);
                let environment = self.environment.clone();
                let status = match self.node(of) {
                    Err(Stop::Exit(success)) => Ok(success),
                    other => other,
                }?;
                (self.cwd, self.stops_on_failure) = (cwd, stops);
                self.environment = environment;
                self.world.active(self.environment.as_deref());
                Ok(status)
            }
            Node::Other { reason } => Err(Refusal(reason.clone()).into()),
        }
    }

    /// A part whose failure is asked for: `set -e` doesn't mind it.
    fn noted(&mut self, node: &Node) -> Result<bool, Stop> {
        let before = std::mem::replace(&mut self.stops_on_failure, false);
        let status = self.node(node)?;
        // A `set -e` inside stays on.
        self.stops_on_failure |= before;
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    /// Files that are there, and installs that fail, by their last argument.
    struct Files(BTreeSet<&'static str>, &'static [&'static str]);

    impl World for Files {
        fn test(&mut self, _: FileTest, path: &Path) -> Result<bool, Refusal> {
            Ok(self.0.contains(path.to_str().unwrap()))
        }

        fn enter(&mut self, path: &Path) -> Result<bool, Refusal> {
            Ok(self.0.contains(path.to_str().unwrap()))
        }

        fn absent(&mut self, path: &Path) -> Result<bool, Refusal> {
            Ok(!self.0.contains(path.to_str().unwrap()))
        }

        fn activates(&mut self, script: &Path) -> Result<(), Refusal> {
            if self.0.contains(script.to_str().unwrap()) { Ok(()) } else { Err(unknown()) }
        }

        fn fails(&mut self, install: &Install, _: &Path) -> Result<bool, Refusal> {
            Ok(self.1.contains(&install.argv.last().unwrap().as_str()))
        }
    }

    fn pip(what: &str) -> Node {
        Node::Install(Install::new(vec!["pip".into(), "install".into(), what.into()]))
    }

    fn test(path: &str) -> Node {
        Node::Test { test: FileTest::File, path: path.into() }
    }

    fn boxed(node: Node) -> Box<Node> {
        Box::new(node)
    }

    /// All installs of a script with their directories, and the status at its end.
    fn run(
        script: &Node,
        files: &[&'static str],
        failing: &'static [&'static str],
    ) -> (Vec<String>, Result<bool, Refusal>) {
        let mut world = Files(files.iter().copied().collect(), failing);
        let (mut events, mut done) = (Vec::new(), Vec::new());
        loop {
            let asked = match walk(script, Path::new("/app"), &events, &mut world) {
                Ok(asked) => asked,
                Err(refusal) => return (done, Err(refusal)),
            };
            events = asked.events;
            match asked.next {
                Next::End { success } => return (done, Ok(success)),
                Next::Install { install, cwd, environment } => {
                    let within = environment.map(|it| format!(" with {}", it.display())).unwrap_or_default();
                    done.push(format!("{} in {}{within}", install.argv[2], cwd.display()));
                    events.push(true);
                    if !asked.more {
                        return (done, Ok(true));
                    }
                }
            }
        }
    }

    #[test]
    fn a_condition_is_decided_by_the_files() {
        let script = Node::If {
            condition: boxed(test("a")),
            then: boxed(pip("x")),
            otherwise: Some(boxed(Node::If {
                condition: boxed(test("/b")),
                then: boxed(pip("y")),
                otherwise: None,
            })),
        };
        assert_eq!(run(&script, &["/app/a"], &[]), (vec!["x in /app".into()], Ok(true)));
        assert_eq!(run(&script, &["/b"], &[]), (vec!["y in /app".into()], Ok(true)));
        assert_eq!(run(&script, &[], &[]), (vec![], Ok(true)));
    }

    #[test]
    fn lists_go_on_or_not() {
        let both = Node::And { first: boxed(pip("x")), then: boxed(pip("y")) };
        assert_eq!(run(&both, &[], &[]).0, ["x in /app", "y in /app"]);
        assert_eq!(run(&both, &[], &["x"]), (vec![], Ok(false)));
        let either = Node::Or { first: boxed(pip("x")), otherwise: boxed(pip("y")) };
        assert_eq!(run(&either, &[], &[]).0, ["x in /app"]);
        assert_eq!(run(&either, &[], &["x"]), (vec!["y in /app".into()], Ok(true)));
        let negated = Node::Not { of: boxed(pip("x")) };
        // The install is done, and the script ends badly: it has to be asked again.
        assert_eq!(run(&negated, &[], &[]), (vec!["x in /app".into()], Ok(false)));
    }

    #[test]
    fn only_scripts_with_something_left_are_walked_again() {
        let mut world = Files(BTreeSet::new(), &[]);
        let more = |script: &Node, world: &mut Files| walk(script, Path::new("/"), &[], world).unwrap().more;
        assert!(!more(&pip("x"), &mut world));
        let either = Node::Or { first: boxed(pip("x")), otherwise: boxed(pip("y")) };
        assert!(!more(&either, &mut world));
        let both = Node::And { first: boxed(pip("x")), then: boxed(pip("y")) };
        assert!(more(&both, &mut world));
    }

    #[test]
    fn a_directory_and_an_exit_stay_in_their_subshell() {
        let cd = || Node::Cd { path: "d".into() };
        let inside = Node::Sequence { nodes: vec![cd(), pip("x"), Node::Exit { success: false }] };
        let script = Node::Sequence { nodes: vec![Node::Subshell { of: boxed(inside.clone()) }, pip("y")] };
        assert_eq!(run(&script, &["/app/d"], &[]).0, ["x in /app/d", "y in /app"]);
        let script = Node::Sequence { nodes: vec![inside, pip("y")] };
        assert_eq!(run(&script, &["/app/d"], &[]), (vec!["x in /app/d".into()], Ok(false)));
        assert_eq!(
            run(&Node::And { first: boxed(cd()), then: boxed(pip("x")) }, &[], &[]),
            (vec![], Ok(false))
        );
    }

    #[test]
    fn what_is_not_understood_matters_only_where_it_is_reached() {
        let other = || Node::Other { reason: "its script runs `make`".into() };
        let after = Node::Or { first: boxed(pip("x")), otherwise: boxed(other()) };
        assert_eq!(run(&after, &[], &[]).1, Ok(true));
        assert_eq!(first(&after), Ok(()));
        let before = Node::And { first: boxed(other()), then: boxed(pip("x")) };
        assert!(run(&before, &[], &[]).1.is_err());
        assert_eq!(first(&before).unwrap_err().to_string(), "its script runs `make`");
        let behind = Node::And { first: boxed(pip("x")), then: boxed(other()) };
        assert!(first(&behind).is_err());
        let perhaps = Node::If { condition: boxed(test("a")), then: boxed(other()), otherwise: None };
        assert_eq!(first(&perhaps), Ok(()));
    }

    #[test]
    fn what_is_not_there_can_be_removed() {
        let remove = Node::Remove { paths: vec!["/root/.cache".into(), "x".into()] };
        let script = Node::And { first: boxed(pip("x")), then: boxed(remove) };
        assert_eq!(run(&script, &[], &[]), (vec!["x in /app".into()], Ok(true)));
        let refusal = run(&script, &["/app/x"], &[]).1.unwrap_err();
        assert_eq!(refusal.to_string(), "its script removes `x`, which is there");
        assert_eq!(first(&script), Ok(()));
    }

    #[test]
    fn an_environment_is_active_from_there_on() {
        let activate = |path: &str| Node::Activate { path: path.into() };
        let and = |first: Node, then: Node| Node::And { first: boxed(first), then: boxed(then) };
        let script = and(and(and(pip("x"), activate("./v/bin/activate")), pip("y")), pip("z"));
        let files = &["/app/v/bin/activate", "/w/bin/activate"];
        let (done, end) = run(&script, files, &[]);
        assert_eq!(done, ["x in /app", "y in /app with /app/v", "z in /app with /app/v"]);
        assert_eq!(end, Ok(true));
        assert!(run(&script, &[], &[]).1.is_err());
        // In a subshell it ends with it.
        let inside = Node::Subshell { of: boxed(and(activate("/w/bin/activate"), pip("x"))) };
        let script = Node::Sequence { nodes: vec![inside, pip("y")] };
        assert_eq!(run(&script, files, &[]).0, ["x in /app with /w", "y in /app"]);
        let twice = and(and(activate("/w/bin/activate"), activate("v/bin/activate")), pip("x"));
        let refusal = run(&twice, files, &[]).1.unwrap_err();
        assert_eq!(refusal.to_string(), "its script activates one environment in another");
    }

    #[test]
    fn failures_under_set_e_are_left_alone() {
        let script = |fails: Node| Node::Sequence { nodes: vec![Node::StopOnFailure, fails, pip("x")] };
        assert!(run(&script(test("a")), &[], &[]).1.is_err());
        assert_eq!(run(&script(test("a")), &["/app/a"], &[]).0, ["x in /app"]);
        let asked = Node::If { condition: boxed(test("a")), then: boxed(pip("y")), otherwise: None };
        assert_eq!(run(&script(asked), &[], &[]).0, ["x in /app"]);
    }
}
