//! The boards that nickeldime knows, as data. The firmware lays out its memory by these numbers. The host uses them to
//! build, flash and emulate firmware, and to refuse what does not fit.
//!
//! [`sizes`] says how much room each board has, [`BOARDS`] lists the boards themselves. The crate has no dependencies, no
//! allocation and no code beyond look-ups.
//!
//! ```
//! let board = nickeldime_boards::find("pico2").expect("the Pico 2 is known");
//! assert_eq!(board.target, "thumbv8m.main-none-eabihf");
//! assert!(board.sizes.workspace < board.sizes.ram);
//! assert!(nickeldime_boards::find("toaster").is_none());
//! ```

#![no_std]

pub mod sizes;

pub use sizes::Sizes;

/// A board that there is firmware for. Its name is also the firmware's cargo feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardSpec {
    /// The board's name and its memory sizes.
    pub sizes: Sizes,
    /// A description in words, for summaries.
    pub description: &'static str,
    /// Cargo profile of the firmware: `firmware`; `firmware-smallest` if the drivers are large; `firmware-fast` if the
    /// speed of the engine's compiled code matters.
    pub profile: &'static str,
    /// The compiler's target triple.
    pub target: &'static str,
    /// The kind of the processor core.
    pub core: CoreKind,
    /// The emulator that runs the board, if one does.
    pub emulator: Option<EmulatorSpec>,
    /// How firmware gets onto the board.
    pub load: Load,
}

/// A kind of processor core, with the memory that its program runs from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreKind {
    /// The Cortex-M0, without DSP instructions and without a long multiply.
    CortexM0,
    /// The Cortex-M4 of an STM32F4, whose flash has a cache of a few lines.
    CortexM4,
    /// The Cortex-M7 with its caches on; it issues up to two instructions at once.
    CortexM7,
    /// The Cortex-M33 of an RP2350, whose flash is on four wires behind 16 kB of cache.
    CortexM33,
    /// The Cortex-M55 with Helium, running from tightly coupled memory.
    CortexM55,
    /// A RISC-V core with the RV32IMAC instructions.
    Rv32,
}

/// The program and arguments that emulate a board: a program of QEMU, or [`EmulatorSpec::RP2040JS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmulatorSpec {
    /// The name of the program.
    pub program: &'static str,
    /// Arguments that select the machine and configure it as this board.
    pub machine: &'static [&'static str],
    /// Cargo features of the firmware in addition to the board's own.
    pub features: &'static [&'static str],
}

impl EmulatorSpec {
    /// Node.js with the package `rp2040js`, which emulates the chip and the computer at the other end of its USB cable.
    pub const RP2040JS: Self = Self { program: "node", machine: &[], features: &[] };

    /// True for [`RP2040JS`](Self::RP2040JS), with whatever features of the firmware.
    pub fn is_rp2040js(&self) -> bool {
        self.program == Self::RP2040JS.program
    }
}

/// How firmware gets onto a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The board exists as an emulator only.
    Emulator,
    /// The firmware is copied as a UF2 file to the USB volume of the boot loader.
    Uf2 {
        /// UF2 family id of the chip.
        family: u32,
        /// The board's id in `INFO_UF2.TXT` on the volume.
        id: &'static str,
    },
    /// The firmware is written by `probe-rs` through a debug probe.
    Probe {
        /// The chip's name in `probe-rs`.
        chip: &'static str,
        /// The address of the chip's device id register.
        id_at: u32,
        /// The device id in the lower 12 bits of that register.
        id: u32,
    },
}

/// The UF2 family of programs on an RP2040.
pub const RP2040: u32 = 0xE48B_FF56;
/// The UF2 family of secure Arm programs on an RP2350.
pub const RP2350_ARM: u32 = 0xE48B_FF59;

const ARM: &str = "qemu-system-arm";

