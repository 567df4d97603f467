//! The golden vectors that are compiled into the command.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use nickeldime_checkpoint::model::weights::Tensors;
use safetensors::{Dtype, SafeTensors};

/// One file of golden numbers, and the largest error that was found against it.
pub struct Vectors {
    arrays: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    worst: Worst,
}

/// The largest error, relative to the largest entry of its tensor.
#[derive(Debug, Clone, Default)]
pub struct Worst {
    /// The name of the tensor.
    pub tensor: String,
    /// The relative error; infinite if a number is NaN.
    pub error: f64,
    /// The number of tensors that were compared.
    pub compared: usize,
}

impl Vectors {
    pub fn new(file: &[u8]) -> Self {
        let file = SafeTensors::deserialize(file).expect("the command's own file");
        let arrays = file.iter().filter_map(|(name, view)| {
            let values = match view.dtype() {
                Dtype::F32 => view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                Dtype::F64 => view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
                _ => return None,
            };
            Some((name.to_string(), (view.shape().to_vec(), values)))
        });
        Self { arrays: arrays.collect(), worst: Worst::default() }
    }

    fn array(&self, name: &str) -> &(Vec<usize>, Vec<f32>) {
        self.arrays.get(name).unwrap_or_else(|| panic!("the command's own file has no {name}"))
    }

    pub fn number(&self, name: &str) -> f32 {
        self.array(name).1[0]
    }

    pub fn tensor<B: Backend, const D: usize>(&self, name: &str, device: &B::Device) -> Tensor<B, D> {
        let (shape, values) = self.array(name).clone();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// The tensors whose names begin with `prefix`, under their names without it.
    pub fn below(&self, prefix: &str) -> Tensors {
        let below = self.arrays.iter().filter_map(|(name, (shape, values))| {
            let array = ndarray::ArrayD::from_shape_vec(shape.clone(), values.clone());
            Some((name.strip_prefix(prefix)?.to_string(), array.expect("as many numbers as the shape says")))
        });
        below.collect()
    }

    pub fn compare<B: Backend, const D: usize>(&mut self, name: &str, found: Tensor<B, D>) {
        self.compare_values(name, found.into_data().iter());
    }

    /// The golden gradients whose names begin with `prefix`; a parameter without one has a gradient of zeros.
    pub fn compare_all(&mut self, prefix: &str, found: &Tensors) {
        for (name, zeros) in self.below(prefix).into_iter().filter(|(name, _)| !name.ends_with("resample_filter")) {
            let found = found.get(&name).cloned().unwrap_or(zeros * 0.0);
            self.compare_values(&format!("{prefix}{name}"), found.iter().copied());
        }
    }

    pub fn compare_values(&mut self, name: &str, found: impl Iterator<Item = f32>) {
        let golden = &self.array(name).1;
        let largest = golden.iter().fold(0f32, |most, x| most.max(x.abs()));
        let scale = f64::from(if largest == 0.0 { 1.0 } else { largest });
        let (mut error, mut count) = (0f64, 0);
        for (golden, found) in golden.iter().zip(found) {
            let off = f64::from((golden - found).abs()) / scale;
            error = error.max(if off.is_nan() { f64::INFINITY } else { off });
            count += 1;
        }
        if count != golden.len() {
            error = f64::INFINITY;
        }
        self.worst.compared += 1;
        if error >= self.worst.error {
            (self.worst.error, self.worst.tensor) = (error, name.into());
        }
    }

    pub fn worst(self) -> Worst {
        self.worst
    }
}
