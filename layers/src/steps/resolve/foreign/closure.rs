//! What follows from a request, where there is one version of each distribution: no choice, and so no search.
//!
//! Rules are pip's. What is installed stays if every requirement and the lock allow it; anything else comes from the lock.
//! Where pip would have to look for another answer, or would only warn, there is none here.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use pep440_rs::Version;
use pep508_rs::{ExtraName, Requirement, VerbatimUrl, VersionOrUrl};

use super::installed::Installed;
use super::markers::is_normal_extra;
use super::order;
use super::specifiers::allows;
use super::target::{Target, requirement};
use crate::lock::Package;
use crate::steps::resolve::stubs::filename;

/// What a name comes to.
#[derive(Clone, Debug)]
pub(super) enum Chosen<'a> {
    /// It is there, and stays.
    Stays(&'a Installed),
    /// It is installed.
    Wheel {
        package: &'a Package,
        version: Version,
        /// What is there, and goes.
        replaces: Option<&'a Installed>,
    },
}

/// Everything that follows.
#[derive(Debug, Default)]
pub(super) struct Closure<'a> {
    /// By normalized name.
    pub(super) chosen: BTreeMap<String, Chosen<'a>>,
    /// What was asked for by name.
    pub(super) requested: BTreeSet<String>,
    /// How requirements spell each.
    pub(super) spellings: BTreeMap<String, BTreeSet<String>>,
    /// Who needs whom, as pip's resolver has it.
    graph: order::Graph,
}

/// Distributions that pip leaves out of what is installed (its `stdlib_pkgs`).
const PART_OF_PYTHON: &[&str] = &["argparse", "python", "wsgiref"];

/// The node of pip's graph that stands for the interpreter.
const PYTHON: &str = "<Python from Requires-Python>";

impl Closure<'_> {
    /// What is installed, in the order in which pip would install it.
    ///
    /// # Errors
    /// If it would take too long to find out.
    pub(super) fn order(&self) -> Result<Vec<&str>, String> {
        let new = self.chosen.iter().filter(|(_, chosen)| matches!(chosen, Chosen::Wheel { .. }));
        let new: BTreeSet<&str> = new.map(|(name, _)| name.as_str()).collect();
        order::order(&self.graph, &new)
    }

    /// `name version` of what is there already.
    pub(super) fn satisfied(&self) -> Vec<String> {
        let there = self.chosen.iter().filter_map(|(name, chosen)| match chosen {
            Chosen::Stays(installed) => Some(format!("{name} {}", installed.version)),
            Chosen::Wheel { .. } => None,
        });
        there.collect()
    }
}

/// Follows `requests`. `packages` are the lock's for this request, and `installed` is what is there, both by normalized
/// name.
///
/// # Errors
/// If pip's answer isn't certain.
pub(super) fn closure<'a>(
    requests: &[String],
    packages: &BTreeMap<&str, &'a Package>,
    installed: &'a BTreeMap<String, Installed>,
    target: &Target,
) -> Result<Closure<'a>, String> {
    let mut all = Walk { packages, installed, target, closure: Closure::default(), left: Vec::new() };
    for text in requests {
        let request = requirement(text)?;
        if target.applies(&request, &[]) {
            all.closure.requested.insert(request.name.to_string());
            all.needed(None, text, &request)?;
        }
    }
    while let Some((node, name, extras)) = all.left.pop() {
        all.needs_of(&node, &name, &extras)?;
    }
    Ok(all.closure)
}

struct Walk<'w, 'a> {
    packages: &'w BTreeMap<&'w str, &'a Package>,
    installed: &'a BTreeMap<String, Installed>,
    target: &'w Target,
    closure: Closure<'a>,
    /// Nodes whose needs were not looked at: the node, its distribution, and its extras.
    left: Vec<(String, String, Vec<ExtraName>)>,
}

