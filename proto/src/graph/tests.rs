//! The graph on small definitions made here, and on arbitrary ones.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::canonical::put_bytes;
use pb::op::Op as Kind;

/// An unknown field: number 2000, wire type 2.
const UNKNOWN: &[u8] = b"\x82\x7d\x05later";
/// A kind of op from the future: number 99 in the op.
const FUTURE_OP: &[u8] = b"\x9a\x06\x04what";

/// Writes a definition as Go does, from encoded parts.
#[derive(Default)]
struct Writer {
    ops: Vec<Vec<u8>>,
    metadata: BTreeMap<String, Vec<u8>>,
    locations: BTreeMap<String, Vec<u8>>,
    infos: Vec<Vec<u8>>,
    trailing: Vec<u8>,
    /// Maps in this order: Go sends them in any.
    seed: u64,
}

impl Writer {
    fn op(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        let name = BTreeMap::from([("llb.customname".to_owned(), format!("op {}", self.ops.len()))]);
        let metadata = pb::OpMetadata { description: name, ..Default::default() };
        let mut metadata = canonical::encode(&metadata).unwrap().to_vec();
        metadata.extend(UNKNOWN);
        self.metadata.insert(digest.to_string(), metadata);
        let line = pb::Position { line: self.ops.len() as i32 + 1, character: 0 };
        let range = pb::Range { start: Some(line), end: Some(line) };
        let location = pb::Location { source_index: 0, ranges: vec![range] };
        let locations = pb::Locations { locations: vec![location] };
        self.locations.insert(digest.to_string(), locations.encode_to_vec());
        self.ops.push(bytes);
        digest
    }

    fn terminal(&mut self, input: Digest) {
        let op = pb::Op { inputs: vec![edge(input, 0)], ..Default::default() }.encode_to_vec();
        self.metadata.insert(Digest::of(&op).to_string(), Vec::new());
        self.ops.push(op);
    }

    fn shuffled<'a>(
        &self,
        map: &'a BTreeMap<String, Vec<u8>>,
    ) -> impl Iterator<Item = (&'a String, &'a Vec<u8>)> {
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_by_key(|(key, _)| Digest::of(format!("{}{key}", self.seed).as_bytes()));
        entries.into_iter()
    }

    fn finish(&self) -> Bytes {
        let entry = |number, key: &str, value: &[u8], out: &mut BytesMut| {
            let mut entry = BytesMut::new();
            put_bytes(1, key.as_bytes(), &mut entry);
            put_bytes(2, value, &mut entry);
            put_bytes(number, &entry, out);
        };
        let mut out = BytesMut::new();
        self.ops.iter().for_each(|op| put_bytes(1, op, &mut out));
        self.shuffled(&self.metadata).for_each(|(key, value)| entry(2, key, value, &mut out));
        let mut source = BytesMut::new();
        self.shuffled(&self.locations).for_each(|(key, value)| entry(1, key, value, &mut source));
        self.infos.iter().for_each(|info| put_bytes(2, info, &mut source));
        source.extend_from_slice(&self.trailing);
        put_bytes(3, &source, &mut out);
        out.extend_from_slice(&self.trailing);
        out.freeze()
    }
}

fn edge(digest: Digest, index: i64) -> pb::Input {
    pb::Input { digest: digest.to_string(), index }
}

fn op(kind: Kind, inputs: &[Digest]) -> pb::Op {
    let constraints = Some(pb::WorkerConstraints::default());
    pb::Op {
        inputs: inputs.iter().map(|d| edge(*d, 0)).collect(),
        op: Some(kind),
        constraints,
        platform: None,
    }
}

fn encoded(kind: Kind, inputs: &[Digest]) -> Vec<u8> {
    canonical::encode(&op(kind, inputs)).unwrap().to_vec()
}

fn image(name: &str) -> Kind {
    Kind::Source(pb::SourceOp { identifier: format!("docker-image://{name}"), attrs: BTreeMap::new() })
}

fn mount(input: i64, dest: &str, output: i64) -> pb::Mount {
    pb::Mount { input, dest: dest.to_owned(), output, ..Default::default() }
}

fn run(command: &str, mounts: Vec<pb::Mount>) -> Kind {
    let meta = pb::Meta { args: vec![command.to_owned()], cwd: "/".to_owned(), ..Default::default() };
    Kind::Exec(pb::ExecOp { meta: Some(meta), mounts, ..Default::default() })
}

