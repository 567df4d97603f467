#!/usr/bin/env bash
# Makes the Arduino library DIR/nickeldime for boards with RP2040 and RP2350 of the header and the libraries.
# Usage: arduino.sh DIR PACK, the pack that the example sketch draws
set -euo pipefail

[ $# = 2 ] || { echo "usage: arduino.sh DIR PACK" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)/nickeldime
pack=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
cd "$(dirname "$0")/../.."
built=$PWD/target/c/arduino-libraries

rm -rf "$out"
mkdir -p "$out/src" "$out/examples"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
sed "s/VERSION/$version/" bindings/c/arduino/library.properties >"$out/library.properties"
cp LICENSE-MIT LICENSE-APACHE "$out/"
cp bindings/c/nickeldime.h "$out/src/"

# By the name of the processor, as Arduino looks for them. The cores compile for a Cortex-M33 with floats in the processor's
# registers for integers between functions, which is the ABI without the ending "hf".
while read -r folder target features; do
    FEATURES=$features bash bindings/c/build.sh "$built/$folder" "$target"
    mkdir -p "$out/src/$folder"
    cp "$built/$folder/$target/libnickeldime.a" "$out/src/$folder/"
done <<'TABLE'
cortex-m0plus thumbv6m-none-eabi
cortex-m33 thumbv8m.main-none-eabi dsp
TABLE

cp -r bindings/c/arduino/examples/Faces "$out/examples/"
{
    echo "// A pack, as bytes: $(basename "$pack")."
    echo "alignas(16) static const uint8_t pack[] = {"
    od -An -v -tu1 -w20 "$pack" | sed 's/ \+/,/g; s/^,/  /; s/$/,/'
    echo "};"
} >"$out/examples/Faces/pack.h"
