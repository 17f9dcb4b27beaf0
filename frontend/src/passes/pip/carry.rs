//! A COPY of a directory from another stage, in which packages were installed: the layers of the packages come along,
//! and only what is left is copied.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;

use plinth_layers::steps::carry::{Carried, CarrySpec};
use plinth_layers::steps::mounts;
use plinth_layers::tree::{LAYOUT, is_plain};
use plinth_proto::graph::{Edge, Graph, GraphError, OpId, Rewrite};
use plinth_proto::pb;

use super::assemble::layers_below;
use super::made::Assembled;
use super::ops::{self, Payload};
use super::{Treatment, budget};
use crate::context::Context;
use crate::exec::{CUSTOM_NAME, Origin, Tool, ToolExec};
use crate::image::LayerNote;
use crate::passes::Stop;
use crate::passes::chain::{chain, described};

/// What is known of a payload that is a layer of some stage.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// `name version` of its wheel.
    pub(super) title: String,
    /// Bytes of its files.
    pub(super) bytes: u64,
    /// Where its `.dist-info` can be.
    pub(super) libraries: [String; 2],
}

/// The payloads of all stages so far, by the layer that they are in.
pub(super) type Payloads = HashMap<Edge, Vec<(Payload, Known)>>;

/// A layer, and what is in it.
type Layer = (Edge, Vec<(Payload, Known)>);

/// A COPY that is understood.
pub(super) struct Copied {
    /// The directory, and where it goes.
    path: String,
    /// Index of the input that it is in.
    from: usize,
    /// Index of the input that it goes to.
    to: usize,
}

/// Looks at a FileOp: one directory, from one state to the same path of another, with everything in it as it is.
pub(super) fn copied(file: &pb::FileOp) -> Option<Copied> {
    let [action] = file.actions.as_slice() else { return None };
    let Some(pb::file_action::Action::Copy(copy)) = &action.action else { return None };
    let path = copy.src.trim_end_matches('/');
    let plain =
        is_plain(path) && !path.contains(['*', '?', '[', '\\']) && copy.dest.trim_end_matches('/') == path;
    // Everything else about a copy changes what it leaves.
    let as_it_is = pb::FileActionCopy {
        src: copy.src.clone(),
        dest: copy.dest.clone(),
        mode: -1,
        timestamp: -1,
        follow_symlink: copy.follow_symlink,
        dir_copy_contents: true,
        create_dest_path: true,
        allow_wildcard: copy.allow_wildcard,
        allow_empty_wildcard: copy.allow_empty_wildcard,
        ..Default::default()
    };
    let (from, to) = (usize::try_from(action.secondary_input).ok()?, usize::try_from(action.input).ok()?);
    (plain && *copy == as_it_is && action.output == 0 && from != to).then(|| Copied {
        path: path.to_owned(),
        from,
        to,
    })
}

/// Puts layers in the place of a COPY, if there are payloads in what it copies.
pub(super) async fn run(
    cx: &Context,
    rewrite: &mut Rewrite,
    step: OpId,
    copied: &Copied,
    known: &Payloads,
) -> Result<Assembled, Stop> {
    let inputs = rewrite.current_inputs(step)?;
    let (Some(&from), Some(&to)) = (inputs.get(copied.from), inputs.get(copied.to)) else {
        return Err(Stop::Unrelated);
    };
    let room = budget::IMAGE_LAYERS.saturating_sub(layers_below(cx, rewrite, to).await + 1);
    let all = layers(rewrite.graph(), from, known, &copied.path);
    let bytes = |(_, payloads): &Layer| payloads.iter().map(|(_, known)| known.bytes).sum();
    let sizes: Vec<u64> = all.iter().map(bytes).collect();
    let layers: Vec<_> = biggest(&sizes, room).into_iter().map(|index| all[index].clone()).collect();
    if layers.is_empty() {
        return Err(Stop::Unrelated);
    }
    let tool = cx.tool(rewrite)?;
    let ignore_cache = rewrite.graph()[step].metadata()?.ignore_cache;
    let site = Site {
        tool,
        from,
        to,
        copied,
        layers,
        source: rewrite.graph()[from.op].digest().to_string(),
        origin: Origin { op: Some(step), ignore_cache, group: None },
    };
    let carried = site.carry(rewrite)?;
    let refused = |error| Stop::about(error, "what it copies can't be looked at");
    let solved = cx.solve(rewrite, carried, true).await.map_err(refused)?;
    let whole = match cx.read_json(&solved, Carried::FILE).await.map_err(refused)? {
        Carried::Whole { layers } if layers.is_empty() => return Err(Stop::Unrelated),
        Carried::Whole { layers } => layers,
        Carried::Refused { reason } => return Err(Stop::Refused(reason)),
    };
    let rest = site.rest(rewrite, carried)?;
    let whole: Vec<&Layer> = whole.iter().filter_map(|i| site.layers.get(*i)).collect();
    let trees = whole.iter().map(|(tree, _)| *tree);
    let name = described(rewrite.graph(), step, CUSTOM_NAME).unwrap_or_else(|| "[plinth] copy".to_owned());
    let merged = std::iter::once(to).chain(trees).chain([rest]).collect();
    let edge = ops::merge(rewrite, merged, name, &site.origin)?;
    let titles =
        |layer: &Layer| -> Vec<String> { layer.1.iter().map(|(_, known)| known.title.clone()).collect() };
    let alone: Vec<String> = whole.iter().flat_map(|layer| titles(layer)).collect();
    let note = |created_by| LayerNote { created_by };
    let named = |layer: &&Layer| note(format!("plinth: {}", titles(layer).join(", ")));
    let mut notes: Vec<LayerNote> = whole.iter().map(named).collect();
    notes.push(note(format!("plinth: the rest of {}", copied.path)));
    let treatment = Treatment::Carried { alone, layers: notes.len() };
    Ok(Assembled { edge, notes, treatment, payloads: Vec::new() })
}

