//! What the lock says of wheels beyond their versions: sizes, and what they need. A resolver knows both and doesn't tell;
//! the index is asked for the metadata alone (PEP 658), and for the size of a file without the file.
//!
//! What an earlier lock says of the same wheel is taken from there. What can't be had stays unknown: then a build asks the
//! index, as it does without a lock.

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::Version;
use plinth_layers::lock::{Lock, Needs};
use plinth_layers::pip::Named;
use plinth_layers::wheel::headers;
use plinth_layers::wheel::name::canonical;

use crate::choose::Plan;
use crate::fetch::{Described, describe};
use crate::resolver::Pin;

/// What is known of a wheel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its bytes.
    pub size: Option<u64>,
    /// What it needs.
    pub needs: Option<Needs>,
}

/// What is known of wheels, by SHA-256.
pub type Wheels = BTreeMap<String, Known>;

/// Finds out what can be known of the wheels of a plan. `before` is an earlier lock.
#[must_use]
pub fn wheels(plan: &Plan, before: &Lock) -> Wheels {
    let pins: BTreeMap<&str, &Pin> = plan
        .planned
        .iter()
        .flat_map(|planned| planned.pins.values())
        .map(|pin| (pin.sha256.as_str(), pin.as_ref()))
        .collect();
    let mut found = Wheels::new();
    for package in before.package.iter().filter(|package| package.needs.is_some() && package.size.is_some()) {
        if pins.contains_key(package.sha256.as_str()) {
            let known = Known { size: package.size, needs: package.needs.clone() };
            found.insert(package.sha256.clone(), known);
        }
    }
    let mut fresh: BTreeSet<String> = BTreeSet::new();
    loop {
        // An extra that somebody asks for now may have been left out then.
        let asked = closure(&found, asked(plan));
        let mut extras: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for (name, extra) in &asked {
            extras.entry(name).or_default().push(extra);
        }
        let lacks = |pin: &Pin| match found.get(&pin.sha256).map(|known| &known.needs) {
            Some(Some(needs)) => {
                extras.get(pin.name.as_str()).into_iter().flatten().any(|extra| !needs.extras.contains(extra))
            }
            _ => true,
        };
        let wanted: Vec<Pin> = pins.values().copied().filter(|pin| lacks(pin)).cloned().collect();
        let wanted: Vec<Pin> = wanted.into_iter().filter(|pin| fresh.insert(pin.sha256.clone())).collect();
        if wanted.is_empty() {
            trim(&mut found, &asked);
            return found;
        }
        found.extend(ask(wanted));
    }
}

/// The extras that requirements of services ask for: name and extra.
fn asked(plan: &Plan) -> BTreeSet<(String, String)> {
    let all = plan.planned.iter().flat_map(|planned| &planned.set.requirements);
    all.filter_map(|text| Named::parse(text).ok()).flat_map(extras).collect()
}

fn extras(named: Named) -> impl Iterator<Item = (String, String)> {
    named.extras.into_iter().map(move |extra| (named.name.clone(), canonical(&extra)))
}

/// What a wheel needs if these extras are asked for.
fn needed(needs: &Needs, asked: &BTreeSet<(String, String)>) -> Vec<String> {
    let name = canonical(&needs.name);
    let wanted = |text: &&String| {
        let only_for = for_extras(text);
        only_for.is_empty() || only_for.into_iter().any(|extra| asked.contains(&(name.clone(), extra)))
    };
    needs.requires.iter().filter(wanted).cloned().collect()
}

/// With the extras that are asked for, those that they ask for.
fn closure(wheels: &Wheels, mut asked: BTreeSet<(String, String)>) -> BTreeSet<(String, String)> {
    loop {
        let before = asked.len();
        for needs in wheels.values().filter_map(|known| known.needs.as_ref()) {
            let named = needed(needs, &asked).into_iter().filter_map(|text| Named::parse(&text).ok());
            let more: Vec<_> = named.flat_map(extras).collect();
            asked.extend(more);
        }
        if asked.len() == before {
            return asked;
        }
    }
}

