//! The firmware of the board whose feature is enabled. The program itself is [`nickeldime_firmware::run`].

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(all(target_os = "none", boards = "none"))]
compile_error!("choose a board: enable one board's feature, as in `--features qemu-m4`");

#[cfg(all(target_os = "none", boards = "one"))]
mod firmware {
    use nickeldime_firmware::board::{SelectedBoard, entry};
    use nickeldime_firmware::{restart_after_panic, run};

    #[entry]
    fn main() -> ! {
        // SAFETY: the runtime calls `main` once, before anything else runs.
        unsafe { run::<SelectedBoard>() }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // SAFETY: this is the panic handler.
        unsafe { restart_after_panic::<SelectedBoard>() }
    }
}

/// A build for a computer has no board. This `main` lets `cargo check --workspace` pass.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("this is firmware; build it with `nickeldime firmware build --board qemu-m4`");
}
