//! Canonical bytes, one by one, and on the wire.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use plinth_proto::canonical::{self, encode, normalize};
use plinth_proto::gateway::llb_bridge_client::LlbBridgeClient;
use plinth_proto::{gateway, pb};
use proptest::prelude::*;
use prost::Message;

/// An unknown field: number 2000, wire type 2.
const UNKNOWN: &[u8] = b"\x82\x7d\x05later";

fn one<V>(value: V) -> BTreeMap<String, V> {
    BTreeMap::from([("k".to_owned(), value)])
}

#[test]
fn the_kind_of_an_op_comes_last() {
    let op = pb::Op {
        inputs: vec![pb::Input { digest: "d".to_owned(), index: 1 }],
        op: Some(pb::op::Op::Merge(pb::MergeOp { inputs: vec![pb::MergeInput { input: 1 }] })),
        platform: Some(pb::Platform { os: "linux".to_owned(), ..Default::default() }),
        constraints: Some(pb::WorkerConstraints::default()),
    };
    let bytes = encode(&op).unwrap();
    let (inputs, platform, constraints) =
        (b"\x0a\x05\x0a\x01d\x10\x01", b"\x52\x07\x12\x05linux", b"\x5a\x00");
    let merge = b"\x32\x04\x0a\x02\x08\x01";
    assert_eq!(bytes, [inputs.as_slice(), platform, constraints, merge].concat());
    assert_ne!(bytes, op.encode_to_vec(), "prost has another order");
    assert_eq!(pb::Op::decode(bytes).unwrap(), op);
}

#[test]
fn map_entries_have_key_and_value() {
    let source = pb::SourceOp { identifier: String::new(), attrs: one(String::new()) };
    assert_eq!(encode(&source).unwrap(), b"\x12\x05\x0a\x01k\x12\x00".as_slice());
    let source = pb::SourceOp { identifier: String::new(), attrs: BTreeMap::from([Default::default()]) };
    assert_eq!(encode(&source).unwrap(), b"\x12\x04\x0a\x00\x12\x00".as_slice());
    let metadata = pb::OpMetadata { caps: one(false), ..Default::default() };
    assert_eq!(encode(&metadata).unwrap(), b"\x2a\x05\x0a\x01k\x10\x00".as_slice());
    let metadata = pb::OpMetadata { caps: one(true), ..Default::default() };
    assert_eq!(encode(&metadata).unwrap(), b"\x2a\x05\x0a\x01k\x10\x01".as_slice());
    let source = pb::Source { locations: one(pb::Locations::default()), infos: Vec::new() };
    assert_eq!(encode(&source).unwrap(), b"\x0a\x05\x0a\x01k\x12\x00".as_slice());
    let build = pb::BuildOp { inputs: one(pb::BuildInput { input: 0 }), ..Default::default() };
    assert_eq!(encode(&build).unwrap(), b"\x12\x05\x0a\x01k\x12\x00".as_slice());
}

#[test]
fn entries_are_sorted() {
    let attrs = ["b", "c", "a"].map(|k| (k.to_owned(), String::new()));
    let source = pb::SourceOp { identifier: String::new(), attrs: BTreeMap::from(attrs) };
    let expected = b"\x12\x05\x0a\x01a\x12\x00\x12\x05\x0a\x01b\x12\x00\x12\x05\x0a\x01c\x12\x00";
    assert_eq!(encode(&source).unwrap(), expected.as_slice());
}

/// The two messages that have stopped a daemon.
#[test]
fn no_message_value_is_left_out() {
    let refs = gateway::RefMap { refs: one(gateway::Ref::default()) };
    let result = gateway::Result {
        result: Some(gateway::result::Result::Refs(refs)),
        metadata: one(Bytes::new()),
        attestations: one(gateway::Attestations::default()),
    };
    let request = gateway::ReturnRequest { result: Some(result), error: None };
    let bytes = encode(&request).unwrap();
    let metadata = b"\x52\x05\x0a\x01k\x12\x00";
    let attestations = b"\x62\x05\x0a\x01k\x12\x00";
    let refs = b"\x22\x07\x0a\x05\x0a\x01k\x12\x00";
    assert_eq!(bytes[2..], [metadata.as_slice(), attestations, refs].concat());
    assert_eq!(gateway::ReturnRequest::decode(bytes).unwrap(), request);

    // Deep inside: a definition with a source file, whose own definition has a location without places.
    let inner = pb::Definition {
        source: Some(pb::Source { locations: one(pb::Locations::default()), infos: Vec::new() }),
        metadata: one(pb::OpMetadata::default()),
        ..Default::default()
    };
    let info = pb::SourceInfo { definition: Some(inner.encode_to_vec().into()), ..Default::default() };
    let source = pb::Source { locations: BTreeMap::new(), infos: vec![info] };
    let outer = pb::Definition { source: Some(source), ..Default::default() };
    let encoded: Bytes = outer.encode_to_vec().into();
    let complete = b"\x12\x05\x0a\x01k\x12\x00\x1a\x07\x0a\x05\x0a\x01k\x12\x00";
    let solve = gateway::SolveRequest { definition: Some(encoded.clone()), ..Default::default() };
    let ends = |bytes: Bytes| assert!(bytes.ends_with(&complete[..]), "{bytes:?}");
    ends(encode(&solve).unwrap());
    ends(
        encode(&gateway::SolveRequest { frontend_inputs: one(encoded.clone()), ..Default::default() })
            .unwrap(),
    );
    ends(encode(&gateway::Ref { id: String::new(), def: Some(encoded.clone()) }).unwrap());
    ends(encode(&pb::BuildOp { def: Some(encoded), ..Default::default() }).unwrap());
}

