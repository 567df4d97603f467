//! `nucleo-h743`: an ST Nucleo-H743ZI2 (STM32H743, Cortex-M7 at 480 MHz, caches on), with USART 3 through the ST-Link
//! and the green lamp (PB0). Packs lie in the flash after the firmware. The loaded pack and a new one lie at its two
//! ends, in different banks, so the program keeps running while the second bank is erased.

use core::convert::Infallible;

use cortex_m::peripheral::{NVIC, SCB};
use embedded_io::{ErrorType, Read, ReadReady, Write};
use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};
use hal::flash::{FlashExt, LockedFlashBank};
use hal::gpio::Speed;
use hal::independent_watchdog::IndependentWatchdog;
use hal::pac::{self, Interrupt, interrupt};
use hal::prelude::*;
use hal::rcc::PllConfigStrategy;
use hal::serial::Event;
use stm32h7xx_hal as hal;

use super::{Board, Parts};
use crate::flash::{Mapped, RawFlash};
use crate::ring::Ring;
use crate::screen::NoScreen;
use crate::sizes::{NUCLEO_H743 as SIZES, Sizes};
use crate::systick::Millis;

/// The buffers lie in the large RAM, which is not initialised: nothing reads them before they are written.
#[unsafe(link_section = ".axisram")]
static MEMORY: crate::memory!(SIZES) = <crate::memory!(SIZES)>::new();

const BAUD: u32 = 921_600;

/// The board.
pub struct NucleoH743;

impl Board for NucleoH743 {
    const SIZES: Sizes = SIZES;

    type Serial = Usart;
    type Flash = Mapped<TwoBanks>;
    type Clock = Millis;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: the caller calls this once, and nothing else takes the peripherals.
        let (mut core, chip) = unsafe { (cortex_m::Peripherals::steal(), pac::Peripherals::steal()) };
        let power = chip.PWR.constrain().vos0(&chip.SYSCFG).freeze();
        // The ST-Link supplies a clock of 8 MHz. sys_ck drives the core, and half of it the buses.
        let rcc = chip.RCC.constrain().use_hse(8.MHz()).bypass_hse();
        let rcc = rcc.pll1_strategy(PllConfigStrategy::Iterative);
        let clocks = rcc.sys_ck(480.MHz()).hclk(240.MHz()).freeze(power, &chip.SYSCFG);
        core.SCB.enable_icache();
        core.SCB.enable_dcache(&mut core.CPUID);

        let lamp = chip.GPIOB.split(clocks.peripheral.GPIOB);
        let _ = lamp.pb0.into_push_pull_output();
        let line = chip.GPIOD.split(clocks.peripheral.GPIOD);
        let pins = (
            line.pd8.into_alternate().speed(Speed::High),
            line.pd9.into_alternate().speed(Speed::High),
        );
        let usart = chip.USART3.serial(pins, BAUD.bps(), clocks.peripheral.USART3, &clocks.clocks);
        // This cannot fail, because the clock can be divided to this rate.
        let Ok(mut usart) = usart else { Self::restart() };
        usart.listen(Event::Rxne);
        // SAFETY: its handler is below; no critical section relies on this mask.
        unsafe { NVIC::unmask(Interrupt::USART3) };

        IndependentWatchdog::new(chip.IWDG).start(8.secs());
        let (first, second) = chip.FLASH.split();
        // This cannot fail, because the H743ZI has two banks.
        let Some(second) = second else { Self::restart() };
        let flash = Mapped(TwoBanks { banks: [first, second], scb: core.SCB, cpuid: core.CPUID });
        // SAFETY: the caller calls this once.
        let buffers = unsafe { MEMORY.take(&SIZES) };
        Parts { serial: Usart(()), flash, clock: Millis::start(core.SYST, SIZES.clock_hz), screen: NoScreen, buffers }
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
        // SAFETY: this register sets or clears one pin, which nothing else uses.
        unsafe { (*pac::GPIOB::PTR).bsrr.write(|w| w.bits(if on { 1 } else { 1 << 16 })) };
    }

    fn feed_watchdog() {
        // SAFETY: this register only feeds the watchdog.
        unsafe { (*pac::IWDG::PTR).kr.write(|w| w.key().reset()) };
    }

    fn reset_by_watchdog() -> bool {
        // SAFETY: this register holds the reason of the last reset, and the write clears it.
        let reasons = unsafe { &(*pac::RCC::PTR).rsr };
        let reset_by_watchdog = reasons.read().iwdg1rstf().bit_is_set();
        reasons.modify(|_, w| w.rmvf().set_bit());
        reset_by_watchdog
    }

    fn restart() -> ! {
        SCB::sys_reset()
    }
}