/// Leaves out what is needed for extras that nobody asks for, which is most of it. Where the spelling of an extra may
/// matter, which depends on the release of pip, nothing is said: then the index is asked.
fn trim(wheels: &mut Wheels, asked: &BTreeSet<(String, String)>) {
    for known in wheels.values_mut() {
        let spelled = |needs: &Needs| {
            let name = canonical(&needs.name);
            let odd = |extra: &&String| canonical(extra) != **extra;
            let declared =
                needs.extras.iter().filter(odd).any(|e| asked.contains(&(name.clone(), canonical(e))));
            declared || needed(needs, asked).iter().any(|text| extras_of(text).any(|e| canonical(e) != e))
        };
        if known.needs.as_ref().is_some_and(spelled) {
            known.needs = None;
        }
    }
    for needs in wheels.values_mut().filter_map(|known| known.needs.as_mut()) {
        needs.requires = needed(needs, asked);
        let name = canonical(&needs.name);
        needs.extras.retain(|extra| asked.contains(&(name.clone(), extra.clone())));
    }
}

/// The extras that a marker names, as it spells them.
fn extras_of(text: &str) -> impl Iterator<Item = &str> {
    let marker = text.split_once(';').map_or("", |(_, marker)| marker);
    marker.split("extra").skip(1).filter_map(|part| {
        let value = part.trim_start().strip_prefix("==")?.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        value[1..].split(quote).next()
    })
}

/// The extras that a dependency is for; none if it is for everybody, or if that can't be told.
fn for_extras(text: &str) -> BTreeSet<String> {
    let Some((_, marker)) = text.split_once(';') else { return BTreeSet::new() };
    // Every mention has to be of that form, and `or` may let it in without any.
    let known = extras_of(text).count() == marker.matches("extra").count();
    let alternatives = marker.split(" or ").all(|part| part.contains("extra"));
    match known && alternatives {
        true => extras_of(text).map(canonical).collect(),
        false => BTreeSet::new(),
    }
}

/// What wheels say of the Pythons that they are for, by SHA-256; those that say nothing, or can't be asked, are left out.
pub(crate) fn pythons(pins: Vec<Pin>) -> BTreeMap<String, String> {
    ask(pins).into_iter().filter_map(|(sha256, known)| Some((sha256, known.needs?.python?))).collect()
}

/// What the index says of wheels.
fn ask(pins: Vec<Pin>) -> Wheels {
    let wanted = pins.iter().map(|pin| (pin.url.clone(), pin.size.is_none())).collect();
    let answers = describe(wanted).into_iter().zip(pins);
    let known = |(answer, pin): (Described, Pin)| {
        let needs = answer.metadata.and_then(|text| needs(&pin, &text));
        (pin.sha256, Known { size: pin.size.or(answer.size), needs })
    };
    answers.map(known).collect()
}

/// What METADATA says, if it is of this wheel, and says it in the usual way.
fn needs(pin: &Pin, text: &str) -> Option<Needs> {
    let found = headers::needs("METADATA", text).ok()?;
    // Where the spelling matters, the lock's is the normal one.
    let same = canonical(&found.name) == pin.name && found.version == pin.version;
    let version = |text: &str| text.parse::<Version>().ok();
    if !same || version(&found.version).is_none() {
        return None;
    }
    // All of them, until it is known which are asked for.
    let (requires, extras) = declared(found.requires, found.extras);
    Some(Needs { name: found.name, python: found.python, requires, extras })
}

