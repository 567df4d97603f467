//! How a 3x3 convolution's weights lie in a pack.
//!
//! `[output pairs][3][3][input pairs]` words of four weights, `[i 0][o 0], [i 0][o 1], [i 1][o 0], [i 1][o 1]`: two `SXTB16`
//! (plain, and rotated by 8) make of one word the pairs of 16-bit weights that `SMLAD` takes, one for each output channel.
//! An odd channel count is filled up with zeros.

/// `channels`, rounded up to even: the channels of a modulated row.
pub const fn padded(channels: usize) -> usize {
    channels + channels % 2
}

/// Weights of one pair of output channels.
pub const fn pair_len(inputs: usize) -> usize {
    18 * padded(inputs)
}

/// Weights of a 3x3 convolution, zeros of odd channel counts included.
pub const fn conv_len(inputs: usize, outputs: usize) -> usize {
    outputs.div_ceil(2) * pair_len(inputs)
}

/// Where the weight of an output channel, a tap (`3 * row + column`) and an input channel lies.
pub const fn conv_index(inputs: usize, output: usize, tap: usize, input: usize) -> usize {
    output / 2 * pair_len(inputs) + 2 * tap * padded(inputs) + input / 2 * 4 + input % 2 * 2 + output % 2
}

/// All weights of one output channel, by tap and input channel; those of a padded input channel too. `weights` are the
/// whole layer's.
pub fn channel(weights: &[i8], inputs: usize, output: usize) -> impl Iterator<Item = i8> + '_ {
    let start = output / 2 * pair_len(inputs);
    let pair = weights.get(start..start + pair_len(inputs)).unwrap_or_default();
    pair.iter().skip(output % 2).step_by(2).copied()
}

/// Energy of one output channel's modulated weights: `sum_i styles[i]^2 * sum_k w[k][i]^2`. `weights` are the whole layer's.
pub fn energy(weights: &[i8], styles: &[i16], output: usize) -> u64 {
    let mut sum = 0u64;
    for (i, &s) in styles.iter().enumerate() {
        let taps = channel(weights, styles.len(), output).skip(i).step_by(padded(styles.len()));
        let squares: u32 = taps.map(|w| (w as i32 * w as i32) as u32).sum();
        sum += squares as u64 * (s as i32 * s as i32) as u64;
    }
    sum
}
