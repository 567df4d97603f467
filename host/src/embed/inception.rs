//! FID's Inception-v3: Google's network of December 2015, in the layout of pytorch-fid's
//! `pt_inception-2015-12-05-6726825d.pth` (a state dict with torchvision's names).
//!
//! It differs from torchvision's own network in its weights, in average pools that do not count the padding, and in a
//! maximum pool in the last block.

use burn::tensor::{
    Tensor,
    backend::Backend,
    module::{avg_pool2d, max_pool2d},
};
use nickeldime_checkpoint::model::{arch::Shapes, weights::Tensors};

use super::{
    folded::{Conv, ConvSpec, global_mean},
    layout::Layout,
};
use crate::nets::{names::LoadError, resize::bilinear_from_corner};

/// The epsilon of Inception's batch norm.
const EPSILON: f64 = 1e-3;
/// The height and width of the network's input.
const SIZE: usize = 299;

/// One convolution: name, outputs, kernel `[height, width]` and stride. With stride 1 the map keeps its size.
type Step = (&'static str, usize, [usize; 2], usize);

const ONE: [usize; 2] = [1, 1];
const THREE: [usize; 2] = [3, 3];
const FIVE: [usize; 2] = [5, 5];
/// Kernels of one row or one column, with 7 or 3 weights.
const WIDE7: [usize; 2] = [1, 7];
const TALL7: [usize; 2] = [7, 1];
const WIDE3: [usize; 2] = [1, 3];
const TALL3: [usize; 2] = [3, 1];

/// The pool at the beginning of a block's branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    None,
    /// A 3x3 average pool with stride 1 that does not count the padding.
    Average,
    /// A 3x3 maximum pool with stride 1.
    Maximum,
    /// A 3x3 maximum pool with stride 2.
    Halving,
}

/// A branch of a block: a pool, convolutions one after another, and at the end convolutions side by side.
struct BranchSpec {
    pool: Pool,
    row: Vec<Step>,
    split: Vec<Step>,
}

struct BlockSpec {
    name: &'static str,
    inputs: usize,
    branches: Vec<BranchSpec>,
}

fn branch(pool: Pool, row: Vec<Step>) -> BranchSpec {
    BranchSpec { pool, row, split: Vec::new() }
}

fn split(row: Vec<Step>, split: Vec<Step>) -> BranchSpec {
    BranchSpec { pool: Pool::None, row, split }
}

/// The blocks at 35x35.
fn block_a(name: &'static str, inputs: usize, pooled: usize) -> BlockSpec {
    let branches = vec![
        branch(Pool::None, vec![("branch1x1", 64, ONE, 1)]),
        branch(Pool::None, vec![("branch5x5_1", 48, ONE, 1), ("branch5x5_2", 64, FIVE, 1)]),
        branch(
            Pool::None,
            vec![("branch3x3dbl_1", 64, ONE, 1), ("branch3x3dbl_2", 96, THREE, 1), ("branch3x3dbl_3", 96, THREE, 1)],
        ),
        branch(Pool::Average, vec![("branch_pool", pooled, ONE, 1)]),
    ];
    BlockSpec { name, inputs, branches }
}

/// The block from 35x35 to 17x17.
fn block_b(name: &'static str, inputs: usize) -> BlockSpec {
    let branches = vec![
        branch(Pool::None, vec![("branch3x3", 384, THREE, 2)]),
        branch(
            Pool::None,
            vec![("branch3x3dbl_1", 64, ONE, 1), ("branch3x3dbl_2", 96, THREE, 1), ("branch3x3dbl_3", 96, THREE, 2)],
        ),
        branch(Pool::Halving, vec![]),
    ];
    BlockSpec { name, inputs, branches }
}

/// The blocks at 17x17.
fn block_c(name: &'static str, width: usize) -> BlockSpec {
    let branches = vec![
        branch(Pool::None, vec![("branch1x1", 192, ONE, 1)]),
        branch(
            Pool::None,
            vec![("branch7x7_1", width, ONE, 1), ("branch7x7_2", width, WIDE7, 1), ("branch7x7_3", 192, TALL7, 1)],
        ),
        branch(
            Pool::None,
            vec![
                ("branch7x7dbl_1", width, ONE, 1),
                ("branch7x7dbl_2", width, TALL7, 1),
                ("branch7x7dbl_3", width, WIDE7, 1),
                ("branch7x7dbl_4", width, TALL7, 1),
                ("branch7x7dbl_5", 192, WIDE7, 1),
            ],
        ),
        branch(Pool::Average, vec![("branch_pool", 192, ONE, 1)]),
    ];
    BlockSpec { name, inputs: 768, branches }
}

