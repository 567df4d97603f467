//! Singular value scaling (`docs/baselines.md` section 7b), which brings the singular values of a pruned start closer
//! together.

use nalgebra::DMatrix;
use ndarray::ArrayD;
use nickeldime_checkpoint::model::weights::{GeneratorWeights, Tensors};

/// Avoids a division by 0 for biases of zeros.
const EPSILON: f64 = 1e-8;

/// Replaces the weight of every 3x3 convolution, as `[out, in * 9]`, and of its affine layer by `U sqrt(S) V^T` of its
/// singular value decomposition, and the biases of those layers by `bias / sqrt(|bias| + 1e-8)`. The mapping network,
/// toRGB and the constant do not change.
pub fn refine(weights: &mut GeneratorWeights) {
    let tensors = &mut weights.tensors;
    let layers: Vec<String> =
        tensors.keys().filter_map(|name| name.strip_suffix(".noise_strength")).map(str::to_string).collect();
    for layer in layers {
        for name in ["weight", "affine.weight"] {
            change(tensors, &format!("{layer}.{name}"), flattened_root);
        }
        for name in ["bias", "affine.bias"] {
            change(tensors, &format!("{layer}.{name}"), scaled_bias);
        }
    }
}

fn change(tensors: &mut Tensors, name: &str, by: impl Fn(&mut ArrayD<f32>)) {
    if let Some(tensor) = tensors.get_mut(name) {
        by(tensor);
    }
}

fn flattened_root(weight: &mut ArrayD<f32>) {
    let rows = weight.shape().first().copied().unwrap_or(0);
    if weight.is_empty() {
        return;
    }
    let columns = weight.len() / rows;
    let matrix = DMatrix::from_row_iterator(rows, columns, weight.iter().map(|&x| f64::from(x)));
    let svd = matrix.svd(true, true);
    let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return };
    let root = u * DMatrix::from_diagonal(&svd.singular_values.map(f64::sqrt)) * v_t;
    for (to, (row, column)) in weight.iter_mut().zip((0..rows).flat_map(|r| (0..columns).map(move |c| (r, c)))) {
        *to = root[(row, column)] as f32;
    }
}

fn scaled_bias(bias: &mut ArrayD<f32>) {
    let norm = bias.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let by = (norm + EPSILON).sqrt() as f32;
    bias.mapv_inplace(|x| x / by);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn the_square_of_the_singular_values_is_what_they_were() {
        // Two orthogonal rows of norms 9 and 4: the roots are 3 and 2 in the same directions.
        let mut weight = ArrayD::from_shape_vec(IxDyn(&[2, 3]), vec![9.0, 0.0, 0.0, 0.0, 0.0, -4.0]).unwrap();
        flattened_root(&mut weight);
        for (found, wanted) in weight.iter().zip([3.0, 0.0, 0.0, 0.0, 0.0, -2.0]) {
            assert!((found - wanted).abs() < 1e-5, "{weight}");
        }
    }

    #[test]
    fn a_bias_is_divided_by_the_root_of_its_norm() {
        let mut bias = ArrayD::from_shape_vec(IxDyn(&[2]), vec![3.0, 4.0]).unwrap();
        scaled_bias(&mut bias);
        let root = 5f32.sqrt();
        assert!((bias[[0]] - 3.0 / root).abs() < 1e-5 && (bias[[1]] - 4.0 / root).abs() < 1e-5);
        let mut zeros = ArrayD::zeros(IxDyn(&[2]));
        scaled_bias(&mut zeros);
        assert!(zeros.iter().all(|&x: &f32| x == 0.0));
    }
}
