//! `stm32f405`: an STM32F405 (Cortex-M4F at 168 MHz from its own oscillator), with USART 1 on PA9 (TX) and PA10 (RX) and
//! an active-low lamp on PC13. Any board with this chip and these pins works.
//!
//! QEMU's `netduinoplus2` runs it, but does not emulate the flash controller. With the feature `emulated`, packs lie in
//! the last 64 of QEMU's 192 kB of contiguous RAM; the chip has 128 kB there.

use core::convert::Infallible;

use cortex_m::peripheral::{NVIC, SCB};
use cortex_m_rt::exception;
use embedded_io::{ErrorType, Read, ReadReady, Write};

use super::{Board, Parts};
use crate::memory;
use crate::register::Peripheral;
use crate::ring::Ring;
use crate::screen::NoScreen;
use crate::sizes::{STM32F405 as SIZES, Sizes};
use crate::systick::Millis;

// SAFETY: peripherals of this chip, of which this file is the only owner.
const RCC: Peripheral = unsafe { Peripheral::at(0x4002_3800) };
// SAFETY: as above.
const FLASH: Peripheral = unsafe { Peripheral::at(0x4002_3C00) };
// SAFETY: as above.
const GPIOA: Peripheral = unsafe { Peripheral::at(0x4002_0000) };
// SAFETY: as above.
const GPIOC: Peripheral = unsafe { Peripheral::at(0x4002_0800) };
// SAFETY: as above.
const USART: Peripheral = unsafe { Peripheral::at(0x4001_1000) };
// SAFETY: as above.
const WATCHDOG: Peripheral = unsafe { Peripheral::at(0x4000_3000) };

const BAUD: u32 = 921_600;
const MODER: usize = 0x00;
const BSRR: usize = 0x18;
const AFRH: usize = 0x24;
const ACR: usize = 0x00;

static MEMORY: memory!(SIZES) = <memory!(SIZES)>::new();

/// The board.
pub struct Stm32f405;

impl Board for Stm32f405 {
    const SIZES: Sizes = SIZES;

    type Serial = Usart;
    #[cfg(not(feature = "emulated"))]
    type Flash = crate::flash::Mapped<chip::ChipFlash>;
    #[cfg(feature = "emulated")]
    type Flash = nickeldime_core::storage::RamFlash<&'static mut [u8], 4, 4096>;
    type Clock = Millis;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: nothing else in this program takes the core's peripherals.
        let core = unsafe { cortex_m::Peripherals::steal() };
        start_clocks();
        start_lamp();
        start_watchdog();
        // SAFETY: the caller calls this once.
        let buffers = unsafe { MEMORY.take(&SIZES) };
        #[cfg(not(feature = "emulated"))]
        let flash = crate::flash::Mapped(chip::ChipFlash::new());
        // SAFETY: QEMU has 64 kB of RAM there, and the linker knows nothing of them (stm32f405.x).
        #[cfg(feature = "emulated")]
        let flash = unsafe { memory::ram_flash(0x2002_0000, 64 << 10) };
        Parts { serial: Usart::start(), flash, clock: Millis::start(core.SYST, SIZES.clock_hz), screen: NoScreen, buffers }
    }

    fn idle(_: &mut Usart) {
        // An interrupt that arrives after the check stays pending and ends the sleep.
        cortex_m::interrupt::free(|_| {
            if RECEIVED.is_empty() {
                cortex_m::asm::wfi();
            }
        });
    }

    fn lamp(on: bool) {
        const PIN: u32 = 1 << 13;
        GPIOC.write(BSRR, if on { PIN << 16 } else { PIN });
    }

    fn feed_watchdog() {
        const FEED: u32 = 0xAAAA;
        WATCHDOG.write(0, FEED);
    }

    fn reset_by_watchdog() -> bool {
        const CSR: usize = 0x74;
        const BY_WATCHDOG: u32 = 1 << 29;
        const FORGET: u32 = 1 << 24;
        let reset_by_watchdog = RCC.read(CSR) & BY_WATCHDOG != 0;
        RCC.modify(CSR, FORGET, FORGET);
        reset_by_watchdog
    }

    fn restart() -> ! {
        SCB::sys_reset()
    }
}

