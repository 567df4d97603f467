//! Packs of any small shape with any tables and any arrays: those that verify generate without overflow and without panic
//! (the build checks arithmetic).

#![no_main]


use libfuzzer_sys::{Corpus, fuzz_target};
use nickeldime_core::pack::Pack;
use nickeldime_testkit::packs::{Random, any_shape, assemble, change, exercise, fill, random_header};

fuzz_target!(|data: &[u8]| -> Corpus {
    let mut random = Random::given(data);
    let shape = any_shape(&mut random);
    let (mut header, mut arrays) = random_header(&shape, random.below(256));
    for _ in 0..random.below(5) {
        change(&mut header, &mut random);
    }
    for _ in 0..random.below(3) {
        fill(arrays.arrays_mut(), &mut random);
    }
    // Bytes of the fuzzer's own in the arrays.
    for _ in 0..random.below(8) {
        let arrays = arrays.arrays_mut();
        let at = random.below(arrays.len() as u32) as usize;
        arrays[at] = random.below(256) as u8;
    }
    match Pack::open(assemble(&header, &arrays).bytes()) {
        Ok(pack) => exercise(&pack, &mut random),
        Err(_) => return Corpus::Reject,
    }
    Corpus::Keep
});