/// What a wheel needs, and its extras, as it spells them: those that it declares. Of any other, pip only says that it isn't
/// there, and installs nothing for it.
fn declared(requires: Vec<String>, extras: Vec<String>) -> (Vec<String>, Vec<String>) {
    let names: BTreeSet<String> = extras.iter().map(|extra| canonical(extra)).collect();
    let applies = |text: &String| {
        let only_for = for_extras(text);
        only_for.is_empty() || !only_for.is_disjoint(&names)
    };
    let extras: BTreeSet<String> = extras.into_iter().collect();
    (requires.into_iter().filter(applies).collect(), extras.into_iter().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn extras_of_a_dependency() {
        let of = |text: &str| for_extras(text).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(of("a>=1"), "");
        assert_eq!(of("a ; python_version < '3.9'"), "");
        assert_eq!(of("a ; extra == 'Fast_x'"), "fast-x");
        assert_eq!(of("a ; (extra == \"x\" or extra == 'y') and python_version > '3'"), "x y");
        assert_eq!(of("a ; (extra == 'x' or os_name == 'nt') and python_version > '3'"), "");
        assert_eq!(of("a ; extra == \"x\" or extra == 'y'"), "x y");
        assert_eq!(of("a ; python_version < '3' or extra == 'y'"), "");
        assert_eq!(of("a ; extra != 'y'"), "");
    }

    #[test]
    fn extras_that_are_not_declared_bring_nothing() {
        let of = |extras: &[&str]| {
            let requires = ["a; extra == 'x'", "b; extra == 'x' or extra == 'y'", "c; os_name == 'nt'", "d"];
            let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let (requires, extras) = declared(all(&requires), all(extras));
            (requires.join(", "), extras.join(" "))
        };
        assert_eq!(of(&[]), ("c; os_name == 'nt', d".to_owned(), String::new()));
        assert_eq!(
            of(&["y"]),
            ("b; extra == 'x' or extra == 'y', c; os_name == 'nt', d".to_owned(), "y".to_owned())
        );
        assert_eq!(of(&["X"]).0.split(", ").count(), 4);
    }

    #[test]
    fn metadata_of_a_wheel() {
        let pin = Pin {
            name: "a".to_owned(),
            version: "1".to_owned(),
            url: "https://h/a-1-py3-none-any.whl".to_owned(),
            sha256: "0".repeat(64),
            size: None,
        };
        let of = |lines: &str| needs(&pin, &format!("Name: A\nVersion: 1\n{lines}\n"));
        let found = of("Provides-Extra: x\nRequires-Dist: b; extra == 'x'\nRequires-Dist: c; extra == 'z'\n")
            .unwrap();
        assert_eq!(
            (found.requires, found.extras),
            (vec!["b; extra == 'x'".to_owned()], vec!["x".to_owned()])
        );
        assert_eq!(of("Requires-Dist: b\n ; extra == 'x'\n"), None);
    }

    #[test]
    fn only_what_somebody_asks_for_stays() {
        let known = |name: &str, requires: &[&str]| {
            let requires: Vec<String> = requires.iter().map(|text| (*text).to_owned()).collect();
            let extras: BTreeSet<String> = requires.iter().flat_map(|text| for_extras(text)).collect();
            let extras = extras.into_iter().collect();
            let needs = Needs { name: name.to_owned(), python: None, requires, extras };
            (name.to_owned(), Known { size: Some(1), needs: Some(needs) })
        };
        let mut wheels = Wheels::from([
            known("A", &["b[fast]", "c; extra == 'dev'"]),
            known("b", &["d; extra == 'fast'", "e; extra == 'slow'", "f"]),
        ]);
        let asked = closure(&wheels, BTreeSet::new());
        trim(&mut wheels, &asked);
        let requires = |name: &str| wheels[name].needs.as_ref().unwrap().requires.join(", ");
        assert_eq!(requires("A"), "b[fast]");
        assert_eq!(requires("b"), "d; extra == 'fast', f");
        assert_eq!(wheels["b"].needs.as_ref().unwrap().extras, ["fast"]);
        for (requires, asked, known) in
            [("d; extra == 'fast-x'", true, false), ("d; extra == 'fast-x'", false, true), ("d", true, false)]
        {
            let needs = Needs {
                name: "c".to_owned(),
                python: None,
                requires: vec![requires.to_owned()],
                extras: vec!["Fast_x".to_owned()],
            };
            let mut wheels = Wheels::from([("c".to_owned(), Known { size: None, needs: Some(needs) })]);
            let asked = asked.then(|| ("c".to_owned(), "fast-x".to_owned()));
            trim(&mut wheels, &asked.into_iter().collect());
            assert_eq!(wheels["c"].needs.is_some(), known, "{requires}");
        }
        let mut spelled = Wheels::from([known("c", &["d; extra == 'Fast_x'"])]);
        trim(&mut spelled, &BTreeSet::new());
        assert!(spelled["c"].needs.is_some());
        let mut spelled = Wheels::from([known("c", &["d; extra == 'Fast_x'"])]);
        trim(&mut spelled, &BTreeSet::from([("c".to_owned(), "fast-x".to_owned())]));
        assert!(spelled["c"].needs.is_none());
    }
}