/// Sets the core to 168 MHz and the USART to 84 MHz, from the chip's 16 MHz oscillator, so that the board's crystal does
/// not matter.
fn start_clocks() {
    const CR: usize = 0x00;
    const PLLCFGR: usize = 0x04;
    const CFGR: usize = 0x08;
    const AHB1ENR: usize = 0x30;
    const APB2ENR: usize = 0x44;
    /// 16 MHz / 16 * 336 / 2, and / 7 for USB; bit 29 is set after a reset.
    const PLL: u32 = 1 << 29 | 7 << 24 | 336 << 6 | 16;
    const PLL_ON: u32 = 1 << 24;
    const PLL_READY: u32 = 1 << 25;
    /// 5 wait states at 168 MHz and 3.3 V, with prefetch and both caches.
    const FIVE_WAITS_CACHED: u32 = 0x705;
    /// APB 1 at a quarter, APB 2 at half the core's clock.
    const BUSES: u32 = 0b101 << 10 | 0b100 << 13;
    const USE_PLL: u32 = 0b10;

    RCC.write(PLLCFGR, PLL);
    RCC.modify(CR, PLL_ON, PLL_ON);
    FLASH.write(ACR, FIVE_WAITS_CACHED);
    RCC.write(CFGR, BUSES);
    // The PLL locks within microseconds on the chip, and never in an emulator without a clock controller.
    if (0..100_000).any(|_| RCC.read(CR) & PLL_READY != 0) {
        RCC.write(CFGR, BUSES | USE_PLL);
        while RCC.read(CFGR) >> 2 & 0b11 != USE_PLL {}
    }
    const GPIO_A_AND_C: u32 = 1 << 0 | 1 << 2;
    const USART1: u32 = 1 << 4;
    RCC.modify(AHB1ENR, GPIO_A_AND_C, GPIO_A_AND_C);
    RCC.modify(APB2ENR, USART1, USART1);
    // The peripherals' clocks start two cycles later.
    let _ = RCC.read(APB2ENR);
}

fn start_lamp() {
    GPIOC.modify(MODER, 0b11 << 26, 0b01 << 26);
    Stm32f405::lamp(false);
}

/// Starts the watchdog with eight seconds, counted at 32 kHz / 256.
fn start_watchdog() {
    const KEY: usize = 0x00;
    WATCHDOG.write(KEY, 0x5555);
    WATCHDOG.write(0x04, 6);
    WATCHDOG.write(0x08, 1000);
    Stm32f405::feed_watchdog();
    WATCHDOG.write(KEY, 0xCCCC);
}

/// Bytes that the interrupt has received from the USART, which itself holds only one.
static RECEIVED: Ring<2048> = Ring::new();

/// The line of USART 1. An interrupt receives; sending is polled.
pub struct Usart(());

impl Usart {
    const SR: usize = 0x00;
    const DR: usize = 0x04;
    const BRR: usize = 0x08;
    const CR1: usize = 0x0C;

    const RX_FULL: u32 = 1 << 5;
    const OVERRUN: u32 = 1 << 3;
    const TX_EMPTY: u32 = 1 << 7;

    fn start() -> Self {
        const ENABLE: u32 = 1 << 13 | 1 << 5 | 1 << 3 | 1 << 2;
        // Sets PA9 and PA10 to alternate function 7.
        GPIOA.modify(AFRH, 0xFF << 4, 0x77 << 4);
        GPIOA.modify(MODER, 0b1111 << 18, 0b1010 << 18);
        USART.write(Self::BRR, (SIZES.clock_hz / 2 + BAUD / 2) / BAUD);
        USART.write(Self::CR1, ENABLE);
        // SAFETY: its handler is below; no critical section relies on this mask.
        unsafe { NVIC::unmask(UsartInterrupt) };
        Self(())
    }
}

/// Interrupt 37 of the STM32F405, which belongs to USART 1.
#[derive(Clone, Copy)]
struct UsartInterrupt;

// SAFETY: number 37 is an interrupt of this chip, and the only one that has this type.
unsafe impl cortex_m::interrupt::InterruptNumber for UsartInterrupt {
    fn number(self) -> u16 {
        37
    }
}

