//! Reads checkpoints: StyleGAN2-ADA's `.pkl`; PyTorch's weights files (`.pt`, `.pth`) under StyleGAN2-ADA's or
//! rosinality's names; and safetensors, which it also writes. It also reads PyTorch's weights files of embedding
//! networks.
//!
//! Files come from strangers. Reading one never runs anything in it and never panics. Whatever its bytes are, the
//! outcome is a network or a [`CheckpointError`] that names the file and the place, and the memory used is a few times
//! the file's size.

mod error;
pub mod files;
mod mean;
pub mod model;
mod networks;
mod number;
mod open;
mod pickle;
mod place;
pub mod random;
mod rosinality;
mod source;
mod stored_zip;
mod stylegan2;
mod tensor_file;
mod torch_file;
mod torch_legacy;

pub use error::CheckpointError;
pub use model::weights::{Checkpoint, DiscriminatorWeights, GeneratorWeights, NoCritic, Remark, Tensors};
pub use networks::TensorSelection;
pub use open::{from_bytes, open, read_chosen};
pub use source::read_file;
pub use tensor_file::{Metadata, read_tensors, write_checkpoint, write_tensors};
