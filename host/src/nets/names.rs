//! Converts between burn modules and named tensors. StyleGAN2-ADA's parameter names are known here alone.

use burn::{
    module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{
        Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use ndarray::{ArrayD, IxDyn};
use nickeldime_checkpoint::model::arch::block_resolution;
use nickeldime_checkpoint::model::weights::Tensors;

/// A module whose tensors a checkpoint names.
pub trait Named {
    /// The resolution in the name of the first of the module's `blocks`.
    const FIRST_BLOCK: usize;
}

impl<B: Backend> Named for super::generator::Generator<B> {
    const FIRST_BLOCK: usize = 0;
}

impl<B: Backend> Named for super::discriminator::Discriminator<B> {
    // Named by its input resolution: the smallest takes 8x8 to 4x4.
    const FIRST_BLOCK: usize = 1;
}

/// A named tensor is missing or has another size. Checkpoints that were read by this project are complete and give no
/// such error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tensor {name}: expected {expected} numbers, found {found}")]
pub struct LoadError {
    /// The tensor's name in the checkpoint.
    pub name: String,
    /// The number of elements that the module needs.
    pub expected: usize,
    /// The number of elements given; 0 if the tensor is missing.
    pub found: usize,
}

/// Follows a parameter's place in a module, as burn reports it, and gives the checkpoint's name for it.
#[derive(Default)]
struct Path {
    parts: Vec<String>,
    first_block: usize,
}

impl Path {
    fn new<M: Named>() -> Self {
        Self { parts: Vec::new(), first_block: M::FIRST_BLOCK }
    }

    fn name(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for part in &self.parts {
            let previous = names.last().map(String::as_str);
            match (part.parse::<usize>(), previous) {
                (Ok(i), Some("blocks")) => {
                    names.pop();
                    names.push(format!("b{}", block_resolution(i + self.first_block)));
                }
                (Ok(i), Some("fc")) => {
                    names.pop();
                    names.push(format!("fc{i}"));
                }
                _ if part == "constant" => names.push("const".into()),
                _ => names.push(part.clone()),
            }
        }
        names.join(".")
    }
}

/// Fills a module from named tensors. All tensors of the module must be present.
///
/// # Errors
/// A tensor is missing or has another size; the error names the first.
pub fn load<B: Backend, M: Module<B> + Named>(module: M, tensors: &Tensors) -> Result<M, LoadError> {
    struct Loader<'a> {
        path: Path,
        tensors: &'a Tensors,
        error: Option<LoadError>,
    }
    impl<B: Backend> ModuleMapper<B> for Loader<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.parts.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.parts.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            let name = self.path.name();
            let shape = param.dims();
            let expected = shape.iter().product();
            let given = self.tensors.get(&name);
            let found = given.map_or(0, ArrayD::len);
            match given {
                Some(array) if found == expected => {
                    let values: Vec<f32> = array.iter().copied().collect();
                    let device = param.device();
                    param.map(|old| {
                        let data = TensorData::new(values, shape);
                        let tensor = Tensor::from_data(data, &device);
                        tensor.set_require_grad(old.is_require_grad())
                    })
                }
                _ => {
                    self.error.get_or_insert(LoadError { name, expected, found });
                    param
                }
            }
        }
    }
    let mut loader = Loader { path: Path::new::<M>(), tensors, error: None };
    let module = module.map(&mut loader);
    loader.error.map_or(Ok(module), Err)
}

/// All tensors of a module under their checkpoint names.
pub fn export<B: Backend, M: Module<B> + Named>(module: &M) -> Tensors {
    struct Values;
    impl<B: Backend> Pick<B> for Values {
        fn pick<const D: usize>(&self, param: &Param<Tensor<B, D>>) -> Option<TensorData> {
            Some(param.val().into_data())
        }
    }
    collect(module, &Values)
}

/// All gradients that a backward pass left for a module, under the names of their parameters.
pub fn gradients<B: AutodiffBackend, M: AutodiffModule<B> + Named>(module: &M, gradients: &GradientsParams) -> Tensors {
    struct Grads<'a>(&'a GradientsParams);
    impl<B: AutodiffBackend> Pick<B> for Grads<'_> {
        fn pick<const D: usize>(&self, param: &Param<Tensor<B, D>>) -> Option<TensorData> {
            let grad = self.0.get::<B::InnerBackend, D>(param.id)?;
            Some(grad.into_data())
        }
    }
    collect(module, &Grads(gradients))
}

/// Chooses the numbers to collect for a parameter.
trait Pick<B: Backend> {
    fn pick<const D: usize>(&self, param: &Param<Tensor<B, D>>) -> Option<TensorData>;
}

fn collect<B: Backend, M: Module<B> + Named>(module: &M, pick: &impl Pick<B>) -> Tensors {
    struct Collector<'a, P> {
        path: Path,
        pick: &'a P,
        tensors: Tensors,
    }
    impl<B: Backend, P: Pick<B>> ModuleVisitor<B> for Collector<'_, P> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.parts.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.parts.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            let Some(data) = self.pick.pick(param) else {
                return;
            };
            let name = self.path.name();
            // The one scalar of the format.
            let shape = match name.ends_with("noise_strength") {
                true => Vec::new(),
                false => param.dims().to_vec(),
            };
            let values = data.iter::<f32>().collect();
            let array = ArrayD::from_shape_vec(IxDyn(&shape), values)
                .expect("a tensor's data has as many numbers as its shape says");
            self.tensors.insert(name, array);
        }
    }
    let mut collector = Collector { path: Path::new::<M>(), pick, tensors: Tensors::new() };
    module.visit(&mut collector);
    collector.tensors
}