/// Every board, real ones first.
pub static BOARDS: [BoardSpec; 8] = [
    BoardSpec {
        sizes: sizes::PICO2,
        description: "Raspberry Pi Pico 2 (RP2350, Cortex-M33): USB",
        profile: "firmware-smallest",
        target: "thumbv8m.main-none-eabihf",
        core: CoreKind::CortexM33,
        emulator: None,
        load: Load::Uf2 { family: RP2350_ARM, id: "RP2350" },
    },
    BoardSpec {
        sizes: sizes::PICO,
        description: "Raspberry Pi Pico (RP2040, Cortex-M0+): USB; emulated by rp2040js",
        profile: "firmware-smallest",
        target: "thumbv6m-none-eabi",
        core: CoreKind::CortexM0,
        emulator: Some(EmulatorSpec::RP2040JS),
        load: Load::Uf2 { family: RP2040, id: "RPI-RP2" },
    },
    BoardSpec {
        sizes: sizes::NUCLEO_H743,
        description: "ST Nucleo-H743ZI2 (STM32H743, Cortex-M7): UART through the ST-Link",
        profile: "firmware",
        target: "thumbv7em-none-eabihf",
        core: CoreKind::CortexM7,
        emulator: None,
        load: Load::Probe { chip: "STM32H743ZITx", id_at: 0x5C00_1000, id: 0x450 },
    },
    BoardSpec {
        sizes: sizes::STM32F405,
        description: "any board with an STM32F405 (Cortex-M4F): UART; emulated by QEMU's netduinoplus2, with packs in RAM",
        profile: "firmware",
        target: "thumbv7em-none-eabihf",
        core: CoreKind::CortexM4,
        emulator: Some(EmulatorSpec { program: ARM, machine: &["netduinoplus2"], features: &["emulated"] }),
        load: Load::Probe { chip: "STM32F405RGTx", id_at: 0xE004_2000, id: 0x413 },
    },
    QEMU_M4,
    BoardSpec {
        sizes: sizes::QEMU_M55,
        description: "emulated Cortex-M55 with Helium (QEMU mps3-an547)",
        profile: "firmware",
        target: "thumbv8m.main-none-eabihf",
        core: CoreKind::CortexM55,
        emulator: Some(EmulatorSpec { program: ARM, machine: &["mps3-an547"], features: &[] }),
        load: Load::Emulator,
    },
    BoardSpec {
        sizes: sizes::QEMU_RV32,
        description: "emulated RISC-V (QEMU virt, RV32IMAC)",
        profile: "firmware-fast",
        target: "riscv32imac-unknown-none-elf",
        core: CoreKind::Rv32,
        emulator: Some(EmulatorSpec {
            program: "qemu-system-riscv32",
            machine: &["virt", "-bios", "none"],
            features: &[],
        }),
        load: Load::Emulator,
    },
    BoardSpec {
        sizes: sizes::QEMU_M0,
        description: "emulated Cortex-M0 with 64 kB of RAM (QEMU lm3s6965evb)",
        profile: "firmware",
        target: "thumbv6m-none-eabi",
        core: CoreKind::CortexM0,
        emulator: Some(EmulatorSpec { program: ARM, machine: &["lm3s6965evb", "-cpu", "cortex-m0"], features: &[] }),
        load: Load::Emulator,
    },
];

/// The emulated board with the most memory.
pub const QEMU_M4: BoardSpec = BoardSpec {
    sizes: sizes::QEMU_M4,
    description: "emulated Cortex-M4 (QEMU mps2-an386)",
    profile: "firmware",
    target: "thumbv7em-none-eabihf",
    core: CoreKind::CortexM4,
    emulator: Some(EmulatorSpec { program: ARM, machine: &["mps2-an386"], features: &[] }),
    load: Load::Emulator,
};

impl BoardSpec {
    /// The board's name, as `--board` takes it.
    pub const fn name(&self) -> &'static str {
        self.sizes.name
    }
}

/// Finds a board by its name, as `--board` takes it.
pub fn find(name: &str) -> Option<&'static BoardSpec> {
    BOARDS.iter().find(|board| board.name() == name)
}