fn copy(input: i64, secondary_input: i64, output: i64) -> pb::FileAction {
    let by_name =
        pb::user_opt::User::ByName(pb::NamedUserOpt { name: "app".to_owned(), input: input.max(0) });
    let user = Some(pb::UserOpt { user: Some(by_name) });
    let copy = pb::FileActionCopy { owner: Some(pb::ChownOpt { user, group: None }), ..Default::default() };
    pb::FileAction { input, secondary_input, output, action: Some(pb::file_action::Action::Copy(copy)) }
}

fn file(actions: Vec<pb::FileAction>) -> Kind {
    Kind::File(pb::FileOp { actions })
}

fn decoded(definition: &Definition) -> pb::Definition {
    pb::Definition::decode(definition.bytes().clone()).unwrap()
}

/// base <- RUN a <- RUN b, and what `change` does to it; the result decoded again.
fn rewritten(definition: Bytes, change: impl FnOnce(&mut Rewrite)) -> Graph {
    let mut rewrite = Rewrite::new(Graph::decode(definition).unwrap());
    change(&mut rewrite);
    let (mut graph, root) = rewrite.finish().unwrap();
    Graph::decode(graph.definition(root).unwrap()).unwrap()
}

fn args(graph: &Graph, op: OpId) -> &str {
    match &graph[op].op().op {
        Some(Kind::Exec(exec)) => &exec.meta.as_ref().unwrap().args[0],
        other => panic!("not an exec: {other:?}"),
    }
}

fn other_base(rewrite: &mut Rewrite, like: Option<OpId>) -> Edge {
    rewrite.add(NewOp { op: op(image("other"), &[]), like, ..Default::default() }).unwrap().output(0)
}

#[test]
fn only_inputs_are_patched() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    // The argument holds the base's digest, and bytes that look just like an input message with it.
    let mut text = String::from_utf8(edge(base, 0).encode_to_vec()).unwrap();
    text.insert_str(0, &format!("echo {base} "));
    let user = writer.op(encoded(run(&text, vec![mount(0, "/", 0)]), &[base]));
    writer.terminal(user);
    let graph = rewritten(writer.finish(), |rewrite| {
        let other = other_base(rewrite, None);
        rewrite.replace(rewrite.steps()[0].output(0), other).unwrap();
    });
    let user = graph.root().op;
    assert_eq!(args(&graph, user), text);
    let input = graph[user].inputs()[0].op;
    assert_eq!(graph[input].op().op, Some(image("other")));
    assert_eq!(graph[user].bytes().len(), writer.ops[1].len());
    assert_eq!(graph.find(&base), None, "the old base is not needed any more");
}

#[test]
fn unknown_ops_and_fields_survive() {
    let mut writer = Writer { trailing: UNKNOWN.to_vec(), ..Default::default() };
    let base = writer.op(encoded(image("base"), &[]));
    let mut odd = encoded(run("true", vec![mount(0, "/", 0)]), &[base]);
    odd.extend(UNKNOWN);
    let odd = writer.op(odd);
    let mut future =
        pb::Op { inputs: vec![edge(odd, 0), edge(base, 3)], ..Default::default() }.encode_to_vec();
    future.extend(FUTURE_OP);
    let future = writer.op(future);
    writer.terminal(future);
    let graph = rewritten(writer.finish(), |rewrite| {
        let steps = rewrite.steps();
        let other = other_base(rewrite, Some(steps[0]));
        rewrite.replace(steps[0].output(0), other).unwrap();
        // The decoded form of these is not all of them.
        for step in &steps[1..] {
            let refused = GraphError::NotCanonical { op: rewrite.graph()[*step].digest };
            assert_eq!(rewrite.edit(*step, |_| ()), Err(refused));
        }
    });
    let future = graph.root().op;
    assert!(graph[future].bytes().ends_with(FUTURE_OP));
    let odd = graph[future].inputs()[0].op;
    assert!(graph[odd].bytes().ends_with(UNKNOWN));
    assert_eq!(args(&graph, odd), "true");
    // Output 3 of the base still was the base, and wasn't replaced.
    assert_eq!(graph[future].inputs()[1].index, 3);
    assert_eq!(graph[graph[future].inputs()[1].op].op().op, Some(image("base")));
    // Metadata and locations moved along, unknown fields and all.
    assert_eq!(graph[odd].metadata().unwrap().description["llb.customname"], "op 1");
    assert!(graph[odd].metadata.as_ref().unwrap().ends_with(UNKNOWN));
    assert_eq!(graph[odd].locations().unwrap().locations[0].ranges[0].start.unwrap().line, 2);
    assert_eq!(graph.rest.definition_fields, [UNKNOWN]);
    assert_eq!(graph.rest.source_fields, [UNKNOWN]);
}

