//! Runs the engine under an emulator, without a serial line. It measures and compares what `nickeldime bench` and
//! `tests/on_target.rs` ask for, and prints the answer by semihosting. [`nickeldime_measure`] defines the jobs.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod images;
#[cfg(target_os = "none")]
mod layers;
#[cfg(target_os = "none")]
mod machine;
#[cfg(all(target_os = "none", target_arch = "arm"))]
mod profile;
#[cfg(target_os = "none")]
mod request;
#[cfg(target_os = "none")]
mod twins;

#[cfg(target_os = "none")]
mod run {
    use nickeldime_measure::Job;

    use crate::machine::{exit, request};
    #[cfg(target_arch = "arm")]
    use crate::profile;
    use crate::{images, layers, request as requests, twins};

    #[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
    #[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
    fn main() -> ! {
        let request = request();
        let done = match request.job {
            Some(Job::Hash) => images::hash(request.count),
            Some(Job::Image) => images::cost(),
            Some(Job::Layers) => layers::run(),
            #[cfg(target_arch = "arm")]
            Some(Job::Profile) => profile::run(images::profiled),
            Some(Job::Twins) => twins::run(request.count),
            Some(Job::Request) => requests::cost(request.count),
            _ => None,
        };
        exit(done.is_some())
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        exit(false)
    }
}

/// A build for a computer has no emulator to talk to.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("this runs under an emulator: `nickeldime bench --board qemu-m4`");
}
