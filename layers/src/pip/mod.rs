//! pip.
