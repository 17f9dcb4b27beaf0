//! Compiles the .proto files without protoc, and writes the table that canonical encoding walks by.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The roots; the others are imported by them.
const FILES: [&str; 1] = ["gateway.proto"];

/// Where each package lives in the crate.
const MODULES: [(&str, &str); 7] = [
    ("pb", "crate::pb"),
    ("moby.buildkit.v1.frontend", "crate::gateway"),
    ("moby.buildkit.v1.apicaps", "crate::apicaps"),
    ("moby.buildkit.v1.types", "crate::worker"),
    ("moby.buildkit.v1.sourcepolicy", "crate::sourcepolicy"),
    ("google.rpc", "crate::rpc"),
    ("fsutil.types", "crate::fsutil"),
];

/// `bytes` fields that hold an encoded `pb.Definition`.
const DEFINITIONS: [&str; 6] = [
    ".pb.BuildOp.def",
    ".pb.SourceInfo.definition",
    ".moby.buildkit.v1.frontend.Ref.def",
    ".moby.buildkit.v1.frontend.InputsResponse.definitions",
    ".moby.buildkit.v1.frontend.SolveRequest.definition",
    ".moby.buildkit.v1.frontend.SolveRequest.frontend_inputs",
];

/// Types of descriptor.proto.
const TYPE_BYTES_LIKE: [i32; 3] = [9, 11, 12];
const TYPE_FIXED64: [i32; 3] = [1, 6, 16];
const TYPE_FIXED32: [i32; 3] = [2, 7, 15];
const TYPE_MESSAGE: i32 = 11;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build.rs");
    let set = protox::compile(FILES, ["proto"])?;

    let mut names = Vec::new();
    let mut messages = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            let name = format!(".{}.{}", file.package(), message.name());
            names.push((name.clone(), file.package().to_owned(), message.name().to_owned()));
            messages.insert(name, message.clone());
        }
    }
    let index: BTreeMap<&str, usize> = names.iter().enumerate().map(|(i, n)| (n.0.as_str(), i)).collect();
    let definition = index[".pb.Definition"];

    let mut found = 0;
    let mut table = String::from("pub(crate) static SCHEMA: &[Shape] = &[\n");
    let mut impls = String::new();
    for (at, (name, package, short)) in names.iter().enumerate() {
        let message = &messages[name];
        let mut fields = String::new();
        let mut last = Vec::new();
        for field in &message.field {
            if field.oneof_index.is_some() && !field.proto3_optional() {
                last.push(field.number());
            }
            let holds_definition = DEFINITIONS.contains(&format!("{name}.{}", field.name()).as_str());
            found += usize::from(holds_definition);
            let entry = message
                .nested_type
                .iter()
                .find(|n| field.type_name() == format!("{name}.{}", n.name()))
                .filter(|n| n.options.as_ref().is_some_and(|o| o.map_entry()));
            let kind = if let Some(entry) = entry {
                let value = &entry.field[1];
                let message = match index.get(value.type_name()) {
                    _ if holds_definition => Some(definition),
                    Some(&i) if value.r#type == Some(TYPE_MESSAGE) => Some(i),
                    _ => None,
                };
                let (key, value) = (wire_type(entry.field[0].r#type), wire_type(value.r#type));
                format!("Kind::Map {{ key: {key}, value: {value}, message: {message:?} }}")
            } else if holds_definition {
                format!("Kind::Message({definition})")
            } else if let (Some(TYPE_MESSAGE), Some(i)) = (field.r#type, index.get(field.type_name())) {
                format!("Kind::Message({i})")
            } else {
                continue;
            };
            write!(fields, "({}, {kind}), ", field.number())?;
        }
        writeln!(table, "    Shape {{ fields: &[{fields}], last: &{last:?} }}, // {at}: {name}")?;
        if let Some((_, module)) = MODULES.iter().find(|(p, _)| p == package) {
            writeln!(impls, "impl Typed for {module}::{short} {{ const SHAPE: usize = {at}; }}")?;
        }
    }
    assert_eq!(found, DEFINITIONS.len(), "DEFINITIONS names a field that does not exist");
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("schema.rs"), table + &impls)?;

    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .btree_map(".")
        .bytes(".")
        .codec_path("crate::codec::Codec")
        .compile_fds(set)?;
    Ok(())
}

/// The wire type that a field of this type has.
fn wire_type(kind: Option<i32>) -> u8 {
    match kind {
        Some(k) if TYPE_BYTES_LIKE.contains(&k) => 2,
        Some(k) if TYPE_FIXED64.contains(&k) => 1,
        Some(k) if TYPE_FIXED32.contains(&k) => 5,
        _ => 0,
    }
}
