//! `pico2`: a Raspberry Pi Pico 2 (RP2350, Cortex-M33 at 150 MHz), with USB, packs in the flash that the program runs
//! from, and the lamp on GPIO 25. The feature `display` adds an ST7789 or ILI9341 on SPI 0.

#[cfg(feature = "display")]
mod display;

use hal::block::ImageDef;
use hal::reboot::{RebootArch, RebootKind};
use hal::rom_data::sys_info_api::chip_info;
use hal::timer::CopyableTimer0;
use hal::{Clock as _, pac};
use nickeldime_core::device::Clock;
use rp235x_hal as hal;

use super::rp::{flash, lamp, usb, watchdog};
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

const CRYSTAL_HZ: u32 = 12_000_000;
/// Where the boot ROM leaves the function that sets the flash up for fast reading.
const SETUP: usize = 0x400E_0000;

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
        // The board cannot do anything if its crystal does not start.
        let Ok(clocks) = clocks else { Self::restart() };
        debug_assert_eq!(clocks.system_clock.freq().to_Hz(), SIZES.clock_hz);
        let timer = hal::Timer::new_timer0(chip.TIMER0, &mut chip.RESETS, &clocks);
        let sio = hal::Sio::new(chip.SIO);
        let pins = hal::gpio::Pins::new(chip.IO_BANK0, chip.PADS_BANK0, sio.gpio_bank0, &mut chip.RESETS);
        let _ = pins.gpio25.into_push_pull_output();
        let bus =
            hal::usb::UsbBus::new(chip.USB, chip.USB_DPRAM, clocks.usb_clock, true, &mut chip.RESETS);
        watchdog::start(dog, core.SYST, SIZES.clock_hz);
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
        let (flash, buffers) = unsafe { (Mapped(flash::PicoFlash::new(SIZES, SETUP)), MEMORY.take(&SIZES)) };
        // SAFETY: as above.
        let serial = unsafe { usb::Serial::start(bus, "nickeldime pico2", chip_number()) };
        Parts { serial, flash, clock: Micros(timer), screen, buffers }
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

    fn restart() -> ! {
        watchdog::forget();
        hal::reboot::reboot(RebootKind::Normal, RebootArch::Normal)
    }
}

/// The number that the chip got when it was made.
fn chip_number() -> Option<u64> {
    let chip = chip_info().ok()??;
    Some(u64::from(chip.wafer_id) << 32 | u64::from(chip.device_id))
}

/// Microseconds since the start.
pub struct Micros(hal::Timer<CopyableTimer0>);

impl Clock for Micros {
    const HZ: u32 = 1_000_000;

    fn now(&mut self) -> u64 {
        self.0.get_counter().ticks()
    }
}