/// The layers in the chain of a state of which some payload may be below a path, in the order in which they were merged.
fn layers(graph: &Graph, state: Edge, known: &Payloads, path: &str) -> Vec<Layer> {
    let mut found: Vec<Layer> = Vec::new();
    for op in chain(graph, state).1 {
        if !matches!(graph[op].op().op, Some(pb::op::Op::Merge(_))) {
            continue;
        }
        for tree in graph[op].inputs() {
            let Some(payloads) = known.get(tree) else { continue };
            let mut libraries = payloads.iter().flat_map(|(_, known)| &known.libraries);
            let below = libraries.any(|library| Path::new(library).starts_with(path));
            if below && found.iter().all(|(other, _)| other != tree) {
                found.push((*tree, payloads.clone()));
            }
        }
    }
    found
}

/// The numbers of the biggest, ascending: as many as there is room for.
fn biggest(sizes: &[u64], room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|index| Reverse(sizes[*index]));
    order.truncate(room);
    order.sort_unstable();
    order
}

/// The COPY as the operations that stand for it see it.
struct Site<'a> {
    tool: Tool,
    from: Edge,
    to: Edge,
    copied: &'a Copied,
    layers: Vec<Layer>,
    /// The operation that the directory comes from.
    source: String,
    origin: Origin,
}

impl Site<'_> {
    fn exec(&self, step: &str) -> ToolExec {
        let spec = CarrySpec {
            layout: LAYOUT,
            path: self.copied.path.clone(),
            layers: self.layers.iter().map(|(_, payloads)| payloads.len()).collect(),
            source: self.source.clone(),
        };
        let spec = serde_json::to_string(&spec).unwrap_or_default();
        let mut exec = ToolExec::new(&self.tool, self.to, [step.to_owned(), spec]);
        exec.read(mounts::FROM, self.from, &self.copied.path);
        for (i, (payload, _)) in self.layers.iter().flat_map(|(_, payloads)| payloads).enumerate() {
            payload.read_meta(&mut exec, &format!("{}/{i}", mounts::METAS));
        }
        exec
    }

    /// Finds out which payloads are there whole.
    fn carry(&self, rewrite: &mut Rewrite) -> Result<Edge, GraphError> {
        let mut exec = self.exec("carry");
        let out = exec.output(mounts::OUT);
        Ok(exec.add(rewrite, format!("[plinth] packages in {}", self.copied.path), &self.origin)?.output(out))
    }

    /// Copies what they don't bring.
    fn rest(&self, rewrite: &mut Rewrite, carried: Edge) -> Result<Edge, GraphError> {
        let mut exec = self.exec("rest");
        exec.read(mounts::CARRIED, carried, "");
        let out = exec.output(mounts::OUT);
        Ok(exec.add(rewrite, format!("[plinth] the rest of {}", self.copied.path), &self.origin)?.output(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(change: impl FnOnce(&mut pb::FileActionCopy)) -> Option<String> {
        let mut copy = pb::FileActionCopy {
            src: "/opt/venv".into(),
            dest: "/opt/venv/".into(),
            mode: -1,
            timestamp: -1,
            follow_symlink: true,
            dir_copy_contents: true,
            create_dest_path: true,
            allow_wildcard: true,
            allow_empty_wildcard: true,
            ..Default::default()
        };
        change(&mut copy);
        let action = Some(pb::file_action::Action::Copy(copy));
        let action = pb::FileAction { input: 0, secondary_input: 1, output: 0, action };
        copied(&pb::FileOp { actions: vec![action] }).map(|copied| copied.path)
    }

    #[test]
    fn only_a_directory_as_it_is() {
        assert_eq!(copy(|_| {}).as_deref(), Some("/opt/venv"));
        let changes: [fn(&mut pb::FileActionCopy); 11] = [
            |copy| copy.dest = "/opt/other".into(),
            |copy| (copy.src, copy.dest) = ("/".into(), "/".into()),
            |copy| (copy.src, copy.dest) = ("/opt/v*".into(), "/opt/v*".into()),
            |copy| (copy.src, copy.dest) = ("/opt/../x".into(), "/opt/../x".into()),
            |copy| (copy.src, copy.dest) = ("opt".into(), "opt".into()),
            |copy| copy.owner = Some(pb::ChownOpt::default()),
            |copy| copy.mode = 0o755,
            |copy| copy.mode_str = "u+x".into(),
            |copy| copy.exclude_patterns = vec!["*.pyc".into()],
            |copy| copy.dir_copy_contents = false,
            |copy| copy.always_replace_existing_dest_paths = true,
        ];
        for (i, change) in changes.into_iter().enumerate() {
            assert_eq!(copy(change), None, "change {i}");
        }
    }

    #[test]
    fn the_biggest_have_precedence_and_keep_their_order() {
        let of = |room| biggest(&[5, 5, 3, 9, 5, 1], room);
        assert_eq!(of(0), [0_usize; 0]);
        assert_eq!(of(1), [3]);
        assert_eq!(of(3), [0, 1, 3]);
        assert_eq!(of(9), [0, 1, 2, 3, 4, 5]);
    }
}
