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
if [ ${#need[@]} -gt 0 ]; then
    # Old lists may do.
    as_root apt-get update -qq || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" || {
        echo "missing: apt-get install ${need[*]}" >&2
        exit 1
    }
fi
rustup component add rustfmt clippy
rustup target add thumbv7em-none-eabihf thumbv6m-none-eabi

firmware=(-p nickeldime-firmware --profile firmware --target thumbv7em-none-eabihf --features qemu-m4)
host=(-p nickeldime -p nickeldime-core --release)

step "format"
cargo fmt --all --check

step "lints"
cargo clippy "${host[@]}" --all-targets -- -D warnings
cargo clippy "${firmware[@]}" -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc "${host[@]}" --no-deps

step "core: tests with overflow checks"
cargo test -p nickeldime-core

step "core: no float on a board without an FPU"
bash tests/no-float.sh

step "firmware"
cargo build "${firmware[@]}"

step "host: unit, golden and end-to-end tests"
cargo test --release -p nickeldime -- --nocapture
