//! Second moments of what a layer is given: what makes one rounding of its weights better than another.

use ndarray::{Array2, ArrayView2};

/// `sum x x^T` over the inputs x of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    sums: Array2<f64>,
    count: usize,
}

impl Gram {
    /// Of inputs of this width, none yet.
    pub fn new(width: usize) -> Self {
        Self { sums: Array2::zeros((width, width)), count: 0 }
    }

    /// Takes in `[inputs, width]`.
    pub fn add(&mut self, inputs: ArrayView2<'_, f32>) {
        self.sums += &inputs.t().dot(&inputs).mapv(f64::from);
        self.count += inputs.nrows();
    }

    /// How many inputs were taken in.
    pub fn count(&self) -> usize {
        self.count
    }

    /// `mean x x^T`; none before there were any.
    pub fn mean(&self) -> Option<Array2<f64>> {
        (self.count > 0).then(|| &self.sums / self.count as f64)
    }
}
