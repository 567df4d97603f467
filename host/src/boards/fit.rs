//! Decides whether a model fits a board, estimates how long its images take there, and finds what would fit instead.

use anyhow::bail;
use nickeldime_boards::{BOARDS, BoardSpec};
use nickeldime_checkpoint::model::arch::{GeneratorArch, RGB};
use nickeldime_core::pack::{Pack, PackError, WeightWidth};
use serde::Serialize;

use super::estimate::{CoreSpeed, ImageWork};
use crate::quantise::{Outline, PackOptions};

/// Bytes of stack of a device with a model. This is the need of the deepest requests, measured on the emulated boards
/// (`nickeldime bench`) and rounded up.
pub const STACK: u32 = 22 << 10;
/// Number of flash sectors that hold the records of stored packs.
const RECORDS: u32 = 2;

/// The needs of a model on any board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Bytes of the pack.
    pub flash: usize,
    /// Bytes of RAM for an image.
    pub ram: usize,
    /// The work of an image.
    pub work: ImageWork,
}

impl Need {
    /// The needs of an existing pack.
    pub fn of_pack(pack: &Pack<'_>) -> Self {
        let header = pack.header();
        let arch = GeneratorArch {
            z_dim: pack.z_dim(),
            w_dim: pack.w_dim(),
            mapping_layers: header.mapping.len(),
            channels: header.blocks.iter().map(|block| block.conv1.outputs.into()).collect(),
            img_channels: RGB,
            conv_clamp: None,
        };
        Self { flash: pack.bytes().len(), ram: pack.ram().total(), work: ImageWork::of(&arch) }
    }

    /// The needs of an architecture packed with these options.
    ///
    /// # Errors
    /// [`PackError`] if the architecture exceeds what a pack can hold.
    pub fn of_arch(arch: &GeneratorArch, options: &PackOptions) -> Result<Self, PackError> {
        let Outline { bytes, ram } = Outline::of(arch, options)?;
        Ok(Self { flash: bytes, ram: ram.total(), work: ImageWork::of(arch) })
    }
}

/// Bytes needed, and bytes available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Bytes needed.
    pub needed: u64,
    /// Bytes available.
    pub available: u64,
}

impl Room {
    /// True if the available bytes are enough.
    pub fn fits(self) -> bool {
        self.needed <= self.available
    }
}

/// A model's needs compared with a board.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// The board.
    pub board: &'static str,
    /// True if the model runs on the board.
    pub fits: bool,
    /// The pack in whole sectors, and the storage for packs.
    pub flash: Room,
    /// True if a second pack of this size can be sent while this one stays loaded.
    pub updates: bool,
    /// The RAM for generating.
    pub ram: Room,
    /// The stack.
    pub stack: Room,
    /// Estimated instructions of an image on the board's core.
    pub instructions: u64,
    /// Estimated seconds of an image, from the instructions and a typical number of cycles per instruction.
    pub seconds: f64,
    /// Always true. It tells readers of the JSON that `instructions` and `seconds` are estimates.
    pub estimate: bool,
    /// What would fit instead; `None` if the model fits or its unpruned architecture is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<Instead>,
}

/// Alternatives that fit the board.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Instead {
    /// The smallest pruning ratio, in hundredths, at which the same resolution fits; `None` if there is none.
    pub ratio: Option<f64>,
    /// The largest resolution that fits at the ratio that was asked for; `None` if there is none.
    pub resolution: Option<usize>,
    /// Bits of the mapping network's weights, if the alternatives fit only with fewer bits than were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping_bits: Option<u8>,
}