#[test]
fn an_input_can_move_to_another_output() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    let mut odd = encoded(run("true", vec![mount(0, "/", 0)]), &[base]);
    odd.extend(UNKNOWN);
    let odd = writer.op(odd);
    writer.terminal(odd);
    let mut graph = Graph::decode(writer.finish()).unwrap();
    let (base, odd) = (graph.find(&base).unwrap(), graph.find(&odd).unwrap());
    let moved = graph.with_inputs(odd, &[base.output(300)]).unwrap();
    let view = pb::Op::decode(graph[moved].bytes().clone()).unwrap();
    assert_eq!(view.inputs, [edge(graph[base].digest, 300)]);
    assert!(graph[moved].bytes().ends_with(UNKNOWN));
    assert_eq!(graph.with_inputs(moved, &[base.output(0)]).unwrap(), odd, "and back");
    let (op, expected, given) = (graph[odd].digest, 1, 2);
    let two = [base.output(0), base.output(1)];
    assert_eq!(graph.with_inputs(odd, &two), Err(GraphError::InputCount { op, expected, given }));
}

#[test]
fn every_state_can_be_marshalled_on_the_way() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    let a = writer.op(encoded(run("a", vec![mount(0, "/", 0)]), &[base]));
    let b = writer.op(encoded(run("b", vec![mount(0, "/", 0)]), &[a]));
    writer.terminal(b);
    let mut rewrite = Rewrite::new(Graph::decode(writer.finish()).unwrap());
    let steps = rewrite.steps();
    let other = other_base(&mut rewrite, Some(steps[0]));
    rewrite.replace(steps[0].output(0), other).unwrap();

    let before = rewrite.current_inputs(steps[2]).unwrap();
    let state = rewrite.definition(before[0]).unwrap();
    let graph = Graph::decode(state.clone()).unwrap();
    assert_eq!(args(&graph, graph.root().op), "a");
    assert_eq!((state.ops(), graph.order(graph.root()).len()), (3, 2));
    assert_eq!(state.head(), graph[graph.root().op].digest());

    // b runs as it is, and something is merged on top; the error of that belongs to b's line.
    let after = rewrite.as_written(steps[2]).unwrap();
    let merge =
        Kind::Merge(pb::MergeOp { inputs: vec![pb::MergeInput { input: 0 }, pb::MergeInput { input: 1 }] });
    let inputs = vec![after.output(0), other];
    let new = NewOp { op: op(merge, &[]), inputs, like: Some(steps[2]), ..Default::default() };
    let merge = rewrite.add(new).unwrap();
    rewrite.replace(steps[2].output(0), merge.output(0)).unwrap();
    let (mut graph, root) = rewrite.finish().unwrap();
    let last = graph.definition(root).unwrap();
    let graph = Graph::decode(last.clone()).unwrap();
    assert_eq!(chain_inputs(graph[graph.root().op].op()), [0, 1]);
    assert_eq!(args(&graph, graph[graph.root().op].inputs()[0].op), "b");
    let lines = |op: OpId| graph[op].locations().unwrap().locations[0].ranges[0].start.unwrap().line;
    assert_eq!(lines(graph.root().op), 3);

    // Each op has its entry, the terminal op too.
    let view = decoded(&last);
    let digests: Vec<String> = view.def.iter().map(|op| Digest::of(op).to_string()).collect();
    assert_eq!(digests.len(), last.ops());
    assert!(digests.iter().all(|d| view.metadata.contains_key(d)), "{digests:?}");
    assert_eq!(view.metadata.len(), digests.len());
}

