//! What a board shows is the image that the host makes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;

use embedded_graphics_core::Pixel;
use embedded_graphics_core::draw_target::DrawTarget;
use embedded_graphics_core::geometry::{OriginDimensions, Point, Size};
use embedded_graphics_core::pixelcolor::{Rgb888, RgbColor};
use embedded_io::{ErrorType, Read, ReadReady, Write};
use nickeldime_core::device::{Activity, Buffers, Clock, Device, Identity};
use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::pack::{Pack, Trust};
use nickeldime_core::storage::{RamFlash, Storage};
use nickeldime_firmware::engine::BoardEngine;
use nickeldime_firmware::screen::{Canvas, Screen};
use nickeldime_firmware::sizes::{QEMU_M4, Sizes};
use nickeldime_firmware::slideshow::Slideshow;
use nickeldime_firmware::{Board, Parts};
use sha2::{Digest, Sha256};

/// A display that remembers every pixel, and refuses those outside and those drawn twice.
struct Recorder<C> {
    size: Size,
    pixels: Rc<RefCell<HashMap<Point, C>>>,
}

impl<C: RgbColor> Recorder<C> {
    fn new(width: u32, height: u32) -> (Self, Rc<RefCell<HashMap<Point, C>>>) {
        let pixels = Rc::new(RefCell::new(HashMap::new()));
        (Self { size: Size::new(width, height), pixels: Rc::clone(&pixels) }, pixels)
    }
}

impl<C> OriginDimensions for Recorder<C> {
    fn size(&self) -> Size {
        self.size
    }
}

impl<C: RgbColor> DrawTarget for Recorder<C> {
    type Color = C;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            assert!(
                (0..self.size.width as i32).contains(&at.x) && (0..self.size.height as i32).contains(&at.y),
                "{at:?}"
            );
            assert!(self.pixels.borrow_mut().insert(at, colour).is_none(), "{at:?} twice in an image");
        }
        Ok(())
    }
}

/// A board of this test: a silent line, flash in RAM, a clock that the test turns.
struct Bench;

impl Board for Bench {
    const SIZES: Sizes = QEMU_M4;

    type Serial = Line;
    type Flash = RamFlash<Vec<u8>>;
    type Clock = Hands;
    type Screen = Canvas<Recorder<Rgb888>>;

    unsafe fn take() -> Parts<Self> {
        unreachable!("the test makes the parts")
    }

    fn restart() -> ! {
        panic!("restarted")
    }
}

/// A line on which a byte may wait that is no message.
struct Line(Rc<RefCell<Vec<u8>>>);

impl ErrorType for Line {
    type Error = Infallible;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.borrow().is_empty())
    }
}

impl Read for Line {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let mut waiting = self.0.borrow_mut();
        let len = buf.len().min(waiting.len());
        buf[..len].copy_from_slice(&waiting[..len]);
        waiting.drain(..len);
        Ok(len)
    }
}

impl Write for Line {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Hands(Rc<RefCell<u64>>);

impl Clock for Hands {
    const HZ: u32 = 1000;

    fn now(&mut self) -> u64 {
        *self.0.borrow()
    }
}

/// The host's image of a seed.
fn image(pack: &Pack<'_>, seed: u64) -> Vec<[u8; 3]> {
    let sample = Sample { latent: Latent::Seed(seed), psi: 11_469, noise: Noise::Random(seed) };
    nickeldime_testkit::packs::draw(pack, &sample).unwrap().as_chunks().0.to_vec()
}

#[test]
fn without_a_host_the_board_shows_one_image_after_another() {
    // A small generator of 16x16.
    let built = nickeldime_testkit::packs::random_pack(
        &nickeldime_testkit::packs::Shape { channels: vec![4, 3, 2], ..nickeldime_testkit::packs::tiny() },
        5,
    );
    let mut storage = Storage::mount(RamFlash::<Vec<u8>>::erased(vec![0; 1 << 20]));
    let sha256 = Sha256::digest(built.bytes()).into();
    storage.begin(built.bytes().len() as u32, sha256).unwrap();
    storage.announce(0, 0, built.bytes().len() as u32).unwrap();
    storage.write(0, built.bytes()).unwrap();
    storage.commit().unwrap();

    let (recorder, pixels) = Recorder::new(40, 34);
    let (time, waiting) = (Rc::new(RefCell::new(0)), Rc::new(RefCell::new(Vec::new())));
    let [mut receive, mut send] = [vec![0; 1024], vec![0; 1024]];
    let [mut latents, mut workspace] = [vec![0; 64], vec![0; 1 << 16]];
    let buffers =
        Buffers { receive: &mut receive, send: &mut send, latents: &mut latents, workspace: &mut workspace, window: 0 };
    let identity = Identity { board: "bench", firmware: "0", restart: None, trust: Trust::ANYBODY };
    let engine = BoardEngine::<Bench>::new(Canvas::new(recorder));
    let line = Line(Rc::clone(&waiting));
    let mut device = Device::new(identity, line, storage.release(), Hands(Rc::clone(&time)), engine, buffers);
    let mut alone = Slideshow::default();

    let pack = Pack::open(built.bytes()).unwrap();
    for (at, seed) in [(0, 0), (4000, 1), (8000, 2)] {
        *time.borrow_mut() = at;
        alone.tick(&mut device);
        // Twice the size, in the middle of 40x34.
        let expected = image(&pack, seed);
        let shown = std::mem::take(&mut *pixels.borrow_mut());
        assert_eq!(shown.len(), 32 * 32);
        for (&Point { x, y }, colour) in &shown {
            let (x, y) = ((x - 4) / 2, (y - 1) / 2);
            assert_eq!([colour.r(), colour.g(), colour.b()], expected[(16 * y + x) as usize], "seed {seed}, {x}, {y}");
        }
        *time.borrow_mut() += 3999;
        alone.tick(&mut device);
        assert!(pixels.borrow().is_empty(), "not before its time");
    }

    // A byte from a host breaks the next one off after its first row; a request of a host keeps it away for longer.
    *time.borrow_mut() = 12_000;
    waiting.borrow_mut().push(1);
    alone.tick(&mut device);
    assert_eq!(pixels.take().len(), 32 * 2);
    assert_eq!(device.poll(), Activity::Idle);
    alone.postpone(&mut device);
    *time.borrow_mut() += 9999;
    alone.tick(&mut device);
    assert!(pixels.borrow().is_empty());
    *time.borrow_mut() += 1;
    alone.tick(&mut device);
    assert_eq!(pixels.borrow().len(), 32 * 32);
}

#[test]
fn images_larger_than_the_display_lose_pixels_and_nothing_else() {
    let (recorder, pixels) = Recorder::<Rgb888>::new(9, 12);
    let mut canvas = Canvas::new(recorder);
    for y in 0..32usize {
        let row: Vec<u8> = (0..32).flat_map(|x| [8 * x as u8, 8 * y as u8, 255]).collect();
        canvas.row(y, &row, 3);
    }
    // Every fourth pixel: 8x8.
    assert_eq!(pixels.borrow().len(), 64);
    for (&Point { x, y }, colour) in pixels.borrow().iter() {
        assert_eq!([colour.r(), colour.g(), colour.b()], [32 * x as u8, 32 * (y as u8 - 2), 255], "{x}, {y}");
    }
}
