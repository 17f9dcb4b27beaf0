//! The operations that an assembled step consists of.

use plinth_layers::resolution::{Distribution, Plan};
use plinth_layers::steps::mounts;
use plinth_layers::steps::payload::PayloadSpec;
use plinth_layers::steps::record::RecordSpec;
use plinth_layers::steps::resolve::{Foreign, ResolveSpec};
use plinth_layers::steps::summary::Mark;
use plinth_layers::tree::LAYOUT;
use plinth_proto::graph::{Edge, GraphError, NewOp, OpId, Rewrite};
use plinth_proto::pb;
use sha2::{Digest as _, Sha256};

use super::answers::Found;
use super::candidate::Candidate;
use crate::exec::{Origin, Tool, ToolExec};
use crate::locks::FleetLock;

/// Temporary files of the resolver: memory, since its root can't be written to.
const TMP: &str = "/.plinth/tmp";

/// How the wheels get into the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetch {
    /// By the daemon, as http sources: parallel, and cached by content.
    Daemon,
    /// By the installer in the state before the step, with the step's own network, certificates and credentials.
    Step,
}

/// A wheel in a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload {
    /// The layer.
    pub(super) tree: Edge,
    /// What is said about its wheels.
    pub(super) meta: Edge,
    /// The number of the wheel, if the layer may have others.
    pub(super) member: Option<usize>,
}

impl Payload {
    /// Lets an operation read what is said about the wheel.
    pub(super) fn read_meta(&self, exec: &mut ToolExec, at: &str) {
        let place = self.member.map(|number| format!("/{number}")).unwrap_or_default();
        exec.read(at, self.meta, &place);
    }
}

/// The step as the operations that stand for it see it.
pub(super) struct Site<'a> {
    pub(super) tool: &'a Tool,
    pub(super) candidate: &'a Candidate,
    /// The step's inputs in the graph that is made.
    pub(super) inputs: &'a [Edge],
    /// The state before: of the step, or what its installs so far have made of it.
    pub(super) before: Edge,
    /// The fleet's lock, as a file.
    pub(super) lock: Option<Edge>,
    /// What it says.
    pub(super) locked: Option<&'a FleetLock>,
    /// The step's programs can't be run.
    pub(super) foreign: Option<Foreign>,
    pub(super) origin: Origin,
}

