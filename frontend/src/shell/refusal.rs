//! Why a script isn't understood: each reason names the construct, as the report shows it.

/// Why a script can't be read as a tree of what it runs. The text is a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSimple {
    /// Longer than what is read.
    #[error("the script is {0} bytes long; only scripts up to {max} bytes are read", max = super::guard::MAX_SCRIPT)]
    TooLong(usize),
    /// A character that shells don't treat alike.
    #[error("the script has the character {0:?}, which shells don't all treat alike")]
    Character(char),
    /// A variable that changes how the shell itself works.
    #[error("the environment variable `{0}` changes how the shell reads the script")]
    Environment(&'static str),
    /// Nothing to execute.
    #[error("the script executes no program")]
    Nothing,
    /// Not a script that the parser accepts.
    #[error("the script can't be parsed as shell: {0}")]
    Unreadable(String),
    /// The parser's words don't add up to the script, e.g. with a line continuation in the middle of a word.
    #[error("the script's words can't be told apart with certainty near `{0}`")]
    Uncertain(String),
    /// More keywords and parentheses than are read.
    #[error("the script has too many of the shell's keywords and parentheses")]
    Nesting,
    /// `if`, `for`, `{`, `!`, …
    #[error("the script has `{0}`, which is a keyword of the shell")]
    Keyword(String),
    /// `|`.
    #[error("the script is a pipeline (an unquoted `|`)")]
    Pipeline,
    /// `&`.
    #[error("the script runs a command in the background (an unquoted `&`)")]
    Background,
    /// `(` or `)`.
    #[error("the script has a subshell or defines a function (an unquoted `{0}`)")]
    Parenthesis(String),
    /// `>`, `>>`, `<` and so on, with a file.
    #[error("the shell redirects {direction} the file `{file}` (an unquoted `{operator}`)")]
    Redirect {
        /// "output to", "input from", "input and output to".
        direction: &'static str,
        /// The file, as it is written.
        file: String,
        /// The operator.
        operator: String,
    },
    /// `>&` and `<&`.
    #[error("the shell redirects a file descriptor (an unquoted `{0}`)")]
    Descriptor(String),
    /// `<<` and `<<<`.
    #[error("the script has a here-document or a `<<` of another kind")]
    HereDocument,
    /// An operator that no rule above names.
    #[error("the script has the operator `{0}`")]
    Operator(String),
    /// `NAME=value` before the command.
    #[error("the script assigns a variable before the command (`{0}`)")]
    Assignment(String),
    /// The command is one of the shell's own.
    #[error("`{0}` is a command of the shell itself")]
    Builtin(String),
    /// `$(…)`, a backquote, `$((…))`, `$[…]`.
    #[error("the script has {0}")]
    Substitution(&'static str),
    /// `${X:-y}` and the like.
    #[error("the script has a parameter expansion that is more than `$NAME` or `${{NAME}}` (near `{0}`)")]
    Expansion(String),
    /// `$1`, `$@`, `$?`, …
    #[error("the script uses `{0}`, a parameter of the shell itself")]
    Special(String),
    /// A variable that shells set on their own.
    #[error("the script uses the variable `{0}`, which shells set on their own")]
    ShellVariable(String),
    /// A variable that has another value once an environment is activated.
    #[error("the script uses the variable `{0}`, and activates a virtual environment, which changes it")]
    Activated(String),
    /// A `$` that starts nothing.
    #[error("the script has a `$` that starts no variable's name")]
    Dollar,
    /// `$'…'` and `$"…"`.
    #[error("the script has {0}, which only some shells know")]
    Quoting(&'static str),
    /// An unquoted `*`, `?` or `[`.
    #[error("the shell matches the unquoted pattern `{0}` against file names")]
    Glob(String),
    /// An unquoted `~` that can stand for a home directory.
    #[error("the word `{0}` has an unquoted `~`, which can stand for a home directory")]
    Tilde(String),
    /// An unquoted brace.
    #[error("the word `{0}` has an unquoted brace, which some shells expand")]
    Brace(String),
    /// An unquoted variable whose value the shell would split or match.
    #[error(
        "the value of the unquoted variable `{0}` has blanks, wildcards or backslashes, which the shell would interpret"
    )]
    Value(String),
    /// A variable whose value isn't ASCII.
    #[error("the value of the variable `{0}` has characters that shells don't all treat alike")]
    ValueCharacter(String),
}
