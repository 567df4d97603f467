//! The backends that the command runs on, named in one place.

#[cfg(any(feature = "cuda", test))]
mod cuda;

use burn::{
    backend::{Autodiff, Flex},
    tensor::backend::AutodiffBackend,
};
use serde::{Deserialize, Serialize};

/// The CPU: bit-reproducible across runs and thread counts.
pub type Cpu = Flex;
/// The CPU, with gradients.
pub type CpuTraining = Autodiff<Flex>;

/// A backend with gradients, without them.
pub type Inner<A> = <A as AutodiffBackend>::InnerBackend;

/// A backend by its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// The CPU: the fastest there, and the same numbers in every run and with any number of threads.
    #[default]
    Flex,
    /// The CPU by the ndarray crate: slow, and numbers differ from run to run. A second opinion.
    Ndarray,
    /// An NVIDIA GPU.
    Cuda,
}

/// A backend that cannot be had, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(String);

impl BackendKind {
    /// Whether this program and this machine have the backend. To be asked before its first tensor: CUDA's panics where there
    /// is no device.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn check(self) -> Result<(), Unavailable> {
        match self {
            Self::Flex => Ok(()),
            #[cfg(feature = "ndarray")]
            Self::Ndarray => Ok(()),
            #[cfg(not(feature = "ndarray"))]
            Self::Ndarray => Err(without("ndarray")),
            #[cfg(feature = "cuda")]
            Self::Cuda => cuda::probe().map_err(|missing| Unavailable(format!("no CUDA device: {missing}"))),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => Err(without("cuda")),
        }
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Cuda => "cuda",
        }
    }
}

#[cfg(not(all(feature = "ndarray", feature = "cuda")))]
fn without(backend: &str) -> Unavailable {
    Unavailable(format!(
        "this program was built without {backend}: cargo build --release -p nickeldime --features {backend}"
    ))
}

/// Evaluates an expression with the type `$training` as the chosen backend with gradients: where generic code meets its
/// backends. Returns early where the backend cannot be had.
macro_rules! with_backend {
    ($choice:expr, $training:ident => $body:expr) => {{
        let choice: $crate::backend::BackendKind = $choice;
        choice.check()?;
        match choice {
            $crate::backend::BackendKind::Flex => {
                type $training = $crate::backend::CpuTraining;
                $body
            }
            #[cfg(feature = "ndarray")]
            $crate::backend::BackendKind::Ndarray => {
                type $training = burn::backend::Autodiff<burn::backend::NdArray>;
                $body
            }
            #[cfg(feature = "cuda")]
            $crate::backend::BackendKind::Cuda => {
                type $training = burn::backend::Autodiff<burn::backend::Cuda>;
                $body
            }
            #[cfg(not(all(feature = "ndarray", feature = "cuda")))]
            _ => unreachable!("a backend that was not built does not pass its check"),
        }
    }};
}
pub(crate) use with_backend;
