//! `plinth step resolve`.
