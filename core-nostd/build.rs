//! Decides which kernels the processor runs: sets the `cfg` of one module of kernels, or none for the portable ones. Also
//! decides whether SHA-256 is in assembly: `cfg(thumb2_sha256)`.
//!
//! The compiler does not tell a stable crate of Arm's `dsp` and `mve` target features. Every `thumbv7em` core has the DSP
//! extension; of a `thumbv8m.main` core the user says it: with the feature `dsp` (the Cortex-M33 of a Pico 2, say) or the
//! feature `mve` (Helium, on a Cortex-M55 or M85). RISC-V's multiplier and WebAssembly's vectors are target features that the
//! compiler tells of. Miri interprets the portable kernels.

use std::env;

/// One for each module of kernels.
const CFGS: [&str; 5] = ["dsp_kernels", "m0_kernels", "mve_kernels", "rv32_kernels", "simd_kernels"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for cfg in CFGS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
    }
    if let Some(cfg) = kernels() {
        println!("cargo::rustc-cfg={cfg}");
    }
    println!("cargo::rustc-check-cfg=cfg(thumb2_sha256)");
    let target = env::var("TARGET").unwrap_or_default();
    let thumb2 = ["thumbv7m", "thumbv7em", "thumbv8m.main"].iter().any(|name| target.starts_with(name));
    if thumb2 && env::var_os("CARGO_FEATURE_PORTABLE_KERNELS").is_none() {
        println!("cargo::rustc-cfg=thumb2_sha256");
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
    } else if has_vectors(&target, &target_features) && env::var_os("CARGO_CFG_MIRI").is_none() {
        Some("simd_kernels")
    } else {
        None
    }
}

/// True for the processors of computers that have vectors of 128 bits.
fn has_vectors(target: &str, features: &str) -> bool {
    let wasm = target.starts_with("wasm32") && features.split(',').any(|feature| feature == "simd128");
    target.starts_with("x86_64") || target.starts_with("aarch64") || wasm
}
