//! The boards: one file each, and the trait that every one of them implements.

use embedded_io::{Read, ReadReady, Write};
use nickeldime_core::device::{Buffers, Clock};
use nickeldime_core::storage::MappedFlash;

use crate::screen::Screen;
use crate::sizes::Sizes;

pub mod polled_uart;

#[cfg(boards = "several")]
compile_error!("choose one board: exactly one board's feature is enabled at a time, as in `--features qemu-m4`");

/// One board per feature: the module's file, its type, and the attribute of its runtime's entry point.
macro_rules! boards {
    ($($feature:literal => $module:ident::$board:ident, $runtime:ident;)*) => {
        $(
            #[cfg(all(target_os = "none", boards = "one", feature = $feature))]
            mod $module;
            #[cfg(all(target_os = "none", boards = "one", feature = $feature))]
            pub use {$module::$board as SelectedBoard, $runtime::entry};
        )*
    };
}

/// The UART that QEMU's two MPS boards have.
#[cfg(all(target_os = "none", boards = "one", any(feature = "qemu-m4", feature = "qemu-m55")))]
mod cmsdk;

/// The chips of Raspberry Pi, which have more in common than not.
#[cfg(all(target_os = "none", boards = "one", any(feature = "pico", feature = "pico2")))]
mod rp;

boards! {
    "qemu-m0" => qemu_m0::QemuM0, cortex_m_rt;
    "qemu-m4" => qemu_m4::QemuM4, cortex_m_rt;
    "qemu-m55" => qemu_m55::QemuM55, cortex_m_rt;
    "qemu-rv32" => qemu_rv32::QemuRv32, riscv_rt;
    "pico" => pico::Pico, cortex_m_rt;
    "pico2" => pico2::Pico2, cortex_m_rt;
    "nucleo-h743" => nucleo_h743::NucleoH743, cortex_m_rt;
    "stm32f405" => stm32f405::Stm32f405, cortex_m_rt;
}

/// The parts of a board that the device uses.
pub struct Parts<B: Board> {
    /// The line to the host.
    pub serial: B::Serial,
    /// The flash that holds the packs.
    pub flash: B::Flash,
    /// The clock that times images.
    pub clock: B::Clock,
    /// The display of images.
    pub screen: B::Screen,
    /// RAM for requests, replies and the generator.
    pub buffers: Buffers<'static>,
}

/// A board: its sizes, and what the device needs of it.
pub trait Board: Sized {
    /// The board's name, and its sizes in bytes.
    const SIZES: Sizes;

    /// The line to the host.
    type Serial: Read + ReadReady + Write;
    /// The flash that holds the packs.
    type Flash: MappedFlash;
    /// The clock that times images.
    type Clock: Clock;
    /// The display of images: [`NoScreen`](crate::screen::NoScreen) on boards without one.
    type Screen: Screen;

    /// Starts the board and hands out its parts.
    ///
    /// # Safety
    /// Called once, because it returns the only references to the board's buffers, storage and registers.
    unsafe fn take() -> Parts<Self>;

    /// Sleeps until the line has a byte, on boards that can. The device calls it when nothing has arrived.
    fn idle(_serial: &mut Self::Serial) {}

    /// Lights the board's lamp, or puts it out.
    fn lamp(_on: bool) {}

    /// Restarts the watchdog's count. It is called at least once for each row and each request.
    fn feed_watchdog() {}

    /// Returns true if the last reset was caused by the watchdog. It is called once after each start.
    fn reset_by_watchdog() -> bool {
        false
    }

    /// Resets the board.
    fn restart() -> !;
}
