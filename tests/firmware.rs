//! The firmware of every board: built, small, without machinery for messages that nobody reads, and brought to its board
//! or refused with the fix.

use std::path::Path;
use std::process::{Command, Output};

use nickeldime::boards::build;
use nickeldime::boards::elf::Program;
use nickeldime_boards::{BOARDS, BoardSpec, CoreKind, Load, RP2040};
use serde_json::Value;

fn nickeldime(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nickeldime"));
    command.args(args);
    command
}

fn error(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: "), "{said}");
    last.to_owned()
}

/// The largest firmware without a model, in bytes: loops of a RISC-V processor and those of Helium take more code than others.
fn most_flash(board: &nickeldime_boards::BoardSpec) -> u64 {
    let large = [CoreKind::Rv32, CoreKind::CortexM55].contains(&board.core);
    if large { 80 << 10 } else { 64 << 10 }
}

/// The boards whose target is installed.
fn boards() -> impl Iterator<Item = BoardSpec> {
    BOARDS.into_iter().filter(|board| match build::check(*board) {
        Ok(()) => true,
        Err(missing) => {
            eprintln!("not tested for {}: {missing}", board.name());
            false
        }
    })
}

/// The checksum with which the RP2040's boot ROM checks a second stage: CRC-32 from the highest bit on, not inverted.
fn second_stage_sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| sum << 1 ^ (sum >> 31) * 0x04C1_1DB7)
    })
}

#[test]
fn every_boards_firmware_is_small_and_fits_its_board() {
    for board in boards() {
        let output = nickeldime(&["firmware", "build", "--board", board.name(), "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let built: Value = serde_json::from_slice(&output.stdout).unwrap();
        let number = |name: &str| built[name].as_u64().unwrap();
        let (flash, ram) = (number("flash_bytes"), number("ram_bytes"));
        println!(
            "{:<12} flash {flash:>6} of {:>8} bytes   RAM {ram:>7} of {:>8}",
            board.name(),
            number("flash_available"),
            number("ram_available")
        );
        let program = Program::read(Path::new(built["path"].as_str().unwrap())).unwrap();
        // A program that the compiler found to end at once would be smaller than its engine.
        assert!((30_000..=most_flash(&board)).contains(&flash), "{}: {flash} bytes of flash", board.name());
        assert!(flash <= board.sizes.program.into());
        assert!(ram + u64::from(board.sizes.stack) <= board.sizes.ram.into(), "{}: room for the stack", board.name());
        // `core::fmt` in both ways of mangling; `panic_fmt` is what a panic calls, whether or not anything is formatted.
        let formats = |name: &&String| ["4core3fmt", "core..fmt"].iter().any(|part| name.contains(part));
        let formatting: Vec<&String> = program.symbols.iter().filter(formats).collect();
        assert!(formatting.is_empty(), "{}: {formatting:?}", board.name());
        assert!(program.symbols.iter().any(|name| name.contains("Device")), "{}: symbols are there", board.name());

        let Load::Uf2 { family, .. } = board.load else { continue };
        let uf2 = std::fs::read(built["uf2"].as_str().unwrap()).unwrap();
        let word = |block: &[u8], at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
        let blocks: Vec<&[u8]> = uf2.chunks(512).collect();
        let mut flashed = std::collections::BTreeMap::new();
        for (index, block) in blocks.iter().enumerate() {
            assert_eq!([word(block, 0), word(block, 4), word(block, 508)], [0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30]);
            assert_eq!(word(block, 28), family);
            assert_eq!([word(block, 20), word(block, 24)], [index as u32, blocks.len() as u32]);
            let address = word(block, 12);
            assert!((0x1000_0000..0x1000_0000 + board.sizes.program).contains(&address) && address % 256 == 0);
            flashed.extend((address..).zip(block[32..288].iter().copied()));
        }
        for segment in &program.segments {
            assert!((segment.address..).zip(&segment.bytes).all(|(at, byte)| flashed.get(&at) == Some(byte)));
        }
        if family == RP2040 {
            // The boot ROM runs the first 256 bytes, which end with their checksum; the program's vectors follow.
            let word =
                |at: u32| (0..4).fold(0, |word, b| word | u32::from(flashed[&(0x1000_0000 + at + b)]) << (8 * b));
            let second_stage: Vec<u8> = (0..252).map(|at| flashed[&(0x1000_0000 + at)]).collect();
            assert_eq!(second_stage_sum(&second_stage), word(252));
            assert_eq!(word(256), 0x2000_0000 + board.sizes.ram, "the stack begins at the end of the RAM");
            continue;
        }
        // The boot ROM finds what it looks for in the first 4 kB: the markers of a block, a secure Arm program.
        let first: Vec<u32> = (0..1024)
            .map(|i| (0..4).fold(0, |word, b| word | u32::from(flashed[&(0x1000_0000 + 4 * i + b)]) << (8 * b)))
            .collect();
        let start = first.iter().position(|&word| word == 0xFFFF_DED3).expect("a block begins");
        assert_eq!(first[start + 1], 0x1021_0142, "a secure program for Arm on an RP2350");
        assert!(first[start..].contains(&0xAB12_3579), "and ends");
    }
}

#[test]
fn flashing_what_is_not_there_says_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let flash = |board: &str, path: &Path| {
        let mut command = nickeldime(&["firmware", "flash", "--board", board]);
        // Cargo is not asked: the board is looked for first.
        command.env("PATH", path);
        error(&command.output().unwrap())
    };
    for board in ["nucleo-h743", "stm32f405"] {
        let said = flash(board, empty.path());
        assert!(said.contains("cargo install probe-rs-tools"), "{said}");
    }
    let said = flash("pico2", empty.path());
    assert!(said.contains("BOOTSEL"), "{said}");
    let said = flash("qemu-m4", empty.path());
    assert!(said.contains("nickeldime emulate --board qemu-m4"), "{said}");
    let said = flash("pico3", empty.path());
    assert!(said.contains("there are: pico2, "), "{said}");
}

/// What `probe-rs` says, as its version 0.32 says it, where the program itself is not installed and no probe is attached.
#[cfg(unix)]
#[test]
fn what_probe_rs_finds_is_told_in_words() {
    use std::os::unix::fs::PermissionsExt;

    let flash = |script: &str| {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("probe-rs");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = nickeldime(&["firmware", "flash", "--board", "nucleo-h743"]).env("PATH", folder.path()).output();
        error(&output.unwrap())
    };
    let said = flash("echo 'No debug probes were found.'");
    assert!(said.contains("connect nucleo-h743 by its ST-Link"), "{said}");
    let attached = "if [ \"$1\" = list ]; then echo 'The following debug probes were found:'; exit 0; fi\n";
    let said = flash(&format!("{attached}echo 'Error: No connected probes were found.' >&2; exit 1"));
    assert!(said.contains("connect nucleo-h743 by its ST-Link"), "{said}");
    let said = flash(&format!("{attached}echo 10016413"));
    assert!(said.contains("says device 0x413, expected 0x450") && said.contains("--board"), "{said}");
    let said = flash(&format!("{attached}echo 'Error: Connecting to the chip was unsuccessful.' >&2; exit 1"));
    assert!(said.contains("Connecting to the chip was unsuccessful") && said.contains("powered"), "{said}");
}
