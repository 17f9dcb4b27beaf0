//! Who stores which bytes twice: in registries, image layouts and archives, and in build caches.
//!
//! Every layer is read once, as a stream, and never unpacked: what it holds goes into a store, by the digest of its blob.
//! Everything that is said afterwards is reckoned from there.
//!
//! ```text
//! digest      what a blob is called
//! image       images, and what else manifests describe
//! source      where images are: registries, layouts, archives; and their blobs, as streams
//! cache       what BuildKit's cache manifests say
//! layer       one layer, from the compressed stream to its content
//! store       the contents of layers, kept by digest
//! engine      several layers at once, from their sources into the store
//! by_chance   what a run of pip leaves behind
//! levels      what is stored twice: blobs, layers, packages, files; and what is waste inside one image
//! rules       what may be wasted
//! tables      the same for DuckDB and its like
//! ```
//!
//! Dependencies go up this list: `rules` and `tables` know `levels`; `levels` knows `store`, which knows `layer`; `source` and `layer` know nothing of each
//! other.
#![forbid(unsafe_code)]

pub mod by_chance;
pub mod cache;
pub mod digest;
pub mod engine;
pub mod image;
pub mod layer;
pub mod levels;
pub mod problem;
pub mod rules;
pub mod source;
pub mod store;
pub mod tables;
