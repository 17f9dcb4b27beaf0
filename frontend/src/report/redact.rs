//! Taking URLs and credentials out of a text that others will read.
//!
//! Commands and reasons end up in logs and in image labels. A URL may hold a password, a token in its path, or the name
//! of a host that is nobody's business, and no rule tells which, so every URL goes. The same for what follows a name that
//! says "secret". Taking out too much costs a reader a detail; too little can't be taken back.

/// What replaces a URL.
const URL: &str = "<url>";
/// What replaces a credential.
const SECRET: &str = "<redacted>";

/// Names, or parts of names, after which a credential follows. Compared in lower case, with `_` for `-`.
const TELLING: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "access_key",
    "private_key",
    "credential",
    "auth",
];

/// Options whose value is `user:password`.
const USER_OPTIONS: &[&str] = &["-u", "--user", "--proxy-user", "--http-user"];

/// The text without URLs and credentials: `scheme://…` becomes `<url>`, and the values of `TOKEN=…`, `--password …`,
/// `Authorization: …`, `-u user:…` and `user:…@host` become `<redacted>`.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut next_is_secret = false;
    let mut next_is_user = false;
    for (blank, word) in Words(text) {
        out.push_str(blank);
        if word.is_empty() {
            continue;
        }
        let bare = word.trim_start_matches(['"', '\'']);
        let value_follows = next_is_secret && (!bare.starts_with('-') || bare.contains(' '));
        if value_follows || (next_is_user && word.contains(':')) {
            out.push_str(SECRET);
            next_is_secret = false;
            next_is_user = false;
            continue;
        }
        // Only an option by itself announces its value in the next word; prose may well speak of a token.
        next_is_secret = bare.starts_with('-') && !bare.contains(['=', ' ', '"', '\'']) && telling(bare);
        next_is_user = USER_OPTIONS.contains(&word);
        if let Some((start, at)) = header(word) {
            let close = closing_quote(word, at);
            out.push_str(&format!("{}{} {SECRET}{close}", redact_plain(&word[..start]), &word[start..at]));
            // Without a quote that ends the header, nothing tells where its value ends.
            if close.is_empty() {
                return out;
            }
            continue;
        }
        out.push_str(&redact_word(word));
    }
    out
}

/// One word, with its quotes and whatever blanks they hold.
fn redact_word(word: &str) -> String {
    if let Some(at) = word.find("://") {
        return redact_url(word, at);
    }
    if let Some((name, value)) = word.split_once('=') {
        let comparison = name.ends_with(['!', '<', '>', '~', '=']) || value.starts_with('=');
        if telling(name) && !value.is_empty() && !comparison {
            return format!("{}={SECRET}{}", redact_plain(name), closing_quote(word, name.len()));
        }
    }
    // `user:password@host`, but not `image:tag@sha256:…`.
    if let Some((before, after)) = word.rsplit_once('@') {
        let is_digest =
            after.starts_with("sha256:") || after.starts_with("sha384:") || after.starts_with("sha512:");
        if before.contains(':') && !is_digest {
            return format!("{SECRET}@{after}");
        }
    }
    word.to_owned()
}

/// A word with a URL whose `://` is at this place.
fn redact_url(word: &str, at: usize) -> String {
    let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
    let start = word[..at]
        .rfind(|c| !scheme(c))
        .map_or(0, |i| i + word[i..].chars().next().map_or(1, char::len_utf8));
    // A scheme starts with a letter: `-ihttps://…` keeps its dash.
    let start = word[start..at].find(|c: char| c.is_ascii_alphabetic()).map_or(at, |i| start + i);
    // What stands before the scheme may hold a credential of its own.
    let before = &word[..start];
    let head = match before.strip_suffix('=') {
        Some(name) => format!("{}=", redact_plain(name)),
        None => redact_plain(before),
    };
    let Some(quote) = open_quote(before) else {
        // Without a quote around it, everything up to the word's end belongs to it.
        return format!("{head}{URL}");
    };
    let rest = &word[start..];
    let end = rest.find(|c: char| c == quote || c.is_whitespace()).unwrap_or(rest.len());
    let tail = &rest[end..];
    // A quote that closes in the middle of a word doesn't end a URL.
    match tail.strip_prefix(quote) {
        Some("") => format!("{head}{URL}{quote}"),
        Some(glued) if !glued.starts_with(char::is_whitespace) => format!("{head}{URL}"),
        _ => format!("{head}{URL}{}", redact(tail)),
    }
}

/// The text before a URL in the same word: several words if they stand in quotes.
fn redact_plain(text: &str) -> String {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote {
        Some(quote) => format!("{quote}{}", redact(&text[1..])),
        None => redact(text),
    }
}

