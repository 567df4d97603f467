//! Reads golden vectors, compares results with them, and reports the errors.

use std::{cell::RefCell, collections::BTreeMap, io::Write};

use burn::tensor::{Tensor, TensorData, backend::Backend};
use ndarray::{ArrayD, IxDyn};
use nickeldime::nets::tap::Tap;
use nickeldime_checkpoint::model::weights::Tensors;
use safetensors::{Dtype, SafeTensors};

use crate::fixtures;

/// One golden file, and the largest error seen against it.
pub struct Golden {
    file: String,
    arrays: BTreeMap<String, ArrayD<f64>>,
    worst: RefCell<(f64, String, usize)>,
}

impl Golden {
    pub fn open(file: &str) -> Self {
        let bytes = std::fs::read(fixtures().join("golden").join(file)).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let arrays = tensors
            .iter()
            .map(|(name, view)| {
                let data = view.data();
                let values: Vec<f64> = match view.dtype() {
                    Dtype::F32 => numbers(data, |b| f32::from_le_bytes(b).into()),
                    Dtype::F64 => numbers(data, f64::from_le_bytes),
                    Dtype::I32 => numbers(data, |b| i32::from_le_bytes(b).into()),
                    Dtype::U8 => numbers(data, |[b]: [u8; 1]| b.into()),
                    other => panic!("{file}: {name} has type {other:?}"),
                };
                let array = ArrayD::from_shape_vec(IxDyn(view.shape()), values).unwrap();
                (name.to_string(), array)
            })
            .collect();
        Self { file: file.into(), arrays, worst: RefCell::default() }
    }

    pub fn array(&self, name: &str) -> &ArrayD<f64> {
        self.arrays.get(name).unwrap_or_else(|| panic!("{} has no {name}", self.file))
    }

    pub fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }

    /// The tensors whose names begin with `prefix`, under their names without it, in f32.
    pub fn below(&self, prefix: &str) -> Tensors {
        self.arrays
            .iter()
            .filter_map(|(name, array)| {
                let rest = name.strip_prefix(prefix)?;
                Some((rest.to_string(), array.mapv(|x| x as f32)))
            })
            .collect()
    }

    pub fn tensor<B: Backend, const D: usize>(&self, name: &str) -> Tensor<B, D> {
        let array = self.array(name);
        let values: Vec<f32> = array.iter().map(|&x| x as f32).collect();
        let data = TensorData::new(values, array.shape().to_vec());
        Tensor::from_data(data, &Default::default())
    }

    /// Fails if an entry differs by more than `tolerance` times the golden tensor's largest entry.
    pub fn check(&self, name: &str, values: impl IntoIterator<Item = impl Into<f64>>, tolerance: f64) {
        let golden = self.array(name);
        let values: Vec<f64> = values.into_iter().map(Into::into).collect();
        assert_eq!(values.len(), golden.len(), "{}: size of {name}", self.file);
        let largest = golden.iter().fold(0f64, |m, x| m.max(x.abs()));
        let scale = if largest == 0.0 { 1.0 } else { largest };
        let error = golden
            .iter()
            .zip(&values)
            .map(|(a, b)| if b.is_nan() { f64::INFINITY } else { (a - b).abs() })
            .fold(0f64, f64::max)
            / scale;
        let mut worst = self.worst.borrow_mut();
        worst.2 += 1;
        if error >= worst.0 {
            (worst.0, worst.1) = (error, name.into());
        }
        assert!(error <= tolerance, "{}: {name} is off by {error:.2e}", self.file);
    }

    pub fn check_tensor<B: Backend, const D: usize>(&self, name: &str, tensor: &Tensor<B, D>, tolerance: f64) {
        self.check(name, tensor.to_data().iter::<f32>(), tolerance);
    }

    /// Compares every golden tensor below `prefix` with `found`, which may hold more.
    pub fn check_all(&self, prefix: &str, found: &Tensors, tolerance: f64) {
        let mut seen = 0;
        for name in self.names() {
            let Some(rest) = name.strip_prefix(prefix) else {
                continue;
            };
            if rest.ends_with("resample_filter") {
                continue;
            }
            let values = found.get(rest).unwrap_or_else(|| panic!("{}: nothing computed for {name}", self.file));
            self.check(name, values.iter().copied(), tolerance);
            seen += 1;
        }
        assert!(seen > 0, "{}: nothing below {prefix}", self.file);
    }

    /// Prints the file's name and its largest error, relative to each tensor's largest entry.
    pub fn report(&self) {
        let worst = self.worst.borrow();
        say(&self.file, format_args!("{} tensors, largest error {:.1e} ({})", worst.2, worst.0, worst.1));
    }
}

/// Prints a result for a golden file. It avoids `println!`, which the test harness hides when tests pass.
pub fn say(file: &str, what: std::fmt::Arguments<'_>) {
    std::io::stdout().write_all(format!("golden {file}: {what}\n").as_bytes()).unwrap();
}

fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (chunks, rest) = data.as_chunks::<N>();
    assert!(rest.is_empty());
    chunks.iter().map(|chunk| read(*chunk)).collect()
}

/// A tap that checks every intermediate that the golden file has.
pub struct CheckTap<'a> {
    pub golden: &'a Golden,
    pub prefix: &'a str,
    pub tolerance: f64,
    pub seen: usize,
}

impl<'a> CheckTap<'a> {
    pub fn new(golden: &'a Golden, prefix: &'a str, tolerance: f64) -> Self {
        Self { golden, prefix, tolerance, seen: 0 }
    }
}

impl<B: Backend> Tap<B> for CheckTap<'_> {
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<B, D>) {
        let name = format!("{}{name}", self.prefix);
        if self.golden.has(&name) {
            self.seen += 1;
            self.golden.check_tensor(&name, tensor, self.tolerance);
        }
    }
}