impl Site<'_> {
    /// An operation that sees what the step would see: environment, user, network, mounts.
    fn in_place(&self, args: Vec<String>) -> ToolExec {
        let mut exec = ToolExec::new(self.tool, self.before, args);
        let own = &self.candidate.exec;
        let op = exec.op_mut();
        let args = op.meta.as_mut().map(|meta| std::mem::take(&mut meta.args)).unwrap_or_default();
        let mut meta = own.meta.clone().unwrap_or_default();
        meta.args = args;
        // The builder makes a working directory that is missing; whether it is must be seen inside.
        meta.cwd = "/".to_owned();
        meta.remove_mount_stubs_recursive = true;
        meta.env.retain(|entry| !entry.starts_with("TMPDIR="));
        meta.env.push(format!("TMPDIR={TMP}"));
        op.meta = Some(meta);
        op.network = own.network;
        op.secretenv.clone_from(&own.secretenv);
        for (at, mount) in own.mounts.iter().enumerate().filter(|(at, _)| *at != self.candidate.root) {
            debug_assert_ne!(at, self.candidate.root);
            let edge = usize::try_from(mount.input).ok().and_then(|input| self.inputs.get(input)).copied();
            exec.take_over(mount, edge);
        }
        exec.tmpfs(TMP);
        exec
    }

    /// Finds out what the step would install next, after what is known so far.
    pub(super) fn resolve(
        &self,
        rewrite: &mut Rewrite,
        warm: Option<Edge>,
        so_far: &Found,
        compilers: &[Edge],
    ) -> Result<Edge, GraphError> {
        let cwd = self.candidate.exec.meta.as_ref().map(|meta| meta.cwd.clone());
        let spec = ResolveSpec {
            script: self.candidate.parts.installs.clone(),
            events: so_far.events.clone(),
            found: so_far.programs.clone(),
            secrets: self.candidate.secrets.clone(),
            shell: self.candidate.shell.clone().map(Into::into),
            cwd: cwd.filter(|cwd| !cwd.is_empty()).unwrap_or_else(|| "/".to_owned()).into(),
            locked: self.lock.is_some(),
            foreign: self.foreign.clone().map(|foreign| Foreign { compilers: compilers.len(), ..foreign }),
        };
        let spec = serde_json::to_string(&spec).unwrap_or_default();
        let args = vec!["resolve".to_owned(), spec];
        let mut exec = self.in_place(args);
        // As it is: in its own root, the runtime has made what every container has.
        exec.read_state(mounts::BEFORE, self.before);
        if let Some(warm) = warm {
            exec.read(mounts::PYCACHE, warm, "");
        }
        if let Some(lock) = self.lock {
            exec.read(mounts::LOCK, lock, "");
        }
        if self.foreign.is_some() {
            for (number, image) in compilers.iter().enumerate() {
                exec.read_state(&format!("{}/{number}", mounts::COMPILERS), *image);
            }
        }
        let out = exec.output(mounts::OUT);
        Ok(exec.add(rewrite, "[plinth] resolve".to_owned(), &self.origin)?.output(out))
    }

    /// Fetches all wheels as the step would.
    pub(super) fn fetch(&self, rewrite: &mut Rewrite, resolution: Edge) -> Result<Edge, GraphError> {
        let mut exec = self.in_place(vec!["fetch".to_owned()]);
        exec.read(mounts::RESOLUTION, resolution, "");
        let out = exec.output(mounts::OUT);
        Ok(exec.add(rewrite, "[plinth] fetch".to_owned(), &self.origin)?.output(out))
    }

    /// Removes what the installer would remove first; the result continues the state before.
    pub(super) fn remove(
        &self,
        rewrite: &mut Rewrite,
        resolution: Edge,
        names: &str,
    ) -> Result<Edge, GraphError> {
        let mut exec = ToolExec::new(self.tool, self.before, ["remove".to_owned()]).keeping_root();
        exec.read(mounts::RESOLUTION, resolution, "");
        Ok(exec.add(rewrite, format!("[plinth] remove {names}"), &self.origin)?.output(0))
    }

    /// Everything that differs from install to install: record and tail layer.
    pub(super) fn record(
        &self,
        rewrite: &mut Rewrite,
        resolution: Edge,
        payloads: &[Payload],
        tail: &[usize],
        evidence: &[Edge],
    ) -> Result<Record, GraphError> {
        let make = |step: &str| {
            let spec = RecordSpec { layout: LAYOUT, tail: tail.to_vec() };
            let spec = serde_json::to_string(&spec).unwrap_or_default();
            let mut exec = ToolExec::new(self.tool, self.before, [step.to_owned(), spec]);
            exec.read(mounts::RESOLUTION, resolution, "");
            for (i, payload) in payloads.iter().enumerate() {
                payload.read_meta(&mut exec, &format!("{}/{i}", mounts::METAS));
            }
            for i in tail {
                exec.read(&format!("{}/{i}", mounts::TREES), payloads[*i].tree, "");
            }
            for (i, edge) in evidence.iter().enumerate() {
                exec.read(&format!("{}/{i}", mounts::EVIDENCE), *edge, "");
            }
            exec
        };
        let mut exec = make("record");
        exec.tmpfs(mounts::SCRATCH);
        let record = exec.output(mounts::RECORD);
        let tail_output = exec.output(mounts::TAIL);
        let op = exec.add(rewrite, "[plinth] record".to_owned(), &self.origin)?;
        let mut exec = make("why");
        exec.tmpfs(mounts::RECORD);
        exec.tmpfs(mounts::TAIL);
        let status = exec.output(mounts::STATUS);
        let why = exec.add(rewrite, "[plinth] why not".to_owned(), &self.origin)?;
        Ok(Record { record: op.output(record), tail: op.output(tail_output), why: why.output(status) })
    }
}

/// The outputs of the record operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) record: Edge,
    pub(super) tail: Edge,
    /// The verdict, only evaluated when the record operation refused.
    pub(super) why: Edge,
}

/// What compiles the byte code of a payload.
pub(super) struct Compiler<'a> {
    /// Interpreter and scheme.
    pub(super) plan: &'a Plan,
    /// The state that the interpreter runs in.
    pub(super) interpreter: Edge,
    /// Its warm byte code.
    pub(super) warm: Option<Edge>,
}

