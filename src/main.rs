//! plinth.
fn main() {}