/// Bytes that the interrupt has received.
static RECEIVED: Ring<16_384> = Ring::new();

#[interrupt]
fn USART3() {
    // SAFETY: reading these registers, and clearing an overrun, is this handler's alone.
    let usart = unsafe { &*pac::USART3::PTR };
    while usart.isr.read().rxne().bit_is_set() {
        let byte = usart.rdr.read().rdr().bits() as u8;
        // SAFETY: this is the only writer, and it does not interrupt itself. Bytes without room are lost, which the link
        // detects.
        let _ = unsafe { RECEIVED.push(byte) };
    }
    usart.icr.write(|w| w.orecf().clear());
}

/// The line of USART 3. An interrupt receives; sending is polled.
pub struct Usart(());

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
        // SAFETY: only this type uses the sending half of the USART.
        let usart = unsafe { &*pac::USART3::PTR };
        for &byte in buf {
            while usart.isr.read().txe().bit_is_clear() {}
            usart.tdr.write(|w| w.tdr().bits(byte.into()));
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The flash after the firmware's sector: seven sectors of the first bank, then the second bank.
pub struct TwoBanks {
    banks: [LockedFlashBank; 2],
    scb: SCB,
    cpuid: cortex_m::peripheral::CPUID,
}

impl TwoBanks {
    const START: usize = 0x0800_0000 + SIZES.program as usize;
    const BANK: u32 = 1 << 20;

    /// The bank of an offset, and the offset within that bank.
    fn place(offset: u32) -> (usize, u32) {
        let at = SIZES.program + offset;
        ((at / Self::BANK) as usize, at % Self::BANK)
    }

    /// Invalidates the data cache for a range of flash that has changed.
    fn forget(&mut self, offset: u32, len: usize) {
        let from = (Self::START + offset as usize) & !31;
        let to = Self::START + offset as usize + len;
        if len >= SIZES.sector as usize {
            // No dirty lines belong to flash. For a whole sector this is faster than line by line.
            self.scb.clean_invalidate_dcache(&mut self.cpuid);
        } else {
            // SAFETY: the lines belong to flash only, so no written data is lost.
            unsafe { self.scb.invalidate_dcache_by_address(from, to - from) };
        }
    }
}

impl RawFlash for TwoBanks {
    const WRITE_SIZE: usize = 32;
    const ERASE_SIZE: usize = SIZES.sector as usize;

    fn bytes(&self) -> &[u8] {
        // SAFETY: this is the board's flash, which changes only in `&mut self` methods.
        unsafe { core::slice::from_raw_parts(Self::START as *const u8, SIZES.storage as usize) }
    }

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        for offset in (from..to).step_by(Self::ERASE_SIZE) {
            // Erasing a sector takes a second or two.
            NucleoH743::feed_watchdog();
            let (bank, at) = Self::place(offset);
            let erased = self.banks[bank].unlocked().erase(at, at + SIZES.sector);
            erased.map_err(|_| NorFlashErrorKind::Other)?;
            self.forget(offset, Self::ERASE_SIZE);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let (bank, at) = Self::place(offset);
        // A chunk may begin in the first bank and end in the second.
        let (here, there) = bytes.split_at(bytes.len().min((Self::BANK - at) as usize));
        let mut written = self.banks[bank].unlocked().write(at, here);
        if written.is_ok() && !there.is_empty() {
            written = self.banks[1].unlocked().write(0, there);
        }
        self.forget(offset, bytes.len());
        written.map_err(|_| NorFlashErrorKind::Other)
    }
}
