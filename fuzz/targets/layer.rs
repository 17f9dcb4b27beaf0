//! Layers, compressed or not, with the packages in them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut data = data.to_vec();
    plinth_fuzz::sums(&mut data);
    let _ = plinth_fuzz::layer(&data);
});
