//! ITGC's energy network (`docs/baselines.md` section 5). It is fitted to tell which student image belongs to which
//! teacher image, and the student follows its gradient.

use burn::{
    module::{Module, Param},
    tensor::{
        Tensor, TensorData,
        activation::{leaky_relu, relu},
        backend::{AutodiffBackend, Backend},
        module::avg_pool2d,
    },
};
use nickeldime_checkpoint::random::Stream;

use crate::nets::draws;
use crate::nets::ops::{buffer, channel_bias, correlate};

/// Channels after the first convolution.
pub const WIDTH: usize = 32;
/// Number of steps in the Langevin chain.
pub const STEPS: usize = 10;
/// Standard deviation of the noise in a step.
pub const SIGMA: f32 = 0.005;
/// Weight of the bound ([`bound`]) in the student's loss.
pub const STUDENT_WEIGHT: f32 = 0.05;
/// Weight of the energies' mean squares in the network's own loss.
const SQUARES_WEIGHT: f32 = 0.05;
/// Learning rate of the energy network.
pub const LR: f64 = 1e-4;
/// Second beta of the energy network's Adam.
pub const BETA_2: f32 = 0.999;
/// Slope of the leaky ReLU below 0.
const SLOPE: f64 = 0.01;
/// Standard deviation of the second convolutions' initial weights.
const SMALL: f32 = 1e-5;

/// Step size of the Langevin chain for images of this size. It is 50 at 256 and scales with the square of the size,
/// because the displacement of the pixels goes with the inverse of that square.
pub fn step_size(resolution: usize) -> f32 {
    50.0 * (resolution as f32 / 256.0).powi(2)
}

/// A layer whose weight is divided by its largest singular value, by one power iteration a call.
#[derive(Module, Debug)]
pub struct Spectral<B: Backend> {
    /// Weight, `[out, in, k, k]`; `[out, in, 1, 1]` for the linear layer.
    pub weight: Param<Tensor<B, 4>>,
    /// Bias, `[out]`.
    pub bias: Param<Tensor<B, 1>>,
    /// The estimate of the first left singular vector, `[1, out]`.
    pub u: Param<Tensor<B, 2>>,
    /// True if a weight whose norm is below 1 is left as it is.
    bounded: bool,
}

impl<B: Backend> Spectral<B> {
    /// A layer with these weights.
    pub fn new(weight: Tensor<B, 4>, bias: Tensor<B, 1>, u: Tensor<B, 2>, bounded: bool) -> Self {
        let u = buffer(u.dims(), &u.device()).map(|_: Tensor<B, 2>| u.clone());
        Self { weight: Param::from_tensor(weight), bias: Param::from_tensor(bias), u, bounded }
    }

    /// A layer with initial values: weights N(0, deviation^2), biases 0.
    fn initial(shape: [usize; 4], deviation: f32, bounded: bool, stream: &mut Stream, device: &B::Device) -> Self {
        let [out, ..] = shape;
        let weight = draws::normal(stream, shape, device).mul_scalar(deviation);
        Self::new(weight, Tensor::zeros([out], device), draws::normal(stream, [1, out], device), bounded)
    }

    /// Returns the normalised weight and updates the estimate of u. Sigma is a constant for gradients.
    fn normalised(&mut self, frozen: bool) -> Tensor<B, 4> {
        let weight = self.weight.val();
        let weight = if frozen { weight.detach() } else { weight };
        let [out, inputs, height, width] = weight.dims();
        let matrix = weight.clone().detach().reshape([out, inputs * height * width]);
        let v = unit(self.u.val().matmul(matrix.clone()));
        let u = unit(v.clone().matmul(matrix.clone().transpose()));
        let sigma = (u.clone().matmul(matrix) * v).sum_dim(1);
        self.u = self.u.clone().map(|_| u.detach());
        let by = if self.bounded {
            let sigma = sigma.add_scalar(1e-6);
            sigma.clone().clamp_max(1.0) / sigma
        } else {
            sigma.ones_like() / sigma
        };
        weight * by.detach().reshape([1, 1, 1, 1])
    }

    fn forward(&mut self, x: Tensor<B, 4>, frozen: bool) -> Tensor<B, 4> {
        let bias = self.bias.val();
        let bias = if frozen { bias.detach() } else { bias };
        let weight = self.normalised(frozen);
        let [.., size] = weight.dims();
        correlate(x, weight, 1, size / 2) + channel_bias(bias)
    }
}

fn unit<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let norm = x.clone().powi_scalar(2).sum_dim(1).sqrt().add_scalar(1e-12);
    x / norm
}

/// A residual block that halves the size of its feature map.
#[derive(Module, Debug)]
pub struct EnergyBlock<B: Backend> {
    /// The convolution that keeps the number of channels.
    pub conv1: Spectral<B>,
    /// The convolution that changes the number of channels.
    pub conv2: Spectral<B>,
    /// The 1x1 convolution of the skip path; `None` if the number of channels stays.
    pub shortcut: Option<Spectral<B>>,
}