/// The block from 17x17 to 8x8.
fn block_d(name: &'static str) -> BlockSpec {
    let branches = vec![
        branch(Pool::None, vec![("branch3x3_1", 192, ONE, 1), ("branch3x3_2", 320, THREE, 2)]),
        branch(
            Pool::None,
            vec![
                ("branch7x7x3_1", 192, ONE, 1),
                ("branch7x7x3_2", 192, WIDE7, 1),
                ("branch7x7x3_3", 192, TALL7, 1),
                ("branch7x7x3_4", 192, THREE, 2),
            ],
        ),
        branch(Pool::Halving, vec![]),
    ];
    BlockSpec { name, inputs: 768, branches }
}

/// The blocks at 8x8.
fn block_e(name: &'static str, inputs: usize, pool: Pool) -> BlockSpec {
    let branches = vec![
        branch(Pool::None, vec![("branch1x1", 320, ONE, 1)]),
        split(
            vec![("branch3x3_1", 384, ONE, 1)],
            vec![("branch3x3_2a", 384, WIDE3, 1), ("branch3x3_2b", 384, TALL3, 1)],
        ),
        split(
            vec![("branch3x3dbl_1", 448, ONE, 1), ("branch3x3dbl_2", 384, THREE, 1)],
            vec![("branch3x3dbl_3a", 384, WIDE3, 1), ("branch3x3dbl_3b", 384, TALL3, 1)],
        ),
        branch(pool, vec![("branch_pool", 192, ONE, 1)]),
    ];
    BlockSpec { name, inputs, branches }
}

fn blocks() -> Vec<BlockSpec> {
    vec![
        block_a("Mixed_5b", 192, 32),
        block_a("Mixed_5c", 256, 64),
        block_a("Mixed_5d", 288, 64),
        block_b("Mixed_6a", 288),
        block_c("Mixed_6b", 128),
        block_c("Mixed_6c", 160),
        block_c("Mixed_6d", 160),
        block_c("Mixed_6e", 192),
        block_d("Mixed_7a"),
        block_e("Mixed_7b", 1280, Pool::Average),
        block_e("Mixed_7c", 2048, Pool::Maximum),
    ]
}

/// The convolutions before the blocks. A 3x3 pool with stride 2 follows the third and the last.
fn stem() -> [ConvSpec; 5] {
    [
        ("Conv2d_1a_3x3", [32, 3, 3, 3], 2, 0),
        ("Conv2d_2a_3x3", [32, 32, 3, 3], 1, 0),
        ("Conv2d_2b_3x3", [64, 32, 3, 3], 1, 1),
        ("Conv2d_3b_1x1", [80, 64, 1, 1], 1, 0),
        ("Conv2d_4a_3x3", [192, 80, 3, 3], 1, 0),
    ]
    .map(|(name, shape, stride, padding)| ConvSpec {
        conv: format!("{name}.conv"),
        norm: format!("{name}.bn"),
        shape,
        stride,
        padding: [padding; 2],
    })
}

impl BlockSpec {
    fn conv(&self, inputs: usize, (name, outputs, [height, width], stride): Step) -> ConvSpec {
        // Those with a stride take no padding.
        let padding = if stride == 1 { [height / 2, width / 2] } else { [0, 0] };
        ConvSpec {
            conv: format!("{}.{name}.conv", self.name),
            norm: format!("{}.{name}.bn", self.name),
            shape: [outputs, inputs, height, width],
            stride,
            padding,
        }
    }

    /// The convolutions of a branch: those one after another, and those side by side.
    fn convs(&self, branch: &BranchSpec) -> (Vec<ConvSpec>, Vec<ConvSpec>) {
        let mut inputs = self.inputs;
        let mut row = Vec::new();
        for &step in &branch.row {
            row.push(self.conv(inputs, step));
            inputs = step.1;
        }
        (row, branch.split.iter().map(|&step| self.conv(inputs, step)).collect())
    }
}