#[test]
fn changes_that_come_too_late_are_refused() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    let a = writer.op(encoded(run("a", vec![mount(0, "/", 0)]), &[base]));
    let b = writer.op(encoded(run("b", vec![mount(0, "/", 0)]), &[a]));
    writer.terminal(b);
    let mut rewrite = Rewrite::new(Graph::decode(writer.finish()).unwrap());
    let steps = rewrite.steps();
    let other = other_base(&mut rewrite, None);
    assert!(matches!(rewrite.replace(other, other), Err(GraphError::Foreign { .. })));
    assert!(matches!(rewrite.current(other), Err(GraphError::Foreign { .. })));
    rewrite.current_inputs(steps[2]).unwrap();
    assert_eq!(rewrite.replace(steps[0].output(0), other), Err(GraphError::Settled { op: base }));
    assert_eq!(rewrite.set_input(steps[1], 0, other), Err(GraphError::Settled { op: a }));
    assert_eq!(
        rewrite.set_chain_input(steps[1], steps[0].output(0), other),
        Err(GraphError::Settled { op: a })
    );
    rewrite.set_input(steps[2], 0, other).unwrap();
    assert!(matches!(rewrite.set_input(steps[2], 1, other), Err(GraphError::InputCount { .. })));
    let (graph, root) = rewrite.finish().unwrap();
    assert_eq!(graph[root.op].inputs(), [other]);
}

#[test]
fn a_chain_moves_and_a_mount_of_the_same_image_stays() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    let mounts = vec![mount(0, "/", 0), mount(0, "/mnt", -1)];
    let shared = writer.op(encoded(run("shared", mounts), &[base]));
    writer.terminal(shared);
    let graph = rewritten(writer.finish(), |rewrite| {
        let steps = rewrite.steps();
        let other = other_base(rewrite, None);
        rewrite.set_chain_input(steps[1], steps[0].output(0), other).unwrap();
    });
    let root = &graph[graph.root().op];
    let Some(Kind::Exec(exec)) = &root.op().op else { panic!("{root:?}") };
    let of = |mount: &pb::Mount| graph[root.inputs()[mount.input as usize].op].op().op.clone();
    assert_eq!(of(&exec.mounts[0]), Some(image("other")));
    assert_eq!(of(&exec.mounts[1]), Some(image("base")));
    assert!(root.is_canonical());
}

#[test]
fn a_copy_from_the_image_it_copies_into_stays() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    // Two actions: the second one goes on from the first one (reference 1: one input, action 0).
    let both = writer.op(encoded(file(vec![copy(0, 0, -1), copy(1, 0, 0)]), &[base]));
    writer.terminal(both);
    let graph = rewritten(writer.finish(), |rewrite| {
        let steps = rewrite.steps();
        let other = other_base(rewrite, None);
        rewrite.set_chain_input(steps[1], steps[0].output(0), other).unwrap();
    });
    let root = &graph[graph.root().op];
    let inputs: Vec<_> = root.inputs().iter().map(|e| graph[e.op].op().op.clone()).collect();
    assert_eq!(inputs, [Some(image("base")), Some(image("other"))]);
    let Some(Kind::File(actual)) = &root.op().op else { panic!("{root:?}") };
    // The names of owners are looked up where the files go to.
    let mut second = copy(2, 0, 0);
    let Some(pb::file_action::Action::Copy(c)) = &mut second.action else { panic!() };
    let by_name = pb::user_opt::User::ByName(pb::NamedUserOpt { name: "app".to_owned(), input: 2 });
    c.owner.as_mut().unwrap().user = Some(pb::UserOpt { user: Some(by_name) });
    assert_eq!(actual.actions[0], copy(1, 0, -1));
    assert_eq!(actual.actions[1], second);
}

#[test]
fn chains() {
    let d = Digest::of(b"");
    let of = |kind: Kind, inputs: usize| chain_inputs(&op(kind, &vec![d; inputs]));
    assert_eq!(of(image("base"), 0), [0usize; 0]);
    assert_eq!(of(run("", vec![mount(1, "/x", -1), mount(0, "/", 0)]), 2), [0]);
    assert_eq!(of(run("", vec![mount(-1, "/", 0)]), 0), [0usize; 0]);
    // A copy into scratch that a second one goes on from: nothing is continued.
    assert_eq!(of(file(vec![copy(-1, 0, -1), copy(1, 0, 0)]), 1), [0usize; 0]);
    assert_eq!(of(file(vec![copy(1, 0, -1), copy(2, 0, 0)]), 2), [1]);
    // References that lead nowhere or in a circle.
    assert_eq!(of(file(vec![copy(2, 0, 0), copy(1, 0, 1)]), 1), [0usize; 0]);
    assert_eq!(of(file(vec![copy(i64::MAX, 0, 0)]), 1), [0usize; 0]);
    assert_eq!(of(file(vec![copy(i64::MIN, 0, 0)]), 1), [0usize; 0]);
    let diff = pb::DiffOp {
        lower: Some(pb::LowerDiffInput { input: 0 }),
        upper: Some(pb::UpperDiffInput { input: 1 }),
    };
    assert_eq!(of(Kind::Diff(diff), 2), [0usize; 0]);
    assert_eq!(chain_inputs(&pb::Op { inputs: vec![edge(d, 0)], ..Default::default() }), [0usize; 0]);
}

