//! Other inputs for an encoded op, everything else in its bytes left alone.

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::Digest;
use crate::canonical::{Malformed, fields, put_bytes};

/// The `inputs` field of an op, and `digest` and `index` of an input.
const INPUTS: u32 = 1;
const DIGEST: u32 = 1;
const INDEX: u32 = 2;

/// The op with its inputs set to `inputs`, as many as it has. Only input messages are touched: an argument that
/// happens to contain a digest stays as it is. With the output numbers unchanged, so are all lengths.
pub(super) fn with_inputs(op: &[u8], inputs: &[(Digest, i64)]) -> Result<Bytes, Malformed> {
    let mut out = BytesMut::with_capacity(op.len() + 8);
    let mut inputs = inputs.iter();
    for field in fields(op) {
        let field = field?;
        match if field.number == INPUTS { inputs.next() } else { None } {
            Some((digest, index)) => {
                let value = with_target(field.value, &digest.to_string(), *index)?;
                // Key and length as they were, whenever the length is as it was.
                if value.len() == field.value.len() {
                    out.put_slice(&field.raw[..field.raw.len() - value.len()]);
                    out.put_slice(&value);
                } else {
                    put_bytes(INPUTS, &value, &mut out);
                }
            }
            None => out.put_slice(field.raw),
        }
    }
    Ok(out.freeze())
}

/// An input message with another digest and output number, its unknown fields kept.
fn with_target(input: &[u8], digest: &str, index: i64) -> Result<BytesMut, Malformed> {
    let mut out = BytesMut::with_capacity(input.len() + 8);
    let mut index = (index != 0).then_some(index);
    put_bytes(DIGEST, digest.as_bytes(), &mut out);
    for field in fields(input) {
        let field = field?;
        if field.number != DIGEST {
            if let Some(index) = index.take() {
                put_index(index, &mut out);
            }
            if field.number != INDEX {
                out.put_slice(field.raw);
            }
        }
    }
    if let Some(index) = index {
        put_index(index, &mut out);
    }
    Ok(out)
}

fn put_index(index: i64, out: &mut BytesMut) {
    encode_key(INDEX, WireType::Varint, out);
    encode_varint(index as u64, out);
}
