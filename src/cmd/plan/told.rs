//! What is printed of a plan.

use plinth_plan::{Base, Comparison, Figures, Plan};

use crate::amount::{count, megabytes};
use crate::table::{plain, row, table, text};

/// The services, the packages with several versions, and what somebody should look at.
pub(super) fn summary(plan: &Plan) -> String {
    let services = |number: usize| count(number, "service");
    let planned: usize = plan.planned.iter().map(|planned| planned.set.services.len()).sum();
    let apart: usize = plan
        .planned
        .iter()
        .filter(|planned| planned.apart.is_some())
        .map(|planned| planned.set.services.len())
        .sum();
    let left_out: usize = plan.left_out.iter().map(|left| left.set.services.len()).sum();
    let mut out = format!(
        "{} planned: {} with the shared versions, {apart} with some of their own; {left_out} don't resolve\n",
        services(planned),
        planned - apart
    );
    for python in plan.shared.keys() {
        let versions = plan.versions(python);
        let several: Vec<_> = versions.iter().filter(|(_, versions)| versions.len() > 1).collect();
        out.push_str(&format!(
            "Python {python}: {} packages, {} with one version, {} with more\n",
            versions.len(),
            versions.len() - several.len(),
            several.len()
        ));
        if !several.is_empty() {
            let mut rows = table(&["package", "versions"]);
            for (name, versions) in several {
                rows.add_row(row([(*name).to_owned(), versions.join(", ")]));
            }
            out.push_str(&format!("\n{}\n\n", text(rows)));
        }
    }
    for planned in &plan.planned {
        if let Some(reason) = &planned.apart {
            out.push_str(&format!("own versions: {}: {reason}\n", plain(&planned.set.services.join(", "))));
        }
    }
    for planned in plan.planned.iter().filter(|planned| !planned.older.is_empty()) {
        let older = planned
            .older
            .iter()
            .map(|older| format!("{} {} and not {}", older.name, older.planned, older.alone));
        let older: Vec<String> = older.collect();
        out.push_str(&format!(
            "older than alone: {}: {}\n",
            plain(&planned.set.services.join(", ")),
            older.join(", ")
        ));
    }
    for left in &plan.left_out {
        out.push_str(&format!("left out: {}: {}\n", plain(&left.set.services.join(", ")), left.reason));
    }
    out
}

/// What the layers of one interpreter come to, beside what others would.
pub(super) fn of_layers(python: &str, comparison: &Comparison) -> String {
    let Comparison { wheels, bound, plan, per_wheel, per_service, popular, .. } = comparison;
    let mut rows =
        table(&["layers", "stored", "over the bound", "a service at most", "on average", "an update"]);
    let mut add = |name: &str, figures: &Figures| {
        let over = (figures.stored as f64 / (*bound).max(1) as f64 - 1.0) * 100.0;
        rows.add_row(row([
            name.to_owned(),
            megabytes(figures.stored),
            format!("{over:+.1} %"),
            figures.most.to_string(),
            format!("{:.1}", figures.mean),
            megabytes(figures.update),
        ]));
    };
    add("the plan's", plan);
    add("one for each wheel", per_wheel);
    add("one for each request", per_service);
    add("the most popular wheels", popular);
    let mut out = format!(
        "\nPython {python}: {wheels} wheels, {} if each is stored once\n{}\n",
        megabytes(*bound),
        text(rows)
    );
    if comparison.kept + comparison.gone > 0 {
        out.push_str(&format!(
            "{} layers are as they were, {} are gone, {} are new ({} to store)\n",
            comparison.kept,
            comparison.gone,
            comparison.new,
            megabytes(comparison.new_bytes)
        ));
    }
    if comparison.in_parts > 0 {
        out.push_str(&format!(
            "{} of those that stay are in some installs only in part; these store {} by themselves\n",
            comparison.in_parts,
            megabytes(comparison.in_parts_bytes)
        ));
    }
    out
}

/// The recipe of a base image in a line.
pub(super) fn of_base(base: &Base) -> String {
    let packages: Vec<String> =
        base.packages.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    format!(
        "\n{}: {} on {}; of {} services that install something with apt, {} need nothing else\n",
        base.directory(),
        packages.join(", "),
        plain(&base.from),
        base.installing,
        base.covered
    )
}
