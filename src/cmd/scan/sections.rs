//! A fleet as headings, tables and lines.

use std::collections::BTreeMap;

use plinth_scan::{Class, Conflict, Fleet, Foreseen, Severity, SpecifierUse, Step};

use crate::section::{Detail, Section, section};

/// Rows of a table that are shown if not all are asked for.
const MOST: usize = 15;
/// Findings of one kind that are shown then.
const MOST_FINDINGS: usize = 5;

/// The whole report.
pub(super) fn of(fleet: &Fleet, detail: Detail) -> Vec<Section> {
    let mut sections = vec![summary(fleet)];
    if detail == Detail::All {
        sections.push(services(fleet));
    }
    sections.push(forms(fleet));
    if detail == Detail::All {
        sections.push(steps(fleet));
    }
    sections.push(conflicts(fleet, detail));
    sections.push(apt(fleet, detail));
    sections.push(duplicates(fleet, detail));
    sections.push(findings(fleet, detail));
    sections.retain(|section| !section.rows.is_empty() || !section.lines.is_empty());
    sections
}

fn summary(fleet: &Fleet) -> Section {
    let count = |class| fleet.services.iter().filter(|service| service.class == class).count();
    let needed: Vec<&Step> = needed(fleet).collect();
    let would = |foreseen| needed.iter().filter(|step| step.foreseen == foreseen).count();
    let conflicting = fleet.packages.iter().filter(|package| !package.one_version).count();
    let errors = fleet.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let mut summary = section("Fleet", &[], Vec::new());
    summary.lines = vec![
        format!(
            "{} Dockerfiles, {} services: {} to migrate, {} to keep, {} unknown",
            fleet.dockerfiles,
            fleet.services.len(),
            count(Class::Migrate),
            count(Class::Keep),
            count(Class::Unknown)
        ),
        format!(
            "{} install steps that their targets need: {} assembled, {} taken out, {} split, {} fail as they are",
            needed.len(),
            would(Foreseen::Assembled),
            would(Foreseen::Satisfied),
            would(Foreseen::Split),
            would(Foreseen::Fails)
        ),
        format!("{} packages, {conflicting} of them without one version for everybody", fleet.packages.len()),
        format!("{errors} errors, {} warnings", fleet.findings.len() - errors),
    ];
    summary
}

fn needed(fleet: &Fleet) -> impl Iterator<Item = &Step> {
    fleet.services.iter().flat_map(|service| &service.steps).filter(|step| step.needed)
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Migrate => "migrate",
        Class::Keep => "keep",
        Class::Unknown => "unknown",
    }
}

fn foreseen(foreseen: Foreseen) -> &'static str {
    match foreseen {
        Foreseen::Assembled => "assembled",
        Foreseen::Satisfied => "taken out",
        Foreseen::Split => "split",
        Foreseen::Fails => "fails",
    }
}

fn services(fleet: &Fleet) -> Section {
    let rows = fleet.services.iter().map(|service| {
        vec![
            service.name.clone(),
            class(service.class).to_owned(),
            service.reason.clone(),
            service.steps.iter().filter(|step| step.needed).count().to_string(),
            service.requirements.len().to_string(),
        ]
    });
    section("Services", &["service", "class", "why", "steps", "requirements"], rows.collect())
}

fn forms(fleet: &Fleet) -> Section {
    let mut forms: BTreeMap<_, [usize; 5]> = BTreeMap::new();
    for step in needed(fleet) {
        let counts = forms.entry(step.form).or_default();
        counts[0] += 1;
        counts[match step.foreseen {
            Foreseen::Assembled => 1,
            Foreseen::Satisfied => 2,
            Foreseen::Split => 3,
            Foreseen::Fails => 4,
        }] += 1;
    }
    let mut rows: Vec<_> = forms.into_iter().collect();
    rows.sort_by_key(|(form, counts)| (std::cmp::Reverse(counts[0]), *form));
    let row = |(form, counts): (plinth_scan::Form, [usize; 5])| {
        std::iter::once(form.name().to_owned()).chain(counts.map(|count| count.to_string())).collect()
    };
    let header = ["form of the step", "steps", "assembled", "taken out", "split", "fail"];
    section("Install steps", &header, rows.into_iter().map(row).collect())
}

