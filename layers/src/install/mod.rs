//! install.