/// The network `E(t, s)`, which maps a teacher's and a student's image to one number.
#[derive(Module, Debug)]
pub struct Energy<B: Backend> {
    /// The first convolution. It reads six channels, the teacher's image first.
    pub from_rgb: Spectral<B>,
    /// The residual blocks, which reduce the map to one pixel.
    pub blocks: Vec<EnergyBlock<B>>,
    /// The linear layer that gives the energy.
    pub out: Spectral<B>,
}

/// The purpose of a pass through the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Gradients reach the network's weights.
    Training,
    /// Gradients reach only the images.
    Frozen,
}

impl<B: Backend> Energy<B> {
    /// A network with initial values for images of `resolution`; `width` is the number of channels after the first
    /// convolution.
    pub fn initial(resolution: usize, width: usize, seed: u64, device: &B::Device) -> Self {
        let mut stream = Stream::new(seed, "energy network", 0);
        let halvings = resolution.max(4).ilog2() as usize - 1;
        let channels = |block: usize| width << block.min(2);
        let blocks = (0..halvings)
            .map(|block| {
                let (from, to) = (channels(block), channels(block + 1));
                let mut conv =
                    |shape, deviation, bounded| Spectral::initial(shape, deviation, bounded, &mut stream, device);
                EnergyBlock {
                    conv1: conv([from, from, 3, 3], 1.0, false),
                    conv2: conv([to, from, 3, 3], SMALL, true),
                    shortcut: (from != to).then(|| conv([to, from, 3, 3], 1.0, false)),
                }
            })
            .collect();
        let from_rgb = Spectral::initial([width, 6, 3, 3], 1.0, false, &mut stream, device);
        let inputs = channels(halvings);
        let bound = 1.0 / (inputs as f64).sqrt();
        let uniform: Vec<f32> = (0..inputs).map(|_| ((2.0 * stream.uniform() - 1.0) * bound) as f32).collect();
        let weight = Tensor::from_data(TensorData::new(uniform, [1, inputs, 1, 1]), device);
        let out = Spectral::new(weight, Tensor::zeros([1], device), draws::normal(&mut stream, [1, 1], device), false);
        Self { from_rgb, blocks, out }
    }

    /// The energies `[batch, 1]` of images `[batch, 3, size, size]` in [-1, 1]. Every pass updates the layers' estimates
    /// of u.
    pub fn forward(&mut self, teacher: Tensor<B, 4>, student: Tensor<B, 4>, pass: Pass) -> Tensor<B, 2> {
        let frozen = pass == Pass::Frozen;
        let half = |x| avg_pool2d(x, [3, 3], [2, 2], [1, 1], true, false);
        let x = Tensor::cat(vec![half(teacher), half(student)], 1);
        let mut x = leaky_relu(self.from_rgb.forward(x, frozen), SLOPE);
        for block in &mut self.blocks {
            let y = leaky_relu(block.conv1.forward(x.clone(), frozen), SLOPE);
            let y = block.conv2.forward(y, frozen);
            let around = match &mut block.shortcut {
                Some(conv) => conv.forward(x, frozen),
                None => x,
            };
            let y = avg_pool2d(around + y, [2, 2], [2, 2], [0, 0], true, false);
            x = leaky_relu(y, SLOPE);
        }
        let [batch, channels, ..] = x.dims();
        let pooled = relu(x).mean_dim(3).mean_dim(2).reshape([batch, channels, 1, 1]);
        self.out.forward(pooled, frozen).reshape([batch, 1])
    }
}

/// Runs a short Langevin chain from the student's images: `x <- x - step dE(x, s)/dx + sigma noise`. There is one step
/// for each of `noises`, which are N(0, 1) and have the images' shape.
pub fn langevin<A: AutodiffBackend>(
    energy: &mut Energy<A>,
    student: Tensor<A::InnerBackend, 4>,
    noises: impl IntoIterator<Item = Tensor<A::InnerBackend, 4>>,
    step: f32,
) -> Tensor<A::InnerBackend, 4> {
    let condition = Tensor::<A, 4>::from_inner(student.clone());
    let mut x = student;
    for noise in noises {
        let image = Tensor::<A, 4>::from_inner(x.clone()).require_grad();
        let grads = energy.forward(image.clone(), condition.clone(), Pass::Frozen).sum().backward();
        let slope = image.grad(&grads).unwrap_or_else(|| x.zeros_like());
        x = x - slope.mul_scalar(step) + noise.mul_scalar(SIGMA);
    }
    x
}

/// The energy term of the student's loss: `mean(E(t, s) - E(x, s))`, where x is the end of the chain.
pub fn bound<B: Backend>(plus: Tensor<B, 2>, minus: Tensor<B, 2>) -> Tensor<B, 1> {
    (plus - minus).mean()
}

/// The network's own loss: [`bound`] plus 0.05 times the mean squares of both energies.
pub fn fit<B: Backend>(plus: Tensor<B, 2>, minus: Tensor<B, 2>) -> Tensor<B, 1> {
    let squares = plus.clone().powi_scalar(2) + minus.clone().powi_scalar(2);
    bound(plus, minus) + squares.mean().mul_scalar(SQUARES_WEIGHT)
}
