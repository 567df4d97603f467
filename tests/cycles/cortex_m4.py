#!/usr/bin/env python3
"""Estimates the Cortex-M4's cycles of single 3x3 layers from instructions that QEMU counted.

    nickeldime bench --board qemu-m4
    tests/cycles/cortex_m4.py target/thumbv7em-none-eabihf/firmware/measure

The first command builds the program. Needs a C compiler, qemu-system-arm with plugins (Debian's has them), llvm-objdump and nm.

The cycles are those of Arm's Cortex-M4 Technical Reference Manual, section 3.3 (instruction set summary), for memory without
wait states: 1 for an arithmetic instruction, multiply-accumulates and SIMD included; 1 + N for a load or store of N registers;
2 for a load, or 1 where the instruction before it is a load or store that it does not depend on; 1 for a store, whose buffer
hides the rest; 3 for a branch that is taken and 1 for one that is not. Three of these are assumptions: a branch's pipeline
refill takes 2 cycles (the manual says 1 to 3), IT is folded into the instruction before it, and a division takes 6 (2 to 12).
Flash with wait states adds to all of it.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# The job of the measuring program and where it is asked for (firmware/measure/src/lib.rs).
LAYERS = 2
REQUEST = 0x21F00000
# A layer's window: from its first row to the text that the program prints of it.
BEGIN, END = "kernel::rows::conv3x3_row", "Out as core::fmt::Write>::write_str"
# Channels in and out, and size, in the order that the program makes them.
SHAPES = [(26, 16), (16, 16), (64, 8), (8, 32), (7, 64)]

CONDITIONAL = re.compile(r"^(b(eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)|cbn?z)$")
BRANCHES = {"b", "bl", "bx", "blx", "tbb", "tbh"}
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*([^;@<]*)")


def instructions(program):
    """`(address, mnemonic, operands)` of the program, in order."""
    command = ["llvm-objdump", "-d", "--no-show-raw-insn", program]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = (LINE.match(line) for line in text.splitlines())
    return [(int(m[1], 16), re.sub(r"\.[wn]$", "", m[2]), m[3].strip()) for m in found if m]


def registers(operands):
    """How many registers a list such as `{r4-r7, lr}` has."""
    numbers = {"sb": 9, "sl": 10, "fp": 11, "r12": 12, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
    numbers |= {f"r{n}": n for n in range(12)}
    count = 0
    for part in operands[operands.index("{") + 1 : operands.index("}")].split(","):
        first, _, last = part.strip().partition("-")
        count += numbers[last] - numbers[first] + 1 if last else 1
    return count


def is_access(mnemonic):
    """True for a load or store of one register."""
    return mnemonic.startswith(("ldr", "str")) and not mnemonic.startswith(("ldrd", "strd"))


def cycles(before, instruction, count, count_after):
    """Cycles of all `count` executions of an instruction; the one before it and how often the one behind it ran are known."""
    _, mnemonic, operands = instruction
    if mnemonic.startswith("it") and set(mnemonic[1:]) <= {"t", "e"}:
        return 0
    if CONDITIONAL.match(mnemonic):
        return count + 2 * max(0, count - count_after)
    if mnemonic in BRANCHES:
        return 3 * count
    if mnemonic.startswith(("ldm", "stm", "push", "pop", "vpush", "vpop")):
        returns = mnemonic in ("pop", "ldm") and "pc" in operands
        return count * (1 + (registers(operands) if "r" in operands else 1) + (2 if returns else 0))
    if mnemonic.startswith(("ldrd", "strd")):
        return 3 * count
    if mnemonic.startswith("ldr"):
        if before and is_access(before[1]):
            loaded = before[2].split(",")[0].strip() if before[1].startswith("ldr") else None
            if not loaded or not re.search(rf"\[{loaded}\b", operands):
                return count
        return 2 * count
    if mnemonic in ("sdiv", "udiv"):
        return 6 * count
    return count


def address(program, name):
    """Where the function begins whose name contains `name`."""
    text = subprocess.run(["nm", "--demangle", program], check=True, capture_output=True, text=True).stdout
    found = [line for line in text.splitlines() if name in line]
    if len(found) != 1:
        sys.exit(f"{program}: {len(found)} functions are called {name}: is it the measuring program?")
    return int(found[0].split()[0], 16) & ~1


def windows(program, folder):
    """Executions by address, a layer each."""
    plugin, counts = folder / "count.so", folder / "counts"
    source = pathlib.Path(__file__).with_name("count.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", plugin, source], check=True)
    word = lambda index, value: f"loader,addr={REQUEST + 4 * index:#x},data={value},data-len=4"
    command = ["qemu-system-arm", "-machine", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null"]
    command += ["-icount", "shift=0", "-semihosting-config", "enable=on,target=native", "-kernel", program]
    command += ["-device", word(0, LAYERS), "-device", word(1, 1)]
    begin, end = (address(program, name) for name in (BEGIN, END))
    command += ["-plugin", f"{plugin},out={counts},begin={begin:#x},end={end:#x}"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    parts = counts.read_text().split("window\n")[1:]
    read = lambda part: {int(at, 16): int(n) for at, n in (line.split() for line in part.splitlines())}
    return [read(part) for part in parts]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = sys.argv[1]
    listing = instructions(program)
    with tempfile.TemporaryDirectory() as folder:
        measured = windows(program, pathlib.Path(folder))
    if len(measured) != len(SHAPES):
        sys.exit(f"{program}: {len(measured)} layers were measured, not {len(SHAPES)}: is it the measuring program?")
    print("layer                 instructions  a MAC      cycles  a MAC   (estimated)")
    for (channels, size), counts in zip(SHAPES, measured):
        total, listed = 0, 0
        for at, instruction in enumerate(listing):
            count = counts.get(instruction[0], 0)
            if count:
                behind = counts.get(listing[at + 1][0], 0) if at + 1 < len(listing) else 0
                total += cycles(listing[at - 1] if at else None, instruction, count, behind)
                listed += count
        if listed != sum(counts.values()):
            sys.exit(f"{program}: {sum(counts.values()) - listed} instructions ran that the listing lacks")
        macs = 9 * channels * channels * size * size
        name = f"{size}x{size}, {channels} -> {channels}"
        print(f"{name:20} {listed:13} {listed / macs:6.2f} {total:11} {total / macs:6.2f}")


main()
