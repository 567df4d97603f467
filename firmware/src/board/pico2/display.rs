//! A display of 240x320 pixels on SPI 0: clock GPIO 18, data 19, select 17, command 20, reset 21, light 22.

use core::cell::UnsafeCell;

use embedded_graphics_core::draw_target::DrawTarget;
use embedded_graphics_core::pixelcolor::{Rgb565, RgbColor};
use embedded_hal_bus::spi::{ExclusiveDevice, NoDelay};
use mipidsi::interface::SpiInterface;
#[cfg(feature = "ili9341")]
use mipidsi::models::ILI9341Rgb565 as Model;
#[cfg(not(feature = "ili9341"))]
use mipidsi::models::ST7789 as Model;
use mipidsi::options::{ColorInversion, ColorOrder};
use rp235x_hal::fugit::{HertzU32, RateExtU32};
use rp235x_hal::gpio::bank0::{Gpio17, Gpio18, Gpio19, Gpio20, Gpio21, Gpio22};
use rp235x_hal::gpio::{FunctionSio, FunctionSpi, Pin, PullDown, SioOutput};
use rp235x_hal::pac::{RESETS, SPI0};
use rp235x_hal::spi::{Enabled, Spi};
use rp235x_hal::timer::{CopyableTimer0, Timer};

use crate::screen::Canvas;

/// The clock rate in hertz that both displays accept without losing pixels over wires of a hand's breadth.
const HZ: u32 = 31_250_000;

type Out<I> = Pin<I, FunctionSio<SioOutput>, PullDown>;
type Clock = Pin<Gpio18, FunctionSpi, PullDown>;
type Data = Pin<Gpio19, FunctionSpi, PullDown>;
type Bus = Spi<Enabled, SPI0, (Data, Clock)>;
type Line = SpiInterface<'static, ExclusiveDevice<Bus, Out<Gpio17>, NoDelay>, Out<Gpio20>>;

/// The display; `None` if it did not start.
pub type Display = Option<Canvas<mipidsi::Display<Line, Model, Out<Gpio21>>>>;

/// The pins of the display.
pub struct Wires {
    pub clock: Clock,
    pub data: Data,
    pub select: Out<Gpio17>,
    pub command: Out<Gpio20>,
    pub reset: Out<Gpio21>,
    pub light: Out<Gpio22>,
}

/// A buffer for pixels that are being sent.
struct Pixels(UnsafeCell<[u8; 512]>);

// SAFETY: handed out once, in `start`.
unsafe impl Sync for Pixels {}

static PIXELS: Pixels = Pixels(UnsafeCell::new([0; 512]));

/// Starts the display and clears it to black.
///
/// # Safety
/// Called once.
pub unsafe fn start(
    spi: SPI0,
    wires: Wires,
    resets: &mut RESETS,
    peripheral_clock: HertzU32,
    mut timer: Timer<CopyableTimer0>,
) -> Display {
    use embedded_hal::digital::OutputPin;

    let Wires { clock, data, select, command, reset, mut light } = wires;
    let bus = Spi::<_, _, _, 8>::new(spi, (data, clock)).init(
        resets,
        peripheral_clock,
        HZ.Hz(),
        embedded_hal::spi::MODE_0,
    );
    // SAFETY: the caller calls this once, so this is the only reference.
    let pixels = unsafe { &mut *PIXELS.0.get() };
    let line = SpiInterface::new(ExclusiveDevice::new_no_delay(bus, select).ok()?, command, pixels);
    let builder = mipidsi::Builder::new(Model, line).reset_pin(reset).display_size(240, 320);
    let builder = if cfg!(feature = "ili9341") {
        builder.color_order(ColorOrder::Bgr)
    } else {
        builder.invert_colors(ColorInversion::Inverted)
    };
    let mut display = builder.init(&mut timer).ok()?;
    display.clear(Rgb565::BLACK).ok()?;
    let _ = light.set_high();
    Some(Canvas::new(display))
}
