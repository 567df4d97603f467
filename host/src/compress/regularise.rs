//! R1 and path length (`docs/method.md` section 5). Their gradients of gradients are computed with dual numbers.
//!
//! Both return the value of the penalty, and a *surrogate* whose gradient with respect to the parameters is that of
//! the penalty (its own value means nothing).

use burn::{
    module::Module,
    tensor::{Tensor, backend::AutodiffBackend},
};

use crate::nets::{
    discriminator::Discriminator,
    dual::Dual,
    generator::{Generator, Noise},
    tap::NoTap,
};

/// The share by which the running mean of path lengths moves in each step.
const PATH_DECAY: f32 = 0.01;
/// The weight of the path length penalty.
const PATH_WEIGHT: f32 = 2.0;

/// The value of a penalty and the tensor to call `backward` on.
pub struct Penalty<A: AutodiffBackend> {
    /// The penalty, averaged over the batch.
    pub value: f32,
    /// A tensor whose gradient is the penalty's.
    pub surrogate: Tensor<A, 1>,
}

/// R1: `gamma / 2 * mean |grad_x D(x)|^2` on real images `[batch, 3, h, w]`.
pub fn r1<A: AutodiffBackend>(critic: &Discriminator<A>, images: Tensor<A::InnerBackend, 4>, gamma: f32) -> Penalty<A> {
    let [batch, ..] = images.dims();
    let images = Tensor::<A, 4>::from_inner(images);
    let leaf = images.clone().require_grad();
    let frozen = critic.clone().no_grad();
    let grads = frozen.forward(leaf.clone()).sum().backward();
    let slope = leaf.grad(&grads).unwrap_or_else(|| images.zeros_like().inner());
    let value: f32 = scalar(slope.clone().powi_scalar(2).sum()) * gamma / (2.0 * batch as f32);

    let along = Dual::along(images, Tensor::from_inner(slope));
    let logits = critic.forward_tapped(along, &mut NoTap);
    Penalty { value, surrogate: tangent_sum(logits).mul_scalar(gamma / batch as f32) }
}

/// Path length: `mean 2 (|J^T y| - a)^2`, with `y` the unit noise `[batch, 3, h, w]`, `J` the Jacobian of the image
/// with respect to `ws` `[batch, num_ws, w_dim]` (attached to the mapping network), and `a` the running mean of
/// the lengths, whose new value is returned.
pub fn path_length<A: AutodiffBackend>(
    generator: &Generator<A>,
    ws: Tensor<A, 3>,
    noise: &Noise<A>,
    unit: Tensor<A, 4>,
    mean_before: f32,
) -> (Penalty<A>, f32) {
    let [batch, num_ws, _] = ws.dims();
    let [_, _, height, width] = unit.dims();
    let unit = unit.div_scalar(((height * width) as f32).sqrt());
    let leaf = Tensor::from_inner(ws.clone().inner()).require_grad();
    let frozen = generator.clone().no_grad();
    let image = frozen.synthesise(leaf.clone(), noise);
    let grads = (image * unit.clone()).sum().backward();
    let slope = leaf.grad(&grads).unwrap_or_else(|| leaf.zeros_like().inner());

    let squares = slope.clone().powi_scalar(2).sum_dim(2).mean_dim(1);
    let lengths: Vec<f32> = squares.sqrt().into_data().iter().collect();
    let count = batch as f32;
    let mean = lengths.iter().sum::<f32>() / count;
    let mean_after = mean_before + PATH_DECAY * (mean - mean_before);
    let penalty = |length: f32| PATH_WEIGHT * (length - mean_after).powi(2);
    let value = lengths.iter().map(|&l| penalty(l)).sum::<f32>() / count;

    // d penalty / d slope. The running mean holds these very lengths, so it has a share in the derivative.
    let residual = |length: f32| 2.0 * PATH_WEIGHT / count * (length - mean_after);
    let through_mean: f32 = lengths.iter().map(|&l| residual(l)).sum::<f32>() * PATH_DECAY / count;
    let factors: Vec<f32> =
        lengths.iter().map(|&l| (residual(l) - through_mean) / (l.max(f32::MIN_POSITIVE) * num_ws as f32)).collect();
    let factors = Tensor::<A::InnerBackend, 1>::from_floats(&factors[..], &slope.device());
    let direction = slope * factors.reshape([batch, 1, 1]);

    let along = Dual::along(ws, Tensor::from_inner(direction));
    let image = generator.synthesise_tapped(along, noise, &mut NoTap);
    let surrogate = tangent_sum(image.scale(unit));
    (Penalty { value, surrogate }, mean_after)
}

fn tangent_sum<A: AutodiffBackend, const D: usize>(x: Dual<A, D>) -> Tensor<A, 1> {
    // The networks are given a tangent above, and every layer passes it on.
    x.tangent.expect("the input had a tangent").sum()
}

fn scalar<B: burn::tensor::backend::Backend>(x: Tensor<B, 1>) -> f32 {
    x.into_data().iter().next().unwrap_or(0.0)
}