/// The handler of all interrupts, only one of which is enabled.
#[exception]
unsafe fn DefaultHandler(_: i16) {
    let state = USART.read(Usart::SR);
    if state & (Usart::RX_FULL | Usart::OVERRUN) != 0 {
        // Reading this register clears both flags.
        let byte = USART.read(Usart::DR) as u8;
        if state & Usart::RX_FULL != 0 {
            // SAFETY: this is the only writer, and it does not interrupt itself. Bytes without room are lost, which the
            // link detects.
            let _ = unsafe { RECEIVED.push(byte) };
        }
    }
}

impl ErrorType for Usart {
    type Error = Infallible;
}

impl ReadReady for Usart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!RECEIVED.is_empty())
    }
}

impl Read for Usart {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        for (taken, place) in buf.iter_mut().enumerate() {
            // SAFETY: this is the only reader.
            match unsafe { RECEIVED.pop() } {
                Some(byte) => *place = byte,
                None => return Ok(taken),
            }
        }
        Ok(buf.len())
    }
}

impl Write for Usart {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        for &byte in buf {
            while USART.read(Self::SR) & Self::TX_EMPTY == 0 {}
            USART.write(Self::DR, u32::from(byte));
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The chip's own flash.
#[cfg(not(feature = "emulated"))]
mod chip {
    use core::{ptr, slice};

    use embedded_storage::nor_flash::NorFlashErrorKind;

    use super::{ACR, FLASH, SIZES, Stm32f405};
    use crate::Board;
    use crate::flash::RawFlash;

    /// The address of sector 5, and its number.
    const START: usize = 0x0802_0000;
    const FIRST: u32 = 5;

    const KEYR: usize = 0x04;
    const SR: usize = 0x0C;
    const CR: usize = 0x10;
    const BUSY: u32 = 1 << 16;
    const ERRORS: u32 = 0xF2;
    const PROGRAM: u32 = 1 << 0;
    const ERASE: u32 = 1 << 1;
    const WORDS: u32 = 0b10 << 8;
    const GO: u32 = 1 << 16;
    const LOCK: u32 = 1 << 31;

    /// Sectors 5 to 11, for the packs.
    pub struct ChipFlash(());

    impl ChipFlash {
        pub(super) fn new() -> Self {
            Self(())
        }

        /// Does `work` with the controller unlocked and set to `mode`.
        fn unlocked(&mut self, mode: u32, work: impl FnOnce()) -> Result<(), NorFlashErrorKind> {
            FLASH.write(KEYR, 0x4567_0123);
            FLASH.write(KEYR, 0xCDEF_89AB);
            FLASH.write(SR, ERRORS);
            FLASH.write(CR, WORDS | mode);
            work();
            while FLASH.read(SR) & BUSY != 0 {}
            let failed = FLASH.read(SR) & ERRORS != 0;
            FLASH.write(CR, LOCK);
            if failed { Err(NorFlashErrorKind::Other) } else { Ok(()) }
        }
    }

    impl RawFlash for ChipFlash {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = SIZES.sector as usize;

        fn bytes(&self) -> &[u8] {
            // SAFETY: this is the chip's flash, which changes only in `&mut self` methods.
            unsafe { slice::from_raw_parts(START as *const u8, SIZES.storage as usize) }
        }

        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            for sector in from / SIZES.sector..to / SIZES.sector {
                // Erasing takes a second or two, during which the core waits for its next instruction.
                Stm32f405::feed_watchdog();
                let mode = ERASE | (FIRST + sector) << 3;
                self.unlocked(mode, || FLASH.write(CR, WORDS | mode | GO))?;
            }
            // The data cache may hold the old contents.
            const CACHE: u32 = 1 << 10;
            const RESET: u32 = 1 << 12;
            FLASH.modify(ACR, CACHE, 0);
            FLASH.modify(ACR, RESET, RESET);
            FLASH.modify(ACR, CACHE | RESET, CACHE);
            Ok(())
        }

        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
            self.unlocked(PROGRAM, || {
                for (word, at) in bytes.as_chunks().0.iter().zip((START + offset as usize..).step_by(4)) {
                    // SAFETY: inside the packs' sectors, as checked; the controller is unlocked for just this.
                    unsafe { ptr::write_volatile(at as *mut u32, u32::from_le_bytes(*word)) };
                    while FLASH.read(SR) & BUSY != 0 {}
                }
            })
        }
    }
}