#[test]
fn an_import_brings_ops_and_no_locations() {
    let mut tool = Writer::default();
    let image_op = tool.op(encoded(image("tool"), &[]));
    tool.terminal(image_op);
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    writer.terminal(base);
    let mut graph = Graph::decode(writer.finish()).unwrap();
    let edge = graph.import(tool.finish()).unwrap();
    assert_eq!(graph[edge.op].digest, image_op);
    assert_eq!(graph[edge.op].metadata().unwrap().description["llb.customname"], "op 0");
    assert!(graph[edge.op].locations().unwrap().locations.is_empty());
    assert_eq!(graph.import(tool.finish()).unwrap(), edge);
    let alone = decoded(&graph.definition(edge).unwrap());
    assert_eq!(alone.def[0].as_ref(), tool.ops[0]);
    // The result of the build is as before.
    let root = graph.root();
    assert_eq!(graph.definition(root).unwrap().bytes(), &writer.finish());
}

#[test]
fn an_op_that_is_there_keeps_its_metadata_but_for_the_cache() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    writer.terminal(base);
    let mut graph = Graph::decode(writer.finish()).unwrap();
    let before = graph.nodes[0].metadata.clone().unwrap();
    let mut add = |ignore_cache| {
        let metadata = pb::OpMetadata { ignore_cache, ..Default::default() };
        let op = graph.add(NewOp { op: op(image("base"), &[]), metadata, ..Default::default() }).unwrap();
        (op, graph[op].metadata.clone().unwrap())
    };
    assert_eq!(add(false), (OpId(0), before.clone()));
    let uncached: Bytes = [b"\x08\x01", before.as_ref()].concat().into();
    assert_eq!(add(true), (OpId(0), uncached.clone()));
    assert_eq!(add(false), (OpId(0), uncached));
}

#[test]
fn ops_that_no_one_uses_are_dropped() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    let unused = writer.op(encoded(image("unused"), &[]));
    writer.terminal(base);
    let mut graph = Graph::decode(writer.finish()).unwrap();
    let root = graph.root();
    let out = decoded(&graph.definition(root).unwrap());
    assert_eq!(out.def.len(), 2);
    let unused = unused.to_string();
    assert!(!out.metadata.contains_key(&unused));
    assert!(!out.source.unwrap().locations.contains_key(&unused));
}

