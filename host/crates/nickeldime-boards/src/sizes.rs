//! The memory sizes of each board. The firmware lays out its memory by these numbers, and the host uses them to refuse
//! what does not fit before anything is sent or trained.

/// A board's memory sizes in bytes, the longest messages, and the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The board's name, as `--board` takes it.
    pub name: &'static str,
    /// Flash for the firmware, in bytes.
    pub program: u32,
    /// Flash for packs and their records, in bytes: a whole number of sectors.
    pub storage: u32,
    /// Bytes that are erased at once.
    pub sector: u32,
    /// RAM that the linker divides, in bytes. It holds everything below except the storage.
    pub ram: u32,
    /// RAM for generating images, in bytes.
    pub workspace: u32,
    /// RAM that is left for the stack, in bytes, at least.
    pub stack: u32,
    /// Length of the longest request, in bytes.
    pub receive: u32,
    /// Bytes received and kept while the board is busy. This is also the flow-control window: the bytes of unanswered
    /// frames that a host may send ahead.
    pub window: u32,
    /// Length of the longest reply, in bytes.
    pub send: u32,
    /// Largest number of values in a latent.
    pub latents: u32,
    /// Clock of the core, in hertz.
    pub clock_hz: u32,
}

/// Bytes of a chunk of 4096 bytes with its framing.
const CHUNK_4K: u32 = 4096 + 64;
/// Bytes of a row of 1024 pixels sent in one message.
const ROW_1024: u32 = 3 * 1024 + 64;

/// QEMU's `lm3s6965evb` with a Cortex-M0 in it: 256 kB of flash, 64 kB of RAM. Packs lie in RAM outside the linker's
/// regions.
pub const QEMU_M0: Sizes = Sizes {
    name: "qemu-m0",
    program: 256 << 10,
    storage: 24 << 10,
    sector: 1 << 10,
    ram: 40 << 10,
    workspace: 12 << 10,
    stack: 22 << 10,
    receive: 1024 + 64,
    // The emulator buffers the bytes that the UART has not taken.
    window: 4 * (1024 + 64),
    send: 512,
    latents: 64,
    clock_hz: 50_000_000,
};

/// QEMU's `mps2-an386`, with more RAM than any real board, so that the emulator runs packs that real boards refuse.
pub const QEMU_M4: Sizes = Sizes {
    name: "qemu-m4",
    program: 4 << 20,
    storage: 16 << 20,
    sector: 4096,
    ram: 4 << 20,
    workspace: 3 << 20,
    stack: 512 << 10,
    receive: CHUNK_4K,
    // The emulator buffers the bytes that the UART has not taken.
    window: 4 * CHUNK_4K,
    send: ROW_1024,
    latents: 1024,
    clock_hz: 25_000_000,
};

/// QEMU's `mps3-an547`: a Cortex-M55 with 512 kB for code.
pub const QEMU_M55: Sizes = Sizes { name: "qemu-m55", program: 512 << 10, clock_hz: 32_000_000, ..QEMU_M4 };

/// QEMU's RISC-V `virt`, as an RV32IMAC.
pub const QEMU_RV32: Sizes = Sizes { name: "qemu-rv32", program: 4 << 20, clock_hz: 1_000_000_000, ..QEMU_M4 };

/// An STM32F405 with 1 MB of flash: the firmware has the first five sectors (128 kB), and packs have the seven sectors
/// of 128 kB that follow. It has 128 kB of RAM in one piece, and another 64 kB outside the linker's regions.
pub const STM32F405: Sizes = Sizes {
    name: "stm32f405",
    program: 128 << 10,
    storage: 7 * (128 << 10),
    sector: 128 << 10,
    ram: 128 << 10,
    workspace: 92 << 10,
    stack: 22 << 10,
    receive: CHUNK_4K,
    // The core and its interrupts wait while the flash is erased or written, so nothing is received.
    window: 0,
    send: 1536,
    latents: 512,
    clock_hz: 168_000_000,
};

/// A Raspberry Pi Pico: 2 MB of flash, of which the firmware has the first 128 kB; 264 kB of RAM in one piece.
pub const PICO: Sizes = Sizes {
    name: "pico",
    program: 128 << 10,
    storage: (2 << 20) - (128 << 10),
    sector: 4096,
    ram: 264 << 10,
    workspace: 212 << 10,
    stack: 28 << 10,
    receive: CHUNK_4K,
    // USB waits.
    window: 4 * CHUNK_4K,
    send: ROW_1024,
    latents: 1024,
    clock_hz: 125_000_000,
};

/// A Raspberry Pi Pico 2: 4 MB of flash, of which the firmware has the first 256 kB; 512 kB of RAM in one piece.
pub const PICO2: Sizes = Sizes {
    name: "pico2",
    program: 256 << 10,
    storage: (4 << 20) - (256 << 10),
    sector: 4096,
    ram: 512 << 10,
    workspace: 432 << 10,
    stack: 32 << 10,
    receive: CHUNK_4K,
    // USB makes the host wait, so nothing is lost.
    window: 4 * CHUNK_4K,
    send: ROW_1024,
    latents: 2048,
    clock_hz: 150_000_000,
};

/// A Nucleo-H743ZI with 2 MB of flash in two banks, of which the firmware has the first sector (128 kB). It has 512 kB
/// of RAM for generating, and 128 kB close to the core for everything else.
pub const NUCLEO_H743: Sizes = Sizes {
    name: "nucleo-h743",
    program: 128 << 10,
    storage: 15 * (128 << 10),
    sector: 128 << 10,
    ram: 640 << 10,
    workspace: 480 << 10,
    stack: 32 << 10,
    receive: CHUNK_4K,
    // The receive ring, less one byte. Bytes that arrive while the bank with the program is erased are lost and sent
    // again.
    window: (16 << 10) - 1,
    send: ROW_1024,
    latents: 2048,
    clock_hz: 480_000_000,
};
