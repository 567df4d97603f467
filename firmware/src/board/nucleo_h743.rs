//! `nucleo-h743`: an ST Nucleo-H743ZI2 (STM32H743, Cortex-M7 at 480 MHz, caches on): USART 3 through the ST-Link, the green
//! lamp (PB0). Packs lie in the flash behind the firmware: a new one and the loaded one at its two ends, which are its two
//! banks, so that the program runs on while the second is erased.

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

/// In the large RAM, whatever it holds at power-on: nothing reads it before it is written.
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
        // The ST-Link gives 8 MHz; sys_ck feeds the core, half of it the buses.
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
        // The rate is one that the clock divides to.
        let Ok(mut usart) = usart else { Self::restart() };
        usart.listen(Event::Rxne);
        // SAFETY: its handler is below; no critical section relies on this mask.
        unsafe { NVIC::unmask(Interrupt::USART3) };

        IndependentWatchdog::new(chip.IWDG).start(8.secs());
        let (first, second) = chip.FLASH.split();
        // The H743ZI has two.
        let Some(second) = second else { Self::restart() };
        let flash = Mapped(TwoBanks { banks: [first, second], scb: core.SCB, cpuid: core.CPUID });
        // SAFETY: the caller calls this once.
        let buffers = unsafe { MEMORY.take(&SIZES) };
        Parts { serial: Usart(()), flash, clock: Millis::start(core.SYST, SIZES.clock_hz), screen: NoScreen, buffers }
    }

    fn idle(_: &mut Usart) {
        // An interrupt between the look and the sleep stays pending and ends it.
        cortex_m::interrupt::free(|_| {
            if RECEIVED.is_empty() {
                cortex_m::asm::wfi();
            }
        });
    }

    fn lamp(on: bool) {
        // SAFETY: this register sets or clears one pin, which is nobody else's.
        unsafe { (*pac::GPIOB::PTR).bsrr.write(|w| w.bits(if on { 1 } else { 1 << 16 })) };
    }

    fn feed_watchdog() {
        // SAFETY: this register only feeds the watchdog.
        unsafe { (*pac::IWDG::PTR).kr.write(|w| w.key().reset()) };
    }

    fn reset_by_watchdog() -> bool {
        // SAFETY: this register tells why the chip was reset, and is told to forget it.
        let reasons = unsafe { &(*pac::RCC::PTR).rsr };
        let reset_by_watchdog = reasons.read().iwdg1rstf().bit_is_set();
        reasons.modify(|_, w| w.rmvf().set_bit());
        reset_by_watchdog
    }

    fn restart() -> ! {
        SCB::sys_reset()
    }
}

/// Bytes that the interrupt has taken.
static RECEIVED: Ring<16_384> = Ring::new();

#[interrupt]
fn USART3() {
    // SAFETY: reading these registers, and clearing an overrun, is this handler's alone.
    let usart = unsafe { &*pac::USART3::PTR };
    while usart.isr.read().rxne().bit_is_set() {
        let byte = usart.rdr.read().rdr().bits() as u8;
        // SAFETY: the only writer, and it does not interrupt itself. What finds no room is lost; the link notices.
        let _ = unsafe { RECEIVED.push(byte) };
    }
    usart.icr.write(|w| w.orecf().clear());
}

/// USART 3: an interrupt receives, sending is polled.
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
            // SAFETY: the only reader.
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
        // SAFETY: the sending half of the USART is this type's alone.
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

/// The flash behind the firmware's sector: seven sectors of the first bank, then the second one.
pub struct TwoBanks {
    banks: [LockedFlashBank; 2],
    scb: SCB,
    cpuid: cortex_m::peripheral::CPUID,
}

impl TwoBanks {
    const START: usize = 0x0800_0000 + SIZES.program as usize;
    const BANK: u32 = 1 << 20;

    /// The bank that an offset lies in, and where in it.
    fn place(offset: u32) -> (usize, u32) {
        let at = SIZES.program + offset;
        ((at / Self::BANK) as usize, at % Self::BANK)
    }

    /// Forgets what the data cache holds of a range that has changed.
    fn forget(&mut self, offset: u32, len: usize) {
        let from = (Self::START + offset as usize) & !31;
        let to = Self::START + offset as usize + len;
        if len >= SIZES.sector as usize {
            // There is nothing dirty in it that belongs to flash; a whole sector's lines one by one would take longer.
            self.scb.clean_invalidate_dcache(&mut self.cpuid);
        } else {
            // SAFETY: whole lines of flash, which hold nothing but what is in the flash.
            unsafe { self.scb.invalidate_dcache_by_address(from, to - from) };
        }
    }
}

impl RawFlash for TwoBanks {
    const WRITE_SIZE: usize = 32;
    const ERASE_SIZE: usize = SIZES.sector as usize;

    fn bytes(&self) -> &[u8] {
        // SAFETY: flash of this board; it changes in `&mut self` methods only.
        unsafe { core::slice::from_raw_parts(Self::START as *const u8, SIZES.storage as usize) }
    }

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        for offset in (from..to).step_by(Self::ERASE_SIZE) {
            // A second or two.
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
