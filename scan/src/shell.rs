//! The commands of a RUN, as far as words and operators tell. For what is only counted (apt packages, tools), and for
//! scripts that nobody follows exactly; whoever acts upon a script uses `plinth_frontend::shell`.

use brush_parser::{ParserOptions, Token, uncached_tokenize_str};

use crate::dockerfile::{Scope, expand};

/// The longest script that is read, in bytes.
const MAX_SCRIPT: usize = 256 * 1024;
/// Substitutions in one script.
const MAX_NESTING: usize = 200;

/// What opens or continues a construct where a command could stand.
const KEYWORDS: &[&str] =
    &["if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "{", "}", "time"];

/// The simple commands of a script, each as its words with quotes taken off. A `for` or `case` is passed over.
pub(crate) fn commands(script: &str, scope: &Scope) -> Vec<Vec<String>> {
    // The tokenizer calls itself for each of these.
    if script.len() > MAX_SCRIPT || script.matches("$(").count() + script.matches("${").count() > MAX_NESTING
    {
        return Vec::new();
    }
    let options = ParserOptions { posix_mode: true, sh_mode: true, ..ParserOptions::default() };
    let Ok(tokens) = uncached_tokenize_str(script, &options.tokenizer_options()) else { return Vec::new() };
    let (mut all, mut current): (Vec<Vec<String>>, Vec<String>) = (Vec::new(), Vec::new());
    let mut tokens = tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            Token::Operator(operator, _) if is_redirection(operator) => {
                tokens.next();
            }
            Token::Operator(..) => all.push(std::mem::take(&mut current)),
            Token::Word(word, _) => {
                let number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
                let before_redirection =
                    matches!(tokens.peek(), Some(Token::Operator(operator, _)) if is_redirection(operator));
                if number && before_redirection {
                    continue;
                }
                let keyword = current.is_empty() && KEYWORDS.contains(&word.as_str());
                let assignment = current.is_empty() && is_assignment(word);
                if !keyword && !assignment {
                    current.push(expanded(word, scope));
                }
            }
        }
    }
    all.push(current);
    all.retain(|command| !command.is_empty());
    for command in &mut all {
        if command.len() > 1 && matches!(command[0].as_str(), "sudo" | "exec" | "command" | "nice") {
            command.remove(0);
        }
    }
    all
}

/// A word without its quotes. What depends on a variable that isn't known stays as it is written.
fn expanded(word: &str, scope: &Scope) -> String {
    let known = |name: &str| scope.get(name).is_some();
    let names = word.split('$').skip(1).map(|rest| {
        let rest = rest.trim_start_matches('{');
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        &rest[..end]
    });
    if word.contains('`') || names.into_iter().any(|name| !known(name)) {
        return word.to_owned();
    }
    expand(word, scope).unwrap_or_else(|| word.to_owned())
}

/// Whether a word still has something in it that only the shell can tell.
pub(crate) fn is_open(word: &str) -> bool {
    word.is_empty() || word.contains(['$', '`', '*', '?', '<', '>', '{', '\''])
}

fn is_redirection(operator: &str) -> bool {
    operator.contains(['<', '>'])
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// The Debian packages that a script installs with apt, in the order of the script, without versions.
pub(crate) fn apt_packages(commands: &[Vec<String>]) -> Vec<String> {
    let mut packages = Vec::new();
    for command in commands {
        let program = command[0].rsplit('/').next().unwrap_or_default();
        if !matches!(program, "apt-get" | "apt" | "aptitude") {
            continue;
        }
        let mut words = command[1..].iter();
        let mut installs = false;
        while let Some(word) = words.next() {
            match word.as_str() {
                "-t" | "-o" | "-c" | "--target-release" | "--option" | "--config-file"
                | "--default-release" => {
                    words.next();
                }
                option if option.starts_with('-') => {}
                "install" if !installs => installs = true,
                _ if !installs => break,
                package => {
                    let name = package.split(['=', '/']).next().unwrap_or_default();
                    let name = name.split_once(':').map_or(name, |(name, _)| name);
                    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
                    // `./x.deb`, `$PACKAGES` and what is left of them are no names.
                    if name.len() > 1 && name.bytes().all(plain) && !package.ends_with(".deb") {
                        packages.push(name.to_owned());
                    }
                }
            }
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(script: &str) -> Vec<String> {
        commands(script, &Scope::default()).iter().map(|command| command.join(" ")).collect()
    }

    #[test]
    fn simple_commands() {
        assert_eq!(
            read(
                "set -e; if [ -f a ]; then pip install \"b>=1\" 2>/dev/null | tee log; fi && (cd x; X=1 make)"
            ),
            ["set -e", "[ -f a ]", "pip install b>=1", "tee log", "cd x", "make"]
        );
        assert_eq!(read("a > out b\n# c\nsudo d"), ["a b", "d"]);
        assert!(read("echo 'open").is_empty());
    }

    #[test]
    fn packages_of_apt() {
        let of = |script: &str| apt_packages(&commands(script, &Scope::default()));
        assert_eq!(
            of(
                "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends curl git=1:2.3 libpq-dev:amd64 g++ -t bookworm nodejs/sid && rm -rf /var/lib/apt/lists/*"
            ),
            ["curl", "git", "libpq-dev", "g++", "nodejs"]
        );
        assert!(of("apt-get remove -y gcc && echo apt-get install x && apt install ./y.deb $Z").is_empty());
    }
}
