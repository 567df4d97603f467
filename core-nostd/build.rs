//! Decides whether the processor has the DSP extension's multiply-accumulates: `cfg(dsp_kernels)`; and whether SHA-256 is in
//! assembly: `cfg(thumb2_sha256)`.
//!
//! The compiler does not tell a stable crate of Arm's `dsp` target feature, but every `thumbv7em` core has it, and a
//! `thumbv8m.main` core (the Cortex-M33 of a Pico 2, say) where the user says so with the feature `dsp`.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(dsp_kernels)");
    let target = env::var("TARGET").unwrap_or_default();
    let feature = |name: &str| env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let has_dsp = target.starts_with("thumbv7em") || target.starts_with("thumbv8m.main") && feature("DSP");
    if has_dsp && !feature("PORTABLE_KERNELS") {
        println!("cargo::rustc-cfg=dsp_kernels");
    }
    println!("cargo::rustc-check-cfg=cfg(thumb2_sha256)");
    let has_thumb2 = ["thumbv7m", "thumbv7em", "thumbv8m.main"].iter().any(|name| target.starts_with(name));
    if has_thumb2 && !feature("PORTABLE_KERNELS") {
        println!("cargo::rustc-cfg=thumb2_sha256");
    }
}
