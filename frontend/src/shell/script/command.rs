//! One command: its words and redirections, and what it does, by its name.

use brush_parser::ast::{CommandPrefixOrSuffixItem, SimpleCommand};
use plinth_layers::script::{FileTest, Install, Node};

use super::super::names::{BUILTINS, KEYWORDS};
use super::super::word::expand;
use super::NotSimple;
use super::redirect::{Redirected, not_redirected};
use super::tree::Reader;

impl Reader<'_> {
    /// One command with its redirections.
    pub(super) fn simple(&mut self, simple: &SimpleCommand) -> Result<Node, NotSimple> {
        if let Some(prefix) = &simple.prefix {
            return Err(match prefix.0.first() {
                Some(CommandPrefixOrSuffixItem::IoRedirect(redirect)) => not_redirected(redirect),
                first => NotSimple::Assignment(first.map(ToString::to_string).unwrap_or_default()),
            });
        }
        let name = simple.word_or_name.as_ref().ok_or(NotSimple::Nothing)?;
        let mut words = vec![name.value.as_str()];
        self.text(&name.value);
        let (mut outputs, mut refused, mut first, mut elsewhere) = (Vec::new(), None, None, false);
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            match item {
                CommandPrefixOrSuffixItem::Word(word)
                | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
                    self.text(&word.value);
                    words.push(&word.value);
                }
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => {
                    match self.redirect(redirect) {
                        Ok(Redirected::Silenced) => {}
                        Ok(Redirected::Output(file)) => {
                            first.get_or_insert_with(|| not_redirected(redirect));
                            outputs.push(file);
                        }
                        // Fine, but not together with a file.
                        Ok(Redirected::Elsewhere) => elsewhere = true,
                        Err(reason) => refused = refused.or(Some(reason)),
                    }
                }
                CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {
                    return Err(NotSimple::Substitution("a process substitution"));
                }
            }
        }
        if let Some(reason) = refused.or_else(|| first.clone().filter(|_| elsewhere)) {
            return Err(reason);
        }
        match (self.meaning(&words)?, first) {
            (Node::Install(install), _) => Ok(Node::Install(Install { outputs, ..install })),
            (_, Some(reason)) => Err(reason),
            (node, None) => Ok(node),
        }
    }

    /// What a command does, by its name.
    fn meaning(&self, words: &[&str]) -> Result<Node, NotSimple> {
        if KEYWORDS.contains(&words[0]) {
            return Err(NotSimple::Keyword(words[0].to_owned()));
        }
        let mut argv = Vec::new();
        let mut globs = Vec::new();
        for word in words {
            let expanded = match expand(word, &self.options, self.env) {
                Ok(expanded) => expanded,
                // Of a command that is not understood anyway, the words needn't be either.
                Err(reason) => return self.other(words[0], Some(reason)),
            };
            let Some(text) = expanded.text else { continue };
            // A bracket alone opens no pattern.
            if expanded.pattern.is_some() && *word != "[" {
                globs.push(text.chars().take_while(|c| !matches!(c, '*' | '?' | '[')).collect());
                if argv.is_empty() {
                    return Err(NotSimple::Glob(text));
                }
            }
            argv.push(text);
        }
        let arguments: Vec<&str> = argv.iter().map(String::as_str).collect();
        let Some((program, arguments)) = arguments.split_first() else { return Err(NotSimple::Nothing) };
        // `$X` for a name could be anything of the shell's, quoted or not.
        if words[0] != *program && (BUILTINS.contains(program) || KEYWORDS.contains(program)) {
            return Err(NotSimple::Builtin((*program).to_owned()));
        }
        if program.is_empty() || program.contains('=') || KEYWORDS.contains(program) {
            return Err(NotSimple::Keyword((*program).to_owned()));
        }
        if !globs.is_empty() && !(self.is_installer)(program) {
            return self.other(program, None);
        }
        let test = |test: FileTest, path: &str| Node::Test { test, path: path.to_owned() };
        let file = |operator: &str| match operator {
            "-e" => Some(FileTest::Exists),
            "-f" => Some(FileTest::File),
            "-d" => Some(FileTest::Directory),
            "-s" => Some(FileTest::NotEmpty),
            _ => None,
        };
        let asked = |operands: &[&str]| match operands {
            [operator, path] => file(operator).map(|operator| test(operator, path)),
            ["!", operator, path] => {
                file(operator).map(|operator| Node::Not { of: Box::new(test(operator, path)) })
            }
            _ => None,
        };
        let node = match (*program, arguments) {
            ("true" | ":", _) => Some(Node::Status { success: true }),
            ("false", _) => Some(Node::Status { success: false }),
            ("echo", _) => Some(Node::Status { success: true }),
            ("exit", ["0"]) => Some(Node::Exit { success: true }),
            ("exit", ["1" | "2"]) => Some(Node::Exit { success: false }),
            ("set", ["-e" | "-ex" | "-xe"]) => Some(Node::StopOnFailure),
            ("set", ["-x"]) => Some(Node::Status { success: true }),
            ("test", operands) => asked(operands),
            ("[", [operands @ .., "]"]) => asked(operands),
            ("rm", operands) => removed(operands).map(|paths| Node::Remove { paths }),
            // Without a `/`, it would be looked up in PATH.
            ("." | "source", [path]) if path.contains('/') && sourced(path) => {
                Some(Node::Activate { path: (*path).to_owned() })
            }
            ("cd", [path]) if self.plain_directory(path) => Some(Node::Cd { path: (*path).to_owned() }),
            _ => None,
        };
        match node {
            Some(node) => Ok(node),
            None if (self.is_installer)(program) => {
                Ok(Node::Install(Install { globs, ..Install::new(argv) }))
            }
            None => self.other(program, None),
        }
    }

    /// A directory that every shell's `cd` understands as it stands.
    fn plain_directory(&self, path: &str) -> bool {
        !path.is_empty()
            && !path.starts_with('-')
            && path.split('/').all(|part| part != "..")
            && (self.env)("CDPATH").is_none()
    }

    #[allow(clippy::unused_self)]
    fn other(&self, name: &str, reason: Option<NotSimple>) -> Result<Node, NotSimple> {
        let reason = reason.map_or_else(
            || format!("its script runs `{name}` beside the install"),
            |reason| reason.to_string(),
        );
        Ok(Node::Other { reason })
    }
}

/// An `activate` in a directory that is named without `..`.
fn sourced(path: &str) -> bool {
    path.ends_with("/bin/activate") && !path.starts_with('-') && path.split('/').all(|part| part != "..")
}

/// The paths of a forced removal.
fn removed(operands: &[&str]) -> Option<Vec<String>> {
    let forced =
        |flags: &&&str| flags.contains('f') && flags[1..].bytes().all(|b| matches!(b, b'f' | b'r' | b'R'));
    let (flags, paths): (Vec<&str>, Vec<&str>) = operands.iter().partition(|word| word.starts_with('-'));
    // What a path means that ends in `/` or `/.`, programs don't agree on.
    let plain = |path: &&str| {
        !path.is_empty() && !path.ends_with('/') && path.split('/').all(|part| part != ".." && part != ".")
    };
    let understood =
        matches!(&flags[..], [flags] if forced(&flags)) && !paths.is_empty() && paths.iter().all(plain);
    // An option may stand behind a path, and `--` would end them: both are left alone.
    let first = operands.first().is_some_and(|word| word.starts_with('-'));
    (understood && first).then(|| paths.into_iter().map(str::to_owned).collect())
}
