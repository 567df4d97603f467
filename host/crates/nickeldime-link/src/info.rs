//! The facts that a board tells about itself, in owned form.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use nickeldime_core::hex::Hex;
use nickeldime_core::link::{Hello, KEY_ID_LEN, Model, Sha256Hash};
use nickeldime_core::pack::NoiseKind;
use serde::{Serialize, Serializer};

/// A board's answer to hello.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BoardInfo {
    /// The board's name, as in `--board`.
    pub board: String,
    /// Version of its firmware.
    pub firmware: String,
    /// Version of the protocol that it speaks.
    pub protocol: u16,
    /// The pack format that it reads.
    pub pack_format: u16,
    /// Bytes for packs in all.
    pub storage: u32,
    /// The longest pack that can be sent while the loaded one stays.
    pub free: u32,
    /// Bytes of RAM for generating.
    pub workspace: u32,
    /// The longest chunk of an upload.
    pub chunk: u32,
    /// Bytes of frames that may be on their way to it unanswered.
    pub window: u32,
    /// The most numbers of a latent in one request.
    pub latents: u16,
    /// The most numbers of a latent that is sent in several requests.
    pub stored_latents: u16,
    /// The most bytes of pixels in one reply.
    pub piece: u16,
    /// Ticks per second of its clock; 0: no clock.
    pub tick_hz: u32,
    /// True if that clock is an emulator's that counts instructions: each of them takes one nanosecond.
    pub counts_instructions: bool,
    /// The reason for the last restart that nobody asked for.
    pub restart: Option<String>,
    /// Ids of the keys that a pack must be signed with one of, in hexadecimal; empty for a board that loads any pack.
    pub trusted: Vec<String>,
    /// The loaded model.
    pub model: Option<ModelInfo>,
}

/// A model on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// SHA-256 of the pack file.
    #[serde(serialize_with = "as_hex")]
    pub sha256: Sha256Hash,
    /// Bytes in the pack.
    pub len: u32,
    /// Width and height of its images.
    pub resolution: u16,
    /// Bytes of a pixel: 3 for RGB, 1 for grey.
    pub channels: u8,
    /// Numbers in z.
    pub z_dim: u16,
    /// Numbers in w.
    pub w_dim: u16,
    /// The noise that it was made to be shown with.
    pub noise: NoiseKind,
}

impl BoardInfo {
    /// Instructions in a number of the board's ticks, where its clock counts them.
    pub fn instructions(&self, ticks: u64) -> Option<u64> {
        if !self.counts_instructions {
            return None;
        }
        let nanoseconds = (u128::from(ticks) * 1_000_000_000).checked_div(self.tick_hz.into())?;
        u64::try_from(nanoseconds).ok()
    }

    /// Returns a description of a statement that no board of this protocol can make, if there is one. All other statements may
    /// be taken as they are.
    pub(super) fn oddity(&self) -> Option<String> {
        let ModelInfo { resolution, channels, .. } = *self.model.as_ref()?;
        if !(resolution.is_power_of_two() && (8..=1024).contains(&resolution)) {
            return Some(format!("its model makes images of {resolution}x{resolution}, and none does"));
        }
        let colours = channels == 1 || channels == 3;
        (!colours).then(|| format!("its model makes pixels of {channels} bytes, and none does"))
    }
}

impl From<Hello<'_>> for BoardInfo {
    fn from(hello: Hello<'_>) -> Self {
        Self {
            board: shown(hello.board),
            firmware: shown(hello.firmware),
            protocol: hello.protocol,
            pack_format: hello.pack_format,
            storage: hello.storage,
            free: hello.free,
            workspace: hello.workspace,
            chunk: hello.chunk,
            window: hello.window,
            latents: hello.latents,
            stored_latents: hello.stored_latents,
            piece: hello.piece,
            tick_hz: hello.tick_hz,
            counts_instructions: hello.counts_instructions,
            restart: hello.restart.map(shown),
            trusted: hello.trusted.chunks(KEY_ID_LEN).map(|id| Hex(id).to_string()).collect(),
            model: hello.model.map(ModelInfo::from),
        }
    }
}

impl From<Model<'_>> for ModelInfo {
    fn from(model: Model<'_>) -> Self {
        Self {
            name: shown(model.name),
            sha256: model.sha256,
            len: model.len,
            resolution: model.resolution,
            channels: model.channels,
            z_dim: model.z_dim,
            w_dim: model.w_dim,
            noise: model.noise,
        }
    }
}

/// Text from the line, fit for a terminal: what would move its cursor or turn its lines around is replaced.
pub(super) fn shown(text: &str) -> String {
    let acts = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if acts(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn as_hex<S: Serializer>(bytes: &Sha256Hash, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&Hex(bytes))
}
