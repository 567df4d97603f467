//! Threefry-2x32, 20 rounds.

/// Rotations of the eight rounds that repeat.
const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];

/// The constant that closes the key schedule (Skein's, for 32-bit words).
const PARITY: u32 = 0x1BD1_1BDA;

/// The block of `counter` under `key`.
pub fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let [k0, k1] = key;
    let schedule = [k0, k1, PARITY ^ k0 ^ k1];
    let [c0, c1] = counter;
    let (mut a, mut b) = (c0.wrapping_add(k0), c1.wrapping_add(k1));
    let mut injections = schedule.iter().cycle().skip(1).zip(schedule.iter().cycle().skip(2));
    for group in 0..5u32 {
        let (first, second) = ROTATIONS.split_at(4);
        for &rotation in if group % 2 == 0 { first } else { second } {
            a = a.wrapping_add(b);
            b = b.rotate_left(rotation) ^ a;
        }
        if let Some((&x, &y)) = injections.next() {
            a = a.wrapping_add(x);
            b = b.wrapping_add(y).wrapping_add(group + 1);
        }
    }
    [a, b]
}

#[cfg(test)]
mod tests {
    use super::threefry;

    /// Known-answer vectors of the Random123 distribution (`threefry2x32 20`).
    #[test]
    fn matches_the_published_vectors() {
        assert_eq!(threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([!0, !0], [!0, !0]), [0x1cb9_96fc, 0xbb00_2be7]);
        let (key, counter) = ([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]);
        assert_eq!(threefry(key, counter), [0xc492_3a9c, 0x483d_f7a0]);
    }
}
