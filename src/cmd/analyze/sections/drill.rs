//! One image, one layer, one package, one file.

use plinth_analyze::digest::Digest;
use plinth_analyze::image::Image;
use plinth_analyze::layer::{Data, Entry, Kind};
use plinth_analyze::levels::{Bytes, Contents, Waste};

use super::{Told, command, levels, short, shortened};
use crate::amount::{bytes, count};
use crate::failure::Failure;
use crate::section::{Detail, Section, section};

/// An image, by its name or the end of it: its layers, its packages, its waste.
pub(crate) fn image(told: Told<'_>, name: &str, top: usize) -> Result<Vec<Section>, Failure> {
    let all = &told.found.images;
    let mut names: Vec<&str> =
        all.iter().map(|image| image.name.as_str()).filter(|other| is(other, name)).collect();
    names.sort_unstable();
    names.dedup();
    // The whole name is meant, whatever ends with it.
    let wanted = match names[..] {
        _ if names.contains(&name) => name,
        [one] => one,
        [] => {
            return Err(Failure::new(format!("no image here is named `{name}`"))
                .hint("--all lists the images that were found"));
        }
        _ => {
            return Err(Failure::new(format!("{} images here are named so", names.len()))
                .detail(names.iter().take(20).map(|name| (*name).to_owned()).collect()));
        }
    };
    let platforms = (0..all.len()).filter(|at| all[*at].name == wanted);
    Ok(platforms.flat_map(|at| one(told, at, top)).collect())
}

/// Whether a name is this one, or ends with it at a border: `team/app:1`, `app:1`, `1`.
fn is(name: &str, wanted: &str) -> bool {
    let before = name.strip_suffix(wanted).filter(|_| !wanted.is_empty());
    before.is_some_and(|before| before.is_empty() || before.ends_with(['/', ':']))
}

