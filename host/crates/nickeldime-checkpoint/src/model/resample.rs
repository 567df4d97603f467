//! Random generators of any shape with the statistics of a trained generator, to measure sizes and fidelity before any
//! training.

use ndarray::{ArrayD, IxDyn};

use super::{arch::GeneratorArch, arch::block_resolution, initial};
use crate::{model::weights::GeneratorWeights, random::Stream};

/// Factor on toRGB's weights. Their random signs make sums smaller than a trained network's; with this factor, images
/// vary by about half of [-1, 1], as photographs do.
const RGB: f32 = 2.0;

/// The way in which an index of a new tensor's axis chooses an index of the trained tensor's axis.
enum Axis<'a> {
    /// The index that was drawn for this channel or feature.
    Of(&'a [usize]),
    /// An index that is drawn anew for every number.
    Any,
    /// The same index as in the new tensor.
    Same,
}

/// A generator of random weights with the statistics of `trained`, layer by layer at the same depth.
///
/// Every channel takes its kernels, its biases, its columns of toRGB and its row of the style affine from a random
/// channel of the trained generator. For matrices whose inputs are features of w (the mapping network
/// and the affines), each row draws its numbers from one trained row. Signs are random for every kernel and every number
/// of a matrix, because a random choice of trained values would not balance as training made them, and every image would
/// be white. toRGB's weights are doubled. Noise maps are N(0, 1) and their strengths |N(0, 0.1)|, whatever the trained
/// ones are.
pub fn like(trained: &GeneratorWeights, arch: &GeneratorArch, seed: u64) -> GeneratorWeights {
    let mut stream = Stream::new(seed, "likeness", 0);
    let from = &trained.arch;
    let mut some = |count: usize, of: usize| {
        let order = stream.permutation(of);
        (0..count).map(|at| order[at % of]).collect::<Vec<_>>()
    };
    let features = some(arch.w_dim, from.w_dim);
    let depth = |index: usize, count: usize, of: usize| (index * (of - 1) + (count - 1) / 2) / (count - 1).max(1);
    let block = |index: usize| depth(index, arch.channels.len(), from.channels.len());
    let channels: Vec<Vec<usize>> =
        arch.channels.iter().enumerate().map(|(b, &count)| some(count, from.channels[block(b)])).collect();

    let mut weights = initial::generator(arch, seed);
    for (name, tensor) in &mut weights.tensors {
        let (place, last) = name.rsplit_once('.').unwrap_or_default();
        let (source, axes, factor) = match place.split('.').collect::<Vec<_>>()[..] {
            _ if last == "noise_strength" => {
                tensor.mapv_inplace(|_| (0.1 * stream.one_normal()).abs());
                continue;
            }
            _ if last == "noise_const" => continue,
            ["mapping"] => (name.clone(), [Axis::Of(&features), Axis::Same], 1.0),
            ["mapping", layer] => {
                let index = layer.trim_start_matches("fc").parse().unwrap_or(0);
                let layer = depth(index, arch.mapping_layers, from.mapping_layers);
                (format!("mapping.fc{layer}.{last}"), [Axis::Of(&features), Axis::Any], 1.0)
            }
            ["synthesis", at, ref layer @ ..] => {
                let to = (0..arch.channels.len()).find(|&b| at == format!("b{}", block_resolution(b))).unwrap_or(0);
                let up = layer.first() == Some(&"conv0");
                let resolution = block_resolution(block(to).max(up.into()));
                let source = [&["synthesis", &format!("b{resolution}")], layer, &[last]].concat().join(".");
                let (outputs, inputs) = (Axis::Of(&channels[to]), Axis::Of(&channels[to - usize::from(up)]));
                match (layer, last) {
                    ([_, "affine"], _) => (source, [inputs, Axis::Any], 1.0),
                    (["torgb"], "weight") => (source, [Axis::Same, inputs], RGB),
                    (["torgb"], _) => (source, [Axis::Same, Axis::Same], 1.0),
                    (_, "weight") => (source, [outputs, inputs], 1.0),
                    _ => (source, [outputs, Axis::Same], 1.0),
                }
            }
            _ => continue,
        };
        if let Some(model) = trained.tensors.get(&source) {
            take_after(tensor, model, &axes, factor, &mut stream);
            if last == "weight" || place.ends_with("torgb") {
                let kernel = tensor.shape().iter().skip(2).product();
                for weights in tensor.as_slice_mut().unwrap_or_default().chunks_mut(kernel) {
                    let sign = [-1.0, 1.0][stream.below(2)];
                    weights.iter_mut().for_each(|weight| *weight *= sign);
                }
            }
        }
    }
    weights
}

/// Fills a tensor with values of a trained one with as many axes. `axes` describes the first axes; the others have the
/// trained tensor's length.
fn take_after(tensor: &mut ArrayD<f32>, model: &ArrayD<f32>, axes: &[Axis<'_>], factor: f32, stream: &mut Stream) {
    let mut at = IxDyn::zeros(model.ndim());
    for (to, value) in tensor.indexed_iter_mut() {
        for axis in 0..model.ndim() {
            let length = model.shape()[axis];
            at[axis] = match axes.get(axis) {
                Some(Axis::Of(taken)) => taken[to[axis]] % length,
                Some(Axis::Any) => stream.below(length),
                // A grey network copies one of three colours.
                _ => to[axis] % length,
            };
        }
        *value = factor * model[&at];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::arch::RGB as COLOURS;

    fn arch(width: usize, mapping_layers: usize, channels: &[usize]) -> GeneratorArch {
        let channels = channels.to_vec();
        GeneratorArch { z_dim: width, w_dim: width, mapping_layers, channels, img_channels: COLOURS, conv_clamp: None }
    }

    #[test]
    fn numbers_are_the_trained_ones_in_the_shapes_that_were_asked_for() {
        let trained = initial::like_trained(&arch(6, 2, &[5, 4, 3]), 1);
        let wanted = arch(9, 3, &[7, 6, 5, 4, 2]);
        let made = like(&trained, &wanted, 2);
        let numbers = |name: &str, factor: f32| -> Vec<f32> {
            trained.tensors[name].iter().map(|v| (v * factor).abs()).collect()
        };
        for (name, shape) in wanted.tensor_shapes() {
            assert_eq!(made.tensors[&name].shape(), shape, "{name}");
        }
        for (ours, theirs, factor) in [
            ("mapping.fc1.weight", "mapping.fc1.weight", 1.0),
            ("mapping.w_avg", "mapping.w_avg", 1.0),
            ("synthesis.b4.const", "synthesis.b4.const", 1.0),
            ("synthesis.b8.conv0.weight", "synthesis.b8.conv0.weight", 1.0),
            ("synthesis.b64.conv0.weight", "synthesis.b16.conv0.weight", 1.0),
            ("synthesis.b64.conv1.affine.weight", "synthesis.b16.conv1.affine.weight", 1.0),
            ("synthesis.b16.torgb.weight", "synthesis.b8.torgb.weight", RGB),
        ] {
            let from = numbers(theirs, factor);
            let known = |v: &f32| from.contains(&v.abs());
            assert!(made.tensors[ours].iter().all(known), "{ours}");
        }
        assert_eq!(like(&trained, &wanted, 2), made);
        assert_ne!(like(&trained, &wanted, 3), made);
    }
}
