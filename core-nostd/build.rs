//! Decides which kernels the processor runs: sets the `cfg` of one module of kernels, or none for the plain ones.
//!
//! The compiler does not tell a stable crate of Arm's `dsp` target feature, but every `thumbv7em` core has it, and a
//! `thumbv8m.main` core (the Cortex-M33 of a Pico 2, say) where the user says so with the feature `dsp`. RISC-V's multiplier
//! is a target feature that the compiler tells of.

use std::env;

/// One for each module of kernels.
const CFGS: [&str; 3] = ["dsp_kernels", "m0_kernels", "rv32_kernels"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for cfg in CFGS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
    }
    let target = env::var("TARGET").unwrap_or_default();
    let feature = |name: &str| env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let target_has =
        |name: &str| env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|all| all.split(',').any(|f| f == name));
    let kernels = if target.starts_with("thumbv7em") || target.starts_with("thumbv8m.main") && feature("DSP") {
        Some("dsp_kernels")
    } else if target.starts_with("thumbv6m") {
        Some("m0_kernels")
    } else if target.starts_with("riscv32") && target_has("m") {
        Some("rv32_kernels")
    } else {
        None
    };
    if let Some(cfg) = kernels.filter(|_| !feature("PORTABLE_KERNELS")) {
        println!("cargo::rustc-cfg={cfg}");
    }
}
