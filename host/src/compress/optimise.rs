//! Adam with the correction for lazy regularisation, the replacement of gradients that are not finite, and the moving
//! average of weights.

use burn::{
    module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param},
    optim::{Adam, AdamConfig, GradientsParams, Optimizer, adaptor::OptimizerAdaptor},
    tensor::{
        Tensor, TensorPrimitive,
        backend::{AutodiffBackend, Backend},
    },
};

use crate::nets::generator::Generator;

/// Adam's state for a network of type `M`.
pub type AdamState<M, A> = OptimizerAdaptor<Adam, M, A>;

/// The value that replaces an infinite gradient.
const LARGEST: f32 = 1e5;

/// Adam(0, 0.99) for a network that also takes a regularisation step every `interval` iterations. With `c = interval /
/// (interval + 1)`, the learning rate is multiplied by c and the betas are raised to the power c.
pub struct LazyAdam<M: AutodiffModule<A>, A: AutodiffBackend> {
    pub(super) optimiser: AdamState<M, A>,
    rate: f64,
}

impl<M: AutodiffModule<A>, A: AutodiffBackend> LazyAdam<M, A> {
    /// An optimiser with learning rate `rate` before the correction. Without an `interval` there is no regularisation
    /// and no correction.
    pub fn new(rate: f64, interval: Option<u32>) -> Self {
        let correction = interval.map_or(1.0, |k| f64::from(k) / f64::from(k + 1));
        // beta_1 is 0, and 0 to any power stays 0.
        let config = AdamConfig::new().with_beta_1(0.0).with_beta_2(0.99f64.powf(correction) as f32).with_epsilon(1e-8);
        Self { optimiser: config.init(), rate: rate * correction }
    }

    /// Takes one step down the gradient of `loss`. Returns the module and the number of gradient entries that were not
    /// finite; a NaN is replaced by 0 and an infinity by +-1e5.
    pub fn step(&mut self, module: M, loss: Tensor<A, 1>) -> (M, usize) {
        let mut grads = GradientsParams::from_grads(loss.backward(), &module);
        let replaced = sanitise(&module, &mut grads);
        // A parameter that the loss does not reach takes a step with gradient 0, as it does in the authors' loop.
        module.visit(&mut ZeroFiller { grads: &mut grads });
        (self.optimiser.step(self.rate, module, grads), replaced)
    }
}

fn sanitise<A: AutodiffBackend, M: AutodiffModule<A>>(module: &M, grads: &mut GradientsParams) -> usize {
    // A sum is finite only if every entry is: one number to fetch in the usual case.
    let mut sums = Sums { grads, sums: Vec::new() };
    module.visit(&mut sums);
    let Some(sum) = (!sums.sums.is_empty()).then(|| Tensor::cat(sums.sums, 0).sum()) else { return 0 };
    if sum.into_data().iter::<f32>().all(f32::is_finite) {
        return 0;
    }
    let mut replacer = Replacer { grads, replaced: 0 };
    module.visit(&mut replacer);
    replacer.replaced
}

/// Gives every trained parameter without a gradient one of zeros.
struct ZeroFiller<'a> {
    grads: &'a mut GradientsParams,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for ZeroFiller<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if param.is_require_grad() && self.grads.get::<A::InnerBackend, D>(param.id).is_none() {
            self.grads.register(param.id, param.val().inner().zeros_like());
        }
    }
}

/// The sum of each gradient; it is finite only if all entries are.
struct Sums<'a, B: Backend> {
    grads: &'a GradientsParams,
    sums: Vec<Tensor<B, 1>>,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for Sums<'_, A::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        let grad = self.grads.get::<A::InnerBackend, D>(param.id);
        self.sums.extend(grad.map(Tensor::sum));
    }
}

/// Replaces gradient entries that are not finite, and counts them.
struct Replacer<'a> {
    grads: &'a mut GradientsParams,
    replaced: usize,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for Replacer<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        let Some(grad) = self.grads.get::<A::InnerBackend, D>(param.id) else {
            return;
        };
        let bad = grad.clone().is_finite().bool_not().int().sum();
        let bad = bad.into_data().iter::<i64>().sum::<i64>() as usize;
        if bad == 0 {
            return;
        }
        self.replaced += bad;
        let grad = grad
            .clone()
            .mask_fill(grad.clone().is_nan(), 0.0)
            .mask_fill(grad.clone().equal_elem(f32::INFINITY), LARGEST)
            .mask_fill(grad.equal_elem(f32::NEG_INFINITY), -LARGEST);
        self.grads.register(param.id, grad);
    }
}

/// Moves a moving average towards the current generator: `average <- lerp(now, average, keep)`. Buffers are copied.
pub fn blend<B: Backend>(average: Generator<B>, now: &Generator<B>, keep: f32) -> Generator<B> {
    struct Values<B: Backend>(Vec<TensorPrimitive<B>>);
    impl<B: Backend> ModuleVisitor<B> for Values<B> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0.push(param.val().into_primitive());
        }
    }
    struct Blend<B: Backend> {
        values: std::vec::IntoIter<TensorPrimitive<B>>,
        keep: f32,
    }
    impl<B: Backend> ModuleMapper<B> for Blend<B> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            // Both generators have the same layers, so that they are visited in the same order.
            let value = self.values.next().expect("the generators have equal layers");
            let value = Tensor::from_primitive(value);
            param.map(|old| value.clone() + (old - value).mul_scalar(self.keep))
        }
    }
    let mut values = Values(Vec::new());
    now.visit(&mut values);
    let mut average = average.map(&mut Blend { values: values.0.into_iter(), keep });
    average.mapping.w_avg = now.mapping.w_avg.clone();
    average
}
