//! StyleKD's relation loss (`docs/baselines.md` section 6). It compares samples with samples that were moved along the
//! directions of w that the styles depend on most.

use burn::tensor::{
    Tensor, TensorData,
    activation::{log_softmax, softmax},
    backend::Backend,
};
use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::ArrayD;
use nickeldime_checkpoint::{
    model::{arch::block_resolution, weights::GeneratorWeights},
    random::Stream,
};

/// Weight of the relation loss.
pub const WEIGHT: f32 = 30.0;
/// Number of directions taken from each block.
const PER_BLOCK: usize = 5;
/// Standard deviation of the step along a direction.
const STRIDE: f32 = 5.0;
/// Number of images that are compared with each other; a larger batch is cut into groups of this size.
pub const GROUP: usize = 8;

/// The resolutions whose styles give directions: all except the first and the last, but at least b8 and b16.
pub fn direction_blocks(resolution: usize) -> Vec<usize> {
    let inner: Vec<usize> = powers(8).take_while(|&r| r < resolution).collect();
    if inner.len() < 2 { powers(8).take_while(|&r| r <= resolution).take(2).collect() } else { inner }
}

/// The resolutions whose feature maps are compared: all except b4, b8 and the last one; b8 and b16 if fewer than two
/// remain.
pub fn relation_blocks(resolution: usize) -> Vec<usize> {
    let inner: Vec<usize> = powers(16).take_while(|&r| r < resolution).collect();
    if inner.len() < 2 { powers(8).take_while(|&r| r <= resolution).take(2).collect() } else { inner }
}

fn powers(from: usize) -> impl Iterator<Item = usize> {
    (0..).map(block_resolution).skip_while(move |&r| r < from)
}

/// Directions in w, unit vectors of `w_dim` numbers. They are the eigenvectors of the five largest eigenvalues of
/// `A^T A`, where A holds the affine weights of the block's two convolutions with each row scaled to norm 1. Their
/// signs are arbitrary.
#[derive(Debug, Clone, PartialEq)]
pub struct Directions(pub Vec<Vec<f32>>);

impl Directions {
    /// The directions of all blocks that [`direction_blocks`] names.
    pub fn of(teacher: &GeneratorWeights) -> Self {
        let blocks = direction_blocks(teacher.arch.resolution());
        Self(blocks.into_iter().flat_map(|block| Self::of_block(teacher, block).0).collect())
    }

    /// The directions of one block; empty if the checkpoint has no such block.
    pub fn of_block(teacher: &GeneratorWeights, block: usize) -> Self {
        let affine = |conv: &str| teacher.tensors.get(&format!("synthesis.b{block}.{conv}.affine.weight"));
        let rows: Vec<f64> = ["conv0", "conv1"].iter().filter_map(|conv| affine(conv)).flat_map(unit_rows).collect();
        let width = teacher.arch.w_dim;
        let matrix = DMatrix::from_row_iterator(rows.len() / width.max(1), width, rows);
        let eigen = SymmetricEigen::new(matrix.transpose() * matrix);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let vector = |index: usize| eigen.eigenvectors.column(index).iter().map(|&x| x as f32).collect();
        Self(order.into_iter().take(PER_BLOCK).map(vector).collect())
    }

    /// One offset for each sample, `[batch, w_dim]`: a random direction times 5 N(0, 1).
    pub fn draw<B: Backend>(&self, batch: usize, stream: &mut Stream, device: &B::Device) -> Tensor<B, 2> {
        let draws: Vec<(usize, f32)> =
            (0..batch).map(|_| (stream.below(self.0.len().max(1)), stream.one_normal())).collect();
        self.offsets(&draws, device)
    }

    /// The offsets for directions and N(0, 1) numbers that were drawn already.
    pub fn offsets<B: Backend>(&self, draws: &[(usize, f32)], device: &B::Device) -> Tensor<B, 2> {
        let width = self.0.first().map_or(0, Vec::len);
        let row = |&(choice, gauss): &(usize, f32)| self.0[choice].iter().map(move |&x| x * gauss * STRIDE);
        let values: Vec<f32> = draws.iter().flat_map(row).collect();
        Tensor::from_data(TensorData::new(values, [draws.len(), width]), device)
    }
}

fn unit_rows(weight: &ArrayD<f32>) -> Vec<f64> {
    let width = weight.shape().last().copied().unwrap_or(1).max(1);
    let values: Vec<f64> = weight.iter().map(|&x| f64::from(x)).collect();
    let unit = |row: &[f64]| {
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        row.iter().map(|x| x / norm).collect::<Vec<_>>()
    };
    values.chunks(width).flat_map(unit).collect()
}

/// The matrix `[n, n]` of cosines between the features of sample i in the first half of the batch and sample j in the
/// second half. `map` is a feature map `[2 n, channels, height, width]`.
pub fn similarities<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 2> {
    let [both, channels, height, width] = map.dims();
    let features = map.reshape([both, channels * height * width]);
    let norm = features.clone().powi_scalar(2).sum_dim(1).sqrt().clamp_min(1e-8);
    let unit = features / norm;
    let n = both / 2;
    unit.clone().narrow(0, 0, n).matmul(unit.narrow(0, n, n).transpose())
}

/// The divergence `1/n sum_ij q_ij (log q_ij - log p_ij)`, `[1]`. q and p are the softmax over j of the teacher's and
/// the student's similarities `[n, n]`.
pub fn divergence<B: Backend>(teacher: Tensor<B, 2>, student: Tensor<B, 2>) -> Tensor<B, 1> {
    let [n, _] = teacher.dims();
    let q = softmax(teacher.clone(), 1);
    (q * (log_softmax(teacher, 1) - log_softmax(student, 1))).sum().div_scalar(n as f32)
}

/// The relation loss, `[1]`, of one block's feature maps `[2 n, channels, height, width]`, whose second half are the
/// moved samples. It is the mean over groups of at most [`GROUP`] samples.
pub fn loss<B: Backend>(teacher: Tensor<B, 4>, student: Tensor<B, 4>) -> Tensor<B, 1> {
    let [both, ..] = teacher.dims();
    let n = both / 2;
    let group = |map: &Tensor<B, 4>, at: usize, len: usize| {
        Tensor::cat(vec![map.clone().narrow(0, at, len), map.clone().narrow(0, n + at, len)], 0)
    };
    let terms: Vec<Tensor<B, 1>> = (0..n)
        .step_by(GROUP)
        .map(|at| {
            let len = GROUP.min(n - at);
            divergence(similarities(group(&teacher, at, len)), similarities(group(&student, at, len)))
        })
        .collect();
    Tensor::cat(terms, 0).mean()
}
