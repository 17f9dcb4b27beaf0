//! Command lines of `apt-get` and `apt`.

/// What one of them does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Apt {
    /// Fetches the package lists.
    Update,
    /// Removes what was downloaded.
    Clean,
    /// Installs.
    Install {
        /// Names, with a version where one is asked for.
        packages: Vec<(String, Option<String>)>,
        /// And what they recommend.
        recommends: bool,
    },
}

/// Options that change neither what is installed nor what stays in the image.
const HARMLESS: &[&str] = &[
    "--allow-releaseinfo-change",
    "--assume-yes",
    "--fix-missing",
    "--install-recommends",
    "--no-install-suggests",
    "--quiet",
    "--yes",
];
/// The same, of one letter.
const HARMLESS_LETTERS: &str = "myqV";
/// Settings with `-o` that only say how packages are fetched, or what dpkg does where it runs at all.
const HARMLESS_SETTINGS: &[&str] =
    &["acquire::", "dpkg::lock::timeout=", "dpkg::options::=", "dpkg::use-pty="];

/// Reads a command line, the program's name first.
///
/// # Errors
/// Why it isn't understood: one sentence without its full stop.
pub(super) fn parse(argv: &[String]) -> Result<Apt, String> {
    let mut words = argv.iter().skip(1).map(String::as_str);
    let (mut operands, mut recommends) = (Vec::new(), true);
    while let Some(word) = words.next() {
        let unknown = || format!("the option `{word}` of apt isn't understood");
        if word == "--no-install-recommends" {
            recommends = false;
        } else if let Some(setting) = word.strip_prefix("-o").or_else(|| word.strip_prefix("--option=")) {
            let setting = if setting.is_empty() { words.next().ok_or_else(unknown)? } else { setting };
            match setting.to_ascii_lowercase().as_str() {
                "apt::install-recommends=false" | "apt::install-recommends=0" => recommends = false,
                lower if HARMLESS_SETTINGS.iter().any(|harmless| lower.starts_with(harmless)) => {}
                _ => return Err(format!("the setting `{setting}` of apt isn't understood")),
            }
        } else if word.starts_with("--") {
            HARMLESS.contains(&word).then_some(()).ok_or_else(unknown)?;
        } else if let Some(letters) = word.strip_prefix('-') {
            let letters = letters.strip_suffix("=1").or(letters.strip_suffix("=2")).unwrap_or(letters);
            let harmless = !letters.is_empty() && letters.chars().all(|c| HARMLESS_LETTERS.contains(c));
            harmless.then_some(()).ok_or_else(unknown)?;
        } else {
            operands.push(word);
        }
    }
    match operands.split_first() {
        Some((&"update", [])) => Ok(Apt::Update),
        Some((&("clean" | "autoclean"), [])) => Ok(Apt::Clean),
        Some((&"install", names)) => {
            let packages = names.iter().map(|name| package(name)).collect::<Result<_, _>>()?;
            Ok(Apt::Install { packages, recommends })
        }
        Some((command, _)) => Err(format!("`apt-get {command}` is not looked into")),
        None => Err("it gives apt no command".to_owned()),
    }
}

/// A name as Debian's policy has it (5.6.7), and a version after `=`. A name that ends in `+` or `-` may mean something
/// else to apt; what the inventory lists is a package, and that comes first.
fn package(word: &str) -> Result<(String, Option<String>), String> {
    let (name, version) = word.split_once('=').map_or((word, None), |(name, version)| (name, Some(version)));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_name = name.bytes().next().is_some_and(plain)
        && name.bytes().all(|b| plain(b) || b"+-.".contains(&b))
        && name.len() > 1;
    let is_version = version.is_none_or(|version| {
        !version.is_empty() && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-:~".contains(&b))
    });
    if is_name && is_version {
        Ok((name.to_owned(), version.map(str::to_owned)))
    } else {
        Err(format!("`{word}` is no plain name of a package"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(line: &str) -> Result<Apt, String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn installs() {
        for (line, names, with) in [
            ("apt-get install -y curl", "curl", true),
            ("apt-get -qq -y install --no-install-recommends curl g++", "curl g++", false),
            ("apt install curl -yqq", "curl", true),
            ("apt-get install -q=2 --yes --install-recommends curl", "curl", true),
            ("apt-get install -y -o Dpkg::Options::=--force-confold curl", "curl", true),
            ("apt-get -oAcquire::Retries=3 install -y curl", "curl", true),
            ("apt-get -o APT::Install-Recommends=false install curl", "curl", false),
            ("apt-get install -y", "", true),
        ] {
            let Ok(Apt::Install { packages, recommends }) = read(line) else { panic!("{line}") };
            let found: Vec<&str> = packages.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!((found.join(" ").as_str(), recommends), (names, with), "{line}");
        }
        let Ok(Apt::Install { packages, .. }) = read("apt-get install git=1:2.39~a-1+b2") else { panic!() };
        assert_eq!(packages, [("git".to_owned(), Some("1:2.39~a-1+b2".to_owned()))]);
    }

    #[test]
    fn the_rest() {
        assert_eq!(read("apt-get update -y"), Ok(Apt::Update));
        assert_eq!(read("apt-get -o Acquire::Check-Valid-Until=false update"), Ok(Apt::Update));
        assert_eq!(read("apt-get clean"), Ok(Apt::Clean));
        assert_eq!(read("apt-get autoclean -y"), Ok(Apt::Clean));
    }

    #[test]
    fn what_is_refused() {
        for (line, wanted) in [
            ("apt-get upgrade -y", "`apt-get upgrade`"),
            ("apt-get dist-upgrade", "`apt-get dist-upgrade`"),
            ("apt-get autoremove -y", "`apt-get autoremove`"),
            ("apt-get purge gcc", "`apt-get purge`"),
            ("apt-get update curl", "`apt-get update`"),
            ("apt-get", "no command"),
            ("apt-get install --reinstall curl", "`--reinstall`"),
            ("apt-get install -f curl", "`-f`"),
            ("apt-get install -yd curl", "`-yd`"),
            ("apt-get install -t sid curl", "`-t`"),
            ("apt-get install --install-suggests curl", "`--install-suggests`"),
            ("apt-get install -y -o APT::Default-Release=sid curl", "`APT::Default-Release=sid`"),
            ("apt-get install -y -o Dpkg::Pre-Invoke::=x curl", "`Dpkg::Pre-Invoke::=x`"),
            ("apt-get install -y -o", "`-o`"),
            ("apt-get install - curl", "`-`"),
            ("apt-get install ./x.deb", "`./x.deb`"),
            ("apt-get install /x.deb", "`/x.deb`"),
            ("apt-get install curl/sid", "`curl/sid`"),
            ("apt-get install curl:i386", "`curl:i386`"),
            ("apt-get install libc6*", "`libc6*`"),
            ("apt-get install ^lib", "`^lib`"),
            ("apt-get install curl=", "`curl=`"),
            ("apt-get install lamp-server^", "`lamp-server^`"),
            ("apt-get install Curl", "`Curl`"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(wanted), "{line}: {error}");
        }
    }
}