fn one(told: Told<'_>, at: usize, top: usize) -> Vec<Section> {
    let image = &told.found.images[at];
    let mut sections = vec![layers_of(told, image)];
    if let Some(waste) = &told.analysis.waste[at] {
        sections.extend(waste_of(waste));
    }
    let mut rows = Vec::new();
    for package in &told.analysis.packages.list {
        for version in &package.versions {
            let held =
                version.layers.iter().filter(|held| told.analysis.table[held.layer].images.contains(&at));
            for held in held {
                let row =
                    [package.name.clone(), version.version.clone(), levels::of(package.ecosystem).to_owned()];
                let more = [bytes(held.bytes), bytes(held.stored), short(&told.analysis.table[held.layer])];
                rows.push((held.stored, row.into_iter().chain(more).collect::<Vec<_>>()));
            }
        }
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    let header = ["package", "version", "of", "size", "stored", "layer"];
    sections.push(section("Packages", &header, rows).at_most(top, Detail::Most));
    sections
}

fn layers_of(told: Told<'_>, image: &Image) -> Section {
    let mut rows = Vec::new();
    for (number, layer) in image.layers.iter().enumerate() {
        let row = told.analysis.table.iter().find(|row| row.blob.digest == layer.blob.digest);
        let Some(row) = row else { continue };
        let (size, files) = row
            .shape
            .as_ref()
            .map_or(("?".into(), "?".into()), |shape| (bytes(shape.file_bytes), shape.files.to_string()));
        let made = shortened(&command(layer.created_by.as_deref()), 40);
        let shared = row.images.len().to_string();
        rows.push(vec![
            (number + 1).to_string(),
            short(row),
            bytes(row.blob.size),
            size,
            files,
            shared,
            made,
        ]);
    }
    let header = ["", "layer", "stored", "size", "files", "images", "made by"];
    let mut section = section(format!("{} {}", image.name, image.platform), &header, rows);
    section.lines.push(format!("manifest {}", image.manifest.digest));
    section.lines.push(format!("config   {}", image.config.digest));
    section
}

fn waste_of(waste: &Waste) -> [Section; 2] {
    let row = |what: &str, bytes: &Bytes| {
        let Bytes { files, size, stored } = *bytes;
        vec![what.to_owned(), files.to_string(), crate::amount::bytes(size), crate::amount::bytes(stored)]
    };
    let mut rows = vec![
        row("overwritten by a later layer", &waste.overwritten),
        row("written again with the same content", &waste.same_again),
        row("deleted by a later layer", &waste.deleted),
    ];
    rows.extend(waste.leftovers.iter().map(|(kind, bytes)| row(&format!("left behind: {kind}"), bytes)));
    let worst = waste.worst.iter().map(|file| vec![bytes(file.stored), bytes(file.size), file.path.clone()]);
    [
        section("Waste", &["what", "files", "size", "stored"], rows),
        section("Hidden files", &["stored", "size", "path"], worst.collect()),
    ]
}

/// A layer, by the first digits of its digest: what it is, who has it, its largest files.
pub(crate) fn layer(
    told: Told<'_>,
    digits: &str,
    contents: &dyn Contents,
    top: usize,
) -> Result<Vec<Section>, Failure> {
    let wanted = digits.strip_prefix("sha256:").unwrap_or(digits).to_ascii_lowercase();
    let mut named = told.analysis.table.iter().filter(|row| row.blob.digest.hex().starts_with(&wanted));
    let row = match (named.next(), named.next()) {
        (Some(row), None) => row,
        (None, _) => {
            return Err(Failure::new(format!("no layer here has a digest that begins with `{wanted}`")));
        }
        (Some(_), Some(_)) => {
            return Err(Failure::new(format!("more than one layer here begins with `{wanted}`"))
                .hint("give more of its digits"));
        }
    };
    let mut what = section(format!("Layer {}", row.blob.digest), &[], Vec::new());
    what.lines.push(format!("made by: {}", command(row.created_by.as_deref())));
    what.lines.push(format!("{} stored, {}", bytes(row.blob.size), row.blob.media_type));
    if let Some(shape) = &row.shape {
        what.lines.push(format!(
            "{}, {}; {} as tar",
            count(shape.files as usize, "file"),
            bytes(shape.file_bytes),
            bytes(shape.uncompressed)
        ));
        what.lines.push(format!("diff ID {}", shape.diff_id));
        what.lines.extend(shape.notes.clone());
    }
    let images = row.images.iter().map(|at| vec![told.found.images[*at].name.clone()]).collect();
    let mut largest: Vec<(u64, u64, String)> = Vec::new();
    each(contents, &row.blob.digest, &mut |entry| {
        largest.push((entry.stored, entry.size, String::from_utf8_lossy(&entry.path).into_owned()));
        // Not more in memory than needed, however many there are.
        let room = top.saturating_mul(2).max(1000);
        if largest.len() > room {
            largest.sort_by(|a, b| b.cmp(a));
            largest.truncate(top);
        }
    })?;
    largest.sort_by(|a, b| b.cmp(a));
    largest.truncate(top);
    let files =
        largest.into_iter().map(|(stored, size, path)| vec![bytes(stored), bytes(size), path]).collect();
    Ok(vec![
        what,
        section("Images that have it", &["image"], images),
        section("Its largest files", &["stored", "size", "path"], files),
    ])
}

/// A package, by its name: its versions, and which images have them.
pub(crate) fn package(told: Told<'_>, name: &str) -> Result<Vec<Section>, Failure> {
    // As Python's packages are compared: case and the kind of dash make no difference.
    let same =
        |a: &str| a.eq_ignore_ascii_case(name) || a == name.to_ascii_lowercase().replace(['_', '.'], "-");
    let packages: Vec<_> = told.analysis.packages.list.iter().filter(|package| same(&package.name)).collect();
    if packages.is_empty() {
        return Err(Failure::new(format!("no image here has a package named `{name}`"))
            .hint("--all lists the packages that were found"));
    }
    let mut sections = Vec::new();
    for package in packages {
        let mut rows = Vec::new();
        for version in &package.versions {
            for held in &version.layers {
                let row = &told.analysis.table[held.layer];
                let images = row.images.iter().map(|at| told.found.images[*at].name.as_str());
                let first = images.clone().next().unwrap_or_default();
                let images = match images.count() {
                    0 | 1 => shortened(first, 40),
                    more => format!("{} and {} more", shortened(first, 32), more - 1),
                };
                rows.push(vec![
                    version.version.clone(),
                    bytes(held.stored),
                    held.files.to_string(),
                    held.content.hex()[..8].to_owned(),
                    short(row),
                    images,
                ]);
            }
        }
        let header = ["version", "stored", "files", "content", "layer", "images"];
        sections.push(section(
            format!("{} ({})", package.name, levels::of(package.ecosystem)),
            &header,
            rows,
        ));
    }
    Ok(sections)
}

/// A file, by its path, or the digest of its content: every layer that has it.
pub(crate) fn file(told: Told<'_>, name: &str, contents: &dyn Contents) -> Result<Vec<Section>, Failure> {
    let content = digits(name);
    let path = name.trim_start_matches('/').as_bytes();
    // A directory on the way to it that is a link: the file has another path then.
    let mut link = None;
    let mut rows = Vec::new();
    for row in &told.analysis.table {
        each(contents, &row.blob.digest, &mut |entry| {
            let found = match (&content, &entry.data) {
                (Some(wanted), Data::Content(content)) => content.hex().starts_with(wanted),
                (Some(_), _) => false,
                (None, _) => entry.path == path,
            };
            if entry.kind == Kind::Symlink
                && let Data::Target(target) = &entry.data
                && path.strip_prefix(entry.path.as_slice()).is_some_and(|rest| rest.starts_with(b"/"))
            {
                link = Some((entry.path.clone(), target.clone()));
            }
            if found {
                let content = match &entry.data {
                    Data::Content(digest) => digest.hex()[..12].to_owned(),
                    Data::Target(target) => format!("→ {}", String::from_utf8_lossy(target)),
                    Data::None => format!("{:?}", entry.kind).to_lowercase(),
                };
                let image = row.images.first().map_or("", |at| told.found.images[*at].name.as_str());
                let image = match row.images.len() {
                    0 | 1 => shortened(image, 32),
                    images => format!("{} (+{})", shortened(image, 28), images - 1),
                };
                let shown = [content, bytes(entry.size), bytes(entry.stored), short(row), image];
                let path = String::from_utf8_lossy(&entry.path).into_owned();
                rows.push(shown.into_iter().chain([path]).collect::<Vec<_>>());
            }
        })?;
    }
    if rows.is_empty() {
        let text = |bytes: &[u8]| crate::table::plain(&String::from_utf8_lossy(bytes));
        let hint = match link {
            Some((path, target)) => format!("`{}` is a link to `{}`", text(&path), text(&target)),
            None => {
                "a file is named by its whole path in the image, or by the sha256 of its content".to_owned()
            }
        };
        return Err(Failure::new(format!("no layer here has the file `{name}`")).hint(hint));
    }
    rows.sort();
    let header = ["content", "size", "stored", "layer", "images that have it", "path"];
    Ok(vec![section(format!("File {name}"), &header, rows)])
}

/// The digits of a digest, or its first twelve or more, as tables here and sha256sum show them.
fn digits(text: &str) -> Option<String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let fits = (12..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    fits.then_some(digits)
}

fn each(contents: &dyn Contents, blob: &Digest, f: &mut dyn FnMut(Entry)) -> Result<(), Failure> {
    use crate::failure::During as _;
    let entries = contents.entries(blob).during("read the store")?;
    for entry in entries.into_iter().flatten() {
        f(entry.during("read the store")?);
    }
    Ok(())
}
