//! Decides which kernels the processor runs: sets the `cfg` of one module of kernels, or none for the portable ones.
//!
//! The compiler does not tell a stable crate of Arm's `dsp` and `mve` target features. Every `thumbv7em` core has the DSP
//! extension; of a `thumbv8m.main` core the user says it: with the feature `dsp` (the Cortex-M33 of a Pico 2, say) or the
//! feature `mve` (Helium, on a Cortex-M55 or M85). RISC-V's multiplier is a target feature that the compiler tells of.

use std::env;

/// One for each module of kernels.
const CFGS: [&str; 4] = ["dsp_kernels", "m0_kernels", "mve_kernels", "rv32_kernels"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for cfg in CFGS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
    }
    if let Some(cfg) = kernels() {
        println!("cargo::rustc-cfg={cfg}");
    }
}

/// The `cfg` of the module of kernels for the target.
fn kernels() -> Option<&'static str> {
    let target = env::var("TARGET").unwrap_or_default();
    let target_features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let feature = |name: &str| env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let armv8m = target.starts_with("thumbv8m.main");
    if feature("PORTABLE_KERNELS") {
        None
    } else if armv8m && feature("MVE") {
        Some("mve_kernels")
    } else if target.starts_with("thumbv7em") || armv8m && feature("DSP") {
        Some("dsp_kernels")
    } else if target.starts_with("thumbv6m") {
        Some("m0_kernels")
    } else if target.starts_with("riscv32") && target_features.split(',').any(|feature| feature == "m") {
        Some("rv32_kernels")
    } else {
        None
    }
}
