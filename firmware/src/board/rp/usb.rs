//! A serial line over USB (CDC). All USB work happens in the interrupt, so that the host is answered while an image is
//! made.

use core::cell::{RefCell, UnsafeCell};
use core::mem::MaybeUninit;

use cortex_m::peripheral::NVIC;
use critical_section::Mutex;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use usb_device::bus::UsbBusAllocator;
use usb_device::device::{StringDescriptors, UsbDevice, UsbDeviceBuilder, UsbVidPid};
use usbd_serial::{CdcAcmClass, USB_CLASS_CDC};

use super::hal::pac::{Interrupt, interrupt};
use super::hal::usb::UsbBus;
use super::watchdog;
use crate::ring::Ring;

/// Raspberry Pi's ids for a serial port; the product's name distinguishes this board.
const VENDOR_AND_PRODUCT: UsbVidPid = UsbVidPid(0x2E8A, 0x000A);
const PACKET: usize = 64;
/// Longest packet that is sent. A full packet at the end would keep the host waiting for another one.
const SHORT: usize = PACKET - 1;
/// Number of checks of a full line, some seconds, after which its reader counts as gone.
const PATIENCE: u32 = 5_000_000;

/// Bytes that the interrupt has received. The host waits while there is no room for a packet.
static RECEIVED: Ring<8192> = Ring::new();
static USB: Mutex<RefCell<Slot>> = Mutex::new(RefCell::new(Slot { full: false, usb: MaybeUninit::uninit() }));

/// An `Option` whose empty state is all zeros. Any other would take 2 kB of the program.
struct Slot {
    full: bool,
    usb: MaybeUninit<Usb>,
}

impl Slot {
    fn put(&mut self, usb: Usb) {
        self.usb.write(usb);
        self.full = true;
    }

    fn get(&mut self) -> Option<&mut Usb> {
        // SAFETY: `put` has written it.
        self.full.then(|| unsafe { self.usb.assume_init_mut() })
    }
}

struct Usb {
    device: UsbDevice<'static, UsbBus>,
    port: CdcAcmClass<'static, UsbBus>,
}

impl Usb {
    /// Serves the bus and takes the bytes that have arrived.
    fn serve(&mut self) {
        self.device.poll(&mut [&mut self.port]);
        let mut packet = [0; PACKET];
        while RECEIVED.room() >= PACKET {
            match self.port.read_packet(&mut packet) {
                Ok(len) if len > 0 => {
                    for &byte in &packet[..len] {
                        // SAFETY: this is the only writer, with interrupts masked, and there is room.
                        unsafe { RECEIVED.push(byte) };
                    }
                }
                _ => return,
            }
        }
        // The bus would raise the interrupt again at once. Whoever makes room in the ring enables it again.
        NVIC::mask(Interrupt::USBCTRL_IRQ);
    }
}

#[interrupt]
fn USBCTRL_IRQ() {
    with(Usb::serve);
}

fn with<T>(work: impl FnOnce(&mut Usb) -> T) -> Option<T> {
    critical_section::with(|cs| USB.borrow_ref_mut(cs).get().map(work))
}

fn listen() {
    // SAFETY: its handler is above, and takes what it needs in a critical section.
    unsafe { NVIC::unmask(Interrupt::USBCTRL_IRQ) };
}

/// Sleeps until the next interrupt, unless something is there already.
pub fn sleep() {
    // An interrupt that arrives after the check stays pending and ends the sleep.
    cortex_m::interrupt::free(|_| {
        if RECEIVED.is_empty() {
            cortex_m::asm::wfi();
        }
    });
}

/// The parts that the USB stack borrows for the whole run.
struct Forever {
    bus: UnsafeCell<MaybeUninit<UsbBusAllocator<UsbBus>>>,
    serial_number: UnsafeCell<[u8; 16]>,
}

// SAFETY: written in `start` only, before anything else sees it.
unsafe impl Sync for Forever {}

static FOREVER: Forever =
    Forever { bus: UnsafeCell::new(MaybeUninit::uninit()), serial_number: UnsafeCell::new([0; 16]) };

/// The line.
pub struct Serial(());

impl Serial {
    /// Connects to the bus as a `product`, by which the host finds the board, with the chip's number where it has one.
    ///
    /// # Safety
    /// Called once.
    pub unsafe fn start(bus: UsbBus, product: &'static str, chip: Option<u64>) -> Self {
        // SAFETY: the caller calls this once: nothing else has a reference to these yet.
        let (bus, number) =
            unsafe { ((*FOREVER.bus.get()).write(UsbBusAllocator::new(bus)) as &_, &mut *FOREVER.serial_number.get()) };
        let mut strings = StringDescriptors::default().manufacturer("nickeldime").product(product);
        if let Some(chip) = chip {
            for (place, shift) in number.iter_mut().zip((0..16).rev()) {
                *place = b"0123456789ABCDEF"[(chip >> (4 * shift) & 15) as usize];
            }
            strings = strings.serial_number(core::str::from_utf8(number).unwrap_or_default());
        }
        let port = CdcAcmClass::new(bus, PACKET as u16);
        let builder = UsbDeviceBuilder::new(bus, VENDOR_AND_PRODUCT).device_class(USB_CLASS_CDC);
        // Neither is too long, which is all that could be wrong with them.
        let builder = builder.strings(&[strings]).and_then(|builder| builder.max_packet_size_0(64));
        if let Ok(builder) = builder {
            let device = builder.build();
            critical_section::with(|cs| USB.borrow_ref_mut(cs).put(Usb { device, port }));
        }
        listen();
        Self(())
    }
}

impl ErrorType for Serial {
    type Error = ErrorKind;
}

impl ReadReady for Serial {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!RECEIVED.is_empty())
    }
}

impl Read for Serial {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut taken = 0;
        for place in buf.iter_mut() {
            // SAFETY: this is the only reader.
            let Some(byte) = (unsafe { RECEIVED.pop() }) else { break };
            *place = byte;
            taken += 1;
        }
        // The interrupt may be disabled for lack of room.
        listen();
        Ok(taken)
    }
}

impl Write for Serial {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        for _ in 0..PATIENCE {
            // Nobody has the port open, so the bytes are lost, as on any line.
            let packet = &buf[..buf.len().min(SHORT)];
            let sent = with(|usb| if usb.port.dtr() { usb.port.write_packet(packet) } else { Ok(buf.len()) });
            match sent {
                Some(Ok(len)) => return Ok(len),
                _ => watchdog::feed(),
            }
        }
        Err(ErrorKind::TimedOut)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
