//! Weights computed by an integer hash (`fixtures/golden/README.md`, section 7), so that no file has to hold them.

use ndarray::{ArrayD, IxDyn};
use nickeldime_checkpoint::model::{arch::Shapes, weights::Tensors};

/// The hash `u(p, i)`, in [-1, 1).
pub fn u(p: u32, i: u32) -> f64 {
    let mut h = i.wrapping_mul(0x9E37_79B1).wrapping_add(p.wrapping_mul(0x85EB_CA6B).wrapping_add(0x1234_5678));
    h ^= h >> 16;
    h = h.wrapping_mul(0x7FEB_352D);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846C_A68B);
    h ^= h >> 16;
    f64::from(h) / f64::from(1u32 << 31) - 1.0
}

/// An array of `u(seed, ...)`.
pub fn input(seed: u32, shape: &[usize]) -> ArrayD<f32> {
    filled(shape, |i| u(seed, i))
}

/// Every tensor of a network, filled by its number in the order of the names and its kind.
pub fn weights(shapes: &Shapes) -> Tensors {
    let tensor = |(p, (name, shape)): (usize, (&String, &Vec<usize>))| {
        let u = |i| u(p as u32, i);
        let inputs: usize = shape.iter().skip(1).product();
        let scale = |numerator: f64| (numerator / inputs as f64).sqrt();
        let array = match (&name[..], shape.len()) {
            (name, _) if name.ends_with("positional_embedding") => filled(shape, |i| 0.5 * u(i)),
            (name, _) if name.ends_with("running_var") => filled(shape, |i| 1.0 + 0.5 * u(i)),
            (_, 4) => filled(shape, |i| scale(6.0) * u(i)),
            (_, 2) => filled(shape, |i| scale(3.0) * u(i)),
            // The only weights of one axis are batch norms'.
            (name, _) if name.ends_with(".weight") => filled(shape, |i| 0.8 + 0.2 * u(i)),
            _ => filled(shape, |i| 0.1 * u(i)),
        };
        (name.clone(), array)
    };
    shapes.iter().enumerate().map(tensor).collect()
}

fn filled(shape: &[usize], value: impl Fn(u32) -> f64) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    let values = (0..count as u32).map(|i| value(i) as f32).collect();
    ArrayD::from_shape_vec(IxDyn(shape), values).unwrap()
}