/// Some wheels into their layer. Nothing of the step goes in: the same wheels are the same operation in every service.
/// Gives the payload of each.
pub(super) fn payloads(
    rewrite: &mut Rewrite,
    tool: &Tool,
    with: &Compiler<'_>,
    wheels: &[&Distribution],
    fetched: Option<Edge>,
    origin: &Origin,
) -> Result<Vec<Payload>, GraphError> {
    let alone = wheels.len() == 1;
    let specs: Vec<PayloadSpec> = wheels.iter().map(|wheel| with.spec(wheel)).collect();
    let spec = if alone { serde_json::to_string(&specs[0]) } else { serde_json::to_string(&specs) };
    let step = if alone { "payload" } else { "group" };
    let args = [step.to_owned(), spec.unwrap_or_default()];
    let mut exec = ToolExec::new(tool, with.interpreter, args);
    for (number, wheel) in wheels.iter().enumerate() {
        let place = if alone { mounts::WHEEL.to_owned() } else { format!("{}/{number}", mounts::WHEEL) };
        match fetched {
            // One file of what the step fetched: read-only mounts are keyed by the content that they show, so other
            // wheels beside it make no other payload.
            Some(edge) => {
                let file = &wheel.filename;
                exec.read(&format!("{place}/{file}"), edge, &format!("/{file}"));
            }
            None => exec.read(&place, http_source(rewrite, wheel, origin)?.output(0), ""),
        }
    }
    if let Some(warm) = with.warm {
        exec.read(mounts::PYCACHE, warm, "");
    }
    let tree = exec.output(mounts::OUT);
    let meta = exec.output(mounts::META);
    let titles: Vec<String> =
        wheels.iter().map(|wheel| format!("{} {}", wheel.name, wheel.version)).collect();
    let op = exec.add(rewrite, format!("[plinth] {}", titles.join(", ")), origin)?;
    let payload =
        |number| Payload { tree: op.output(tree), meta: op.output(meta), member: (!alone).then_some(number) };
    Ok((0..wheels.len()).map(payload).collect())
}

impl Compiler<'_> {
    fn spec(&self, wheel: &Distribution) -> PayloadSpec {
        let mut interpreter = self.plan.compiled_by().clone();
        // Neither is part of a payload's identity: `pip` and `python -m pip` give the same one.
        interpreter.fingerprint.clear();
        interpreter.executable.clone_from(&interpreter.physical);
        PayloadSpec {
            layout: LAYOUT,
            name: wheel.name.clone(),
            version: wheel.version.clone(),
            filename: wheel.filename.clone(),
            sha256: wheel.sha256.clone(),
            scheme: self.plan.scheme.clone(),
            interpreter,
            laid_out_as: self.plan.layout(),
            foreign: self.plan.compiler.is_some(),
        }
    }
}

/// The wheel itself, by checksum: no request is made while its payload is in the cache.
fn http_source(rewrite: &mut Rewrite, wheel: &Distribution, origin: &Origin) -> Result<OpId, GraphError> {
    let source = pb::SourceOp {
        identifier: wheel.url.clone(),
        attrs: [
            ("http.checksum".to_owned(), format!("sha256:{}", wheel.sha256)),
            ("http.filename".to_owned(), wheel.filename.clone()),
        ]
        .into(),
    };
    let op = pb::Op {
        constraints: Some(pb::WorkerConstraints::default()),
        op: Some(pb::op::Op::Source(source)),
        ..Default::default()
    };
    let metadata = origin.metadata(format!("[plinth] fetch {}", wheel.filename));
    rewrite.add(NewOp { op, inputs: Vec::new(), metadata, like: origin.op })
}

/// The marks of all payloads in one directory: one thing to wait for, and one to read.
pub(super) fn marks(
    rewrite: &mut Rewrite,
    payloads: &[Payload],
    origin: &Origin,
) -> Result<Edge, GraphError> {
    let mut inputs: Vec<Edge> = Vec::new();
    for payload in payloads {
        if !inputs.contains(&payload.meta) {
            inputs.push(payload.meta);
        }
    }
    let count = inputs.len() as i64;
    let copy = |i: i64| pb::FileAction {
        // Onto nothing first, then each onto the result of the one before.
        input: if i == 0 { -1 } else { count + i - 1 },
        secondary_input: i,
        output: if i + 1 == count { 0 } else { -1 },
        action: Some(pb::file_action::Action::Copy(pb::FileActionCopy {
            src: format!("/{}", Mark::PATTERN),
            dest: "/".to_owned(),
            mode: -1,
            timestamp: -1,
            allow_wildcard: true,
            create_dest_path: true,
            ..Default::default()
        })),
    };
    let op = pb::Op {
        constraints: Some(pb::WorkerConstraints::default()),
        op: Some(pb::op::Op::File(pb::FileOp { actions: (0..count).map(copy).collect() })),
        ..Default::default()
    };
    let metadata = origin.metadata("[plinth] sizes".to_owned());
    Ok(rewrite.add(NewOp { op, inputs, metadata, like: origin.op })?.output(0))
}