#[test]
fn what_is_no_definition_is_refused() {
    let message = |writer: &Writer| Graph::decode(writer.finish()).unwrap_err().to_string();
    let mut writer = Writer::default();
    assert_eq!(message(&writer), "the definition doesn't end with a terminal op: it has less than two ops");
    let base = writer.op(encoded(image("base"), &[]));
    let user = writer.op(encoded(run("a", vec![mount(0, "/", 0)]), &[base]));
    assert_eq!(message(&writer), "the definition doesn't end with a terminal op: its last op does something");
    writer.terminal(user);
    assert!(Graph::decode(writer.finish()).is_ok());

    writer.ops.insert(1, writer.ops[0].clone());
    assert_eq!(message(&writer), format!("op 1 ({base}) of the definition occurs a second time"));
    writer.ops.remove(1);
    writer.ops.swap(0, 1);
    assert_eq!(
        message(&writer),
        format!("op 0 of the definition uses {:?}, which is none of the ops before it", base.to_string())
    );
    writer.ops[0] = b"\xff".to_vec();
    assert!(
        message(&writer).starts_with("op 0 of the definition can't be decoded: "),
        "{}",
        message(&writer)
    );

    let mut future = pb::Op { inputs: vec![edge(base, 0)], ..Default::default() }.encode_to_vec();
    future.extend(FUTURE_OP);
    let last = Writer { ops: vec![encoded(image("base"), &[]), future], ..Default::default() };
    assert_eq!(message(&last), "the definition doesn't end with a terminal op: its last op does something");
    let two = pb::Op { inputs: vec![edge(base, 0), edge(base, 1)], ..Default::default() }.encode_to_vec();
    let last = Writer { ops: vec![encoded(image("base"), &[]), two], ..Default::default() };
    assert_eq!(
        message(&last),
        "the definition doesn't end with a terminal op: its last op doesn't have exactly one input"
    );
    let negative = pb::Op { inputs: vec![edge(base, -1)], ..Default::default() }.encode_to_vec();
    let last = Writer { ops: vec![encoded(image("base"), &[]), negative], ..Default::default() };
    assert_eq!(
        message(&last),
        format!("op 1 of the definition uses output -1 of {base}, outputs count from 0")
    );

    let large = Bytes::from(vec![0; MAX_BYTES + 1]);
    let size = GraphError::TooLarge { size: MAX_BYTES + 1, limit: MAX_BYTES, unit: "bytes" };
    assert_eq!(Graph::decode(large).unwrap_err(), size);
    assert!(
        Graph::decode(&b"\x0a\x7f"[..]).unwrap_err().to_string().ends_with("the message ends inside a field")
    );
    assert!(
        Graph::decode(&b"\x08\x7f"[..]).unwrap_err().to_string().ends_with("a number where bytes should be")
    );
}

#[test]
fn a_definition_knows_its_limit() {
    let mut writer = Writer::default();
    let base = writer.op(encoded(image("base"), &[]));
    writer.terminal(base);
    let mut graph = Graph::decode(writer.finish()).unwrap();
    let root = graph.root();
    let definition = graph.definition(root).unwrap();
    let size = definition.size();
    assert_eq!(size, writer.finish().len());
    assert!(definition.clone().checked(MAX_BYTES - size).is_ok());
    let limit = size - 1;
    assert_eq!(
        definition.checked(MAX_BYTES - limit),
        Err(GraphError::TooLarge { size, limit, unit: "bytes" })
    );
}

/// A long chain neither overflows the stack nor takes quadratic time.
#[test]
fn a_long_chain() {
    let mut writer = Writer::default();
    let mut last = writer.op(encoded(image("base"), &[]));
    for i in 0..5000 {
        last = writer.op(encoded(run(&i.to_string(), vec![mount(0, "/", 0)]), &[last]));
    }
    writer.terminal(last);
    let graph = rewritten(writer.finish(), |rewrite| {
        let base = rewrite.steps()[0];
        let other = other_base(rewrite, Some(base));
        rewrite.replace(base.output(0), other).unwrap();
    });
    assert_eq!(graph.order(graph.root()).len(), 5001);
    assert_eq!(args(&graph, graph.root().op), "4999");
}

/// What an arbitrary op is made from: kind, inputs among the ops before, outputs, a text, unknown fields.
type Recipe = (u8, Vec<(prop::sample::Index, u8)>, String, bool);

fn recipes() -> impl Strategy<Value = Vec<Recipe>> {
    let inputs = prop::collection::vec((any::<prop::sample::Index>(), 0..3u8), 0..4);
    prop::collection::vec((0..6u8, inputs, "[a-z]{0,4}", any::<bool>()), 1..14)
}

/// A definition in which every op is used.
fn arbitrary(recipes: &[Recipe]) -> Writer {
    let mut writer = Writer { infos: vec![UNKNOWN.to_vec()], ..Default::default() };
    let mut made: Vec<Digest> = Vec::new();
    let mut unused: Vec<Digest> = Vec::new();
    for (i, (kind, inputs, text, unknown)) in recipes.iter().enumerate() {
        let inputs: Vec<pb::Input> = inputs
            .iter()
            .filter(|_| !made.is_empty() && *kind > 0)
            .map(|(at, index)| edge(*at.get(&made), i64::from(*index)))
            .collect();
        let text = format!("{text}{i}");
        let count = inputs.len() as i64;
        let kind = match kind {
            0 => Some(image(&text)),
            1 => Some(run(&text, (0..count).map(|i| mount(i, if i == 0 { "/" } else { "/m" }, i)).collect())),
            2 => Some(file((0..count).map(|i| copy(0, i, i - 1)).collect())),
            3 => Some(Kind::Merge(pb::MergeOp {
                inputs: (0..count).map(|input| pb::MergeInput { input }).collect(),
            })),
            4 => {
                let attrs = BTreeMap::from([(text, String::new())]);
                Some(Kind::Source(pb::SourceOp { identifier: "local://x".to_owned(), attrs }))
            }
            _ => None,
        };
        unused.retain(|d| !inputs.iter().any(|i| i.digest == d.to_string()));
        let platform = Some(pb::Platform { os: i.to_string(), ..Default::default() });
        let future = kind.is_none();
        let constraints = Some(pb::WorkerConstraints::default());
        let mut bytes =
            canonical::encode(&pb::Op { inputs, op: kind, platform, constraints }).unwrap().to_vec();
        if future {
            bytes.extend(FUTURE_OP);
        }
        if *unknown {
            bytes.extend(UNKNOWN);
        }
        let digest = writer.op(bytes);
        made.push(digest);
        unused.push(digest);
    }
    let all = writer.op(encoded(Kind::Merge(pb::MergeOp::default()), &unused));
    writer.terminal(all);
    writer
}

