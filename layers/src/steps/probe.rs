//! `plinth step probe`.
