//! Networks before any training, with StyleGAN2's initial values drawn from a seed.

use ndarray::ArrayD;

use super::arch::{DiscriminatorArch, GeneratorArch};
use crate::{
    model::weights::{DiscriminatorWeights, GeneratorWeights, Tensors},
    random::Stream,
};

/// The factor by which the mapping network's stored weights are larger, because its learning rate is smaller by the
/// same factor.
const MAPPING_DEVIATION: f32 = 100.0;

/// A generator of random weights: N(0, 1), style biases 1, other biases and the mean of w 0.
pub fn generator(arch: &GeneratorArch, seed: u64) -> GeneratorWeights {
    let tensors = fill(arch.tensor_shapes(), Stream::new(seed, "initial generator", 0), |name| {
        if name.starts_with("mapping.") && name.ends_with(".weight") {
            Initial::Normal(MAPPING_DEVIATION)
        } else if [".weight", ".const", ".noise_const"].iter().any(|end| name.ends_with(end)) {
            Initial::Normal(1.0)
        } else if name.ends_with(".affine.bias") {
            Initial::Constant(1.0)
        } else {
            Initial::Constant(0.0)
        }
    });
    GeneratorWeights { arch: arch.clone(), tensors }
}

/// A generator of random weights with the statistics of a trained one, for sizing and benchmarks. It is [`generator`]
/// with biases N(0, 0.1), noise strengths |N(0, 0.1)|, a mean of w of N(0, 0.1) and toRGB weights N(0, 0.25), so that
/// images stay about in [-1, 1].
pub fn like_trained(arch: &GeneratorArch, seed: u64) -> GeneratorWeights {
    let mut weights = generator(arch, seed);
    let mut stream = Stream::new(seed, "like a trained generator", 0);
    for (name, tensor) in &mut weights.tensors {
        let mut add = |deviation: f32| tensor.mapv_inplace(|v| v + stream.one_normal() * deviation);
        if name.ends_with(".noise_strength") {
            add(0.1);
            tensor.mapv_inplace(f32::abs);
        } else if name.starts_with("mapping.") && name.ends_with(".bias") {
            add(0.1 * MAPPING_DEVIATION);
        } else if name.ends_with(".bias") || name.ends_with(".w_avg") {
            add(0.1);
        } else if name.ends_with(".torgb.weight") {
            tensor.mapv_inplace(|v| 0.25 * v);
        }
    }
    weights
}

/// A discriminator of random weights: N(0, 1), biases 0. The equalised learning rate scales them.
pub fn discriminator(arch: &DiscriminatorArch, seed: u64) -> DiscriminatorWeights {
    let tensors = fill(arch.tensor_shapes(), Stream::new(seed, "initial discriminator", 0), |name| {
        if name.ends_with(".weight") { Initial::Normal(1.0) } else { Initial::Constant(0.0) }
    });
    DiscriminatorWeights { arch: arch.clone(), tensors }
}

enum Initial {
    Normal(f32),
    Constant(f32),
}

fn fill(shapes: Vec<(String, Vec<usize>)>, mut stream: Stream, rule: impl Fn(&str) -> Initial) -> Tensors {
    let tensors = shapes.into_iter().map(|(name, shape)| {
        let tensor = match rule(&name) {
            Initial::Normal(deviation) => ArrayD::from_shape_simple_fn(shape, || stream.one_normal() * deviation),
            Initial::Constant(value) => ArrayD::from_elem(shape, value),
        };
        (name, tensor)
    });
    tensors.collect()
}
