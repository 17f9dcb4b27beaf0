//! Wheels: refused, or every file of them can be read or not, within the limits.
#![no_main]

use std::io::{self, Write};

use libfuzzer_sys::fuzz_target;
use plinth_layers::wheel::archive::Archive;
use sha2::{Digest, Sha256};

fuzz_target!(|data: &[u8]| {
    // One file, over and over: a path is what the reader takes.
    let path = std::env::temp_dir().join(format!("plinth-fuzz-{}.whl", std::process::id()));
    let write = || std::fs::File::create(&path)?.write_all(data);
    write().expect("the directory for temporary files can be written to");
    let digest: String = Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
    if let Ok(mut wheel) = Archive::open(&path, &digest) {
        for member in wheel.members().to_vec() {
            assert!(!member.name.split('/').any(|part| part == ".."));
            let _ = wheel.copy(&member, &mut io::sink());
        }
    }
});
