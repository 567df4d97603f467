//! Computes w from a latent: the mapping network and truncation.

use crate::dense::{BlockFloat, DenseView};
use crate::number::{leaky_relu, normalise, root, saturate_i32, shift_round};
use crate::pack::Pack;
use crate::pack::arrays::array;

/// Fractional bits of the normalised z.
const Z_FRACTION: i32 = 20;

/// Normalises z (Q12) to a mean square of 1: `z / sqrt(mean(z^2) + 1e-8)`, Q20. `out` is as long as z.
fn normalise_z(z: &[i16], out: &mut [i32]) {
    let n = z.len() as u64;
    let squares: u64 = z.iter().map(|&v| (v as i32 * v as i32) as u64).sum();
    // 1e-8 * n in the units of the squares (2^-24): 0.168 n.
    let squares = squares + ((43 * n + 128) >> 8);
    if squares == 0 {
        out.fill(0);
        return;
    }
    // With at most 2048 values, squares are below 2^42 and half is in 10 ..= 31.
    let half = squares.leading_zeros() / 2;
    let norm = root(squares << (2 * half)); // sqrt(squares) * 2^half, in 2^31 .. 2^32
    let norm_n = root(n << 48); // sqrt(n) * 2^24, below 2^30
    let factor = ((norm_n << 32) / norm.max(1)) as i64; // sqrt(n / squares) * 2^(56 - half), below 2^31
    for (out, &v) in out.iter_mut().zip(z) {
        *out = saturate_i32(shift_round(v as i64 * factor, 56 - half as i32 - Z_FRACTION));
    }
}

/// Runs the mapping network on z (Q12, in the first `z_dim` mantissas) and leaves w (Q16) in the first `w_dim` of
/// `values`.
///
/// Activations are block floating point, normalised after every layer, so that no latent can make them saturate.
/// Both slices are as long as the widest layer.
pub(crate) fn map(pack: &Pack<'_>, values: &mut [i32], mantissas: &mut [i16]) {
    let z_dim = pack.z_dim();
    normalise_z(&mantissas[..z_dim], &mut values[..z_dim]);
    let (mut width, mut fraction) = (z_dim, Z_FRACTION);
    for layer in &pack.header().mapping {
        let exponent = normalise(&values[..width], &mut mantissas[..width]) - fraction;
        let x = BlockFloat { mantissas: &mantissas[..width], exponent };
        width = layer.outputs.into();
        fraction = layer.fraction.into();
        let y = &mut values[..width];
        DenseView::new(pack.bytes(), layer).apply(x, y);
        for v in y.iter_mut() {
            *v = leaky_relu(*v);
        }
    }
}

/// Truncation: `w <- w_avg + psi (w - w_avg)`, psi in Q14 and w in Q16.
pub(crate) fn truncate(pack: &Pack<'_>, psi: i16, w: &mut [i32]) {
    let average = array::<i32>(pack.bytes(), pack.header().w_average, w.len());
    for (w, &average) in w.iter_mut().zip(average) {
        let offset = (*w as i64 - average as i64) * psi as i64;
        *w = saturate_i32(average as i64 + shift_round(offset, 14));
    }
}
