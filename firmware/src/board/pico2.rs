//! `pico2`: a Raspberry Pi Pico 2 (RP2350, Cortex-M33 at 150 MHz), with USB, packs in the flash that the program runs
//! from, and the lamp on GPIO 25. The feature `display` adds an ST7789 or ILI9341 on SPI 0.

#[cfg(feature = "display")]
mod display;
mod flash;
mod usb;

use core::cell::RefCell;

use critical_section::Mutex;
use hal::block::ImageDef;
use hal::fugit::ExtU32;
use hal::reboot::{RebootArch, RebootKind};
use hal::timer::CopyableTimer0;
use hal::{Clock as _, pac};
use nickeldime_core::device::Clock;
use rp235x_hal as hal;

use super::{Board, Parts};
use crate::flash::Mapped;
#[cfg(not(feature = "display"))]
use crate::screen::NoScreen;
use crate::sizes::{PICO2 as SIZES, Sizes};

/// The block that the boot ROM requires before it starts a program.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE: ImageDef = ImageDef::secure_exe();

static MEMORY: crate::memory!(SIZES) = <crate::memory!(SIZES)>::new();
static WATCHDOG: Mutex<RefCell<Option<hal::Watchdog>>> = Mutex::new(RefCell::new(None));

const CRYSTAL_HZ: u32 = 12_000_000;
const LAMP: u32 = 1 << 25;

/// The board.
pub struct Pico2;

impl Board for Pico2 {
    const SIZES: Sizes = SIZES;

    type Serial = usb::Serial;
    type Flash = Mapped<flash::PicoFlash>;
    type Clock = Micros;
    #[cfg(feature = "display")]
    type Screen = display::Display;
    #[cfg(not(feature = "display"))]
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: the caller calls this once, and nothing else takes the peripherals.
        let mut chip = unsafe { pac::Peripherals::steal() };
        let mut watchdog = hal::Watchdog::new(chip.WATCHDOG);
        let clocks = hal::clocks::init_clocks_and_plls(
            CRYSTAL_HZ,
            chip.XOSC,
            chip.CLOCKS,
            chip.PLL_SYS,
            chip.PLL_USB,
            &mut chip.RESETS,
            &mut watchdog,
        );
        // The board cannot do anything if its crystal does not start.
        let Ok(clocks) = clocks else { Self::restart() };
        debug_assert_eq!(clocks.system_clock.freq().to_Hz(), SIZES.clock_hz);
        let timer = hal::Timer::new_timer0(chip.TIMER0, &mut chip.RESETS, &clocks);
        let sio = hal::Sio::new(chip.SIO);
        let pins = hal::gpio::Pins::new(chip.IO_BANK0, chip.PADS_BANK0, sio.gpio_bank0, &mut chip.RESETS);
        let _ = pins.gpio25.into_push_pull_output();
        let bus =
            hal::usb::UsbBus::new(chip.USB, chip.USB_DPRAM, clocks.usb_clock, true, &mut chip.RESETS);
        watchdog.start(8.secs());
        critical_section::with(|cs| WATCHDOG.replace(cs, Some(watchdog)));
        #[cfg(feature = "display")]
        let screen = {
            let wires = display::Wires {
                clock: pins.gpio18.into_function().into_pull_type(),
                data: pins.gpio19.into_function().into_pull_type(),
                select: pins.gpio17.into_push_pull_output(),
                command: pins.gpio20.into_push_pull_output(),
                reset: pins.gpio21.into_push_pull_output(),
                light: pins.gpio22.into_push_pull_output(),
            };
            // SAFETY: the caller calls this once.
            unsafe { display::start(chip.SPI0, wires, &mut chip.RESETS, clocks.peripheral_clock.freq(), timer) }
        };
        #[cfg(not(feature = "display"))]
        let screen = NoScreen;
        // SAFETY: the caller calls this once.
        let (flash, buffers) = unsafe { (Mapped(flash::PicoFlash::new()), MEMORY.take(&SIZES)) };
        // SAFETY: as above.
        let serial = unsafe { usb::Serial::start(bus) };
        Parts { serial, flash, clock: Micros(timer), screen, buffers }
    }

    fn idle(_: &mut usb::Serial) {
        usb::sleep();
    }

    fn lamp(on: bool) {
        // SAFETY: these two registers set or clear one pin, which nothing else uses.
        unsafe {
            let sio = &*pac::SIO::PTR;
            if on {
                sio.gpio_out_set().write(|w| w.bits(LAMP));
            } else {
                sio.gpio_out_clr().write(|w| w.bits(LAMP));
            }
        }
    }

    fn feed_watchdog() {
        critical_section::with(|cs| {
            if let Some(watchdog) = WATCHDOG.borrow_ref(cs).as_ref() {
                watchdog.feed();
            }
        });
    }

    fn reset_by_watchdog() -> bool {
        // The boot ROM and a panic also restart the board by the watchdog. So each run leaves a mark, and a panic
        // removes it; if the mark is still there at the next start, the watchdog has ended the run. Power-on clears the
        // mark.
        const RUNS: u32 = 0x4E44_5255;
        // SAFETY: this register is reserved for the program, and keeps its value over a restart.
        let mark = unsafe { (*pac::WATCHDOG::PTR).scratch0() };
        let reset_by_watchdog = mark.read().bits() == RUNS;
        // SAFETY: as above.
        mark.write(|w| unsafe { w.bits(RUNS) });
        reset_by_watchdog
    }

    fn restart() -> ! {
        // SAFETY: as in `reset_by_watchdog`.
        unsafe { (*pac::WATCHDOG::PTR).scratch0().write(|w| w.bits(0)) };
        hal::reboot::reboot(RebootKind::Normal, RebootArch::Normal)
    }
}

/// Counts microseconds since the start.
pub struct Micros(hal::Timer<CopyableTimer0>);

impl Clock for Micros {
    const HZ: u32 = 1_000_000;

    fn now(&mut self) -> u64 {
        self.0.get_counter().ticks()
    }
}
