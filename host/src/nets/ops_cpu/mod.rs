//! The most expensive operations of the networks on the CPU backend, with their gradients: loops that replace
//! burn-flex's.
//!
//! Each is an [`Operation`] on slices. [`apply`] runs it where tensors are on [`Cpu`], with or without gradients; everywhere
//! else (a GPU, nested autodiff) it runs the composition of burn's operations that it is given, which is also what
//! tests hold the loops against. All are bit-reproducible: sums have a fixed order, whatever the number of threads.

#[macro_use]
mod vectors;

mod activation;
mod channels;
mod convolution;
mod fir;
mod product;

pub use activation::{BiasAct, Gate};
pub use channels::ScaleChannels;
pub use convolution::{Convolution, Transposed, Window};
pub use fir::Fir;

use std::any::Any;

use burn::tensor::{Bytes, DType, Shape, Tensor, TensorPrimitive, backend::Backend};
use burn_autodiff::{
    checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn_flex::{FlexTensor, Layout};

use crate::backend::{Cpu, CpuTraining};

/// The number of elements below which a second thread does not pay.
const GRAIN: usize = 1 << 14;

/// An operation from `N` maps to one, all of rank 4 and contiguous.
pub trait Operation<const N: usize>: std::fmt::Debug + Clone + Send + Sync + 'static {
    /// Computes the result, and keeps in `kept` what [`Operation::backward`] needs.
    fn forward(&self, inputs: [Map; N], kept: &mut Vec<Map>) -> Map;

    /// Computes the loss's gradients with respect to the inputs from the gradient with respect to the result. Only the
    /// `wanted` gradients are used.
    fn backward(&self, kept: &[Map], gradient: Map, wanted: [bool; N]) -> [Option<Map>; N];
}

/// A map of shape `[n, c, h, w]`, whose elements are shared until they are written to.
#[derive(Debug, Clone)]
pub struct Map(FlexTensor);

impl Map {
    fn new(values: Vec<f32>, shape: [usize; 4]) -> Self {
        Self(FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::new(shape)), DType::F32))
    }

    fn zeros(shape: [usize; 4]) -> Self {
        Self::new(vec![0.0; shape.iter().product()], shape)
    }

    fn dims(&self) -> [usize; 4] {
        let shape = self.0.layout().shape();
        std::array::from_fn(|i| shape[i])
    }

    fn values(&self) -> &[f32] {
        self.0.storage()
    }

    /// The elements for writing; they are copied only if they are shared.
    fn values_mut(&mut self) -> &mut [f32] {
        self.0.storage_mut()
    }
}

/// Runs `operation` on the CPU backend, and `otherwise` on other backends.
pub fn apply<B: Backend, O: Operation<N>, const N: usize>(
    operation: O,
    inputs: [Tensor<B, 4>; N],
    otherwise: impl FnOnce([Tensor<B, 4>; N]) -> Tensor<B, 4>,
) -> Tensor<B, 4> {
    type Plain = <Cpu as burn::tensor::backend::BackendTypes>::FloatTensorPrimitive;
    type Tracked = <CpuTraining as burn::tensor::backend::BackendTypes>::FloatTensorPrimitive;
    let here = |tensor: B::FloatTensorPrimitive| Tensor::from_primitive(TensorPrimitive::Float(tensor));
    if is::<B::FloatTensorPrimitive, Plain>() {
        let inputs = inputs.map(|t| Map(same::<_, Plain>(t.into_primitive().tensor()).to_contiguous()));
        let output: Plain = operation.forward(inputs, &mut Vec::new()).0;
        return here(same(output));
    }
    if is::<B::FloatTensorPrimitive, Tracked>() {
        let inputs = inputs.map(|t| same::<_, Tracked>(t.into_primitive().tensor()));
        let nodes = std::array::from_fn(|i| inputs[i].node.clone());
        let maps = inputs.map(|t| Map(t.primitive.to_contiguous()));
        let mut kept = Vec::new();
        let output = operation.forward(maps, &mut kept).0;
        let step = Step(operation.clone());
        let output: Tracked = match step.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(kept, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        return here(same(output));
    }
    otherwise(inputs)
}

/// An operation as a node of autodiff's graph.
#[derive(Debug)]
struct Step<O>(O);

impl<O: Operation<N>, const N: usize> Backward<Cpu, N> for Step<O> {
    type State = Vec<Map>;

    fn backward(self, ops: Ops<Vec<Map>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = Map(grads.consume::<Cpu>(&ops.node).to_contiguous());
        let wanted = std::array::from_fn(|i| ops.parents[i].is_some());
        let gradients = self.0.backward(&ops.state, gradient, wanted);
        for (parent, gradient) in ops.parents.iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Cpu>(parent.id, gradient.0);
            }
        }
    }
}

fn is<T: 'static, U: 'static>() -> bool {
    std::any::TypeId::of::<T>() == std::any::TypeId::of::<U>()
}

/// Casts a value of type `T` to the type that it is known to have.
fn same<T: 'static, U: 'static>(value: T) -> U {
    let mut slot = Some(value);
    let slot: &mut dyn Any = &mut slot;
    slot.downcast_mut::<Option<U>>().and_then(Option::take).expect("the types were compared")
}
