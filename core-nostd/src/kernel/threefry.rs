//! The random function Threefry-2x32 with 20 rounds.

/// Rotations of the eight rounds that repeat.
const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];

/// The constant that closes the key schedule (Skein's, for 32-bit words).
const PARITY: u32 = 0x1BD1_1BDA;

/// Does four rounds and adds the next part of the key schedule.
#[inline(always)]
fn group([mut a, mut b]: [u32; 2], rotations: [u32; 4], [x, y]: [u32; 2]) -> [u32; 2] {
    for rotation in rotations {
        a = a.wrapping_add(b);
        b = b.rotate_left(rotation) ^ a;
    }
    [a.wrapping_add(x), b.wrapping_add(y)]
}

/// The block (two random words) of `counter` under `key`.
#[inline]
pub fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let [k0, k1] = key;
    let k2 = PARITY ^ k0 ^ k1;
    let [first, second] = ROTATIONS;
    let mut state = [counter[0].wrapping_add(k0), counter[1].wrapping_add(k1)];
    state = group(state, first, [k1, k2.wrapping_add(1)]);
    state = group(state, second, [k2, k0.wrapping_add(2)]);
    state = group(state, first, [k0, k1.wrapping_add(3)]);
    state = group(state, second, [k1, k2.wrapping_add(4)]);
    group(state, first, [k2, k0.wrapping_add(5)])
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
