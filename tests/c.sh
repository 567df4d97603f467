#!/usr/bin/env bash
# libnickeldime: built for every target; the example drawn on this computer and on emulated processors, with the core's
# hash; every status reached; the device's end of the link behind a pseudo-terminal; a second Rust library in the same
# program; the Arduino library. Usage: tests/c.sh
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
libs=$root/target/c
host=$(rustc -vV | sed -n 's/^host: //p')

fail() { echo "tests/c.sh: $*" >&2; exit 1; }

need=()
command -v cc >/dev/null || need+=(gcc libc6-dev)
command -v c++ >/dev/null || need+=(g++)
command -v make >/dev/null || need+=(make)
command -v arm-none-eabi-gcc >/dev/null || need+=(gcc-arm-none-eabi)
command -v riscv64-unknown-elf-gcc >/dev/null || need+=(gcc-riscv64-unknown-elf)
command -v qemu-system-arm >/dev/null || need+=(qemu-system-arm)
command -v qemu-system-riscv32 >/dev/null || need+=(qemu-system-misc)
if [ ${#need[@]} -gt 0 ]; then
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
    # Package lists that cannot be refreshed may still be recent enough.
    as_root apt-get update -qq || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}"
fi
rustup --quiet target add thumbv6m-none-eabi thumbv7em-none-eabi thumbv7em-none-eabihf thumbv8m.main-none-eabi \
    thumbv8m.main-none-eabihf riscv32imac-unknown-none-elf

bash bindings/c/build.sh "$libs"
mkdir -p "$libs/packs" "$libs/bin"
cargo run --release --quiet -p nickeldime-testkit --example packs -- "$libs/packs" >"$libs/packs/SHA256"
hash_of() { sed -n "s/  $1\$//p" "$libs/packs/SHA256"; }

# The example on one machine: prints what the machine printed, and compares the hash.
draw() { # BOARD PACK [make's variables]
    local said
    said=$(timeout 60 make --silent -C bindings/c/example run BOARD="$1" PACK="$libs/packs/$2" LIBS="$libs" "${@:3}") ||
        fail "the example failed on $*: $said"
    [ "$(tail -n 1 <<<"$said")" = "$(hash_of "$2")" ] || fail "$* drew $said, wanted $(hash_of "$2")"
    echo "$1 ${*:3}: $(tail -n 1 <<<"$said")"
}
for pack in i8.ndm i16.ndm; do
    draw host "$pack"
    draw mps2-an386 "$pack"
    draw mps2-an386 "$pack" TARGET=thumbv7em-none-eabi OUT="$libs/example/soft"
    draw mps2-an385 "$pack"
    draw virt "$pack"
done

# Flash without the pack: code, constants, and the values that are copied into RAM.
bytes=$(arm-none-eabi-size -A "$libs/example/mps2-an386/example.elf" | awk '$1 == ".code" || $1 == ".data" {n += $2} END {print n}')
echo "the example has $bytes bytes of flash on a Cortex-M4, without its pack"
[ "$bytes" -le 40000 ] || fail "the example has more than 40000 bytes of flash"

# A program with too small a workspace says so.
if said=$(make --silent -C bindings/c/example run BOARD=mps2-an386 PACK="$libs/packs/i8.ndm" LIBS="$libs" \
    OUT="$libs/example/small" WORKSPACE_BYTES=1024 2>&1); then fail "1024 bytes of workspace were enough"; fi
grep -q "the workspace is too small" <<<"$said" || fail "$said"

# Another Rust library in the same program, before this one and behind it.
for target in thumbv7em-none-eabihf riscv32imac-unknown-none-elf; do
    board=mps2-an386
    [ "$target" = thumbv7em-none-eabihf ] || board=virt
    second=$libs/second/$target
    mkdir -p "$second"
    rustc --edition 2024 --crate-type staticlib -C opt-level=s -C panic=abort --target "$target" tests/c/second.rs \
        -o "$second/libsecond.a"
    for order in before behind; do
        extra="$root/tests/c/both.c $second/libsecond.a"
        [ "$order" = before ] || extra="$root/tests/c/both.c $libs/$target/libnickeldime.a $second/libsecond.a"
        draw "$board" i8.ndm OUT="$second/$order" EXTRA="$extra" DEFINES=-DRUN=run_example
    done
done

# Every status, and the header for C++.
strict=(-Wall -Wextra -Werror -I"$libs/include" -Ibindings/c/example)
cc -std=c11 "${strict[@]}" -g -fsanitize=undefined tests/c/status.c "$libs/$host/libnickeldime.a" -lpthread -ldl -lm \
    -o "$libs/bin/status"
"$libs/bin/status" "$libs/packs"
c++ -std=c++11 "${strict[@]}" tests/c/plus.cpp "$libs/$host/libnickeldime.a" -lpthread -ldl -lm -o "$libs/bin/plus"
"$libs/bin/plus"

# The device's end of the link, and a real host on its line.
cc -std=c11 "${strict[@]}" -g tests/c/board.c "$libs/$host/libnickeldime.a" -lpthread -ldl -lm -o "$libs/bin/board"
cargo build --release --quiet -p nickeldime-link --example send_and_sample
coproc BOARD { exec "$libs/bin/board"; }
pid=$BOARD_PID
read -r port <&"${BOARD[0]}"
said=$(timeout 60 target/release/examples/send_and_sample "$port" "$libs/packs/i16.ndm") || fail "the board in C: $said"
[ "$said" = "$(hash_of i16.ndm)  c-board" ] || fail "the board in C drew $said, wanted $(hash_of i16.ndm)"
exec {BOARD[1]}>&-
cat <&"${BOARD[0]}"
wait "$pid" || fail "the board in C failed"


bash tests/arduino.sh "$libs/arduino" "$libs/packs/i8.ndm"
