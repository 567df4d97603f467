//! The boards: one file each, and the trait that every one of them implements.

use embedded_io::{Read, ReadReady, Write};
use nickeldime_core::device::{Buffers, Clock};
use nickeldime_core::storage::MappedFlash;

use crate::screen::Screen;
use crate::sizes::Sizes;

/// One board per feature: the module's file, its type, and the attribute of its runtime's entry point.
macro_rules! boards {
    ($($feature:literal => $module:ident::$board:ident, $runtime:ident;)*) => {
        $(
            #[cfg(all(target_os = "none", feature = $feature))]
            mod $module;
            #[cfg(all(target_os = "none", feature = $feature))]
            pub use {$module::$board as Here, $runtime::entry};
        )*
        #[cfg(all(target_os = "none", not(any($(feature = $feature),*))))]
        compile_error!(concat!("choose a board: --features one of", $(" ", $feature),*));
        only_one!($($feature)*);
    };
}

#[cfg(all(target_os = "none", any(feature = "qemu-m4", feature = "qemu-m55")))]
mod cmsdk;

/// Refuses two boards at once with a sentence, before the compiler finds two of everything.
macro_rules! only_one {
    ($first:literal $($other:literal)+) => {
        #[cfg(all(target_os = "none", feature = $first, any($(feature = $other),+)))]
        compile_error!(concat!("choose one board: --features has \"", $first, "\" and another board"));
        only_one!($($other)+);
    };
    ($last:literal) => {};
}

boards! {
    "qemu-m0" => qemu_m0::QemuM0, cortex_m_rt;
    "qemu-m4" => qemu_m4::QemuM4, cortex_m_rt;
    "qemu-m55" => qemu_m55::QemuM55, cortex_m_rt;
    "qemu-rv32" => qemu_rv32::QemuRv32, riscv_rt;
    "pico2" => pico2::Pico2, cortex_m_rt;
    "nucleo-h743" => nucleo_h743::NucleoH743, cortex_m_rt;
    "stm32f405" => stm32f405::Stm32f405, cortex_m_rt;
}

/// What a board hands to the device.
pub struct Parts<B: Board> {
    /// The line to the host.
    pub serial: B::Serial,
    /// Where packs live.
    pub flash: B::Flash,
    /// For timing images.
    pub clock: B::Clock,
    /// Where images show.
    pub screen: B::Screen,
    /// RAM for requests, replies and the generator.
    pub buffers: Buffers<'static>,
}

/// A board.
pub trait Board: Sized {
    /// Its name and how much it has of everything.
    const SIZES: Sizes;

    /// The line to the host.
    type Serial: Read + ReadReady + Write;
    /// Where packs live.
    type Flash: MappedFlash;
    /// For timing images.
    type Clock: Clock;
    /// Where images show: `()` on boards without a display.
    type Screen: Screen;

    /// Starts the board and hands out its parts.
    ///
    /// # Safety
    /// Called once: what it hands out are the only references to the board's buffers, storage and registers.
    unsafe fn take() -> Parts<Self>;

    /// Nothing has arrived: sleeps until the line has something, where the board can.
    fn idle(_serial: &mut Self::Serial) {}

    /// Lights its lamp, or puts it out.
    fn lamp(_on: bool) {}

    /// Keeps its watchdog quiet for another while.
    fn feed() {}

    /// Whether its watchdog has ended the run before this one.
    fn starved() -> bool {
        false
    }

    /// Starts it anew.
    fn restart() -> !;
}
