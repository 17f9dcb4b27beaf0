//! wheel.
