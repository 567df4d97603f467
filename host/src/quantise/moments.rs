//! Second moments of a layer's inputs, by which the error of a rounding of its weights is measured.

use ndarray::{Array2, ArrayView2};

/// The sum `sum x x^T` over the inputs x of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    sums: Array2<f64>,
    count: usize,
}

impl Gram {
    /// An empty sum for inputs with `width` values.
    pub fn new(width: usize) -> Self {
        Self { sums: Array2::zeros((width, width)), count: 0 }
    }

    /// Adds inputs, `[inputs, width]`.
    pub fn add(&mut self, inputs: ArrayView2<'_, f32>) {
        self.sums += &inputs.t().dot(&inputs).mapv(f64::from);
        self.count += inputs.nrows();
    }

    /// Number of inputs that were added.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean `mean x x^T`; `None` without inputs.
    pub fn mean(&self) -> Option<Array2<f64>> {
        (self.count > 0).then(|| &self.sums / self.count as f64)
    }
}
