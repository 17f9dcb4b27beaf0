//! Whether all that a RUN does is to have apt install packages, and to clean up behind it.

use plinth_layers::script::{Install, Node};
use plinth_proto::pb;

use super::options::{Apt, parse};
use crate::passes::Stop;
use crate::shell;

/// What a RUN asks for, all in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Packages, with a version where one is asked for.
    pub(super) packages: Vec<(String, Option<String>)>,
    /// And what they recommend.
    pub(super) recommends: bool,
    /// What it removes behind itself, as a shell would read it.
    pub(super) removes: Vec<String>,
    /// The programs that it runs, as they are named.
    pub(super) programs: Vec<String>,
    /// It has fetched package lists, and not removed them again.
    has_lists: bool,
}

/// The names of apt's programs, for whoever installs with them.
const PROGRAMS: &[&str] = &["apt-get", "apt"];
/// What `apt-get update` leaves, as it is usually removed.
const LISTS: &str = "/var/lib/apt/lists/*";
/// Said of everything that does more.
const MORE: &str = "it does something else beside installing packages";

/// Whether a RUN has apt install something, as far as its text tells.
pub(super) fn runs_apt(exec: &pb::ExecOp) -> bool {
    let text = exec.meta.as_ref().map(|meta| meta.args.join(" ")).unwrap_or_default();
    let words: Vec<&str> = super::later::words(&text).collect();
    words.iter().any(|word| PROGRAMS.contains(&super::later::name(word)))
}

