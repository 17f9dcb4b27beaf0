//! `plinth step remove`.
