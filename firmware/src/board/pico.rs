//! `pico`: a Raspberry Pi Pico (RP2040, Cortex-M0+ at 125 MHz): USB, packs in the flash that the program runs from, the lamp
//! on GPIO 25.

use hal::pac;
use nickeldime_core::device::Clock;
use rp2040_hal as hal;

use super::rp::{flash, lamp, usb, watchdog};
use super::{Board, Parts};
use crate::flash::Mapped;
use crate::screen::NoScreen;
use crate::sizes::{PICO as SIZES, Sizes};

/// The second stage of the boot, which the boot ROM copies to RAM and runs: it sets the flash up for fast reading.
#[unsafe(link_section = ".boot2")]
#[used]
static SECOND_STAGE: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

static MEMORY: crate::memory!(SIZES) = <crate::memory!(SIZES)>::new();

const CRYSTAL_HZ: u32 = 12_000_000;
/// The second stage in the flash. Called by a program, it sets the flash up and returns.
const SETUP: usize = 0x1000_0000;
/// All that a restart resets; the two oscillators (bits 0 and 1) run on.
const ALL_BUT_OSCILLATORS: u32 = 0x1_FFFC;

/// The board.
pub struct Pico;

impl Board for Pico {
    const SIZES: Sizes = SIZES;

    type Serial = usb::Serial;
    type Flash = Mapped<flash::PicoFlash>;
    type Clock = Micros;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: the caller calls this once, and nothing else takes the peripherals.
        let (mut chip, core) = unsafe { (pac::Peripherals::steal(), cortex_m::Peripherals::steal()) };
        let mut dog = hal::Watchdog::new(chip.WATCHDOG);
        let clocks = hal::clocks::init_clocks_and_plls(
            CRYSTAL_HZ,
            chip.XOSC,
            chip.CLOCKS,
            chip.PLL_SYS,
            chip.PLL_USB,
            &mut chip.RESETS,
            &mut dog,
        );
        // A board whose crystal does not start cannot do anything.
        let Ok(clocks) = clocks else { Self::restart() };
        let timer = hal::Timer::new(chip.TIMER, &mut chip.RESETS, &clocks);
        let sio = hal::Sio::new(chip.SIO);
        let pins = hal::gpio::Pins::new(chip.IO_BANK0, chip.PADS_BANK0, sio.gpio_bank0, &mut chip.RESETS);
        let _ = pins.gpio25.into_push_pull_output();
        let bus =
            hal::usb::UsbBus::new(chip.USBCTRL_REGS, chip.USBCTRL_DPRAM, clocks.usb_clock, true, &mut chip.RESETS);
        watchdog::start(dog, core.SYST, SIZES.clock_hz);
        // SAFETY: the caller calls this once; the second stage is at the beginning of the flash (pico.x).
        let (flash, buffers) = unsafe { (Mapped(flash::PicoFlash::new(SIZES, SETUP)), MEMORY.take(&SIZES)) };
        // The chip has no number of its own; its flash has one, but no function of the boot ROM reads it.
        // SAFETY: as above.
        let serial = unsafe { usb::Serial::start(bus, "nickeldime pico", None) };
        Parts { serial, flash, clock: Micros(timer), screen: NoScreen, buffers }
    }

    fn idle(_: &mut usb::Serial) {
        usb::sleep();
    }

    fn lamp(on: bool) {
        lamp::light(on);
    }

    fn feed_watchdog() {
        watchdog::feed();
    }

    fn reset_by_watchdog() -> bool {
        watchdog::has_reset()
    }

    /// By the watchdog: the core's own reset would leave the USB controller as it is.
    fn restart() -> ! {
        watchdog::forget();
        // SAFETY: whatever else uses these two registers ends here.
        unsafe {
            (*pac::PSM::PTR).wdsel().write(|w| w.bits(ALL_BUT_OSCILLATORS));
            (*pac::WATCHDOG::PTR).ctrl().write(|w| w.trigger().set_bit());
        }
        loop {
            cortex_m::asm::nop();
        }
    }
}

/// Microseconds since the start.
pub struct Micros(hal::Timer);

impl Clock for Micros {
    const HZ: u32 = 1_000_000;

    fn now(&mut self) -> u64 {
        self.0.get_counter().ticks()
    }
}
