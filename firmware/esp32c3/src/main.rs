//! The firmware of an ESP32-C3. The board is described in `board.rs`; the program is that of every board.

#![no_std]
#![no_main]

mod board;
mod flash;

use board::Esp32C3;

esp_bootloader_esp_idf::esp_app_desc!();

#[esp_hal::main]
fn main() -> ! {
    // SAFETY: the runtime calls `main` once, before anything else runs.
    unsafe { nickeldime_firmware::run::<Esp32C3>() }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: this is the panic handler.
    unsafe { nickeldime_firmware::restart_after_panic::<Esp32C3>() }
}