#[test]
fn what_is_canonical_or_unknown_stays() {
    let mut op =
        encode(&pb::Op { constraints: Some(pb::WorkerConstraints::default()), ..Default::default() })
            .unwrap()
            .to_vec();
    op.extend(UNKNOWN);
    assert_eq!(normalize::<pb::Op>(&op).unwrap(), op);
    // A map entry with an unknown field.
    let entry = b"\x12\x0b\x0a\x01k\x82\x7d\x05later";
    let expected = b"\x12\x0d\x0a\x01k\x12\x00\x82\x7d\x05later".as_slice();
    assert_eq!(normalize::<pb::SourceOp>(entry).unwrap(), expected);
    // Keys without a value, and values without a key.
    assert_eq!(
        normalize::<pb::SourceOp>(b"\x12\x03\x12\x01v").unwrap(),
        b"\x12\x05\x0a\x00\x12\x01v".as_slice()
    );
}

#[test]
fn what_is_no_message_is_refused() {
    let solve = gateway::SolveRequest { definition: Some(Bytes::from_static(b"\xff")), ..Default::default() };
    assert_eq!(
        encode(&solve).unwrap_err().to_string(),
        "not a valid encoded message at byte 0: no field key"
    );
    let refused = |bytes: &[u8]| normalize::<pb::Op>(bytes).unwrap_err().to_string();
    assert_eq!(
        refused(b"\x5a\x00\x0a\x05\x0a"),
        "not a valid encoded message at byte 2: the message ends inside a field"
    );
    assert_eq!(
        refused(b"\x0b"),
        "not a valid encoded message at byte 0: a group, which these messages never use"
    );
    assert_eq!(refused(b"\x08\xff"), "not a valid encoded message at byte 0: no varint");
    assert_eq!(
        refused(b"\x09\xff"),
        "not a valid encoded message at byte 0: the message ends inside a field"
    );
    // Definitions inside definitions without end.
    let mut bytes = Vec::new();
    for _ in 0..200 {
        let info = pb::SourceInfo { definition: Some(bytes.into()), ..Default::default() };
        let source = pb::Source { infos: vec![info], ..Default::default() };
        bytes = pb::Definition { source: Some(source), ..Default::default() }.encode_to_vec();
    }
    let deep = normalize::<pb::Definition>(&bytes).unwrap_err().to_string();
    assert_eq!(deep, "not a valid encoded message at byte 0: messages nest too deep");
}

/// The client that callers use can't but send canonical bytes.
#[tokio::test]
async fn the_client_sends_canonical_requests() {
    let sent: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let log = sent.clone();
    let wire = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
        let log = log.clone();
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
            assert_eq!(path, "/moby.buildkit.v1.frontend.LLBBridge/Return");
            log.lock().unwrap().push(body);
            // An empty message, and the status in the headers.
            let body = tonic::body::Body::new(http_body_util::Full::new(Bytes::from_static(&[0; 5])));
            let response = http::Response::builder().header("content-type", "application/grpc");
            Ok::<_, String>(response.body(body).unwrap())
        }
    });
    let refs = gateway::RefMap { refs: one(gateway::Ref::default()) };
    let result = gateway::Result { result: Some(gateway::result::Result::Refs(refs)), ..Default::default() };
    let request = gateway::ReturnRequest { result: Some(result), error: None };
    let canonical = canonical::encode(&request).unwrap();
    // The status comes with trailers, which this stand-in has none of; what was sent is all that matters.
    let _ = LlbBridgeClient::new(wire).r#return(request).await;
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0][5..], canonical);
    assert!(canonical.ends_with(b"\x0a\x05\x0a\x01k\x12\x00"));
}

proptest! {
    /// Whatever prost writes means the same afterwards, and a second time changes nothing.
    #[test]
    fn meaning_stays(
        attrs in prop::collection::btree_map("[a-c]{0,2}", "[x-z]{0,2}", 0..4),
        caps in prop::collection::btree_map("[a-c]{0,2}", any::<bool>(), 0..4),
        locations in prop::collection::btree_map("[a-c]{0,2}", prop::collection::vec(0..3i32, 0..3), 0..4),
    ) {
        let op = pb::Op {
            op: Some(pb::op::Op::Source(pb::SourceOp { identifier: "x".to_owned(), attrs })),
            platform: Some(pb::Platform::default()),
            ..Default::default()
        };
        let locations = locations.into_iter().map(|(key, indices)| {
            let location = |source_index| pb::Location { source_index, ranges: Vec::new() };
            (key, pb::Locations { locations: indices.into_iter().map(location).collect() })
        });
        let definition = pb::Definition {
            def: vec![encode(&op).unwrap()],
            metadata: one(pb::OpMetadata { caps, ..Default::default() }),
            source: Some(pb::Source { locations: locations.collect(), infos: Vec::new() }),
        };
        let bytes = encode(&definition).unwrap();
        prop_assert_eq!(pb::Definition::decode(bytes.clone()).unwrap(), definition);
        prop_assert_eq!(normalize::<pb::Definition>(&bytes).unwrap(), bytes);
        prop_assert_eq!(normalize::<pb::Op>(&op.encode_to_vec()).unwrap(), encode(&op).unwrap());
        prop_assert_eq!(pb::Op::decode(encode(&op).unwrap()).unwrap(), op);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(once) = normalize::<gateway::SolveRequest>(&bytes) {
            prop_assert_eq!(normalize::<gateway::SolveRequest>(&once).unwrap(), once);
        }
    }
}
