//! The order of a 3x3 convolution's weights in a pack, and the lengths of rows.
//!
//! Weights are `[output pair][tap row][input pair][tap column]` words of four:
//! `[i 0][o 0], [i 0][o 1], [i 1][o 0], [i 1][o 1]`. One `SXTB16` (plain, or rotated by 8) turns a word into the pair
//! of 16-bit weights that `SMLAD` takes. An odd channel count is padded with zeros.

/// `channels`, rounded up to even: the channels of a modulated row.
pub const fn padded(channels: usize) -> usize {
    channels + channels % 2
}

/// Number of values of one pair of channels in a modulated row.
pub const fn plane_len(width: usize) -> usize {
    2 * (width + 2)
}

/// Number of values in a modulated row that keeps `lanes` channels of a pixel together; `lanes` is even.
pub const fn modulated_len(channels: usize, width: usize, lanes: usize) -> usize {
    channels.div_ceil(lanes) * lanes * (width + 2)
}

/// Index of a channel of pixel x in a modulated row. x counts from 1, because pixel 0 is the border of zeros.
///
/// A row is a sequence of groups of `lanes` channels, and each group holds all its pixels. A last group that is not full
/// has its channels in its last lanes and zeros in the lanes before: it uses the layer's last weights, some of which
/// belong to the group before. With fewer channels than lanes, they are in the first lanes.
pub const fn modulated_index(channels: usize, width: usize, lanes: usize, x: usize, channel: usize) -> usize {
    let all = padded(channels);
    let (group, last) = (channel / lanes, all.div_ceil(lanes) - 1);
    let start = if group == last && all > lanes { all - lanes } else { group * lanes };
    (group * (width + 2) + x) * lanes + channel - start
}

/// Number of values of one channel in an intermediate row, for inputs of this width.
pub const fn middle_len(width: usize) -> usize {
    2 * width + 4
}

/// Number of weights of one pair of output channels.
pub const fn pair_len(inputs: usize) -> usize {
    18 * padded(inputs)
}

/// Number of weights of a 3x3 convolution, including the zeros that pad odd channel counts.
pub const fn conv_len(inputs: usize, outputs: usize) -> usize {
    outputs.div_ceil(2) * pair_len(inputs)
}

/// Index of the weight of an output channel, a tap (`3 * row + column`) and an input channel.
pub const fn conv_index(inputs: usize, output: usize, tap: usize, input: usize) -> usize {
    let word = (tap / 3 * (padded(inputs) / 2) + input / 2) * 3 + tap % 3;
    output / 2 * pair_len(inputs) + 4 * word + input % 2 * 2 + output % 2
}

/// All weights of one output channel, including those of a padding input channel. `weights` are the whole layer's.
pub fn channel(weights: &[i8], inputs: usize, output: usize) -> impl Iterator<Item = i8> + '_ {
    let start = output / 2 * pair_len(inputs);
    let pair = weights.get(start..start + pair_len(inputs)).unwrap_or_default();
    pair.iter().skip(output % 2).step_by(2).copied()
}

/// Energy of one output channel's modulated weights: `sum_i styles[i]^2 * sum_k w[k][i]^2`. `weights` are the whole layer's.
pub fn energy(weights: &[i8], styles: &[i16], output: usize) -> u64 {
    let inputs = styles.len();
    let start = output / 2 * pair_len(inputs);
    let pair = weights.get(start..start + pair_len(inputs)).unwrap_or_default();
    let square = |v: i32| (v * v) as u32;
    let mut sum = 0u64;
    for row in pair.chunks_exact((pair.len() / 3).max(1)) {
        for (taps, styles) in row.chunks_exact(12).zip(styles.chunks(2)) {
            let mut squares = [0u32; 2];
            for word in taps.chunks_exact(4) {
                let [a, _, b, _] =
                    if output.is_multiple_of(2) { four(word) } else { four(word.get(1..).unwrap_or_default()) };
                squares = [squares[0] + square(a.into()), squares[1] + square(b.into())];
            }
            for (&s, squares) in styles.iter().zip(squares) {
                sum += u64::from(squares) * u64::from(square(s.into()));
            }
        }
    }
    sum
}

/// The first four values; zeros where there are fewer.
fn four(values: &[i8]) -> [i8; 4] {
    core::array::from_fn(|i| values.get(i).copied().unwrap_or_default())
}
