//! RECORD, as installers' and as an image's layer have it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_layers::wheel::record;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = record::parse("RECORD", text);
        if let Ok(rows) = record::parse_installed("RECORD", text) {
            let again = record::parse_installed("RECORD", &record::write(&rows));
            assert_eq!(again.ok(), Some(rows), "what is written is read again");
        }
    }
    let mut archive = Vec::new();
    let name = b"a/x-1.dist-info/RECORD";
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    archive.extend(header);
    archive.extend(data);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    plinth_fuzz::sums(&mut archive[..512]);
    let content = plinth_fuzz::layer(&archive).expect("whatever it says, it is a file like another");
    assert_eq!(content.packages.len(), 1);
});
