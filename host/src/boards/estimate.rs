//! Estimates the instructions of an image by a linear model, fitted to counts on the emulated processors. The estimate
//! is within a tenth of the counts for digits32 and for paper256 at ratios 0.95 and 0.9.

use nickeldime_boards::CoreKind;
use nickeldime_checkpoint::model::arch::GeneratorArch;
use nickeldime_checkpoint::model::cost::{Cost, LayerKind};

/// The amount of work in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageWork {
    /// Multiply-accumulates of the 3x3 convolutions.
    pub convolutions: u64,
    /// Multiply-accumulates of the mapping network and the styles.
    pub dense: u64,
    /// Values that convolutions produce. Each is modulated, rounded and activated.
    pub values: u64,
    /// Multiply-accumulates of toRGB, plus three for each pixel of each size that is doubled.
    pub colours: u64,
}

impl ImageWork {
    /// The work for one image of an architecture.
    pub fn of(arch: &GeneratorArch) -> Self {
        let cost = Cost::of(arch);
        let mut work = Self { convolutions: 0, dense: 0, values: 0, colours: 0 };
        for layer in &cost.layers {
            let pixels = (layer.resolution * layer.resolution) as u64;
            work.dense += layer.affine_macs;
            match layer.kind {
                LayerKind::Mapping => work.dense += layer.macs,
                LayerKind::Conv => {
                    work.convolutions += layer.macs;
                    // An up-sampling convolution produces four values for each pixel of its input, and as many
                    // intermediate ones.
                    let up = layer.name.ends_with("conv0");
                    work.values += layer.cout as u64 * pixels * if up { 8 } else { 1 };
                }
                LayerKind::ToRgb => work.colours += layer.macs + 3 * pixels,
            }
        }
        work
    }

    /// The four numbers, in the order of [`CoreSpeed::per`].
    pub fn numbers(&self) -> [f64; 4] {
        [self.convolutions, self.dense, self.values, self.colours].map(|number| number as f64)
    }
}

/// The cost of each kind of work on a kind of core.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoreSpeed {
    /// Instructions for one unit of each of [`ImageWork::numbers`].
    pub per: [f64; 4],
    /// Cycles per instruction, including waiting for flash. This is a typical number, not a measured one.
    pub cycles_per_instruction: f64,
}

impl CoreSpeed {
    /// The speed of a kind of core.
    pub const fn of(core: CoreKind) -> Self {
        let (per, cycles_per_instruction) = match core {
            CoreKind::CortexM0 => (M0, 1.4),
            CoreKind::CortexM4 | CoreKind::CortexM33 => (DSP, 1.4),
            CoreKind::CortexM7 => (DSP, 0.8),
            CoreKind::CortexM55 => (MVE, 1.3),
            CoreKind::Rv32 => (RV32, 1.2),
        };
        Self { per, cycles_per_instruction }
    }

    /// Instructions for one image.
    pub fn instructions(&self, work: &ImageWork) -> u64 {
        self.per.iter().zip(work.numbers()).map(|(per, number)| per * number).sum::<f64>() as u64
    }
}

/// Instructions of the kernels with DSP instructions.
const DSP: [f64; 4] = [1.15, 1.5, 24.0, 4.0];
/// Instructions of the kernels with Helium's vectors.
const MVE: [f64; 4] = [0.36, 0.7, 9.0, 1.2];
/// Instructions of the kernels for Armv6-M, the rest built for size.
const M0: [f64; 4] = [4.85, 10.0, 190.0, 26.0];
/// Instructions of the kernels for RV32IM, the rest built for speed.
const RV32: [f64; 4] = [2.7, 6.5, 66.0, 12.0];