/// Compares a model's needs with one board.
pub fn fit(board: &BoardSpec, need: &Need) -> Fit {
    let sizes = board.sizes;
    let sectors = |bytes: u64| bytes.next_multiple_of(sizes.sector.into());
    let flash =
        Room { needed: sectors(need.flash as u64), available: u64::from(sizes.storage - RECORDS * sizes.sector) };
    let ram = Room { needed: need.ram as u64, available: sizes.workspace.into() };
    let stack = Room { needed: STACK.into(), available: sizes.stack.into() };
    let speed = CoreSpeed::of(board.core);
    let instructions = speed.instructions(&need.work);
    Fit {
        board: board.name(),
        fits: flash.fits() && ram.fits() && stack.fits(),
        updates: 2 * flash.needed <= flash.available,
        flash,
        ram,
        stack,
        instructions,
        seconds: instructions as f64 * speed.cycles_per_instruction / f64::from(sizes.clock_hz),
        estimate: true,
        instead: None,
    }
}

/// Compares a model's needs with every board. If `dense` gives the unpruned architecture and the ratio, the result also
/// says what would fit instead.
pub fn fits(need: &Need, dense: Option<(&GeneratorArch, f64)>, options: &PackOptions) -> Vec<Fit> {
    let with = |board: &BoardSpec| {
        let mut fit = fit(board, need);
        if !fit.fits {
            fit.instead = dense.map(|(dense, ratio)| instead(board, dense, ratio, options));
        }
        fit
    };
    BOARDS.iter().map(with).collect()
}

/// The alternatives to `dense` pruned by `ratio` that fit a board.
pub fn instead(board: &BoardSpec, dense: &GeneratorArch, ratio: f64, options: &PackOptions) -> Instead {
    let found = instead_packed(board, dense, ratio, options);
    if found.ratio.is_some() || found.resolution.is_some() || options.mapping == WeightWidth::I8 {
        return found;
    }
    let narrow = instead_packed(board, dense, ratio, &narrow(options));
    Instead { mapping_bits: Some(8), ..narrow }
}

/// The options with 8-bit weights in the mapping network, which give the smallest pack.
pub fn narrow(options: &PackOptions) -> PackOptions {
    PackOptions { mapping: WeightWidth::I8, ..options.clone() }
}

/// Like [`instead`], packed with exactly these options.
fn instead_packed(board: &BoardSpec, dense: &GeneratorArch, ratio: f64, options: &PackOptions) -> Instead {
    let runs = |arch: &GeneratorArch| Need::of_arch(arch, options).is_ok_and(|need| fit(board, &need).fits);
    let runs_at = |hundredths: u32| dense.pruned(f64::from(hundredths) / 100.0).is_ok_and(|arch| runs(&arch));
    // A higher ratio never needs more, so bisection finds the smallest one.
    let (mut too_little, mut enough) = (0, 99);
    let ratio_that_fits = if runs_at(0) {
        Some(0.0)
    } else if runs_at(enough) {
        while enough - too_little > 1 {
            let middle = (too_little + enough) / 2;
            if runs_at(middle) {
                enough = middle;
            } else {
                too_little = middle;
            }
        }
        Some(f64::from(enough) / 100.0)
    } else {
        None
    };
    let smaller = |blocks: &usize| {
        let channels = dense.channels[..*blocks].to_vec();
        let arch = GeneratorArch { channels, ..dense.clone() };
        arch.pruned(ratio).is_ok_and(|arch| runs(&arch))
    };
    let blocks = (2..dense.channels.len()).rev().find(smaller);
    Instead { ratio: ratio_that_fits, resolution: blocks.map(|blocks| 2 << blocks), mapping_bits: None }
}

/// Refuses an architecture that does not fit the board. The error has the numbers and says what fits instead. `dense` is
/// the architecture before pruning by `ratio`.
///
/// # Errors
/// The architecture does not fit.
pub fn check(board: &BoardSpec, dense: &GeneratorArch, ratio: f64, options: &PackOptions) -> anyhow::Result<()> {
    let fit = fit(board, &Need::of_arch(&dense.pruned(ratio)?, options)?);
    let Some(problem) = fit.problem() else { return Ok(()) };
    let name = board.name();
    bail!("does not fit {name}: {problem}. {}", instead(board, dense, ratio, options).text(name))
}

