//! Taps, which see the intermediate values of a forward pass.

use burn::tensor::{Tensor, backend::Backend};

/// A receiver of every intermediate value of a forward pass, under the golden vectors' names (`b8.conv0.out`, ...).
pub trait Tap<B: Backend> {
    /// Receives one tensor. Feature maps are `[batch, channels, height, width]`, styles `[batch, channels]`.
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<B, D>);
}

/// A tap that ignores everything.
#[derive(Debug, Clone, Copy)]
pub struct NoTap;

impl<B: Backend> Tap<B> for NoTap {
    fn see<const D: usize>(&mut self, _name: &str, _tensor: &Tensor<B, D>) {}
}

/// A tap that prefixes the names it passes on.
pub struct Within<'a, T> {
    prefix: String,
    tap: &'a mut T,
}

impl<'a, T> Within<'a, T> {
    /// A tap that passes every name on as `prefix.name`.
    pub fn new(prefix: impl Into<String>, tap: &'a mut T) -> Self {
        Self { prefix: prefix.into(), tap }
    }
}

impl<B: Backend, T: Tap<B>> Tap<B> for Within<'_, T> {
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<B, D>) {
        self.tap.see(&format!("{}.{name}", self.prefix), tensor);
    }
}
