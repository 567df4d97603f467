#!/usr/bin/env bash
# Everything that a change must pass, from a bare machine with git and rustup: installs the emulator and the cross
# targets, then format, lints, documentation, and all tests.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

step "tools"
command -v cargo >/dev/null || . "${CARGO_HOME:-$HOME/.cargo}/env"
need=()
command -v cc >/dev/null || need+=(gcc libc6-dev)
command -v qemu-system-arm >/dev/null || need+=(qemu-system-arm)
command -v qemu-system-riscv32 >/dev/null || need+=(qemu-system-misc)
if [ ${#need[@]} -gt 0 ]; then
    # Old lists may do.
    as_root apt-get update -qq || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" || {
        echo "missing: apt-get install ${need[*]}" >&2
        exit 1
    }
fi
rustup component add rustfmt clippy
rustup target add thumbv7em-none-eabihf thumbv8m.main-none-eabihf thumbv6m-none-eabi riscv32imac-unknown-none-elf

# Board, or features of one, and target.
boards=(
    "qemu-m0 thumbv6m-none-eabi"
    "qemu-m4 thumbv7em-none-eabihf"
    "qemu-rv32 riscv32imac-unknown-none-elf"
    "pico2 thumbv8m.main-none-eabihf"
    "pico2,display thumbv8m.main-none-eabihf"
    "nucleo-h743 thumbv7em-none-eabihf"
    "stm32f405 thumbv7em-none-eabihf"
    "stm32f405,emulated thumbv7em-none-eabihf"
)
host=(-p nickeldime -p nickeldime-core --release)

step "format"
cargo fmt --all --check

step "lints"
cargo clippy "${host[@]}" --all-targets -- -D warnings
for board in "${boards[@]}"; do
    read -r features target <<<"$board"
    # The profile that the tests build it with.
    profile=firmware
    case $features in
        pico2*) profile=firmware-smallest ;;
        qemu-rv32) profile=firmware-fast ;;
    esac
    cargo clippy -p nickeldime-firmware --profile "$profile" --target "$target" --features "$features" -- -D warnings
done

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc "${host[@]}" --no-deps

step "core: tests with overflow checks"
cargo test -p nickeldime-core

step "core: no float on a board without an FPU"
bash tests/no-float.sh

step "firmware: what the boards share"
cargo test -p nickeldime-firmware --features display

step "host: unit, golden and end-to-end tests"
cargo test --release -p nickeldime -- --nocapture
