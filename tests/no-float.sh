#!/bin/sh
# The engine runs on cores without a floating-point unit: links it for a Cortex-M0+ and fails when the linker's map names a
# float routine. Needs `rustup target add thumbv6m-none-eabi`. Usage: tests/no-float.sh
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/no-float
mkdir -p "$target"
target=$(cd "$target" && pwd)
# Always the same folder: a package at a new path is built anew, beside all the old ones.
work="$target/package"
mkdir -p "$work/src"
cat > "$work/Cargo.toml" <<EOF
[package]
name = "no-float"
version = "0.0.0"
edition = "2024"
[workspace]
[dependencies]
nickeldime-core = { path = "$root/core-nostd" }
[profile.release]
panic = "abort"
lto = "fat"
codegen-units = 1
EOF
cp "$root/Cargo.lock" "$work/"
cat > "$work/src/main.rs" <<'EOF'
#![no_std]
#![no_main]
use core::ops::ControlFlow;
use nickeldime_core::generator::{Latent, Noise, Sample, generate};
use nickeldime_core::pack::Pack;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Everything between a pack's bytes and a row of pixels.
#[unsafe(no_mangle)]
pub fn entry(bytes: &&[u8], seed: u64, workspace: &mut &mut [i32], sink: fn(usize, &[u8])) -> bool {
    let Ok(pack) = Pack::open(bytes) else { return false };
    let sample = Sample { latent: Latent::Seed(seed), psi: 16384, noise: Noise::Random(seed) };
    let mut row = |y: usize, rgb: &[u8]| {
        sink(y, rgb);
        ControlFlow::Continue(())
    };
    generate(&pack, &sample, workspace, &mut row).is_ok()
}
EOF
map="$work/map.txt"
RUSTFLAGS="-C link-arg=-eentry -C link-arg=-Map=$map" CARGO_TARGET_DIR="$target" \
    cargo build --quiet --release --target thumbv6m-none-eabi --manifest-path "$work/Cargo.toml"
grep -q 'entry' "$map" || { echo "the map does not hold the engine" >&2; exit 1; }
routines='__aeabi_([fd][a-z0-9]+|u?[il]2[fd])|__(add|sub|mul|div|neg|eq|ne|lt|le|gt|ge|unord|fix|fixuns)[sd]f|__float|__extendsf|__truncdf'
if grep -E "$routines" "$map"; then
    echo "float routines are linked" >&2
    exit 1
fi
echo "no float routine is linked"
