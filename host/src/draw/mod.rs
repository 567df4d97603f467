//! Images from networks, packs and boards.

pub mod device;
