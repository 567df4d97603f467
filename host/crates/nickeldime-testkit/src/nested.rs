//! A network whose parameters are tensors of another autodiff graph.

use burn::{
    backend::{Autodiff, Flex},
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorPrimitive},
};
use nickeldime::nets::discriminator::Discriminator;

use super::small_networks::discriminator_arch;

type Inner = Autodiff<Flex>;
type Outer = Autodiff<Inner>;

/// `inner` seen from the outer graph: its parameters are constants there, and tracked leaves in the inner one.
pub fn lift(inner: &Discriminator<Inner>) -> Discriminator<Outer> {
    struct Values(Vec<TensorPrimitive<Inner>>);
    impl ModuleVisitor<Inner> for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Inner, D>>) {
            self.0.push(param.val().into_primitive());
        }
    }
    struct Fill(std::vec::IntoIter<TensorPrimitive<Inner>>);
    impl ModuleMapper<Outer> for Fill {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<Outer, D>>) -> Param<Tensor<Outer, D>> {
            let value = Tensor::from_primitive(self.0.next().unwrap());
            let (id, _, mapper) = param.consume();
            Param::from_mapped_value(id, Tensor::from_inner(value), mapper)
        }
    }
    let mut values = Values(Vec::new());
    inner.visit(&mut values);
    let empty = Discriminator::new(&discriminator_arch(), &Default::default());
    empty.map(&mut Fill(values.0.into_iter()))
}