/// Where the name of a telling header starts and ends in this word, if no URL comes before it.
fn header(word: &str) -> Option<(usize, usize)> {
    let lower = word.to_ascii_lowercase();
    let names = ["authorization:", "private-token:", "x-api-key:", "job-token:", "cookie:"];
    let found = names.iter().filter_map(|name| lower.find(name).map(|at| (at, at + name.len()))).min()?;
    word.find("://").is_none_or(|url| url > found.0).then_some(found)
}

fn telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    TELLING.iter().any(|part| name.contains(part))
}

/// The quote that is open at the end of a text.
fn open_quote(text: &str) -> Option<char> {
    text.chars().filter(|c| matches!(c, '"' | '\'')).fold(None, |open, c| match open {
        None => Some(c),
        Some(quote) if quote == c => None,
        open => open,
    })
}

/// The quote that closes the one open at this place, if the word ends with it.
fn closing_quote(word: &str, at: usize) -> String {
    open_quote(&word[..at]).filter(|quote| word.ends_with(*quote)).map(String::from).unwrap_or_default()
}

/// Splits a text into pairs of blanks and the word after them. Blanks in quotes belong to the word, where the quote closes at
/// all (an apostrophe doesn't).
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let word = self.0.trim_start();
        let blank = &self.0[..self.0.len() - word.len()];
        let mut quote = None;
        let mut end = word.len();
        for (i, c) in word.char_indices() {
            match quote {
                Some(q) if q == c => quote = None,
                Some(_) => {}
                None if matches!(c, '"' | '\'') && word[i + 1..].contains(c) => quote = Some(c),
                None if c.is_whitespace() => {
                    end = i;
                    break;
                }
                None => {}
            }
        }
        self.0 = &word[end..];
        Some((blank, &word[..end]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::redact;

    proptest! {
        #[test]
        fn no_url_survives(text in "([a-z]{0,3}|[ '\"=@:/-]|://|https://|u:p@|--token|TOKEN=|Cookie: | -u ){0,12}") {
            let once = redact(&text);
            prop_assert!(!once.contains("://"), "{:?} -> {:?}", text, once);
            prop_assert!(!once.contains("u:p@"), "{:?} -> {:?}", text, once);
        }
    }

    #[test]
    fn urls_and_credentials_go() {
        for (text, wanted) in [
            ("pip install -r requirements.txt", "pip install -r requirements.txt"),
            ("pip install -i https://u:p@h.example/simple x", "pip install -i <url> x"),
            ("pip install -ihttps://h x", "pip install -<url> x"),
            ("pip install --index-url=https://u:p@h/s  x", "pip install --index-url=<url>  x"),
            ("pip install \"--index-url=https://u:p@h/s\" x", "pip install \"--index-url=<url>\" x"),
            ("pip install 'a @ git+https://tok@h/a.git@v1#egg=a' b", "pip install 'a @ <url>' b"),
            ("pip install git+ssh://git@h/a.git", "pip install <url>"),
            ("pip -i https://u:'p w'@h/s x", "pip -i <url> x"),
            ("pip -i \"https://u:\"$P\"@h/s\" x", "pip -i \"<url> x"),
            (
                "sh -c 'pip -i https://u:p@h x && curl http://z -u a:b'",
                "sh -c 'pip -i <url> x && curl <url> -u <redacted>",
            ),
            ("PIP_INDEX_URL=https://u:p@h pip install x", "PIP_INDEX_URL=<url> pip install x"),
            ("API_TOKEN=abc pip install x", "API_TOKEN=<redacted> pip install x"),
            ("API_TOKEN=\"a b\" pip install x", "API_TOKEN=<redacted> pip install x"),
            ("tool \"--password=a b\" x", "tool \"--password=<redacted>\" x"),
            ("tool --password 'a b' x", "tool --password <redacted> x"),
            ("tool --token -x", "tool --token -x"),
            ("curl -u me:pw h", "curl -u <redacted> h"),
            ("curl -H 'Authorization: Bearer abc' h", "curl -H 'Authorization: <redacted>' h"),
            ("say Authorization: Bearer abc h", "say Authorization: <redacted>"),
            ("scp me:pw@host x", "scp <redacted>@host x"),
            ("FROM python:3.11@sha256:abc", "FROM python:3.11@sha256:abc"),
            (
                "pip install tokenizers==0.15 python-jose>=3 authlib==1.3",
                "pip install tokenizers==0.15 python-jose>=3 authlib==1.3",
            ),
            ("pip install 'token-x>=1' auth~=2", "pip install 'token-x>=1' auth~=2"),
            (
                "it doesn't know https://h/x or that it's a token",
                "it doesn't know <url> or that it's a token",
            ),
            ("see ftp://a, and http://b", "see <url> and <url>"),
            ("é://x", "é<url>"),
            ("", ""),
        ] {
            let once = redact(text);
            assert_eq!(once, wanted, "{text}");
            assert_eq!(redact(&once), once, "twice: {text}");
        }
    }
}
