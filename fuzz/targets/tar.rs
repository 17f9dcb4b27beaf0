//! Archives: read to the end or refused, and every member has as many bytes as it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_analyze::layer::tar::Archive;

fuzz_target!(|data: &[u8]| {
    let mut data = data.to_vec();
    plinth_fuzz::sums(&mut data);
    let mut archive = Archive::new(&data[..]);
    let mut before = 0;
    while let Ok(Some(member)) = archive.next() {
        assert!(archive.at() > before, "it goes on");
        before = archive.at();
        // A hole may be larger than anything that can be gone through.
        if member.holes() < 1 << 20 {
            let mut size = 0;
            match archive.content(&member, &mut |bytes| size += bytes.len() as u64) {
                Ok(()) => assert_eq!(size, member.size),
                Err(_) => return,
            }
        }
    }
    let _ = archive.rest();
    assert!(archive.at() <= data.len() as u64);
});
