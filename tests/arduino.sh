#!/usr/bin/env bash
# The Arduino library: its sketch is compiled with the flags of RP2040's and RP2350's cores against a stand-in of Arduino.h,
# and linked with the library of that processor. Usage: tests/arduino.sh DIR PACK
set -euo pipefail
bash "$(dirname "$0")/../bindings/c/arduino.sh" "$1" "$2"
library=$(cd "$1" && pwd)/nickeldime
cd "$(dirname "$0")/.."
work=$PWD/target/c/sketch
mkdir -p "$work"

for field in name version author maintainer sentence paragraph category url architectures; do
    grep -q "^$field=..*" "$library/library.properties" || { echo "library.properties has no $field" >&2; exit 1; }
done
grep -qx "precompiled=true" "$library/library.properties"

while read -r folder flags; do
    # The sketch is C++ behind Arduino.h, and the core calls its two functions.
    arm-none-eabi-g++ $flags -mthumb -Os -ffreestanding -nostdlib -ffunction-sections -fno-exceptions -fno-rtti \
        -std=gnu++17 -Wall -Wextra -Werror -I"$library/src" -include tests/c/Arduino.h \
        -x c++ "$library/examples/Faces/Faces.ino" -x none -L"$library/src/$folder" -lnickeldime \
        -Wl,--gc-sections,--fatal-warnings,-z,noexecstack,-Ttext=0x10000000,-Tdata=0x20000000,-e,begin \
        -o "$work/$folder.elf"
    echo "the sketch for $folder: $(arm-none-eabi-size "$work/$folder.elf" | awk 'NR == 2 {print $1}') bytes with its pack"
done <<'TABLE'
cortex-m0plus -march=armv6-m -mcpu=cortex-m0plus
cortex-m33 -mcpu=cortex-m33 -march=armv8-m.main+fp+dsp -mfloat-abi=softfp
TABLE