/// Byte code that makes the interpreter of an image start fast.
pub(super) fn warm(
    rewrite: &mut Rewrite,
    tool: &Tool,
    image: Edge,
    interpreter: &str,
) -> Result<Edge, GraphError> {
    let mut exec = ToolExec::new(tool, image, ["warm".to_owned(), interpreter.to_owned()]);
    let out = exec.output(mounts::OUT);
    Ok(exec.add(rewrite, "[plinth] warm up the interpreter".to_owned(), &Origin::default())?.output(out))
}

/// A part of the step's script, as the step itself would run it: `text` takes the place of the script, `before` that of
/// the root.
pub(super) fn part(
    rewrite: &mut Rewrite,
    step: OpId,
    candidate: &Candidate,
    inputs: &[Edge],
    before: Edge,
    text: &str,
    metadata: pb::OpMetadata,
) -> Result<Edge, GraphError> {
    let mut exec = candidate.exec.clone();
    if let Some(script) = exec.meta.as_mut().and_then(|meta| meta.args.last_mut()) {
        // As in a plain build, a change anywhere in the RUN makes all of it run again.
        *script = format!("{text}\n# part of sha256:{}", hex::encode(Sha256::digest(script.as_bytes())));
    }
    let mut used: Vec<Edge> = Vec::new();
    for (at, mount) in exec.mounts.iter_mut().enumerate() {
        let given = usize::try_from(mount.input).ok().and_then(|input| inputs.get(input)).copied();
        let edge = if at == candidate.root { Some(before) } else { given };
        let Some(edge) = edge else { continue };
        let position = used.iter().position(|known| *known == edge).unwrap_or_else(|| {
            used.push(edge);
            used.len() - 1
        });
        mount.input = position as i64;
    }
    let op = pb::Op { op: Some(pb::op::Op::Exec(exec)), ..rewrite.graph()[step].op().clone() };
    Ok(rewrite.add(NewOp { op, inputs: used, metadata, like: Some(step) })?.output(0))
}

/// The fleet's lock, as the only file of a directory.
pub(super) fn lock(rewrite: &mut Rewrite, text: &str) -> Result<Edge, GraphError> {
    let file = pb::FileActionMkFile {
        path: format!("/{}", plinth_layers::lock::FILE),
        mode: 0o644,
        data: text.as_bytes().to_vec().into(),
        timestamp: 0,
        ..Default::default()
    };
    let action = pb::FileAction {
        input: -1,
        secondary_input: -1,
        output: 0,
        action: Some(pb::file_action::Action::Mkfile(file)),
    };
    let op = pb::Op {
        constraints: Some(pb::WorkerConstraints::default()),
        op: Some(pb::op::Op::File(pb::FileOp { actions: vec![action] })),
        ..Default::default()
    };
    let metadata = Origin::default().metadata("[plinth] the fleet's lock".to_owned());
    Ok(rewrite.add(NewOp { op, inputs: Vec::new(), metadata, like: None })?.output(0))
}

/// All layers on top of the state before.
pub(super) fn merge(
    rewrite: &mut Rewrite,
    inputs: Vec<Edge>,
    name: String,
    origin: &Origin,
) -> Result<Edge, GraphError> {
    let merge =
        pb::MergeOp { inputs: (0..inputs.len() as i64).map(|input| pb::MergeInput { input }).collect() };
    let op = pb::Op {
        constraints: Some(pb::WorkerConstraints::default()),
        op: Some(pb::op::Op::Merge(merge)),
        ..Default::default()
    };
    Ok(rewrite.add(NewOp { op, inputs, metadata: origin.metadata(name), like: origin.op })?.output(0))
}
