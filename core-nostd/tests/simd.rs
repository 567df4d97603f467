//! The kernels for computers give what their portable twins give, on random and extreme inputs.

#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

use nickeldime_core::kernel::{RequantPlan, middle_len, plane_len, portable, selected};
use nickeldime_core::number::Requant;
use nickeldime_testkit::packs::{Random, rounds};

/// Random, largest, smallest and alternating values in turn.
fn fill(random: &mut Random, len: usize, limit: i32, kind: usize) -> Vec<i16> {
    let value = |(at, random): (usize, &mut Random)| match kind % 4 {
        0 => random.signed(limit),
        1 => limit,
        2 => -limit,
        _ => [limit, -limit][at % 2],
    };
    (0..len).map(|at| value((at, random)) as i16).collect()
}

#[test]
fn every_vector_kernel_equals_its_portable_twin() {
    let mut random = Random::new(9);
    for round in 0..rounds(400) {
        let (width, pairs) = (1 + random.below(70) as usize, 1 + random.below(9) as usize);
        let len = pairs * plane_len(width);
        // 127 * 2 * 9 * 9 * 32767 < 2^31.
        let rows: Vec<Vec<i16>> = (0..3).map(|_| fill(&mut random, len, 32767, round)).collect();
        let taps = fill(&mut random, 18 * pairs, 127, round / 4);
        for count in 1..=3 {
            let rows: Vec<&[i16]> = rows.iter().take(count).map(Vec::as_slice).collect();
            let (mut found, mut wanted) = (vec![7; width], vec![9; width]);
            selected::correlate(&rows, &taps[..6 * pairs * count], &mut found);
            portable::correlate(&rows, &taps[..6 * pairs * count], &mut wanted);
            assert_eq!(found, wanted, "correlate: {width} pixels, {pairs} pairs, {count} rows");
        }
        let sources = [(&rows[0][..], &taps[..6 * pairs]), (&rows[1][..], &taps[6 * pairs..12 * pairs])];
        for count in 0..=2 {
            let (mut found, mut wanted) = (vec![7; middle_len(width) - 3], vec![9; middle_len(width) - 3]);
            selected::spread(&sources[..count], &mut found);
            portable::spread(&sources[..count], &mut wanted);
            assert_eq!(found, wanted, "spread: {width} pixels, {pairs} pairs, {count} rows");
        }
        let (mut found, mut wanted) = (vec![7; width], vec![9; width]);
        selected::mix(&rows[0], &taps[..2 * pairs], &mut found);
        portable::mix(&rows[0], &taps[..2 * pairs], &mut wanted);
        assert_eq!(found, wanted, "mix: {width} pixels, {pairs} pairs");
    }
}

/// Random words of any size, or extremes in turn, within the limit.
fn words(random: &mut Random, len: usize, limit: i32, kind: usize) -> Vec<i32> {
    let value = |(at, random): (usize, &mut Random)| match kind % 4 {
        0 => random.word() as i32 % limit,
        1 => limit,
        2 => -limit,
        _ => [limit, -limit, 0][at % 3],
    };
    (0..len).map(|at| value((at, random))).collect()
}

#[test]
fn every_finishing_kernel_equals_its_portable_twin() {
    let mut random = Random::new(10);
    let mut kinds = [0; 3];
    for round in 0..rounds(2000) {
        let width = 1 + random.below(70) as usize;
        let multiplier = words(&mut random, 1, i32::MAX, round)[0];
        let scale = RequantPlan::new(Requant { multiplier, shift: 20 + random.below(30) as u8 });
        kinds[match scale {
            RequantPlan::HighWord { doublings: 0, .. } => 0,
            RequantPlan::HighWord { .. } => 1,
            RequantPlan::Exact(_) => 2,
        }] += 1;
        let acc = words(&mut random, width, i32::MAX, round / 4);
        let (noise, bias) =
            (words(&mut random, width, 1 << 28, round / 2), words(&mut random, 1, 1 << 28, round / 8)[0]);
        let before = fill(&mut random, width, 32767, round / 3);
        for limit in [32767, 9000, 1] {
            let (mut found, mut wanted) = (before.clone(), before.clone());
            selected::activate_row(&acc, &noise, scale, bias, limit, &mut found);
            portable::activate_row(&acc, &noise, scale, bias, limit, &mut wanted);
            assert_eq!(found, wanted, "activate: {scale:?}");
            selected::requantise_row(&acc, scale, &mut found);
            portable::requantise_row(&acc, scale, &mut wanted);
            assert_eq!(found, wanted, "requantise: {scale:?}");
            let (mut found, mut wanted) = (before.clone(), before.clone());
            selected::blend_row(&acc, scale, bias, i32::from(limit) << 9, &mut found);
            portable::blend_row(&acc, scale, bias, i32::from(limit) << 9, &mut wanted);
            assert_eq!(found, wanted, "blend: {scale:?}");
        }
    }
    assert!(kinds.iter().all(|&count| count > 0), "every form of requantisation is met");
}
