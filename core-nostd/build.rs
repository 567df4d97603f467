//! Decides which kernels the processor runs: `cfg(mve_kernels)` or `cfg(dsp_kernels)`, or neither.
//!
//! The compiler does not tell a stable crate of Arm's `dsp` and `mve` target features. Every `thumbv7em` core has the DSP
//! extension; of a `thumbv8m.main` core the user says it: with the feature `dsp` (the Cortex-M33 of a Pico 2, say) or the
//! feature `mve` (Helium, on a Cortex-M55 or M85).

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(dsp_kernels, mve_kernels)");
    let target = env::var("TARGET").unwrap_or_default();
    let feature = |name: &str| env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    if feature("PORTABLE_KERNELS") {
        return;
    }
    let armv8m = target.starts_with("thumbv8m.main");
    if armv8m && feature("MVE") {
        println!("cargo::rustc-cfg=mve_kernels");
    } else if target.starts_with("thumbv7em") || armv8m && feature("DSP") {
        println!("cargo::rustc-cfg=dsp_kernels");
    }
}
