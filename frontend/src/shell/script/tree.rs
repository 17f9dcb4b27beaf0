//! The tree of what a script runs: lists, conditions, groups.

use brush_parser::ParserOptions;
use brush_parser::ast::{
    AndOr, AndOrList, Command, CompoundCommand, CompoundList, Pipeline, RedirectList, SeparatorOperator,
};
use plinth_layers::script::Node;

use super::NotSimple;
use super::redirect::not_redirected;
use super::tokens::Seen;

/// What a script's words are read with.
pub(super) struct Reader<'a> {
    pub(super) options: ParserOptions,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a program is one whose commands are installs.
    pub(super) is_installer: &'a dyn Fn(&str) -> bool,
    /// Every token that the tree accounts for, in order.
    pub(super) seen: Vec<Seen>,
}

impl Reader<'_> {
    /// Accounts for a token.
    pub(super) fn text(&mut self, text: &str) {
        self.seen.push(Seen::Text(text.to_owned()));
    }

    pub(super) fn items(&mut self, list: &CompoundList) -> Result<Vec<Node>, NotSimple> {
        let mut nodes = Vec::new();
        for item in &list.0 {
            if !matches!(item.1, SeparatorOperator::Sequence) {
                return Err(NotSimple::Background);
            }
            nodes.push(self.and_or(&item.0)?);
        }
        Ok(nodes)
    }

    fn list(&mut self, list: &CompoundList) -> Result<Box<Node>, NotSimple> {
        Ok(Box::new(sequence(self.items(list)?)))
    }

    fn and_or(&mut self, list: &AndOrList) -> Result<Node, NotSimple> {
        let mut node = self.pipeline(&list.first)?;
        // Both operators bind alike, from the left.
        for more in &list.additional {
            node = match more {
                AndOr::And(pipeline) => {
                    self.text("&&");
                    let then = Box::new(self.pipeline(pipeline)?);
                    Node::And { first: Box::new(node), then }
                }
                AndOr::Or(pipeline) => {
                    self.text("||");
                    let otherwise = Box::new(self.pipeline(pipeline)?);
                    Node::Or { first: Box::new(node), otherwise }
                }
            };
        }
        Ok(node)
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Node, NotSimple> {
        if pipeline.timed.is_some() {
            return Err(NotSimple::Keyword("time".to_owned()));
        }
        if pipeline.bang {
            self.text("!");
        }
        let [command] = pipeline.seq.as_slice() else { return Err(NotSimple::Pipeline) };
        let node = self.command(command)?;
        Ok(if pipeline.bang { Node::Not { of: Box::new(node) } } else { node })
    }

    fn command(&mut self, command: &Command) -> Result<Node, NotSimple> {
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::Compound(compound, redirects) => {
                let node = self.compound(compound)?;
                match redirects.as_ref().and_then(|RedirectList(all)| all.first()) {
                    Some(redirect) => Err(not_redirected(redirect)),
                    None => Ok(node),
                }
            }
            Command::Function(_) => Err(NotSimple::Parenthesis("(".to_owned())),
            Command::ExtendedTest(..) => Err(NotSimple::Keyword("[[".to_owned())),
        }
    }

    fn compound(&mut self, compound: &CompoundCommand) -> Result<Node, NotSimple> {
        let keyword = |word: &str| Err(NotSimple::Keyword(word.to_owned()));
        match compound {
            CompoundCommand::BraceGroup(group) => {
                self.text("{");
                let inner = self.list(&group.list)?;
                self.text("}");
                Ok(*inner)
            }
            CompoundCommand::Subshell(subshell) => {
                self.text("(");
                let of = self.list(&subshell.list)?;
                self.text(")");
                Ok(Node::Subshell { of })
            }
            CompoundCommand::IfClause(clause) => {
                self.text("if");
                let condition = self.list(&clause.condition)?;
                self.text("then");
                let then = self.list(&clause.then)?;
                let mut elses = Vec::new();
                for branch in clause.elses.iter().flatten() {
                    let condition = match &branch.condition {
                        Some(condition) => {
                            self.text("elif");
                            let condition = self.list(condition)?;
                            self.text("then");
                            Some(condition)
                        }
                        None => {
                            self.text("else");
                            None
                        }
                    };
                    elses.push((condition, self.list(&branch.body)?));
                }
                self.text("fi");
                // From the last to the first: an `elif` is an `if` in the place of the `else`.
                let otherwise =
                    elses.into_iter().rev().fold(None, |otherwise, (condition, then)| match condition {
                        None => Some(then),
                        Some(condition) => Some(Box::new(Node::If { condition, then, otherwise })),
                    });
                Ok(Node::If { condition, then, otherwise })
            }
            CompoundCommand::ForClause(_) | CompoundCommand::ArithmeticForClause(_) => keyword("for"),
            CompoundCommand::CaseClause(_) => keyword("case"),
            CompoundCommand::WhileClause(_) => keyword("while"),
            CompoundCommand::UntilClause(_) => keyword("until"),
            CompoundCommand::Coprocess(_) => keyword("coproc"),
            CompoundCommand::Arithmetic(_) => Err(NotSimple::Substitution("an arithmetic command (`((`)")),
        }
    }
}

pub(super) fn sequence(mut nodes: Vec<Node>) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => Node::Sequence { nodes },
    }
}