/// The op without its inputs.
fn body(bytes: &[u8]) -> Vec<u8> {
    let fields = crate::canonical::fields(bytes).map(Result::unwrap);
    fields.filter(|f| f.number != 1).flat_map(|f| f.raw.to_vec()).collect()
}

proptest! {
    #[test]
    fn decode_then_encode_is_identity(recipes in recipes(), seed in any::<u64>()) {
        let encoded = Writer { seed, ..arbitrary(&recipes) }.finish();
        let mut graph = Graph::decode(encoded.clone()).unwrap();
        let root = graph.root();
        prop_assert_eq!(Bytes::from(graph.definition(root).unwrap()), encoded.clone());
        let (mut graph, root) = Rewrite::new(graph).finish().unwrap();
        prop_assert_eq!(Bytes::from(graph.definition(root).unwrap()), encoded.clone());
    }

    #[test]
    fn a_rewrite_touches_inputs_only(recipes in recipes(), at in any::<prop::sample::Index>()) {
        let encoded = arbitrary(&recipes).finish();
        let before = Graph::decode(encoded.clone()).unwrap();
        let steps = before.order(before.root());
        let replaced = *at.get(&steps);
        let mut rewrite = Rewrite::new(before.clone());
        let other = other_base(&mut rewrite, Some(replaced));
        for output in 0..3 {
            rewrite.replace(replaced.output(output), other).unwrap();
        }
        // Every step on what it is given now, in any case before the graph is taken apart.
        let now: Vec<OpId> = steps.iter().map(|step| rewrite.as_written(*step).unwrap()).collect();
        let (mut graph, root) = rewrite.finish().unwrap();
        for (step, new) in steps.iter().zip(&now) {
            prop_assert_eq!(body(before[*step].bytes()), body(graph[*new].bytes()));
            prop_assert_eq!(&before[*step].metadata, &graph[*new].metadata);
            prop_assert_eq!(&before[*step].locations, &graph[*new].locations);
            for (old, given) in before[*step].inputs().iter().zip(graph[*new].inputs()) {
                let expected = if old.op == replaced {
                    other
                } else {
                    now_of(&steps, &now, old.op).output(old.index)
                };
                prop_assert_eq!(*given, expected);
            }
        }
        let definition = graph.definition(root).unwrap();
        let again = Graph::decode(definition.clone()).unwrap();
        prop_assert_eq!(again.find(before[replaced].digest()), None);
        // All of its ops are used, and each has its metadata.
        prop_assert_eq!(again.order(again.root()).len() + 1, definition.ops());
        prop_assert!(again.nodes.iter().all(|node| node.metadata.is_some()));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Graph::decode(bytes);
    }

    /// Nor do bytes that are almost a definition; and what is accepted can be written and read again.
    #[test]
    fn damaged_definitions_never_panic(recipes in recipes(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = arbitrary(&recipes).finish().to_vec();
        *at.get_mut(&mut bytes) = to;
        if let Ok(mut graph) = Graph::decode(bytes) {
            let root = graph.root();
            let definition = graph.definition(root).unwrap();
            prop_assert!(Graph::decode(definition).is_ok());
        }
    }
}

fn now_of(steps: &[OpId], now: &[OpId], step: OpId) -> OpId {
    now[steps.iter().position(|s| *s == step).unwrap()]
}
