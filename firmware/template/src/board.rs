//! The board: QEMU's `mps2-an386`, a Cortex-M4F at 25 MHz with a CMSDK UART. It has no flash that firmware could write, so
//! a part of its RAM stands in for it.

use cortex_m::peripheral::SCB;
use nickeldime_core::storage::RamFlash;
use nickeldime_firmware::board::polled_uart::{Polled, Registers};
use nickeldime_firmware::register::Peripheral;
use nickeldime_firmware::screen::NoScreen;
use nickeldime_firmware::sizes::Sizes;
use nickeldime_firmware::systick::Millis;
use nickeldime_firmware::{Board, Parts, memory};

/// The board's sizes: bytes, but for `latents` and `clock_hz`.
const SIZES: Sizes = Sizes {
    name: "my-board",
    program: 4 << 20,
    storage: 1 << 20,
    sector: 4096,
    ram: 4 << 20,
    workspace: 1 << 20,
    stack: 64 << 10,
    receive: 4096 + 64,
    // QEMU keeps bytes for as long as the UART is full.
    window: 4 * (4096 + 64),
    send: 3 * 1024 + 64,
    latents: 512,
    clock_hz: 25_000_000,
};

/// The address of the RAM that holds the packs. The linker does not know it.
const STORAGE: usize = 0x2100_0000;

// SAFETY: UART 0 of the AN386; only `Uart` touches it.
const UART: Peripheral = unsafe { Peripheral::at(0x4000_4000) };

static MEMORY: memory!(SIZES) = <memory!(SIZES)>::new();

/// The board.
pub struct MyBoard;

impl Board for MyBoard {
    const SIZES: Sizes = SIZES;

    type Serial = Polled<Uart>;
    type Flash = RamFlash<&'static mut [u8], 4, { SIZES.sector as usize }>;
    type Clock = Millis;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: the caller calls this once, and nothing else takes the core's peripherals.
        let core = unsafe { cortex_m::Peripherals::steal() };
        // SAFETY: the caller calls this once; the machine has 16 MB of RAM at this address, and memory.x leaves them out.
        let (buffers, flash) = unsafe { (MEMORY.take(&SIZES), memory::ram_flash(STORAGE, SIZES.storage as usize)) };
        let clock = Millis::start(core.SYST, SIZES.clock_hz);
        Parts { serial: Polled(Uart::start()), flash, clock, screen: NoScreen, buffers }
    }

    fn restart() -> ! {
        SCB::sys_reset()
    }
}

/// The CMSDK UART.
pub struct Uart(());

impl Uart {
    const DATA: usize = 0x00;
    const STATE: usize = 0x04;
    const CTRL: usize = 0x08;
    const BAUDDIV: usize = 0x10;

    const TX_FULL: u32 = 1 << 0;
    const RX_FULL: u32 = 1 << 1;
    const TX_AND_RX: u32 = 0b11;

    fn start() -> Self {
        // The smallest divider that the UART takes.
        UART.write(Self::BAUDDIV, 16);
        UART.write(Self::CTRL, Self::TX_AND_RX);
        Self(())
    }
}

impl Registers for Uart {
    fn has_byte(&self) -> bool {
        UART.read(Self::STATE) & Self::RX_FULL != 0
    }

    fn receive(&self) -> u8 {
        UART.read(Self::DATA) as u8
    }

    fn is_full(&self) -> bool {
        UART.read(Self::STATE) & Self::TX_FULL != 0
    }

    fn send(&self, byte: u8) {
        UART.write(Self::DATA, u32::from(byte));
    }
}
