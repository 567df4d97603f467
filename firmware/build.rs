//! Puts the board's memory map where the linker script of its runtime looks for it. Here and not in a cargo
//! configuration, so that the firmware builds from any folder, by `--manifest-path` too.

use std::path::PathBuf;
use std::{env, fs};

/// Feature of a board, and its memory map.
const BOARDS: [(&str, &str); 8] = [
    ("QEMU_M0", "src/board/qemu_m0.x"),
    ("QEMU_M4", "src/board/qemu_m4.x"),
    ("QEMU_M55", "src/board/qemu_m55.x"),
    ("QEMU_RV32", "src/board/qemu_rv32.x"),
    ("PICO", "src/board/pico.x"),
    ("PICO2", "src/board/pico2.x"),
    ("NUCLEO_H743", "src/board/nucleo_h743.x"),
    ("STM32F405", "src/board/stm32f405.x"),
];

/// Public keys of 64 hexadecimal digits, with commas between them.
const TRUST: &str = "NICKELDIME_TRUST";

fn main() {
    if env::var_os("CARGO_FEATURE_SIGNED").is_some() {
        trust();
    }
    println!("cargo::rerun-if-changed=src/board");
    println!("cargo::rustc-check-cfg=cfg(boards, values(\"none\", \"one\", \"several\"))");
    // Built for a computer (`cargo check --workspace`), the firmware is an empty program.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    // `boards` lets the library and the program refuse two boards, and the program none, with one sentence.
    let chosen = BOARDS.iter().filter(|(feature, _)| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some()).count();
    println!("cargo::rustc-cfg=boards=\"{}\"", ["none", "one", "several"][chosen.min(2)]);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for (feature, memory) in BOARDS {
        if env::var_os(format!("CARGO_FEATURE_{feature}")).is_some() {
            fs::copy(memory, out.join("memory.x")).expect("the board's memory map is copied to OUT_DIR");
            println!("cargo::rustc-link-search={}", out.display());
            // Arm's runtime includes the map, the other one wants it named.
            if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("riscv32") {
                println!("cargo::rustc-link-arg-bins=-Tmemory.x");
            } else {
                println!("cargo::rustc-link-arg-bins=--nmagic");
            }
            println!("cargo::rustc-link-arg-bins=-Tlink.x");
        }
    }
}

/// Writes the trusted keys as constants for `src/trust.rs`.
fn trust() {
    println!("cargo::rerun-if-env-changed={TRUST}");
    let text = env::var(TRUST).unwrap_or_default();
    let keys: Option<Vec<[u8; 32]>> = text.split(',').map(|digits| key(digits.trim())).collect();
    let Some(keys) = keys else {
        println!(
            "cargo::error=the feature `signed` needs {TRUST}: public keys of 64 hexadecimal digits, with commas between them"
        );
        return;
    };
    let ids: Vec<String> = (0..keys.len()).map(|n| format!("key_id(&KEYS[{n}])")).collect();
    let (count, ids) = (keys.len(), ids.join(", "));
    let code = format!(
        "const KEYS: [[u8; 32]; {count}] = {keys:?};\nconst IDS: [[u8; 8]; {count}] = [{ids}];\n\
         /// The keys that this firmware trusts: it loads packs that one of them has signed.\n\
         pub const TRUST: Trust = Trust::new(&KEYS, &IDS, ed25519);\n"
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("trust.rs"), code).expect("the keys are written into OUT_DIR");
}

fn key(digits: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = digits.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok()).flatten()
}
