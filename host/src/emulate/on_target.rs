//! The engine alone on the emulated Cortex-M4: instructions counted, the stack painted, kernels and images compared.
//!
//! QEMU with `-icount shift=0` makes one instruction one virtual nanosecond, so the board's timer counts instructions, the
//! same number in every run.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nickeldime_boards::{EmulatorSpec, QEMU_M4};
use object::{Object, ObjectSymbol, SymbolKind};

use super::emulator;
use crate::boards::{BoardError, build};

/// Instructions of a tick of the board's timer.
const TICK: u64 = 40;
/// Instructions between two looks of the profile.
const PROFILE: u64 = 97 * TICK;

/// Which kernels the program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// The processor's own.
    Dsp,
    /// The plain ones.
    Portable,
}

/// The program, built.
#[derive(Debug)]
pub struct OnTarget {
    program: PathBuf,
    emulator: EmulatorSpec,
}

/// A 3x3 layer: i8 weights, i16 activations in and out, requantisation and leaky ReLU included.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LayerCost {
    /// For people.
    pub name: String,
    /// Input channels, output channels, height and width.
    pub shape: [u64; 3],
    /// Multiply-accumulates.
    pub macs: u64,
    /// Of the whole layer.
    pub instructions: u64,
    /// Instructions for each multiply-accumulate.
    pub per_mac: f64,
}

/// What an image costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageCost {
    /// From a known w to the last row.
    pub instructions: u64,
    /// From a known w to the first row.
    pub first_row_instructions: u64,
    /// From a seed to w.
    pub mapping_instructions: u64,
    /// All but the stack.
    pub ram_bytes: u64,
    /// The deepest, opening the pack included.
    pub stack_bytes: u64,
}

/// A share of an image's instructions.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stage {
    /// What is done.
    pub name: String,
    /// About how many instructions, by looks at the program counter.
    pub instructions: u64,
}

/// What the functions of the program do: a stage, and parts of the names of its functions. The first that fits counts.
const STAGES: [(&str, &[&str]); 11] = [
    ("3x3 convolutions", &["correlate", "conv3x3_row"]),
    ("transposed convolutions", &["spread", "transposed3x3_row", "requantise"]),
    ("weights to 16 bits", &["expand"]),
    ("filter after doubling", &["filter", "fir_row"]),
    ("bias, noise, leaky ReLU, rounding", &["activate"]),
    ("modulation", &["modulate"]),
    ("making noise", &["random", "noise_row", "quantile", "threefry"]),
    ("toRGB and image", &["torgb", "mix", "blend", "upsample_rgb_row", "doubled_row", "to_bytes"]),
    (
        "styles and demodulation",
        &["style", "energy", "dense", "dot", "sum_i", "normalise", "over_sqrt", "div", "isqrt", "int_sqrt"],
    ),
    ("copies", &["memcpy", "memmove", "memset", "memclr"]),
    ("order of the rows", &[""]),
];

impl OnTarget {
    /// Builds the program; quick when nothing has changed.
    ///
    /// # Errors
    /// What is missing and how to install it, or what the compiler said.
    pub fn build(kernels: Kernels) -> Result<Self, BoardError> {
        let emulator = emulator::check(&QEMU_M4)?;
        let features: &[&str] = if kernels == Kernels::Portable { &["portable-kernels"] } else { &[] };
        let program = build::build_program(QEMU_M4, "on-target", features)?.path;
        Ok(Self { program, emulator })
    }

    /// SHA-256 of the images of the seeds `0 .. seeds`, one after the other: psi 1, noise by the same seed.
    ///
    /// # Errors
    /// What the emulator said.
    pub fn hash(&self, pack: &[u8], seeds: u32) -> Result<String, BoardError> {
        Ok(self.run(0, seeds, pack)?.trim().to_owned())
    }

    /// What an image of a pack costs.
    ///
    /// # Errors
    /// What the emulator said.
    pub fn image(&self, pack: &[u8]) -> Result<ImageCost, BoardError> {
        let said = self.run(1, 1, pack)?;
        let [given, first_row, seeded, stack, workspace] = numbers(&said).ok_or_else(|| self.failed(&said))?;
        Ok(ImageCost {
            instructions: TICK * given,
            first_row_instructions: TICK * first_row,
            mapping_instructions: TICK * seeded.saturating_sub(given),
            ram_bytes: workspace,
            stack_bytes: stack,
        })
    }

