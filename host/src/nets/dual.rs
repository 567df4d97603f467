//! Dual numbers over tensors: a value and, if it is wanted, its derivative along a direction.
//!
//! R1 and path length regularisation need the gradient of a gradient. Every layer of the networks carries
//! `(primal, tangent)`, so that with `v` the detached first gradient, one ordinary backward pass through
//! `<., JVP(x; v)>` gives the second-order term exactly, on backends whose autodiff is first-order only.
//! Without a tangent the same code is the plain forward pass.

use burn::tensor::{Tensor, backend::Backend};

/// A tensor and its directional derivative; no tangent means that it is constant along the direction.
#[derive(Debug, Clone)]
pub struct Dual<B: Backend, const D: usize> {
    /// The value.
    pub primal: Tensor<B, D>,
    /// The derivative along the direction, of the same shape.
    pub tangent: Option<Tensor<B, D>>,
}

impl<B: Backend, const D: usize> From<Tensor<B, D>> for Dual<B, D> {
    fn from(primal: Tensor<B, D>) -> Self {
        Self { primal, tangent: None }
    }
}

impl<B: Backend, const D: usize> Dual<B, D> {
    /// The value `primal` with the derivative `tangent`, which has the same shape.
    pub fn along(primal: Tensor<B, D>, tangent: Tensor<B, D>) -> Self {
        Self { primal, tangent: Some(tangent) }
    }

    /// Applies a linear map, which acts on value and derivative alike.
    pub fn linear<const E: usize>(self, map: impl Fn(Tensor<B, D>) -> Tensor<B, E>) -> Dual<B, E> {
        Dual { tangent: self.tangent.map(&map), primal: map(self.primal) }
    }

    /// Adds a constant, which does not change the derivative.
    pub fn shift(self, constant: Tensor<B, D>) -> Self {
        Self { primal: self.primal + constant, tangent: self.tangent }
    }

    /// Multiplies by a constant tensor (broadcasting).
    pub fn scale(self, constant: Tensor<B, D>) -> Self {
        Self { primal: self.primal * constant.clone(), tangent: self.tangent.map(|t| t * constant) }
    }

    /// Multiplies by a number.
    pub fn gain(self, factor: f32) -> Self {
        if factor == 1.0 {
            return self;
        }
        self.linear(|t| t.mul_scalar(factor))
    }

    /// Applies an element-wise function, given the function and its derivative.
    pub fn function(
        self,
        value: impl Fn(Tensor<B, D>) -> Tensor<B, D>,
        derivative: impl Fn(Tensor<B, D>) -> Tensor<B, D>,
    ) -> Self {
        Self { tangent: self.tangent.map(|t| t * derivative(self.primal.clone())), primal: value(self.primal) }
    }

    /// Applies a map that is linear in both arguments, by the product rule.
    pub fn bilinear(self, other: Self, map: impl Fn(Tensor<B, D>, Tensor<B, D>) -> Tensor<B, D>) -> Self {
        let left = self.tangent.map(|a| map(a, other.primal.clone()));
        let right = other.tangent.map(|b| map(self.primal.clone(), b));
        let tangent = match (left, right) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        Self { primal: map(self.primal, other.primal), tangent }
    }

    /// The element-wise sum.
    pub fn sum_with(self, other: Self) -> Self {
        let tangent = match (self.tangent, other.tangent) {
            (None, b) => b,
            (a, None) => a,
            (Some(a), Some(b)) => Some(a + b),
        };
        Self { primal: self.primal + other.primal, tangent }
    }

    /// Leaky ReLU with slope 0.2, times `gain`. It is piecewise linear, so the slope is treated as a constant.
    pub fn leaky_relu(self, gain: f32) -> Self {
        let negative = self.primal.clone().detach().lower_elem(0.0).float();
        let slope = negative.mul_scalar(-0.8 * gain).add_scalar(gain);
        self.scale(slope)
    }

    /// Limits to `[-limit, limit]`; outside, the derivative is 0.
    pub fn clamp(self, limit: f32) -> Self {
        let inside = self.tangent.as_ref().map(|_| {
            let size = self.primal.clone().detach().abs();
            size.lower_equal_elem(limit).float()
        });
        Self {
            primal: self.primal.clamp(-limit, limit),
            tangent: self.tangent.zip(inside).map(|(t, inside)| t * inside),
        }
    }
}
