//! Carrying changes downstream.
//!
//! A rewrite knows two graphs: the one that was (its *steps*), and the one that is made. A pass goes through the steps
//! in order, inputs before users, and for each one leaves it alone, gives it other inputs, or says which edge takes
//! the place of its output. [`Rewrite::current`] translates an edge of the graph that was to the one that is made.
//!
//! ```
//! # use plinth_proto::graph::{Graph, GraphError, NewOp, Rewrite};
//! # use plinth_proto::pb;
//! # fn pass(graph: Graph) -> Result<(), GraphError> {
//! let mut rewrite = Rewrite::new(graph);
//! for step in rewrite.steps() {
//!     // What the step is given by now; `definition` makes it something to solve and to look into.
//!     let before = rewrite.current_inputs(step)?;
//!     let Some(pb::op::Op::Exec(_)) = &rewrite.graph()[step].op().op else { continue };
//!     let state_before = rewrite.definition(before[0])?;
//!     // The step itself, run on what it is given by now.
//!     let after = rewrite.as_written(step)?.output(0);
//!     let merge = pb::MergeOp { inputs: vec![pb::MergeInput { input: 0 }, pb::MergeInput { input: 1 }] };
//!     let op = pb::Op {
//!         op: Some(pb::op::Op::Merge(merge)),
//!         constraints: Some(pb::WorkerConstraints::default()),
//!         ..pb::Op::default()
//!     };
//!     let inputs = vec![before[0], after];
//!     let merged = rewrite.add(NewOp { op, inputs, like: Some(step), ..NewOp::default() })?;
//!     rewrite.replace(step.output(0), merged.output(0))?;
//! }
//! let (graph, root) = rewrite.finish()?;
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeSet, HashMap};

use super::chain::{is_shared, split};
use super::{Definition, Edge, Graph, GraphError, NewOp, OpId};
use crate::pb;

/// A graph being rewritten.
///
/// What has been handed out stays true: a change to a step that was already built, or to an edge that was already
/// translated, is refused with [`GraphError::Settled`] instead of being lost.
#[derive(Debug, Clone)]
pub struct Rewrite {
    graph: Graph,
    root: Edge,
    steps: BTreeSet<OpId>,
    /// Inputs of steps that were set, in the graph that is made.
    inputs: HashMap<(OpId, usize), Edge>,
    /// Steps whose op was edited: the new op, on inputs of the graph that was.
    ops: HashMap<OpId, OpId>,
    /// Outputs of steps that something else takes the place of.
    outputs: HashMap<Edge, Edge>,
    built: HashMap<OpId, OpId>,
    settled: HashMap<Edge, Edge>,
}