    /// What single layers cost.
    ///
    /// # Errors
    /// What the emulator said.
    pub fn layers(&self) -> Result<Vec<LayerCost>, BoardError> {
        let said = self.run(2, 1, &[])?;
        said.lines()
            .map(|line| {
                let [inputs, outputs, size, ticks] = numbers(line).ok_or_else(|| self.failed(&said))?;
                let macs = 9 * inputs * outputs * size * size;
                let instructions = TICK * ticks;
                Ok(LayerCost {
                    name: format!("{size}x{size}, {inputs} -> {outputs}"),
                    shape: [inputs, outputs, size],
                    macs,
                    instructions,
                    per_mac: instructions as f64 / macs as f64,
                })
            })
            .collect()
    }

    /// Where an image's instructions go, w being known.
    ///
    /// # Errors
    /// What the emulator said.
    pub fn stages(&self, pack: &[u8]) -> Result<Vec<Stage>, BoardError> {
        let said = self.run(3, 1, pack)?;
        let elf = fs::read(&self.program).map_err(|cause| BoardError::File { path: self.program.clone(), cause })?;
        let functions = functions(&elf).ok_or_else(|| self.failed("its program has no symbols"))?;
        let mut stages = STAGES.map(|(name, _)| Stage { name: name.to_owned(), instructions: 0 });
        for line in said.lines() {
            let seen = line
                .split_once(' ')
                .and_then(|(at, count)| Some((u64::from_str_radix(at, 16).ok()?, count.parse::<u64>().ok()?)));
            let (at, count) = seen.ok_or_else(|| self.failed(&said))?;
            let after = functions.partition_point(|(start, _)| *start <= at + 2);
            let name = functions[..after].last().map_or("", |(_, name)| name);
            let stage = STAGES.iter().position(|(_, parts)| parts.iter().any(|part| name.contains(part)));
            stages[stage.unwrap_or(STAGES.len() - 1)].instructions += PROFILE * count;
        }
        Ok(stages.into_iter().filter(|stage| stage.instructions > 0).collect())
    }

    /// Compares every kernel with its portable twin on random and extreme inputs, so many rounds; returns the comparisons.
    ///
    /// # Errors
    /// What the emulator said: which kernel differs, and where.
    pub fn twins(&self, rounds: u32) -> Result<u64, BoardError> {
        let said = self.run(4, rounds, &[])?;
        let [compared] = numbers(&said).ok_or_else(|| self.failed(&said))?;
        Ok(compared)
    }

    /// Runs a job and returns what it printed.
    fn run(&self, job: u32, count: u32, pack: &[u8]) -> Result<String, BoardError> {
        let mut file = tempfile::NamedTempFile::new().map_err(|error| self.failed(&error.to_string()))?;
        file.write_all(pack).map_err(|cause| BoardError::File { path: file.path().to_owned(), cause })?;
        let word = |at: u32, value: u32| format!("loader,addr={:#x},data={value},data-len=4", 0x21F0_0000 + 4 * at);
        let mut command = Command::new(self.emulator.program);
        command.arg("-machine").args(self.emulator.machine);
        command.args(["-display", "none", "-monitor", "none", "-serial", "null", "-icount", "shift=0"]);
        command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(&self.program);
        command.args(["-device", &word(0, job), "-device", &word(1, count)]);
        if !pack.is_empty() {
            // A comma would end the file's name.
            let path = file.path().display().to_string().replace(',', ",,");
            command.args(["-device", &format!("loader,file={path},addr=0x21000000,force-raw=on")]);
        }
        let output = command.stdin(Stdio::null()).output().map_err(|error| self.failed(&error.to_string()))?;
        // Which of the two the program's output is printed to has changed over QEMU's versions.
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(said) } else { Err(self.failed(&said)) }
    }

    fn failed(&self, said: &str) -> BoardError {
        let said = said.trim();
        let said = if said.is_empty() { "the program gave up" } else { said };
        BoardError::Emulator { program: self.emulator.program, said: said.to_owned() }
    }
}

/// Exactly so many numbers.
fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Functions by address.
fn functions(elf: &[u8]) -> Option<Vec<(u64, String)>> {
    let file = object::File::parse(elf).ok()?;
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    // Bit 0 says that it is Thumb code.
    let mut functions: Vec<_> =
        functions.filter_map(|symbol| Some((symbol.address() & !1, symbol.name().ok()?.to_owned()))).collect();
    functions.sort();
    Some(functions)
}
