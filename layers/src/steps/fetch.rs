//! `plinth step fetch`.
