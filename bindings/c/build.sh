#!/usr/bin/env bash
# Builds libnickeldime for the named targets, or for all of them: DIR/TARGET/libnickeldime.a and DIR/include/nickeldime.h.
# Usage: build.sh DIR [TARGET...]
set -euo pipefail

mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/../.."
host=$(rustc -vV | sed -n 's/^host: //p')
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    targets=(thumbv6m-none-eabi thumbv7em-none-eabi thumbv7em-none-eabihf thumbv8m.main-none-eabi
        thumbv8m.main-none-eabihf riscv32imac-unknown-none-elf "$host")
fi

mkdir -p "$out/include"
cp bindings/c/nickeldime.h "$out/include/"
for target in "${targets[@]}"; do
    # The profile makes one object of the library and of all that is Rust in it, and its panic handler is no symbol of
    # the archive: another Rust library in the same program has one too.
    profile=firmware
    [ "$target" != "$host" ] || profile=release
    cargo build --quiet -p nickeldime-c --profile "$profile" --target "$target" ${FEATURES:+--features "$FEATURES"}
    mkdir -p "$out/$target"
    cp "target/$target/$profile/libnickeldime.a" "$out/$target/"
done