fn steps(fleet: &Fleet) -> Section {
    let mut rows = Vec::new();
    for service in &fleet.services {
        for step in service.steps.iter().filter(|step| step.needed) {
            rows.push(vec![
                format!("{}:{}", service.dockerfile, step.line),
                foreseen(step.foreseen).to_owned(),
                step.reason.clone().unwrap_or_default(),
                step.command.clone(),
            ]);
        }
    }
    section("Each of them", &["step", "would be", "why", "command"], rows)
}

fn conflicts(fleet: &Fleet, detail: Detail) -> Section {
    let shown = |list: &[SpecifierUse], most: usize| {
        let part = |entry: &SpecifierUse| {
            let specifier = if entry.specifier.is_empty() { "any" } else { &entry.specifier };
            format!("{specifier} ×{}", entry.services.len())
        };
        let mut parts: Vec<String> = list.iter().take(most).map(part).collect();
        if list.len() > most {
            parts.push(format!("{} more", list.len() - most));
        }
        parts.join("  ")
    };
    let most = if detail == Detail::All { usize::MAX } else { 2 };
    let row = |package: &Conflict| {
        vec![
            package.name.clone(),
            package.services.to_string(),
            package.specifiers.len().to_string(),
            if package.one_version { "yes".to_owned() } else { "no".to_owned() },
            shown(&package.specifiers, most),
            shown(&package.in_the_way, most),
        ]
    };
    let several =
        fleet.packages.iter().filter(|package| detail == Detail::All || package.specifiers.len() > 1);
    let header = ["package", "services", "specifiers", "one version", "most frequent", "in the way"];
    section("Versions", &header, several.map(row).collect()).at_most(MOST, detail)
}

fn apt(fleet: &Fleet, detail: Detail) -> Section {
    let row = |package: &plinth_scan::AptUse| vec![package.name.clone(), package.services.len().to_string()];
    let rows = fleet.apt.iter().map(row).collect();
    section("Debian packages", &["package", "services"], rows).at_most(MOST, detail)
}

fn duplicates(fleet: &Fleet, detail: Detail) -> Section {
    let row = |duplicate: &plinth_scan::Duplicate| {
        let most = if detail == Detail::All { usize::MAX } else { 4 };
        let mut names = duplicate.services.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
        if duplicate.services.len() > most {
            names.push_str(&format!(", {} more", duplicate.services.len() - most));
        }
        vec![duplicate.services.len().to_string(), duplicate.requirements.len().to_string(), names]
    };
    let rows = fleet.duplicates.iter().map(row).collect();
    section("The same requirements", &["services", "requirements", "which"], rows).at_most(MOST, detail)
}

fn findings(fleet: &Fleet, detail: Detail) -> Section {
    let mut seen: BTreeMap<_, usize> = BTreeMap::new();
    let mut findings = section("Findings", &[], Vec::new());
    let mut ordered: Vec<_> = fleet.findings.iter().collect();
    ordered.sort_by_key(|finding| (finding.severity, finding.kind));
    for finding in ordered {
        let count = seen.entry(finding.kind).or_default();
        *count += 1;
        if detail == Detail::Most && *count > MOST_FINDINGS {
            continue;
        }
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        findings.lines.push(format!("{severity}: {finding}"));
    }
    if detail == Detail::Most {
        for (kind, count) in seen.into_iter().filter(|(_, count)| *count > MOST_FINDINGS) {
            findings.lines.push(format!("… and {} more of {}", count - MOST_FINDINGS, kind.name()));
        }
    }
    findings
}
