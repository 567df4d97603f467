//! Any bytes at all through the frame reader, in pieces and into buffers of any size: no panic, and what comes out as a packet goes
//! back in as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nickeldime_core::link::{FrameReader, decode, encode};

fuzz_target!(|bytes: &[u8]| {
    let [size, bytes @ ..] = bytes else { return };
    // The bytes as they are, and as the message of a frame.
    let _ = decode(bytes);
    let mut reader = FrameReader::new(vec![0; usize::from(*size) * 2]);
    let mut frame = vec![0; bytes.len() + bytes.len() / 200 + 64];
    for &byte in bytes {
        if !reader.push(byte) {
            assert!(reader.payload().is_empty());
            continue;
        }
        assert!(reader.payload().len() <= reader.capacity());
        let message = reader.payload().to_vec();
        let Some(packet) = decode(&message) else {
            reader.reject();
            continue;
        };
        let again = encode(&packet, &mut frame).expect("as long as it was");
        let mut second = FrameReader::new(vec![0; message.len() + 4]);
        let whole = again.iter().filter(|byte| second.push(**byte)).count();
        assert_eq!((whole, decode(second.payload())), (1, Some(packet)));
    }
});