/// Reads a RUN.
pub(super) fn request(exec: &pb::ExecOp) -> Result<Request, Stop> {
    let meta = exec.meta.clone().unwrap_or_default();
    if let Some(reason) = surroundings(exec) {
        return Err(Stop::Refused(reason));
    }
    let env = |name: &str| {
        let mut entries = meta.env.iter().rev().filter_map(|entry| entry.split_once('='));
        entries.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let mut request = Request::default();
    match shell::shell_of(&meta.args) {
        shell::Form::Shell { script, shell: program, .. } => {
            request.programs.push(program.to_owned());
            let script = without_frontend(script);
            // A quoted `*` would be a name like any other.
            if script.contains('*')
                && (script.contains(['\'', '"']) || script.replace("\\\n", "").contains('\\'))
            {
                return Err(Stop::Refused(MORE.to_owned()));
            }
            // Of `rm` as well, patterns are for us to read.
            let is_ours = |program: &str| program == "rm" || PROGRAMS.contains(&super::later::name(program));
            let node = shell::script(&script, &env, &is_ours).map_err(|error| error.to_string())?;
            request.read(&node)?;
        }
        shell::Form::Exec => request.read(&Node::Install(Install::new(meta.args)))?,
    }
    if request.packages.is_empty() {
        return Err(Stop::Refused("it asks apt for no package".to_owned()));
    }
    if request.has_lists {
        return Err(Stop::Refused("it leaves apt's package lists in the image".to_owned()));
    }
    Ok(request)
}

/// Why what is around the script of a RUN keeps it.
fn surroundings(exec: &pb::ExecOp) -> Option<String> {
    let meta = exec.meta.clone().unwrap_or_default();
    // Variables that change which apt, or which shell, does what.
    const STEERING: &[&str] = &["APT_", "BASH_FUNC_", "DPKG_", "LD_"];
    let name = |entry: &String| entry.split('=').next().unwrap_or_default().to_owned();
    if let Some(name) = meta.env.iter().map(name).find(|n| STEERING.iter().any(|start| n.starts_with(start)))
    {
        return Some(format!("the environment variable {name} is set"));
    }
    let plain_root = |mount: &pb::Mount| {
        mount.dest == "/" && mount.output == 0 && mount.selector.is_empty() && !mount.readonly
    };
    let refused = [
        (
            !matches!(meta.user.as_str(), "" | "0" | "root" | "0:0" | "root:root"),
            "it runs as another user than root",
        ),
        (!exec.mounts.iter().all(plain_root) || !exec.secretenv.is_empty(), "it has mounts or secrets"),
        (
            exec.security != pb::SecurityMode::Sandbox as i32
                || exec.network != pb::NetMode::Unset as i32
                || !exec.cdi_devices.is_empty()
                || !meta.valid_exit_codes.is_empty(),
            "it runs with a network, privileges or devices of its own",
        ),
        (
            meta.proxy_env.is_some() && meta.args.iter().any(|arg| arg.contains('$')),
            "its script uses variables beside those that the builder adds",
        ),
    ];
    refused.into_iter().find(|(refused, _)| *refused).map(|(_, reason)| reason.to_owned())
}

/// The script without what is usually said to packages that ask questions. None is asked where nothing is installed.
fn without_frontend(script: &str) -> String {
    let mut script = script.to_owned();
    for value in ["noninteractive", "\"noninteractive\"", "teletype"] {
        let set = format!("DEBIAN_FRONTEND={value} ");
        for program in PROGRAMS {
            script = script.replace(&format!("{set}{program} "), &format!("{program} "));
        }
        for end in ["&&", ";", "\n"] {
            let said = format!("export DEBIAN_FRONTEND={value}");
            script = script.replace(&format!("{said}{end}"), &format!("true {end}"));
            script = script.replace(&format!("{said} {end}"), &format!("true {end}"));
        }
    }
    script
}

impl Request {
    /// Adds what a part of the script does.
    fn read(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Status { success: true } | Node::StopOnFailure => Ok(()),
            Node::And { first, then } => {
                self.read(first)?;
                self.read(then)
            }
            // Each of these succeeds, so what one would do after a failure doesn't matter.
            Node::Sequence { nodes } => nodes.iter().try_for_each(|node| self.read(node)),
            Node::Remove { paths } => {
                self.program("rm");
                paths.iter().try_for_each(|path| self.remove(path))
            }
            Node::Install(install) => self.apt(install),
            _ => Err(MORE.to_owned()),
        }
    }

    fn program(&mut self, program: &str) {
        if !self.programs.iter().any(|known| known == program) {
            self.programs.push(program.to_owned());
        }
    }

    fn apt(&mut self, command: &Install) -> Result<(), String> {
        let program = command.argv.first().map(String::as_str).unwrap_or_default();
        if !command.outputs.is_empty() || !PROGRAMS.contains(&super::later::name(program)) {
            return Err(MORE.to_owned());
        }
        let understood = parse(&command.argv)?;
        if !command.globs.is_empty() {
            return Err("it asks for packages by a pattern".to_owned());
        }
        self.program(program);
        match understood {
            Apt::Update => self.has_lists = true,
            Apt::Clean => {}
            Apt::Install { packages, recommends } => {
                self.packages.extend(packages);
                self.recommends |= recommends;
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), String> {
        let (directory, name) = path.rsplit_once('/').unwrap_or_default();
        let plain = path.starts_with('/')
            && !directory.contains(['*', '?', '['])
            && name.matches('*').count() <= 1
            && !name.contains(['?', '[']);
        if !plain {
            return Err(format!("what it removes isn't understood ({path})"));
        }
        if path == LISTS {
            self.has_lists = false;
        }
        self.removes.push(path.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn exec(args: &[&str]) -> pb::ExecOp {
        let args = args.iter().map(|s| (*s).to_owned()).collect();
        let env = vec!["PATH=/usr/bin:/bin".to_owned(), "NAMES=curl".to_owned()];
        let root = pb::Mount { dest: "/".to_owned(), ..Default::default() };
        let meta = pb::Meta { args, env, cwd: "/".to_owned(), ..Default::default() };
        pb::ExecOp { meta: Some(meta), mounts: vec![root], ..Default::default() }
    }

    fn read(exec: &pb::ExecOp) -> Result<Request, String> {
        request(exec).map_err(|stop| match stop {
            Stop::Refused(reason) => reason,
            Stop::Unrelated | Stop::Failed(_) => panic!("only ever refused"),
        })
    }

    fn script(text: &str) -> Result<Request, String> {
        read(&exec(&["/bin/sh", "-c", text]))
    }

    #[test]
    fn the_usual_forms() {
        for (text, names, with, removes) in [
            (
                "apt-get update && apt-get install -y curl git && rm -rf /var/lib/apt/lists/*",
                "curl git",
                true,
                "/var/lib/apt/lists/*",
            ),
            (
                "apt-get update \\\n  && apt-get install -y --no-install-recommends \\\n    gcc \\\n    g++ \\\n  && apt-get clean && rm -rf /var/lib/apt/lists/* /tmp/* /var/tmp/*",
                "gcc g++",
                false,
                "/var/lib/apt/lists/* /tmp/* /var/tmp/*",
            ),
            (
                "set -ex; apt update; apt install -yq curl; rm -rf /var/lib/apt/lists/*",
                "curl",
                true,
                "/var/lib/apt/lists/*",
            ),
            (
                "set -e\napt-get update\napt-get install -y curl\nrm -rf /var/lib/apt/lists/*\n",
                "curl",
                true,
                "/var/lib/apt/lists/*",
            ),
            ("apt-get install -y curl", "curl", true, ""),
            ("apt-get install -y $NAMES", "curl", true, ""),
            (
                "DEBIAN_FRONTEND=noninteractive apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y curl >/dev/null 2>&1 && rm -rf /var/lib/apt/lists/*",
                "curl",
                true,
                "/var/lib/apt/lists/*",
            ),
            (
                "export DEBIAN_FRONTEND=noninteractive && apt-get install -y curl && echo done",
                "curl",
                true,
                "",
            ),
            (
                "apt-get install -y curl && apt-get install -y --no-install-recommends git",
                "curl git",
                true,
                "",
            ),
        ] {
            let found = script(text).unwrap();
            let asked: Vec<&str> = found.packages.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(
                (asked.join(" ").as_str(), found.recommends, found.removes.join(" ").as_str()),
                (names, with, removes),
                "{text}"
            );
        }
        let found = read(&exec(&["apt-get", "install", "-y", "curl"])).unwrap();
        assert_eq!((found.packages.len(), found.programs), (1, vec!["apt-get".to_owned()]));
    }

    #[test]
    fn the_programs_that_must_be_what_they_are() {
        let found = script("/usr/bin/apt-get install -y curl && rm -rf /tmp/x && apt-get clean").unwrap();
        assert_eq!(found.programs, ["/bin/sh", "/usr/bin/apt-get", "rm", "apt-get"]);
    }

    #[test]
    fn what_keeps_a_step() {
        for (text, wanted) in [
            ("apt-get update", "no package"),
            ("apt-get update && apt-get clean && rm -rf /var/lib/apt/lists/*", "no package"),
            ("apt-get update && apt-get install -y curl", "leaves apt's package lists"),
            (
                "apt-get install -y curl && rm -rf /var/lib/apt/lists/* && apt-get update",
                "leaves apt's package lists",
            ),
            ("apt-get update && apt-get install -y curl && rm -rf '/var/lib/apt/lists/*'", MORE),
            ("apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/\\*", MORE),
            ("apt-get install -y curl && rm -r /x", MORE),
            ("apt-get install -y curl && rm -rf x", "what it removes isn't understood (x)"),
            ("apt-get install -y curl && rm -rf /*/x", "what it removes isn't understood"),
            ("apt-get install -y curl && useradd app", MORE),
            ("apt-get install -y curl && mkdir /x", MORE),
            ("apt-get install -y curl && curl -O http://x", MORE),
            ("apt-get install -y curl || true", MORE),
            ("if [ -f x ]; then apt-get install -y curl; fi", MORE),
            ("! apt-get install -y curl", MORE),
            ("cd /x && apt-get install -y curl", MORE),
            ("apt-get install -y curl; exit 0", MORE),
            ("apt-get install -y curl >/log", "redirect"),
            ("apt-get install -y curl>=1", MORE),
            ("apt-get install -y curl*", "`curl*`"),
            ("apt-get install -y curl | tee /log", "pipe"),
            ("apt-get install -y $(cat x)", "substitution"),
            ("apt-get update && apt-get upgrade -y && apt-get install -y curl", "`apt-get upgrade`"),
            ("X=1 apt-get install -y curl", "X=1"),
            ("export DEBIAN_FRONTEND=noninteractive X=1 && apt-get install -y curl", MORE),
        ] {
            let reason = script(text).unwrap_err();
            assert!(reason.contains(wanted), "{text}: {reason}");
        }
    }

    #[test]
    fn what_is_around_it() {
        let with = |change: fn(&mut pb::ExecOp)| {
            let mut exec = exec(&["/bin/sh", "-c", "apt-get install -y curl"]);
            change(&mut exec);
            read(&exec).unwrap_err()
        };
        assert!(with(|e| e.meta.as_mut().unwrap().user = "app".to_owned()).contains("another user"));
        assert!(
            with(|e| e.meta.as_mut().unwrap().env.push("APT_CONFIG=/x".to_owned())).contains("APT_CONFIG")
        );
        assert!(
            with(|e| e.meta.as_mut().unwrap().env.push("LD_PRELOAD=/x".to_owned())).contains("LD_PRELOAD")
        );
        assert!(
            with(|e| e.mounts.push(pb::Mount { dest: "/var/cache/apt".to_owned(), ..Default::default() }))
                .contains("mounts")
        );
        assert!(with(|e| e.mounts[0].readonly = true).contains("mounts"));
        assert!(with(|e| e.secretenv.push(pb::SecretEnv::default())).contains("secrets"));
        assert!(with(|e| e.network = pb::NetMode::None as i32).contains("network"));
    }

    #[test]
    fn which_are_looked_at() {
        for (text, wanted) in [
            ("apt-get update && apt-get install -y curl", true),
            ("set -e;apt install -y curl", true),
            ("/usr/bin/apt-get update", true),
            ("pip install apt-get-py", false),
            ("rm -rf /var/lib/apt/lists/*", false),
            ("cp -r /etc/apt /x", false),
        ] {
            assert_eq!(runs_apt(&exec(&["/bin/sh", "-c", text])), wanted, "{text}");
        }
    }
}