/// The tensors of pytorch-fid's file.
pub fn layout() -> Layout {
    let mut tensors = Shapes::new();
    stem().iter().for_each(|conv| conv.tensors(&mut tensors));
    for block in blocks() {
        for branch in &block.branches {
            let (row, split) = block.convs(branch);
            row.iter().chain(&split).for_each(|conv| conv.tensors(&mut tensors));
        }
    }
    Layout {
        network: "FID's Inception-v3",
        file: "pytorch-fid's pt_inception-2015-12-05-6726825d.pth",
        marker: "Mixed_7c.branch_pool.conv.weight",
        tensors,
        // Google's network tells 1008 classes apart, torchvision's 1000.
        witnesses: Shapes::from([("fc.weight".into(), vec![1008, 2048])]),
        foreign: &[("AuxLogits.fc.weight", "torchvision's own Inception, whose features are not FID's")],
        closed: &["Conv2d_", "Mixed_"],
    }
}

#[derive(Debug, Clone)]
struct Branch<B: Backend> {
    pool: Pool,
    row: Vec<Conv<B>>,
    split: Vec<Conv<B>>,
}

/// The network. Its 2048 features are the mean of the last feature map.
#[derive(Debug, Clone)]
pub struct Inception<B: Backend> {
    stem: Vec<Conv<B>>,
    blocks: Vec<Vec<Branch<B>>>,
}

impl<B: Backend> Inception<B> {
    /// Builds the network from tensors `Conv2d_1a_3x3.conv.weight`, `Conv2d_1a_3x3.bn.weight`, ...
    ///
    /// # Errors
    /// A tensor is missing or has another size; the error names the first.
    pub fn new(tensors: &Tensors, device: &B::Device) -> Result<Self, LoadError> {
        let convs = |specs: &[ConvSpec]| -> Result<Vec<_>, LoadError> {
            specs.iter().map(|spec| Conv::folded(spec, EPSILON, tensors, device)).collect()
        };
        let block = |block: BlockSpec| -> Result<Vec<_>, LoadError> {
            let branch = |branch: &BranchSpec| {
                let (row, split) = block.convs(branch);
                Ok(Branch { pool: branch.pool, row: convs(&row)?, split: convs(&split)? })
            };
            block.branches.iter().map(branch).collect()
        };
        Ok(Self { stem: convs(&stem())?, blocks: blocks().into_iter().map(block).collect::<Result<_, _>>()? })
    }

    /// Maps images `[batch, 3, h, w]` in [-1, 1] to features `[batch, 2048]`. Images are prepared as in StyleGAN2-ADA's
    /// metrics: bytes minus 128, divided by 128, resized to 299x299 as TensorFlow 1 does (output pixel `i` reads at `i
    /// * size / 299`).
    pub fn features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let bytes = images.add_scalar(1.0).mul_scalar(127.5);
        self.features_of_prepared(bilinear_from_corner(bytes.sub_scalar(128.0).div_scalar(128.0), SIZE, SIZE))
    }

    /// The same mapping for images that have the network's range already, and a size that it accepts (75x75 or more).
    pub fn features_of_prepared(&self, mut x: Tensor<B, 4>) -> Tensor<B, 2> {
        for (i, conv) in self.stem.iter().enumerate() {
            x = conv.active(x);
            if i == 2 || i == 4 {
                x = Pool::Halving.apply(x);
            }
        }
        for block in &self.blocks {
            let parts = block.iter().flat_map(|branch| branch.forward(x.clone())).collect();
            x = Tensor::cat(parts, 1);
        }
        global_mean(x)
    }
}

impl<B: Backend> Branch<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let x = self.row.iter().fold(self.pool.apply(x), |x, conv| conv.active(x));
        match &self.split[..] {
            [] => vec![x],
            split => split.iter().map(|conv| conv.active(x.clone())).collect(),
        }
    }
}

impl Pool {
    fn apply<B: Backend>(self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::None => x,
            Self::Average => avg_pool2d(x, [3, 3], [1, 1], [1, 1], false, false),
            Self::Maximum => max_pool2d(x, [3, 3], [1, 1], [1, 1], [1, 1], false),
            Self::Halving => max_pool2d(x, [3, 3], [2, 2], [0, 0], [1, 1], false),
        }
    }
}
