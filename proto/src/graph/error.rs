//! What can be wrong with a graph.

use crate::Digest;
use crate::canonical::Malformed;

/// Why a definition can't be read, or an op can't be made. None of these leaves a graph changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Over [`super::MAX_BYTES`] or [`super::MAX_OPS`].
    #[error("the definition has {size} {unit}, at most {limit} are accepted")]
    TooLarge {
        /// How many there are.
        size: usize,
        /// How many there may be.
        limit: usize,
        /// What was counted.
        unit: &'static str,
    },
    /// Not protobuf, or not a definition.
    #[error("the definition can't be read: {0}")]
    Definition(#[from] Malformed),
    /// A field of the definition has the wrong wire type or isn't text.
    #[error("the definition can't be read: {0}")]
    Field(&'static str),
    /// One op isn't an op.
    #[error("op {at} of the definition can't be decoded: {cause}")]
    Op {
        /// The op's position in the definition, from 0.
        at: usize,
        /// What the decoder said.
        cause: String,
    },
    /// Metadata, locations or a source file of an op can't be decoded.
    #[error("the {what} of op {op} can't be decoded: {cause}")]
    Part {
        /// Which part.
        what: &'static str,
        /// Whose.
        op: Digest,
        /// What the decoder said.
        cause: String,
    },
    /// The same op twice.
    #[error("op {at} ({op}) of the definition occurs a second time")]
    Duplicate {
        /// The position of the second one, from 0.
        at: usize,
        /// The op.
        op: Digest,
    },
    /// An input that isn't there before the op that uses it: missing, later, or part of a cycle.
    #[error("op {at} of the definition uses {input:?}, which is none of the ops before it")]
    MissingInput {
        /// The position of the user, from 0.
        at: usize,
        /// The input's digest as it was written.
        input: String,
    },
    /// An input without a valid output number.
    #[error("op {at} of the definition uses output {index} of {input}, outputs count from 0")]
    NegativeIndex {
        /// The position of the user, from 0.
        at: usize,
        /// The input.
        input: Digest,
        /// The output number.
        index: i64,
    },
    /// No terminal op, or no op before it.
    #[error("the definition doesn't end with a terminal op: {0}")]
    Terminal(&'static str),
    /// A different number of inputs than the op has.
    #[error("op {op} has {expected} inputs, {given} were given")]
    InputCount {
        /// The op.
        op: Digest,
        /// Inputs that it has.
        expected: usize,
        /// Inputs that were given.
        given: usize,
    },
    /// The op holds something that this version doesn't know, so that encoding it again would lose or move bytes.
    #[error(
        "op {op} can't be encoded again without changing it (it was written by a BuildKit that knows more): leave it as it is"
    )]
    NotCanonical {
        /// The op.
        op: Digest,
    },
    /// The op has no input that its result continues.
    #[error("op {op} has no input that its result continues")]
    NoChain {
        /// The op.
        op: Digest,
    },
    /// A change to something that the rewrite has already handed out.
    #[error(
        "op {op} has already been used in its earlier form: go through the ops in order, and change an op before asking for its result"
    )]
    Settled {
        /// The op.
        op: Digest,
    },
    /// An op that isn't part of what is rewritten.
    #[error("op {op} is not part of the graph that is rewritten")]
    Foreign {
        /// The op.
        op: Digest,
    },
}