impl<'a> Walk<'_, 'a> {
    /// Somebody needs something that applies.
    fn needed(
        &mut self,
        by: Option<&str>,
        text: &str,
        request: &Requirement<VerbatimUrl>,
    ) -> Result<(), String> {
        let name = request.name.to_string();
        let spelled = text.trim_start();
        let end = spelled.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c));
        let spelled = spelled[..end.unwrap_or(spelled.len())].to_owned();
        self.closure.spellings.entry(name.clone()).or_default().insert(spelled);
        if !self.closure.chosen.contains_key(&name) {
            let chosen = self.choose(&name)?;
            self.closure.chosen.insert(name.clone(), chosen);
            self.left.push((name.clone(), name.clone(), Vec::new()));
        }
        let version = match &self.closure.chosen[&name] {
            Chosen::Stays(there) => &there.version,
            Chosen::Wheel { version, .. } => version,
        };
        let allowed = match &request.version_or_url {
            None => true,
            Some(VersionOrUrl::Url(_)) => return Err(format!("a requirement of {name} is by address")),
            Some(VersionOrUrl::VersionSpecifier(specifiers)) => {
                allows(specifiers, version).map_err(|doubt| format!("of a requirement of {name}, {doubt}"))?
            }
        };
        if !allowed {
            return Err(format!("{name} {version} isn't what `{}` asks for", request_text(request)));
        }
        let mut node = name.clone();
        if !request.extras.is_empty() {
            let mut extras = request.extras.clone();
            extras.sort();
            extras.dedup();
            let list: Vec<String> = extras.iter().map(ToString::to_string).collect();
            node = format!("{name}[{}]", list.join(","));
            if !self.closure.graph.has(&node) {
                self.check_extras(&name, &extras)?;
                self.left.push((node.clone(), name.clone(), extras));
            }
            self.closure.graph.connect(Some(&node), &name);
        }
        self.closure.graph.connect(by, &node);
        Ok(())
    }

    /// What a name comes to.
    fn choose(&self, name: &str) -> Result<Chosen<'a>, String> {
        let there = self.installed.get(name);
        // To pip they are part of Python, and so never installed: it would put another one over it.
        if there.is_some() && PART_OF_PYTHON.contains(&name) {
            return Err(format!("{name} is installed, which pip doesn't see"));
        }
        let plain =
            |version: &Version| !version.any_prerelease() && !version.is_local() && version.epoch() == 0;
        if there.is_some_and(|there| !plain(&there.version)) {
            return Err(format!(
                "the {name} that is installed is a pre-release, a local version, or has an epoch"
            ));
        }
        let Some(package) = self.packages.get(name) else {
            return there.map(Chosen::Stays).ok_or_else(|| format!("the lock has no {name}"));
        };
        let version = Version::from_str(&package.version);
        let version = version.map_err(|_| format!("the lock's version of {name} can't be read"))?;
        if !plain(&version) {
            return Err(format!("the lock's {name} is a pre-release, a local version, or has an epoch"));
        }
        if let Some(there) = there.filter(|there| there.version == version) {
            return Ok(Chosen::Stays(there));
        }
        let file = filename(package).ok_or_else(|| format!("the wheel of {name} has an unusual name"))?;
        if !self.target.fits(&file) {
            return Err(format!("the lock's wheel {file} doesn't fit this platform"));
        }
        Ok(Chosen::Wheel { package, version, replaces: there })
    }

    /// pip only warns of an extra that isn't there. A lock has those that somebody asked for, so that can't be told here.
    fn check_extras(&self, name: &str, wanted: &[ExtraName]) -> Result<(), String> {
        let has: &[String] = match &self.closure.chosen[name] {
            Chosen::Stays(there) => &there.extras,
            Chosen::Wheel { package, .. } => package.needs.as_ref().map_or(&[], |needs| &needs.extras),
        };
        if let Some(extra) = has.iter().find(|extra| !is_normal_extra(extra)) {
            return Err(format!("{name} has an extra `{extra}`, which isn't in normal form"));
        }
        let has: BTreeSet<ExtraName> = has.iter().filter_map(|extra| extra.parse().ok()).collect();
        match wanted.iter().find(|extra| !has.contains(*extra)) {
            Some(extra) => Err(format!("{name} has no extra `{extra}`")),
            None => Ok(()),
        }
    }

    /// What a node of the graph needs.
    fn needs_of(&mut self, node: &str, name: &str, extras: &[ExtraName]) -> Result<(), String> {
        let (requires, python): (&'a [String], Option<&'a str>) = match &self.closure.chosen[name] {
            Chosen::Stays(there) => (&there.requires, None),
            Chosen::Wheel { package, .. } => {
                let package: &'a Package = package;
                let needs = package.needs.as_ref();
                let needs = needs.ok_or_else(|| format!("the lock doesn't say what {name} needs"))?;
                (&needs.requires, needs.python.as_deref())
            }
        };
        if let Some(python) = python.filter(|python| extras.is_empty() && !python.is_empty()) {
            if !self.target.allowed_by(python)? {
                return Err(format!("{name} is for Python {python}"));
            }
            self.closure.graph.connect(Some(node), PYTHON);
        }
        self.closure.graph.add(node);
        for text in requires {
            let request = requirement(text)?;
            if self.target.applies(&request, extras) {
                self.needed(Some(node), text, &request)?;
            }
        }
        Ok(())
    }
}

