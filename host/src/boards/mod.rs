//! The boards: what they are, how their firmware is built and brought onto them, and which models fit.
//!
//! What each has room for is in `nickeldime-firmware`, whose memory is laid out by the same numbers.

pub mod build;
pub mod elf;
mod error;
pub mod estimate;
pub mod fit;
pub mod flash;
pub mod uf2;

use nickeldime_firmware::sizes::{self, Sizes};

pub use error::BoardError;
use estimate::Core;

/// A board that there is firmware for: its name is also the firmware's cargo feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Board {
    /// Its name, and what it has room for.
    pub sizes: Sizes,
    /// What it is, in words for a summary.
    pub description: &'static str,
    /// Cargo's profile: `firmware`; `firmware-smallest` where the drivers are large; `firmware-fast` where the engine's
    /// compiled code counts.
    pub profile: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// Its core.
    pub core: Core,
    /// The emulator that runs it.
    pub emulator: Option<Emulator>,
    /// How firmware gets onto it.
    pub load: Load,
}

/// An emulator of a board: QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emulator {
    /// The program.
    pub program: &'static str,
    /// The machine, and what else makes it the board.
    pub machine: &'static [&'static str],
    /// Cargo features beside the board's.
    pub features: &'static [&'static str],
}

/// How firmware gets onto a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Not at all: there is only its emulator.
    Emulator,
    /// A file on the USB volume of its boot loader.
    Uf2 {
        /// The family of chips that the file is for.
        family: u32,
        /// What `INFO_UF2.TXT` on the volume has as the board's id.
        id: &'static str,
    },
    /// `probe-rs`, through a debug probe.
    Probe {
        /// The chip's name there.
        chip: &'static str,
        /// Where the chip keeps the number of its kind,
        id_at: u32,
        /// and this number, in the lower 12 bits.
        id: u32,
    },
}

const ARM: &str = "qemu-system-arm";

/// The boards.
pub static BOARDS: [Board; 6] = [
    Board {
        sizes: sizes::PICO2,
        description: "Raspberry Pi Pico 2 (RP2350, Cortex-M33): USB",
        profile: "firmware-smallest",
        target: "thumbv8m.main-none-eabihf",
        core: estimate::CORTEX_M33,
        emulator: None,
        load: Load::Uf2 { family: uf2::RP2350_ARM, id: "RP2350" },
    },
    Board {
        sizes: sizes::NUCLEO_H743,
        description: "ST Nucleo-H743ZI2 (STM32H743, Cortex-M7): UART through the ST-Link",
        profile: "firmware",
        target: "thumbv7em-none-eabihf",
        core: estimate::CORTEX_M7,
        emulator: None,
        load: Load::Probe { chip: "STM32H743ZITx", id_at: 0x5C00_1000, id: 0x450 },
    },
    Board {
        sizes: sizes::STM32F405,
        description: "any board with an STM32F405 (Cortex-M4F): UART; emulated by QEMU's netduinoplus2, with packs in RAM",
        profile: "firmware",
        target: "thumbv7em-none-eabihf",
        core: estimate::CORTEX_M4,
        emulator: Some(Emulator { program: ARM, machine: &["netduinoplus2"], features: &["emulated"] }),
        load: Load::Probe { chip: "STM32F405RGTx", id_at: 0xE004_2000, id: 0x413 },
    },
    QEMU_M4,
    Board {
        sizes: sizes::QEMU_RV32,
        description: "emulated RISC-V (QEMU virt, RV32IMAC)",
        profile: "firmware-fast",
        target: "riscv32imac-unknown-none-elf",
        core: estimate::RV32,
        emulator: Some(Emulator { program: "qemu-system-riscv32", machine: &["virt", "-bios", "none"], features: &[] }),
        load: Load::Emulator,
    },
    Board {
        sizes: sizes::QEMU_M0,
        description: "emulated Cortex-M0 with 64 kB of RAM (QEMU lm3s6965evb)",
        profile: "firmware",
        target: "thumbv6m-none-eabi",
        core: estimate::CORTEX_M0,
        emulator: Some(Emulator { program: ARM, machine: &["lm3s6965evb", "-cpu", "cortex-m0"], features: &[] }),
        load: Load::Emulator,
    },
];

/// The emulated board with the most room.
pub const QEMU_M4: Board = Board {
    sizes: sizes::QEMU_M4,
    description: "emulated Cortex-M4 (QEMU mps2-an386)",
    profile: "firmware",
    target: "thumbv7em-none-eabihf",
    core: estimate::CORTEX_M4,
    emulator: Some(Emulator { program: ARM, machine: &["mps2-an386"], features: &[] }),
    load: Load::Emulator,
};

impl Board {
    /// Its name, as in `--board`.
    pub const fn name(&self) -> &'static str {
        self.sizes.name
    }

    /// Finds a board by name.
    ///
    /// # Errors
    /// [`BoardError::Unknown`], with the names there are.
    pub fn find(name: &str) -> Result<Self, BoardError> {
        BOARDS.into_iter().find(|board| board.name() == name).ok_or_else(|| BoardError::Unknown {
            name: name.to_owned(),
            known: BOARDS.map(|board| board.name()).join(", "),
        })
    }
}
