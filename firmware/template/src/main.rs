//! Firmware for a board of one's own. The board is described in `board.rs`; the program is nickeldime's.

#![no_std]
#![no_main]

mod board;

use board::MyBoard;

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: the runtime calls `main` once, before anything else runs.
    unsafe { nickeldime_firmware::run::<MyBoard>() }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: this is the panic handler.
    unsafe { nickeldime_firmware::restart_after_panic::<MyBoard>() }
}
