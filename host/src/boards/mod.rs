//! Handles boards on the host: builds their firmware, writes it to them, and decides which models fit.
//!
//! The boards themselves are data, in `nickeldime-boards`; the firmware's memory is laid out by the same numbers.

pub mod build;
pub mod elf;
mod error;
pub mod estimate;
pub mod fit;
pub mod flash;
pub mod uf2;

use nickeldime_boards::{BOARDS, BoardSpec};

pub use error::BoardError;

/// Finds a board by its name, as `--board` takes it.
///
/// # Errors
/// [`BoardError::Unknown`], with the names of all boards.
pub fn find(name: &str) -> Result<BoardSpec, BoardError> {
    nickeldime_boards::find(name).copied().ok_or_else(|| BoardError::Unknown {
        name: name.to_owned(),
        known: BOARDS.map(|board| board.name()).join(", "),
    })
}