impl Instead {
    /// The alternatives in words.
    pub fn text(&self, board: &str) -> String {
        let ratio = self.ratio.map(|ratio| format!("--ratio {ratio:.2} fits"));
        let size = self.resolution.map(|size| format!("at this ratio {size}x{size} fits"));
        let with = self.mapping_bits.map_or(String::new(), |bits| format!("with `pack --mapping-bits {bits}`, "));
        match (ratio, size) {
            (None, None) => format!("nothing of this architecture fits {board}"),
            (Some(one), Some(other)) => format!("{with}{one}; {other}"),
            (Some(one), None) | (None, Some(one)) => format!("{with}{one}"),
        }
    }
}

impl Fit {
    /// A description of what does not fit; `None` if everything fits.
    pub fn problem(&self) -> Option<String> {
        let parts = [("flash", self.flash), ("RAM", self.ram), ("stack", self.stack)];
        let short = parts.into_iter().filter(|(_, room)| !room.fits());
        let said: Vec<String> = short
            .map(|(what, Room { needed, available })| format!("{needed} bytes of {what} needed, {available} there"))
            .collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// The comparison as one line of a table.
    pub fn line(&self) -> String {
        let Self { board, flash, ram, instructions, seconds, .. } = self;
        let verdict = match (self.problem(), self.instead) {
            (None, _) if self.updates => "fits".to_owned(),
            (None, _) => "fits, but not beside another of its size".to_owned(),
            (Some(problem), None) => format!("does not fit: {problem}"),
            (Some(problem), Some(instead)) => format!("does not fit: {problem} ({})", instead.text(board)),
        };
        format!(
            "{board:<12} flash {:>5.1} %  RAM {:>5.1} %  about {:.0} M instructions, {seconds:.1} s  {verdict}",
            percent(*flash),
            percent(*ram),
            *instructions as f64 / 1e6,
        )
    }
}

fn percent(Room { needed, available }: Room) -> f64 {
    100.0 * needed as f64 / available.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use nickeldime_boards::QEMU_M4;

    fn board(name: &str) -> BoardSpec {
        crate::boards::find(name).unwrap()
    }

    #[test]
    fn what_is_said_to_fit_instead_fits_and_nothing_larger() {
        let dense = GeneratorArch::preset("paper256").unwrap();
        let options = PackOptions::default();
        for name in ["pico2", "nucleo-h743", "stm32f405"] {
            let board = board(name);
            let said = instead(&board, &dense, 0.5, &options);
            let options = if said.mapping_bits.is_some() { narrow(&options) } else { options.clone() };
            let fits_at = |ratio: f64| check(&board, &dense, ratio, &options).is_ok();
            if let Some(ratio) = said.ratio {
                assert!(fits_at(ratio) && !fits_at(ratio - 0.01), "{name}: {ratio}");
            } else {
                assert!(!fits_at(0.99), "{name}");
            }
            let cut = |size: usize| {
                let blocks = size.ilog2() as usize - 1;
                let arch = GeneratorArch { channels: dense.channels[..blocks].to_vec(), ..dense.clone() };
                check(&board, &arch, 0.5, &options).is_ok()
            };
            if let Some(size) = said.resolution {
                assert!(cut(size) && !cut(2 * size), "{name}: {size}");
            } else {
                assert!(!cut(8), "{name}");
            }
        }
    }

    #[test]
    fn a_refusal_has_the_numbers_and_the_way_out() {
        let dense = GeneratorArch::preset("paper256").unwrap();
        let options = PackOptions::default();
        let said = check(&board("pico2"), &dense, 0.3, &options).unwrap_err().to_string();
        assert!(said.contains("bytes of flash needed, 3923968 there"), "{said}");
        assert!(said.contains("with `pack --mapping-bits 8`, --ratio 0."), "{said}");
        assert!(check(&QEMU_M4, &dense, 0.9, &options).is_ok());
    }

    #[test]
    fn every_stack_is_as_deep_as_promised() {
        for board in BOARDS {
            assert!(board.sizes.stack >= STACK, "{}", board.name());
        }
    }
}
