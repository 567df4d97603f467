//! The setup that a virtual board is started with.

use crate::keys::PublicKey;

/// The setup that a virtual board is started with. The default counts nothing and trusts everybody.
#[derive(Clone, Default)]
pub struct Setup {
    /// The emulator counts instructions. It is slower, and its clock runs as it executes.
    pub count: bool,
    /// The keys that a pack must be signed with one of; none for a board that loads any pack.
    pub trust: Vec<PublicKey>,
}
