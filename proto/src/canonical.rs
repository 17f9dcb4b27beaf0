//! Encoding as BuildKit itself encodes.
//!
//! prost and Go agree on what bytes mean, but not on which bytes to write, and two differences matter:
//!
//! - **The oneof of an op comes last** in Go, after `platform` and `constraints`. The daemon digests its own
//!   encoding of an op; with prost's, source locations would be keyed by digests that the daemon never uses.
//! - **A map entry always has its key and its value** in Go. prost leaves out defaults, Go reads a message value
//!   that is left out as nil, and some daemons then die of it, with every build they run.
//!
//! [`encode`] therefore lets prost write, and then walks what it wrote by a table made from the .proto files, moves
//! the oneofs last and completes map entries. It reaches every map of every message, definitions held as bytes
//! included. [`crate::codec::Codec`] does this to each request, so nothing else can be sent.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// Messages nest no deeper than this; deeper input is refused. prost's own limit.
const MAX_DEPTH: usize = 100;

/// A message type that the table knows. Implemented for every generated message.
pub trait Typed: Message {
    /// The type's place in the table.
    #[doc(hidden)]
    const SHAPE: usize;
}

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid encoded message at byte {at}: {what}")]
pub struct Malformed {
    /// Offset of the field, counted from the start of the innermost message.
    pub at: usize,
    /// What was wrong there.
    pub what: &'static str,
}

/// What the walk has to know of a message type.
pub(crate) struct Shape {
    /// The fields to look into.
    fields: &'static [(u32, Kind)],
    /// Members of oneofs: they are written last.
    last: &'static [u32],
}

/// A field to look into.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// One or more messages.
    Message(usize),
    /// A map, the wire types of key and value, and the value's message type.
    Map { key: u8, value: u8, message: Option<usize> },
}

/// Encodes `message` as BuildKit would.
///
/// # Errors
/// If a `bytes` field that should hold a `pb.Definition` holds something else.
pub fn encode<M: Typed>(message: &M) -> Result<Bytes, Malformed> {
    normalize::<M>(&message.encode_to_vec())
}

/// Rewrites an encoded `M` to the canonical bytes. Unknown fields and everything that is already canonical stay.
///
/// # Errors
/// If `encoded` is not a protobuf message.
pub fn normalize<M: Typed>(encoded: &[u8]) -> Result<Bytes, Malformed> {
    let mut out = BytesMut::with_capacity(encoded.len() + 16);
    walk(&SCHEMA[M::SHAPE], encoded, &mut out, 0)?;
    Ok(out.freeze())
}

fn walk(shape: &Shape, message: &[u8], out: &mut BytesMut, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed { at: 0, what: "messages nest too deep" });
    }
    let mut last = BytesMut::new();
    for field in fields(message) {
        let field = field?;
        let kind = shape.fields.iter().find(|(number, _)| *number == field.number).map(|(_, kind)| *kind);
        let into = if shape.last.contains(&field.number) { &mut last } else { &mut *out };
        match (kind, field.wire_type) {
            (Some(Kind::Message(inner)), WireType::LengthDelimited) => {
                let mut value = BytesMut::with_capacity(field.value.len());
                walk(&SCHEMA[inner], field.value, &mut value, depth + 1)?;
                put_bytes(field.number, &value, into);
            }
            (Some(Kind::Map { key, value, message }), WireType::LengthDelimited) => {
                let entry = complete(field.value, key, value, message, depth + 1)?;
                put_bytes(field.number, &entry, into);
            }
            _ => into.put_slice(field.raw),
        }
    }
    out.put_slice(&last);
    Ok(())
}

/// A map entry with key and value, whatever was there before.
fn complete(
    entry: &[u8],
    key: u8,
    value: u8,
    message: Option<usize>,
    depth: usize,
) -> Result<BytesMut, Malformed> {
    let mut out = BytesMut::with_capacity(entry.len() + 4);
    let mut rest = BytesMut::new();
    let (mut has_key, mut has_value) = (false, false);
    for field in fields(entry) {
        let field = field?;
        match (field.number, message) {
            (1, _) => {
                has_key = true;
                out.put_slice(field.raw);
            }
            (2, Some(inner)) if field.wire_type == WireType::LengthDelimited => {
                has_value = true;
                let mut value = BytesMut::with_capacity(field.value.len());
                walk(&SCHEMA[inner], field.value, &mut value, depth)?;
                put_bytes(2, &value, &mut rest);
            }
            (number, _) => {
                has_value |= number == 2;
                rest.put_slice(field.raw);
            }
        }
    }
    if !has_key {
        put_default(1, key, &mut out);
    }
    if !has_value {
        put_default(2, value, &mut out);
    }
    out.put_slice(&rest);
    Ok(out)
}

fn put_default(number: u8, wire_type: u8, out: &mut BytesMut) {
    out.put_u8(number << 3 | wire_type);
    out.put_bytes(
        0,
        match wire_type {
            1 => 8,
            5 => 4,
            // A zero varint, or a length of zero.
            _ => 1,
        },
    );
}

/// Writes a length-delimited field.
pub(crate) fn put_bytes(number: u32, value: &[u8], out: &mut BytesMut) {
    out.reserve(value.len() + 8);
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.put_slice(value);
}

/// One field of an encoded message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) wire_type: WireType,
    /// The content, without key and length.
    pub(crate) value: &'a [u8],
    /// Key, length and content.
    pub(crate) raw: &'a [u8],
}

/// The fields of an encoded message in the order they are in; ends after the first error.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Malformed>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = message.len() - rest.len();
        let field = field(message, &mut rest).map_err(|what| Malformed { at, what });
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(message: &'a [u8], rest: &mut &'a [u8]) -> Result<Field<'a>, &'static str> {
    let at = message.len() - rest.len();
    let (number, wire_type) = decode_key(rest).map_err(|_| "no field key")?;
    let mut start = message.len() - rest.len();
    let len = match wire_type {
        WireType::Varint => {
            let mut probe = *rest;
            decode_varint(&mut probe).map_err(|_| "no varint")?;
            rest.len() - probe.len()
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => {
            let len = decode_varint(rest).map_err(|_| "no length")?;
            start = message.len() - rest.len();
            usize::try_from(len).map_err(|_| "a length over the address space")?
        }
        WireType::StartGroup | WireType::EndGroup => return Err("a group, which these messages never use"),
    };
    let value = rest.get(..len).ok_or("the message ends inside a field")?;
    rest.advance(len);
    Ok(Field { number, wire_type, value, raw: &message[at..start + len] })
}
