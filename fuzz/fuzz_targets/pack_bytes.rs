//! Any bytes: as they are, and with the magic, the length and the hash made right, so that the parser has to go on. What
//! opens must draw.

#![no_main]


use libfuzzer_sys::fuzz_target;
use nickeldime_core::pack::Pack;
use nickeldime_core::pack::layout::{FORMAT_VERSION, MAGIC, PREFIX_LEN};
use nickeldime_testkit::packs::{Aligned, Random, exercise, rehash};

/// Elements of the largest workspace that is worth the time.
const LARGEST: usize = 1 << 14;

fuzz_target!(|data: &[u8]| {
    let _ = Pack::open(Aligned::new(data).bytes());
    if data.len() < PREFIX_LEN {
        return;
    }
    let mut bytes = data.to_vec();
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&(data.len() as u32).to_le_bytes());
    let mut pack = Aligned::new(&bytes);
    rehash(&mut pack);
    if let Ok(pack) = Pack::open(pack.bytes())
        && pack.workspace_len() < LARGEST
    {
        exercise(&pack, &mut Random::given(data));
    }
});
