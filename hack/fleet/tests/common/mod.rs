//! Reads a generated Dockerfile back.

#![allow(dead_code, clippy::unwrap_used)]

use plinth_fleet::dockerfile::Images;
use plinth_fleet::facts::{Fleet, Service};
use plinth_fleet::generate;
use plinth_fleet::stage::Changes;
use std::collections::BTreeMap;

/// One instruction: the stage it is in, its keyword, its text with line continuations as they are.
#[derive(Debug)]
pub(crate) struct Instruction {
    pub(crate) stage: usize,
    pub(crate) keyword: String,
    pub(crate) text: String,
}

pub(crate) fn fleet() -> Fleet {
    Fleet::load().unwrap()
}

pub(crate) fn as_found() -> Changes {
    Changes { as_found: true, without_apt: false }
}

pub(crate) fn files(fleet: &Fleet, service: &Service, changes: &Changes) -> BTreeMap<String, String> {
    generate::files(fleet, service, &Images::default(), changes)
}

pub(crate) fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let mut found: Vec<Instruction> = Vec::new();
    let mut lines = dockerfile.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut stages = 0;
    while let Some(line) = lines.next() {
        let (keyword, text) = line.split_once(' ').unwrap();
        stages += usize::from(keyword == "FROM");
        let mut text = text.to_owned();
        while text.ends_with('\\') {
            text.push('\n');
            text.push_str(lines.next().unwrap());
        }
        found.push(Instruction { stage: stages - 1, keyword: keyword.to_owned(), text });
    }
    found
}

/// The texts of every instruction with this keyword.
pub(crate) fn texts<'i>(instructions: &'i [Instruction], keyword: &str) -> Vec<&'i str> {
    instructions.iter().filter(|i| i.keyword == keyword).map(|i| i.text.as_str()).collect()
}
