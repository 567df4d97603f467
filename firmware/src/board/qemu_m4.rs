//! `qemu-m4`: QEMU's `mps2-an386`, a Cortex-M4F with CMSDK peripherals, 25 MHz.
//!
//! The chip has no flash that firmware could write; 16 MB of its RAM stand in for it.

use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::ptr;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use nickeldime_core::device::{Buffers, Clock};
use nickeldime_core::storage::RamFlash;

pub use cortex_m_rt::entry;

use super::Parts;

/// The board's name.
pub const NAME: &str = "qemu-m4";

const UART0: usize = 0x4000_4000;
const TIMER0: usize = 0x4000_0000;
const STORAGE: usize = 0x2100_0000;
const STORAGE_LEN: usize = 16 << 20;

/// A chunk of one flash sector and its envelope; the longest w.
const RECEIVE: usize = 4096 + 64;
/// The emulator keeps for itself what the UART has not taken.
const WINDOW: usize = 4 * RECEIVE;
/// A row of 1024 pixels in one piece.
const SEND: usize = 3 * 1024 + 64;
const LATENTS: usize = 1024;
/// 3 MB: more than any chip has, so that the emulator runs what real boards refuse.
const WORKSPACE: usize = 3 << 18;

type Flash = RamFlash<&'static mut [u8]>;

/// RAM that is handed out once.
struct Ram<const LEN: usize, T>(UnsafeCell<[T; LEN]>);

// SAFETY: the only access is in `take`, which hands it out once: no two owners ever meet, and a `T` that may be sent is
// all that the one needs.
unsafe impl<const LEN: usize, T: Send> Sync for Ram<LEN, T> {}

static RECEIVE_BUF: Ram<RECEIVE, u8> = Ram(UnsafeCell::new([0; RECEIVE]));
static SEND_BUF: Ram<SEND, u8> = Ram(UnsafeCell::new([0; SEND]));
static LATENT_BUF: Ram<LATENTS, i32> = Ram(UnsafeCell::new([0; LATENTS]));
static WORKSPACE_BUF: Ram<WORKSPACE, i32> = Ram(UnsafeCell::new([0; WORKSPACE]));

/// The board's parts.
///
/// # Safety
/// Called once: what it hands out are the only references to the board's buffers and storage.
pub unsafe fn take() -> Parts<Uart, Flash, Timer> {
    // SAFETY: the caller calls this once, so each of these is the only reference to its buffer.
    let buffers = unsafe {
        Buffers {
            receive: &mut *RECEIVE_BUF.0.get(),
            send: &mut *SEND_BUF.0.get(),
            latents: &mut *LATENT_BUF.0.get(),
            workspace: &mut *WORKSPACE_BUF.0.get(),
            window: WINDOW,
        }
    };
    // SAFETY: 16 MB of RAM are at this address, the linker knows nothing of them (qemu_m4.x), and the caller calls this once.
    let storage = unsafe { core::slice::from_raw_parts_mut(STORAGE as *mut u8, STORAGE_LEN) };
    // RAM is zero after power-on, which flash never is as a whole: after a reset the model is still there.
    let fresh = storage[..64].iter().all(|&byte| byte == 0);
    let flash = if fresh { RamFlash::erased(storage) } else { RamFlash::new(storage) };
    Parts { serial: Uart::start(), flash, clock: Timer::start(), buffers }
}

/// Sleeps until the line has something. At once, and not after a while of looking: every look takes a lock that the
/// emulator needs to bring the next byte (50 kB/s this way, 15 to 20 the other).
pub fn idle(serial: &mut Uart) {
    serial.sleep();
}

/// Stands still.
pub fn halt() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

/// CMSDK UART 0, polled; its receive interrupt only ends the sleep and is never taken.
pub struct Uart(());

impl Uart {
    const DATA: usize = 0x00;
    const STATE: usize = 0x04;
    const CTRL: usize = 0x08;
    const INTCLEAR: usize = 0x0C;
    const BAUDDIV: usize = 0x10;

    const TX_FULL: u32 = 1 << 0;
    const RX_FULL: u32 = 1 << 1;
    const TX_ENABLE: u32 = 1 << 0;
    const RX_ENABLE: u32 = 1 << 1;
    const RX_INTERRUPT: u32 = 1 << 3;
    const RX_PENDING: u32 = 1 << 1;

    fn start() -> Self {
        // Interrupts stay masked: a pending one wakes the core all the same.
        cortex_m::interrupt::disable();
        let mut uart = Self(());
        // The smallest divider that the model takes; it sends at once whatever the rate.
        uart.write_register(Self::BAUDDIV, 16);
        uart.write_register(Self::CTRL, Self::TX_ENABLE | Self::RX_ENABLE | Self::RX_INTERRUPT);
        // SAFETY: with interrupts masked an enabled one runs no code; no critical section relies on this mask.
        unsafe { cortex_m::peripheral::NVIC::unmask(UartReceive) };
        uart
    }

    fn has_byte(&mut self) -> bool {
        self.read_register(Self::STATE) & Self::RX_FULL != 0
    }

    fn sleep(&mut self) {
        self.write_register(Self::INTCLEAR, Self::RX_PENDING);
        cortex_m::peripheral::NVIC::unpend(UartReceive);
        // A byte that came before these two lines is still in the register, one that comes after is pending again.
        if !self.has_byte() {
            cortex_m::asm::wfi();
        }
    }

    fn read_register(&mut self, offset: usize) -> u32 {
        // SAFETY: a register of UART 0, which is on this board and which only this type touches.
        unsafe { ptr::read_volatile((UART0 + offset) as *const u32) }
    }

    fn write_register(&mut self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile((UART0 + offset) as *mut u32, value) }
    }
}

/// Interrupt 0 of the AN386: UART 0 received a byte.
#[derive(Clone, Copy)]
struct UartReceive;

// SAFETY: number 0 is an interrupt of this chip, and the only one that has this type.
unsafe impl cortex_m::interrupt::InterruptNumber for UartReceive {
    fn number(self) -> u16 {
        0
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.has_byte())
    }
}

impl Read for Uart {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let Some(place) = buf.first_mut() else { return Ok(0) };
        while !self.has_byte() {}
        *place = self.read_register(Self::DATA) as u8;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        for &byte in buf {
            while self.read_register(Self::STATE) & Self::TX_FULL != 0 {}
            self.write_register(Self::DATA, u32::from(byte));
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// CMSDK timer 0, counting down at the core's clock. It wraps after 171 seconds; read at every row, it is not missed.
pub struct Timer {
    passed: u64,
    last: u32,
}

impl Timer {
    const CTRL: usize = 0x0;
    const VALUE: usize = 0x4;
    const RELOAD: usize = 0x8;

    fn start() -> Self {
        // SAFETY: registers of timer 0, which is on this board and which only this type touches.
        unsafe {
            ptr::write_volatile((TIMER0 + Self::RELOAD) as *mut u32, u32::MAX);
            ptr::write_volatile((TIMER0 + Self::VALUE) as *mut u32, u32::MAX);
            ptr::write_volatile((TIMER0 + Self::CTRL) as *mut u32, 1);
        }
        Self { passed: 0, last: u32::MAX }
    }
}

impl Clock for Timer {
    const HZ: u32 = 25_000_000;

    fn now(&mut self) -> u64 {
        // SAFETY: as above.
        let left = unsafe { ptr::read_volatile((TIMER0 + Self::VALUE) as *const u32) };
        self.passed += u64::from(self.last.wrapping_sub(left));
        self.last = left;
        self.passed
    }
}