impl Rewrite {
    /// Starts from a graph's result.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        let root = graph.root();
        Self::from_edge(graph, root)
    }

    /// Starts from any edge of a graph, such as the result of an earlier rewrite.
    #[must_use]
    pub fn from_edge(graph: Graph, root: Edge) -> Self {
        let steps = graph.needed(root.op);
        Self {
            graph,
            root,
            steps,
            inputs: HashMap::new(),
            ops: HashMap::new(),
            outputs: HashMap::new(),
            built: HashMap::new(),
            settled: HashMap::new(),
        }
    }

    /// All ops, those that were and those that were made.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The result of the graph that was.
    #[must_use]
    pub fn root(&self) -> Edge {
        self.root
    }

    /// The ops of the graph that was, inputs before users, without the terminal op.
    #[must_use]
    pub fn steps(&self) -> Vec<OpId> {
        self.graph.order(self.root)
    }

    /// Adds an op to the graph that is made. See [`Graph::add`].
    ///
    /// # Errors
    /// As there.
    pub fn add(&mut self, new: NewOp) -> Result<OpId, GraphError> {
        self.graph.add(new)
    }

    /// Takes in another definition. See [`Graph::import`].
    ///
    /// # Errors
    /// As there.
    pub fn import(&mut self, definition: impl Into<bytes::Bytes>) -> Result<Edge, GraphError> {
        self.graph.import(definition)
    }

    /// Marshals what an edge of the graph that is made needs. See [`Graph::definition`].
    ///
    /// # Errors
    /// As there.
    pub fn definition(&mut self, edge: Edge) -> Result<Definition, GraphError> {
        self.graph.definition(edge)
    }

    /// Gives a step another input; `to` is an edge of the graph that is made.
    ///
    /// # Errors
    /// If the step has no such input, is no step, or was built already.
    pub fn set_input(&mut self, step: OpId, input: usize, to: Edge) -> Result<(), GraphError> {
        self.check(step)?;
        let count = self.graph[self.form(step)].inputs.len();
        if input >= count {
            let op = self.graph[step].digest;
            return Err(GraphError::InputCount { op, expected: count, given: input + 1 });
        }
        self.inputs.insert((step, input), to);
        Ok(())
    }

    /// Lets a step continue another state: its chain inputs (see [`super::chain_inputs`]) that were `from`, an edge of
    /// the graph that was, become `to`, an edge of the graph that is made. BuildKit gives one input to all uses of one
    /// state; where a use that is no chain shares it, that use stays, through an input of its own.
    ///
    /// # Errors
    /// [`GraphError::NoChain`] if the step doesn't continue `from`; [`GraphError::NotCanonical`] if it would have to be
    /// encoded again and can't be; and if it is no step, or was built already.
    pub fn set_chain_input(&mut self, step: OpId, from: Edge, to: Edge) -> Result<(), GraphError> {
        self.check(step)?;
        let mut op = self.form(step);
        let node = &self.graph[op];
        let chain: Vec<usize> =
            super::chain_inputs(&node.op).into_iter().filter(|i| node.inputs[*i] == from).collect();
        if chain.is_empty() {
            return Err(GraphError::NoChain { op: node.digest });
        }
        let mut set = Vec::new();
        for input in chain {
            if is_shared(&self.graph[op].op, input) {
                let further = self.graph[op].inputs.len();
                op = self.graph.edit(op, |op, inputs| {
                    split(op, further, input);
                    inputs.push(from);
                })?;
                set.push(further);
            } else {
                set.push(input);
            }
        }
        self.ops.insert(step, op);
        self.inputs.extend(set.into_iter().map(|input| ((step, input), to)));
        Ok(())
    }

    /// Changes a step's op, not its inputs: `change` gets its decoded form. Inputs set before and after still apply.
    ///
    /// # Errors
    /// [`GraphError::NotCanonical`] if the op holds what its decoded form doesn't show; and if it is no step or was
    /// built already.
    pub fn edit(&mut self, step: OpId, change: impl FnOnce(&mut pb::Op)) -> Result<(), GraphError> {
        self.check(step)?;
        let op = self.graph.edit(self.form(step), |op, _| change(op))?;
        self.ops.insert(step, op);
        Ok(())
    }

    /// Lets `to`, an edge of the graph that is made, take the place of a step's output for all its users and the
    /// result of the build.
    ///
    /// # Errors
    /// If `from` isn't from a step, or was translated already.
    pub fn replace(&mut self, from: Edge, to: Edge) -> Result<(), GraphError> {
        let op = self.graph[from.op].digest;
        if !self.steps.contains(&from.op) {
            return Err(GraphError::Foreign { op });
        }
        if self.settled.contains_key(&from) {
            return Err(GraphError::Settled { op });
        }
        self.outputs.insert(from, to);
        Ok(())
    }

    /// The edge of the graph that is made for one of the graph that was. From now on it stays that.
    ///
    /// # Errors
    /// If `edge` isn't from a step.
    pub fn current(&mut self, edge: Edge) -> Result<Edge, GraphError> {
        if let Some(&to) = self.settled.get(&edge) {
            return Ok(to);
        }
        let to = match self.outputs.get(&edge) {
            Some(&to) => to,
            None => self.as_written(edge.op)?.output(edge.index),
        };
        self.settled.insert(edge, to);
        Ok(to)
    }

    /// What a step is given in the graph that is made, in the order of its inputs; an input that
    /// [`Rewrite::set_chain_input`] had to add comes last.
    ///
    /// # Errors
    /// If `step` isn't one.
    pub fn current_inputs(&mut self, step: OpId) -> Result<Vec<Edge>, GraphError> {
        self.build_needed(step)?;
        self.given(step)
    }

    /// The step itself on what it is given in the graph that is made, whether or not something takes the place of its
    /// outputs.
    ///
    /// # Errors
    /// If `step` isn't one.
    pub fn as_written(&mut self, step: OpId) -> Result<OpId, GraphError> {
        self.build_needed(step)?;
        self.build(step)
    }

    /// Everything carried through: the graph, and the edge that is the result now.
    ///
    /// # Errors
    /// If a step can't be built.
    pub fn finish(mut self) -> Result<(Graph, Edge), GraphError> {
        let root = self.current(self.root)?;
        Ok((self.graph, root))
    }

    fn check(&self, step: OpId) -> Result<(), GraphError> {
        let op = self.graph[step].digest;
        if !self.steps.contains(&step) {
            return Err(GraphError::Foreign { op });
        }
        if self.built.contains_key(&step) {
            return Err(GraphError::Settled { op });
        }
        Ok(())
    }

    /// The step's op, edited or not, on inputs of the graph that was.
    fn form(&self, step: OpId) -> OpId {
        self.ops.get(&step).copied().unwrap_or(step)
    }

    /// Builds the steps before `step` that it still needs, each after its own inputs. A loop and not a recursion, since
    /// chains can be as long as a definition allows.
    fn build_needed(&mut self, step: OpId) -> Result<(), GraphError> {
        if !self.steps.contains(&step) {
            return Err(GraphError::Foreign { op: self.graph[step].digest });
        }
        let mut needed = BTreeSet::new();
        let mut todo = vec![step];
        while let Some(op) = todo.pop() {
            for (i, edge) in self.graph[self.form(op)].inputs.iter().enumerate() {
                let done = self.settled.contains_key(edge)
                    || self.outputs.contains_key(edge)
                    || self.built.contains_key(&edge.op)
                    || self.inputs.contains_key(&(op, i));
                if !done && needed.insert(edge.op) {
                    todo.push(edge.op);
                }
            }
        }
        // Inputs have smaller ids than their users.
        for op in needed {
            self.build(op)?;
        }
        Ok(())
    }

    /// Builds a step whose inputs are built.
    fn build(&mut self, step: OpId) -> Result<OpId, GraphError> {
        if let Some(&op) = self.built.get(&step) {
            return Ok(op);
        }
        let inputs = self.given(step)?;
        let op = self.graph.with_inputs(self.form(step), &inputs)?;
        self.built.insert(step, op);
        Ok(op)
    }

    /// What a step is given, the steps before it being built.
    fn given(&mut self, step: OpId) -> Result<Vec<Edge>, GraphError> {
        let edges = self.graph[self.form(step)].inputs.clone();
        let given = edges.into_iter().enumerate().map(|(i, edge)| match self.inputs.get(&(step, i)) {
            Some(&to) => Ok(to),
            None => self.current(edge),
        });
        given.collect()
    }
}
