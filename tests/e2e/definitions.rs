//! Definitions of the corpus, as BuildKit's own frontend makes them, for the round-trip tests of `proto`.
//!
//! `PLINTH_DUMP=DIR` writes one `pb.Definition` per Dockerfile. The subrequest `frontend.convertllb` answers in the
//! JSON form of the messages, keyed by digest; what is written is only what hashes to that digest again, so every
//! operation in the files is byte for byte BuildKit's.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value as Field,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::passthrough::{CASES, Corpus};
use crate::support::build::Side;
use crate::support::env::e2e;

/// The messages of LLB.
pub(crate) fn pool() -> DescriptorPool {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/proto");
    let files = protox::compile([include.join("ops.proto")], [&include]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// A message of this name, from its JSON form.
pub(crate) fn message(pool: &DescriptorPool, name: &str, json: &Value) -> DynamicMessage {
    let descriptor = pool.get_message_by_name(name).unwrap();
    let json = renamed(&descriptor, json);
    DynamicMessage::deserialize(descriptor, &json).unwrap_or_else(|e| panic!("{name}: {e}: {json:#}"))
}

/// Our `.proto` files spell fields in one way (`os_version`), the answers in several (`OSVersion`, `ignore_cache`).
fn renamed(descriptor: &MessageDescriptor, json: &Value) -> Value {
    let Value::Object(object) = json else { return json.clone() };
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let fields = object.iter().map(|(key, value)| {
        let field = descriptor.fields().find(|field| plain(field.name()) == plain(key));
        let Some(field) = field else { panic!("{} has no field {key}", descriptor.full_name()) };
        let inside = |kind: Kind, value: &Value| {
            kind.as_message().map_or_else(|| value.clone(), |message| renamed(message, value))
        };
        let value = match value {
            Value::Object(entries) if field.is_map() => {
                let kind = field.kind();
                let kind = kind.as_message().unwrap().map_entry_value_field().kind();
                Value::Object(
                    entries.iter().map(|(key, value)| (key.clone(), inside(kind.clone(), value))).collect(),
                )
            }
            // A definition within a message is bytes to us.
            Value::Object(_) if field.kind() == Kind::Bytes => {
                let inner = message(&descriptor.parent_pool().clone(), "pb.Definition", value);
                Value::String(base64::engine::general_purpose::STANDARD.encode(canonical(&inner)))
            }
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| inside(field.kind(), item)).collect())
            }
            value => inside(field.kind(), value),
        };
        (field.json_name().to_owned(), value)
    });
    Value::Object(fields.collect())
}

/// The bytes that BuildKit writes: fields by number, but the kind of an operation after all others; map entries by key,
/// with key and value always there.
fn canonical(message: &DynamicMessage) -> Vec<u8> {
    let is_op = message.descriptor().full_name() == "pb.Op";
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| (is_op && field.containing_oneof().is_some(), field.number()));
    let mut out = Vec::new();
    for (field, value) in fields {
        match value {
            Field::Message(inner) => delimited(&mut out, field.number(), &canonical(inner)),
            Field::List(items) if matches!(items.first(), Some(Field::Message(_))) => {
                for item in items {
                    delimited(&mut out, field.number(), &canonical(item.as_message().unwrap()));
                }
            }
            Field::Map(entries) => {
                let entries: BTreeMap<_, _> =
                    entries.iter().map(|(key, value)| (key.as_str().unwrap(), value)).collect();
                for (key, value) in entries {
                    let mut entry = Vec::new();
                    delimited(&mut entry, 1, key.as_bytes());
                    match value {
                        Field::String(text) => delimited(&mut entry, 2, text.as_bytes()),
                        Field::Message(inner) => delimited(&mut entry, 2, &canonical(inner)),
                        Field::Bool(bit) => entry.extend([2 << 3, u8::from(*bit)]),
                        other => panic!("{} has a map of {other:?}", field.full_name()),
                    }
                    delimited(&mut out, field.number(), &entry);
                }
            }
            other => {
                let mut alone = DynamicMessage::new(message.descriptor());
                alone.set_field(&field, other.clone());
                out.extend(alone.encode_to_vec());
            }
        }
    }
    out
}

/// A length-delimited field.
fn delimited(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// One definition from an answer; `None` if an operation can't be written as BuildKit wrote it.
fn definition(pool: &DescriptorPool, answer: &Value) -> Option<Vec<u8>> {
    let mut ops = BTreeMap::new();
    for (digest, json) in answer["def"].as_object().unwrap() {
        let bytes = canonical(&message(pool, "pb.Op", json));
        if *digest != format!("sha256:{}", hex::encode(Sha256::digest(&bytes))) {
            return None;
        }
        ops.insert(digest.clone(), (bytes, inputs(json)));
    }
    let used: Vec<_> = ops.values().flat_map(|(_, inputs)| inputs.clone()).collect();
    let terminal: Vec<_> = ops.keys().filter(|digest| !used.contains(digest)).cloned().collect();
    assert_eq!(terminal.len(), 1, "one operation that nothing uses: the terminal one");
    let mut order = Vec::new();
    visit(&ops, &terminal[0], &mut order);
    let descriptor = pool.get_message_by_name("pb.Definition").unwrap();
    let mut out = DynamicMessage::new(descriptor);
    out.set_field_by_number(
        1,
        Field::List(order.iter().map(|digest| Field::Bytes(ops[digest].0.clone().into())).collect()),
    );
    let metadata = answer["metadata"].as_object().unwrap().iter().map(|(digest, json)| {
        (prost_reflect::MapKey::String(digest.clone()), Field::Message(message(pool, "pb.OpMetadata", json)))
    });
    out.set_field_by_number(2, Field::Map(metadata.collect()));
    out.set_field_by_number(3, Field::Message(message(pool, "pb.Source", &answer["source"])));
    Some(canonical(&out))
}

fn inputs(op: &Value) -> Vec<String> {
    op["inputs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|input| input["digest"].as_str().unwrap().to_owned())
        .collect()
}

/// Inputs before their users.
fn visit(ops: &BTreeMap<String, (Vec<u8>, Vec<String>)>, digest: &String, order: &mut Vec<String>) {
    if order.contains(digest) {
        return;
    }
    for input in &ops[digest].1 {
        visit(ops, input, order);
    }
    order.push(digest.clone());
}

#[test]
fn every_definition_of_the_corpus_is_known_to_the_last_byte() {
    let env = e2e!();
    let pool = pool();
    let dump = std::env::var_os("PLINTH_DUMP");
    let mut unknown = Vec::new();
    for name in CASES {
        let corpus = Corpus::open(name);
        if !corpus.succeeds() {
            continue;
        }
        let built = corpus.build(env, Side::Plain).opt("requestid", "frontend.convertllb").run().ok();
        let answer: Value =
            serde_json::from_str(built.stdout.trim_start_matches("result.json").trim()).unwrap();
        if answer["def"].as_object().is_none_or(serde_json::Map::is_empty) {
            continue;
        }
        match definition(&pool, &answer) {
            Some(bytes) => {
                if let Some(dir) = &dump {
                    std::fs::create_dir_all(dir).unwrap();
                    std::fs::write(Path::new(dir).join(format!("{name}.pb")), bytes).unwrap();
                }
            }
            None => unknown.push(*name),
        }
    }
    assert_eq!(unknown, Vec::<&str>::new(), "operations that come out as other bytes");
}
