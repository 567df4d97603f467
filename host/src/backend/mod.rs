//! The backends that the command runs on, named in one place.

#[cfg(any(feature = "cuda", test))]
mod cuda;

use burn::{
    backend::{Autodiff, Flex},
    tensor::backend::AutodiffBackend,
};
use serde::{Deserialize, Serialize};

/// The CPU backend, which is bit-reproducible across runs and thread counts.
pub type Cpu = Flex;
/// The CPU backend with gradients.
pub type CpuTraining = Autodiff<Flex>;

/// The backend without gradients that belongs to a backend with gradients.
pub type Inner<A> = <A as AutodiffBackend>::InnerBackend;

/// The backends, by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// The CPU, by the flex backend: the fastest on a CPU, with the same numbers in every run and with any number of
    /// threads.
    #[default]
    Flex,
    /// The CPU, by the ndarray crate: slow, and numbers differ from run to run. Use it as a second opinion.
    Ndarray,
    /// An NVIDIA GPU.
    Cuda,
}

/// A backend is not available. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(String);

impl BackendKind {
    /// Checks that this program and this machine have the backend. Call it before the backend's first tensor, because
    /// CUDA's panics without a device.
    ///
    /// # Errors
    /// A description of what is missing, and what to do.
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

    /// The backend's name, as `--backend` takes it.
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

/// Evaluates an expression with the type `$training` as the chosen backend with gradients, so that generic code runs on
/// a backend chosen at run time. Returns early with an error if the backend is not available.
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
