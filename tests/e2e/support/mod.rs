//! What the tests share: running builds, reading images, comparing trees, and things to build from.

pub(crate) mod build;
pub(crate) mod builder;
pub(crate) mod bytecode;
pub(crate) mod compare;
pub(crate) mod env;
pub(crate) mod files;
pub(crate) mod image;
pub(crate) mod index;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod tree;
pub(crate) mod wheel;
