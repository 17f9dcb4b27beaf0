//! Definitions that BuildKit's own Dockerfile frontend made: read, written and rewritten.
//!
//! Those of `tests/corpus`, and those in the directory that `PLINTH_DEFINITIONS` names (files ending in `.pb`).
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use plinth_proto::graph::{Edge, Graph, NewOp, OpId, Rewrite, chain_inputs};
use plinth_proto::{Digest, canonical, pb};
use prost::Message;

fn definitions() -> Vec<(String, Bytes)> {
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")];
    dirs.extend(std::env::var_os("PLINTH_DEFINITIONS").map(PathBuf::from));
    let mut found = Vec::new();
    for dir in dirs {
        let before = found.len();
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "pb") {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap().into()));
            }
        }
        assert!(found.len() > before, "no definitions in {}", dir.display());
    }
    found.sort();
    found
}

/// The graph of what `root` needs, as someone else would read it.
fn reread(mut graph: Graph, root: Edge) -> (Graph, Bytes) {
    let definition: Bytes = graph.definition(root).unwrap().into();
    (Graph::decode(definition.clone()).unwrap(), definition)
}

#[test]
fn decode_then_encode_is_identity() {
    for (name, encoded) in definitions() {
        let graph = Graph::decode(encoded.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let root = graph.root();
        assert_eq!(reread(graph.clone(), root).1, encoded, "{name}");
        let (graph, root) = Rewrite::new(graph).finish().unwrap();
        assert_eq!(reread(graph, root).1, encoded, "{name}, through a rewrite");
    }
}

/// What this crate would write for each op is what BuildKit wrote.
#[test]
fn every_op_is_canonical() {
    for (name, encoded) in definitions() {
        let graph = Graph::decode(encoded).unwrap();
        let mut steps = graph.order(graph.root());
        steps.push(graph.terminal());
        for step in steps {
            assert!(graph[step].is_canonical(), "{name}: {:?}", graph[step].op());
            let metadata = canonical::encode(&graph[step].metadata().unwrap()).unwrap();
            let view = pb::OpMetadata::decode(metadata.clone()).unwrap();
            assert_eq!(canonical::encode(&view).unwrap(), metadata, "{name}");
        }
    }
}

/// The generated types know every field of these definitions: prost's bytes have the same length.
#[test]
fn no_field_is_unknown() {
    for (name, encoded) in definitions() {
        let view = pb::Definition::decode(encoded.clone()).unwrap();
        let again = canonical::encode(&view).unwrap();
        assert_eq!(again.len(), encoded.len(), "{name}");
        for op in &view.def {
            let op_again = canonical::encode(&pb::Op::decode(op.clone()).unwrap()).unwrap();
            assert_eq!(&op_again, op, "{name}");
        }
    }
}

fn replace(graph: Graph, source: OpId, by: pb::SourceOp) -> (Graph, Bytes) {
    let metadata = graph[source].metadata().unwrap();
    let mut op = graph[source].op().clone();
    op.op = Some(pb::op::Op::Source(by));
    let mut rewrite = Rewrite::new(graph);
    let new = NewOp { op, inputs: Vec::new(), metadata, like: Some(source) };
    let new = rewrite.add(new).unwrap();
    rewrite.replace(source.output(0), new.output(0)).unwrap();
    let (graph, root) = rewrite.finish().unwrap();
    reread(graph, root)
}

/// Every source of every definition: replaced by another, and that one by the first. Downstream everything changes
/// its digest twice, and comes back to the same bytes.
#[test]
fn there_and_back() {
    let mut replaced = 0;
    for (name, encoded) in definitions() {
        let graph = Graph::decode(encoded.clone()).unwrap();
        for source in graph.order(graph.root()) {
            let Some(pb::op::Op::Source(original)) = graph[source].op().op.clone() else { continue };
            let digest = *graph[source].digest();
            let stand_in =
                pb::SourceOp { identifier: "docker-image://stand-in".to_owned(), ..original.clone() };
            let (there, bytes) = replace(graph.clone(), source, stand_in.clone());
            assert_ne!(bytes, encoded, "{name}");
            assert_eq!(there.find(&digest), None, "{name}");
            let stand_in = there
                .order(there.root())
                .into_iter()
                .find(|op| there[*op].op().op == Some(pb::op::Op::Source(stand_in.clone())));
            let (_, back) = replace(there, stand_in.unwrap(), original);
            assert_eq!(back, encoded, "{name}: {digest}");
            replaced += 1;
        }
    }
    assert!(replaced > 20, "only {replaced} sources in all definitions");
}

/// Moving chains from one image to another leaves the original image to exactly the uses that are no chains.
#[test]
fn chains_move_and_other_uses_stay() {
    let (mut moved, mut kept) = (0, 0);
    for (name, encoded) in definitions() {
        let graph = Graph::decode(encoded).unwrap();
        let root = graph.root();
        let users = graph.consumers(root);
        for base in graph.order(root) {
            let Some(pb::op::Op::Source(source)) = &graph[base].op().op else { continue };
            if !source.identifier.starts_with("docker-image://") || !users.contains_key(&base) {
                continue;
            }
            let stand_in =
                pb::SourceOp { identifier: "docker-image://stand-in".to_owned(), ..source.clone() };
            let mut op = graph[base].op().clone();
            op.op = Some(pb::op::Op::Source(stand_in.clone()));
            let mut rewrite = Rewrite::new(graph.clone());
            let to = rewrite.add(NewOp { op, ..Default::default() }).unwrap().output(0);
            let mut other_uses = false;
            for (user, input) in &users[&base] {
                let chain = chain_inputs(graph[*user].op()).contains(input);
                if chain {
                    rewrite.set_chain_input(*user, base.output(0), to).unwrap();
                    moved += 1;
                }
                other_uses |= !chain || other_references(graph[*user].op(), *input as i64);
            }
            let (graph, root) = rewrite.finish().unwrap();
            let (after, _) = reread(graph.clone(), root);
            assert_eq!(
                after.find(graph[base].digest()).is_some(),
                other_uses,
                "{name}: {}",
                source.identifier
            );
            kept += usize::from(other_uses);
            for op in after.order(after.root()) {
                for input in chain_inputs(after[op].op()) {
                    let input = after[op].inputs()[input].op;
                    assert_ne!(after[input].digest(), graph[base].digest(), "{name}: {:?}", after[op].op());
                }
            }
        }
    }
    assert!(moved > 20 && kept > 2, "{moved} chains moved, {kept} images kept");
}

/// Whether the op also mounts, or copies from, the input that it continues.
fn other_references(op: &pb::Op, input: i64) -> bool {
    match &op.op {
        Some(pb::op::Op::Exec(exec)) => exec.mounts.iter().any(|m| m.dest != "/" && m.input == input),
        Some(pb::op::Op::File(file)) => file.actions.iter().any(|a| a.secondary_input == input),
        _ => false,
    }
}

/// A source location belongs to the bytes that it was given for.
#[test]
fn locations_follow_their_ops() {
    let mut seen = 0;
    for (name, encoded) in definitions() {
        let view = pb::Definition::decode(encoded.clone()).unwrap();
        let graph = Graph::decode(encoded).unwrap();
        let files = graph.source_info().unwrap();
        for (digest, locations) in &view.source.unwrap_or_default().locations {
            let op = graph.find(&digest.parse::<Digest>().unwrap()).unwrap();
            assert_eq!(&graph[op].locations().unwrap(), locations, "{name}");
            for location in &locations.locations {
                assert!(!files[location.source_index as usize].data.is_empty(), "{name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "only {seen} locations in all definitions");
}