fn request_text(request: &Requirement<VerbatimUrl>) -> String {
    match &request.version_or_url {
        Some(VersionOrUrl::VersionSpecifier(specifiers)) => format!("{}{specifiers}", request.name),
        _ => request.name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::python::Release;
    use super::*;
    use crate::lock::Needs;

    fn package(name: &str, version: &str, requires: &[&str], extras: &[&str]) -> Package {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Package {
            python: "3.11".into(),
            name: name.into(),
            version: version.into(),
            url: format!("https://h/{name}-{version}-py3-none-any.whl"),
            sha256: "0".repeat(64),
            size: None,
            apart: false,
            needs: Some(Needs {
                name: name.into(),
                python: None,
                requires: all(requires),
                extras: all(extras),
            }),
        }
    }

    fn there(name: &str, version: &str, extras: &[&str]) -> (String, Installed) {
        let installed = Installed {
            name: name.into(),
            version: version.parse().unwrap(),
            version_text: version.into(),
            requires: Vec::new(),
            extras: extras.iter().map(|text| (*text).to_owned()).collect(),
            info: format!("/{name}.dist-info"),
            has_record: true,
        };
        (name.to_owned(), installed)
    }

    /// The order, or why there is none.
    fn of(
        requests: &[&str],
        packages: &[Package],
        installed: &[(String, Installed)],
    ) -> Result<String, String> {
        let requests: Vec<String> = requests.iter().map(|text| (*text).to_owned()).collect();
        let packages: BTreeMap<&str, &Package> =
            packages.iter().map(|package| (package.name.as_str(), package)).collect();
        let installed = installed.iter().cloned().collect();
        let target = Target::new(&Release::new("3.11.2"), "aarch64", (2, 36)).unwrap();
        let closure = closure(&requests, &packages, &installed, &target)?;
        Ok(closure.order()?.join(" "))
    }

    #[test]
    fn what_pip_takes_for_a_part_of_python() {
        for name in ["argparse", "python", "wsgiref"] {
            let packages = [package("a", "1", &[name], &[]), package(name, "2", &[], &[])];
            assert_eq!(of(&["a"], &packages, &[]).unwrap(), format!("{name} a"));
            for version in ["1", "2"] {
                let refused = of(&["a"], &packages, &[there(name, version, &[])]).unwrap_err();
                assert_eq!(refused, format!("{name} is installed, which pip doesn't see"));
            }
            // Nobody asks for it.
            let alone = [package("b", "1", &[], &[])];
            assert_eq!(of(&["b"], &alone, &[there(name, "1", &[])]).unwrap(), "b");
        }
    }

    #[test]
    fn extras_are_those_that_are_there() {
        let packages = [package("a", "1", &["b; extra == 'x-y'"], &["x-y"]), package("b", "1", &[], &[])];
        assert_eq!(of(&["a[x-y]"], &packages, &[]).unwrap(), "b a");
        assert_eq!(of(&["a[z]"], &packages, &[]).unwrap_err(), "a has no extra `z`");
        assert!(of(&["a[X-y]"], &packages, &[]).unwrap_err().contains("can't be read with certainty"));
        let odd = of(&["c[x-y]"], &[], &[there("c", "1", &["x_y"])]).unwrap_err();
        assert_eq!(odd, "c has an extra `x_y`, which isn't in normal form");
        assert_eq!(of(&["c"], &[], &[there("c", "1", &["x_y"])]).unwrap(), "");
    }

    #[test]
    fn versions_that_readers_judge_differently() {
        let one =
            |requirement: &str, version: &str| of(&[requirement], &[package("a", version, &[], &[])], &[]);
        assert_eq!(one("a==1.*", "1.0").unwrap(), "a");
        assert!(one("a==1.0.*", "1").unwrap_err().contains("depends on the release of pip"));
        assert!(one("a>=1.0rc1", "1.0").unwrap_err().contains("depends on the release of pip"));
        assert!(one("a", "1!1").unwrap_err().contains("has an epoch"));
    }
}
