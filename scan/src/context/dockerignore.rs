//! `.dockerignore`: not the rules of `.gitignore`. A pattern is anchored at the context, `**` is any number of
//! directories, the last pattern that matches a path or a directory above it decides, and `!` takes back in.

use regex::Regex;

use super::clean;

/// The patterns of one file, in order.
#[derive(Debug, Default)]
pub(super) struct Dockerignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    takes_back: bool,
    expression: Regex,
}

impl Dockerignore {
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().map(|line| if line.starts_with('#') { "" } else { line.trim() });
        let patterns = lines.filter(|line| !line.is_empty()).filter_map(|line| {
            let (takes_back, rest) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            // BuildKit refuses a file with a pattern that is none; here it matches nothing.
            let expression = Regex::new(&expression(&clean(rest))).ok()?;
            Some(Pattern { text: line.to_owned(), takes_back, expression })
        });
        Self { patterns: patterns.collect() }
    }

    /// The pattern that leaves a path out.
    pub(super) fn ignores(&self, path: &str) -> Option<&str> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let paths: Vec<&str> = ends.map(|end| &path[..end]).collect();
        let matches = |pattern: &&Pattern| paths.iter().any(|path| pattern.expression.is_match(path));
        let last = self.patterns.iter().rev().find(matches)?;
        (!last.takes_back).then_some(last.text.as_str())
    }

    /// Whether some pattern takes back in what others leave out.
    pub(super) fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.takes_back)
    }
}

/// The regular expression that a pattern stands for.
fn expression(pattern: &str) -> String {
    let mut out = String::from("^");
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.peek() == Some(&'*') => {
                letters.next();
                if letters.peek() == Some(&'/') {
                    letters.next();
                }
                out.push_str(if letters.peek().is_none() { ".*" } else { "(.*/)?" });
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '\\' => out.push_str(&regex::escape(&letters.next().unwrap_or('\\').to_string())),
            '[' | ']' => out.push(letter),
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out.push('$');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, path, ignored) in [
            ("node_modules", "node_modules/a/b.js", true),
            ("node_modules", "web/node_modules", false),
            ("**/node_modules", "web/node_modules/x", true),
            ("**/*.pyc", "a/b/c.pyc", true),
            ("**/*.pyc", "c.pyc", true),
            ("*.md", "README.md", true),
            ("*.md", "docs/README.md", false),
            ("/build/", "build/x", true),
            ("a/**", "a/b/c", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("*\n!keep.txt", "keep.txt", false),
            ("*\n!keep.txt", "other.txt", true),
            ("*\n!app", "app/main.py", false),
            ("!app\n*", "app/main.py", true),
            ("# a\n", "# a", false),
            ("file?", "file1", true),
            ("[ab].txt", "a.txt", true),
            ("a.c", "abc", false),
            ("", "x", false),
        ] {
            assert_eq!(Dockerignore::parse(text).ignores(path).is_some(), ignored, "{text:?} {path}");
        }
    }
}
