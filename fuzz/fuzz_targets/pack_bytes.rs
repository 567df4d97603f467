//! Any bytes: as they are, and with the magic, the length and the hash made right, so that the parser has to go on. What
//! opens must draw.

#![no_main]


use libfuzzer_sys::fuzz_target;
use nickeldime_core::pack::Pack;
use nickeldime_core::pack::layout::{ALIGNMENT, FORMAT_VERSION, HASH_LEN, MAGIC, PREFIX_LEN};
use nickeldime_testkit::packs::{Aligned, Random, exercise, rehash};

/// Elements of the largest workspace that is worth the time.
const LARGEST: usize = 1 << 14;

fuzz_target!(|data: &[u8]| {
    let _ = Pack::open(Aligned::new(data).bytes());
    let contents = data.len().saturating_sub(HASH_LEN) / ALIGNMENT * ALIGNMENT;
    if contents < PREFIX_LEN {
        return;
    }
    let mut bytes = data[..contents + HASH_LEN].to_vec();
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let length = bytes.len() as u32;
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    bytes[20..24].copy_from_slice(&(contents as u32).to_le_bytes());
    let mut pack = Aligned::new(&bytes);
    rehash(&mut pack);
    let _ = Pack::reopen(pack.bytes());
    if let Ok(pack) = Pack::open(pack.bytes())
        && pack.workspace_len() < LARGEST
    {
        exercise(&pack, &mut Random::given(data));
    }
});
