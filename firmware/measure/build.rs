//! Puts the memory map of the target's machine where the linker script of its runtime looks for it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=src/machine");
    println!("cargo::rustc-check-cfg=cfg(armv8m)");
    // Built for a computer, the program only says what it is for.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let target = env::var("TARGET").expect("cargo sets TARGET");
    if target.starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=armv8m");
    }
    let machine = match target.as_str() {
        "riscv32imac-unknown-none-elf" => "virt",
        _ if target.starts_with("thumbv8m") => "an547",
        _ => "an386",
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let map = format!("src/machine/{machine}.x");
    fs::copy(map, out.join("memory.x")).expect("the machine's memory map is copied to OUT_DIR");
    println!("cargo:rustc-link-search={}", out.display());
    // Arm's runtime includes the map, the other one wants it named.
    if machine == "virt" {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    } else {
        println!("cargo:rustc-link-arg-bins=--nmagic");
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
}
