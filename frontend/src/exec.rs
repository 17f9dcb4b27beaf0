//! ExecOps that run plinth itself inside the build.
//!
//! The tool is the frontend image that BuildKit is running right now: pinned by digest, in its cache already, and
//! part of the cache key, so that another release never reuses the layers of this one by accident.

use plinth_layers::steps::mounts;
use plinth_proto::graph::{Edge, GraphError, NewOp, OpId, Rewrite};
use plinth_proto::pb;

/// `OpMetadata.description` key of the name that progress shows.
pub const CUSTOM_NAME: &str = "llb.customname";

/// The tool as an edge of a graph, and the platform that it runs on.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Root of the frontend image.
    pub edge: Edge,
    /// The daemon's platform, not that of the image that is being built.
    pub platform: pb::Platform,
}

/// An ExecOp in the making.
pub struct ToolExec {
    op: pb::ExecOp,
    inputs: Vec<Edge>,
    outputs: i64,
    platform: pb::Platform,
}

impl ToolExec {
    /// Runs `plinth step ARGS…` in `root`, which stays as it is. No network, an empty environment.
    pub fn new(tool: &Tool, root: Edge, args: impl IntoIterator<Item = String>) -> Self {
        let program = [format!("{}/plinth", mounts::TOOL), "step".to_owned()];
        let meta = pb::Meta {
            args: program.into_iter().chain(args).collect(),
            env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
            cwd: "/".to_owned(),
            remove_mount_stubs_recursive: true,
            ..Default::default()
        };
        let op = pb::ExecOp { meta: Some(meta), network: pb::NetMode::None as i32, ..Default::default() };
        let mut exec = Self { op, inputs: Vec::new(), outputs: 0, platform: tool.platform.clone() };
        // Read-only and without output: what the step does to its root is thrown away. A root that is not
        // read-only would be the immutable snapshot itself, in which no mount point can be made.
        exec.mount("/", Some(root), true);
        exec.read(mounts::TOOL, tool.edge, "");
        exec
    }

    /// Makes changes to the root the first output, instead of throwing them away.
    #[must_use]
    pub fn keeping_root(mut self) -> Self {
        self.op.mounts[0].readonly = false;
        self.op.mounts[0].output = self.outputs;
        self.outputs += 1;
        self
    }

    /// The operation itself, to take over what a step of the Dockerfile has.
    pub fn op_mut(&mut self) -> &mut pb::ExecOp {
        &mut self.op
    }

    /// Mounts `edge`, or a path in it, read-only.
    pub fn read(&mut self, dest: &str, edge: Edge, selector: &str) {
        let at = self.mount(dest, Some(edge), true);
        self.op.mounts[at].selector = selector.to_owned();
    }

    /// Mounts a state read-only, whose content isn't summed: it counts as what its operation is, as a root does. For whole
    /// file systems, where that would take longer than the step.
    pub fn read_state(&mut self, dest: &str, edge: Edge) {
        let at = self.mount(dest, Some(edge), true);
        self.op.mounts[at].content_cache = pb::MountContentCache::Off as i32;
    }

    /// Mounts a state, and makes what the step does to it the next output.
    pub fn change_state(&mut self, dest: &str, edge: Edge) -> i64 {
        let at = self.mount(dest, Some(edge), false);
        self.op.mounts[at].content_cache = pb::MountContentCache::Off as i32;
        self.op.mounts[at].output = self.outputs;
        self.outputs += 1;
        self.outputs - 1
    }

    /// Mounts an empty directory and makes it the next output.
    pub fn output(&mut self, dest: &str) -> i64 {
        let at = self.mount(dest, None, false);
        self.op.mounts[at].output = self.outputs;
        self.outputs += 1;
        self.outputs - 1
    }

    /// Mounts an empty directory in memory, unless something is mounted there.
    pub fn tmpfs(&mut self, dest: &str) {
        if self.op.mounts.iter().all(|mount| mount.dest != dest) {
            let at = self.mount(dest, None, false);
            self.op.mounts[at].mount_type = pb::MountType::Tmpfs as i32;
            self.op.mounts[at].tmpfs_opt = Some(pb::TmpfsOpt::default());
        }
    }

    /// Adds a mount of a step of the Dockerfile, whose input is `edge`. What the step writes to it is thrown away.
    pub fn take_over(&mut self, mount: &pb::Mount, edge: Option<Edge>) {
        let input = self.input(edge);
        self.op.mounts.push(pb::Mount { input, output: -1, ..mount.clone() });
    }

    /// Adds the operation to the graph that is made.
    ///
    /// # Errors
    /// If it can't be encoded.
    pub fn add(self, rewrite: &mut Rewrite, name: String, origin: &Origin) -> Result<OpId, GraphError> {
        let op = pb::Op {
            platform: Some(self.platform),
            constraints: Some(pb::WorkerConstraints::default()),
            op: Some(pb::op::Op::Exec(self.op)),
            ..Default::default()
        };
        rewrite.add(NewOp { op, inputs: self.inputs, metadata: origin.metadata(name), like: origin.op })
    }

    fn mount(&mut self, dest: &str, edge: Option<Edge>, readonly: bool) -> usize {
        let input = self.input(edge);
        self.op.mounts.push(pb::Mount {
            input,
            dest: dest.to_owned(),
            output: -1,
            readonly,
            ..Default::default()
        });
        self.op.mounts.len() - 1
    }

    /// Index of `edge` among the inputs. Two mounts of one edge share an input.
    fn input(&mut self, edge: Option<Edge>) -> i64 {
        let Some(edge) = edge else { return -1 };
        let at = self.inputs.iter().position(|known| *known == edge).unwrap_or_else(|| {
            self.inputs.push(edge);
            self.inputs.len() - 1
        });
        at as i64
    }
}

/// PATH of an operation; empty if it has none.
#[must_use]
pub fn path_of(exec: &pb::ExecOp) -> String {
    let mut env = exec.meta.iter().flat_map(|meta| &meta.env).rev();
    env.find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default().to_owned()
}

/// What a generated operation inherits from the step that it stands for.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The step, for its source location.
    pub op: Option<OpId>,
    /// `no-cache` was asked for that step.
    pub ignore_cache: bool,
    /// Folds the helpers of one step into one line of progress.
    pub group: Option<pb::ProgressGroup>,
}

impl Origin {
    /// Metadata for an operation of this name.
    #[must_use]
    pub fn metadata(&self, name: String) -> pb::OpMetadata {
        pb::OpMetadata {
            ignore_cache: self.ignore_cache,
            description: [(CUSTOM_NAME.to_owned(), name)].into(),
            progress_group: self.group.clone(),
            ..Default::default()
        }
    }
}
