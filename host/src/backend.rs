//! The backends that the command runs on, named in one place.

use burn::backend::{Autodiff, Flex};

/// The CPU: bit-reproducible across runs and thread counts.
pub type Cpu = Flex;
/// The CPU, with gradients.
pub type CpuTraining = Autodiff<Flex>;
