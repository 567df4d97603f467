//! The engine alone on an emulated processor: instructions counted, the stack painted, kernels and images compared.
//!
//! QEMU with `-icount shift=0` makes one instruction one virtual nanosecond, so the machine's timer counts instructions, the
//! same number in every run.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use object::{Object, ObjectSymbol, SymbolKind};

use nickeldime_core::storage::{RamFlash, Storage};
use nickeldime_measure::{Job, Machine};
use sha2::{Digest, Sha256};

use super::emulator;
use crate::boards::{self, BoardError, build};

/// Bytes of a sector of the flash in a [`Job::Request`].
const SECTOR: usize = 4096;

/// A processor that the engine is measured on.
#[derive(Debug, Clone, Copy)]
struct Measured {
    board: &'static str,
    machine: Machine,
    /// QEMU's machine. The Cortex-M0's program runs on the Cortex-M4, which executes the same instructions and has the room.
    emulator: &'static [&'static str],
    /// The processor's own kernels.
    kernels: &'static str,
    /// Cargo features of the program that say what the target's name does not.
    features: &'static [&'static str],
}

const MEASURED: [Measured; 4] = [
    Measured { board: "qemu-m4", machine: Machine::AN386, emulator: &["mps2-an386"], kernels: "dsp", features: &[] },
    Measured {
        board: "qemu-m55",
        machine: Machine::AN547,
        emulator: &["mps3-an547"],
        kernels: "mve",
        features: &["mve"],
    },
    Measured { board: "qemu-m0", machine: Machine::AN386, emulator: &["mps2-an386"], kernels: "m0", features: &[] },
    Measured {
        board: "qemu-rv32",
        machine: Machine::VIRT,
        emulator: &["virt", "-bios", "none", "-m", "256M"],
        kernels: "rv32",
        features: &[],
    },
];

/// The boards that can be measured.
pub fn boards() -> Vec<&'static str> {
    MEASURED.iter().map(|measured| measured.board).collect()
}

/// Which kernels the program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// The processor's own.
    Own,
    /// The plain ones.
    Portable,
}

/// The program, built.
#[derive(Debug)]
pub struct OnTarget {
    program: PathBuf,
    emulator: &'static str,
    measured: Measured,
    kernels: Kernels,
}

/// A 3x3 layer: i8 weights, i16 activations in and out, requantisation and leaky ReLU included.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MeasuredLayer {
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
    /// From a request's first byte to the last byte of the answer, for the second image after a start.
    pub request_instructions: u64,
    /// From a request's first byte to the first byte of the first row.
    pub request_first_row_instructions: u64,
    /// The hash over the image's rows, a part of the request.
    pub hash_instructions: u64,
    /// Once at the start and once when a pack is committed: hashing and proving the pack.
    pub verification_instructions: u64,
    /// From a known w to the last row, a part of the request.
    pub instructions: u64,
    /// From a known w to the first row.
    pub first_row_instructions: u64,
    /// From a seed to w, a part of the request.
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
    /// Builds the program for a board; quick when nothing has changed.
    ///
    /// # Errors
    /// What is missing and how to install it, what the compiler said, or that the board cannot be measured.
    pub fn build(board: &str, kernels: Kernels) -> Result<Self, BoardError> {
        let board = boards::find(board)?;
        let measured = MEASURED.into_iter().find(|measured| measured.board == board.name());
        let measured = measured.ok_or(BoardError::NotEmulated { board: board.name() })?;
        let emulator = emulator::check(&board)?.program;
        let features = if kernels == Kernels::Portable { &["portable-kernels"] } else { measured.features };
        let source = build::Source { package: "nickeldime-measure", program: "measure", features };
        let program = build::build_program(board, source)?.path;
        Ok(Self { program, emulator, measured, kernels })
    }

    /// The name of the kernels in the program.
    pub fn kernels(&self) -> &'static str {
        match self.kernels {
            Kernels::Own => self.measured.kernels,
            Kernels::Portable => "portable",
        }
    }

    /// SHA-256 of the images of the seeds `0 .. seeds`, one after the other: psi 1, noise by the same seed.
    ///
    /// # Errors
    /// What the emulator said.
    pub fn hash(&self, pack: &[u8], seeds: u32) -> Result<String, BoardError> {
        Ok(self.run(Job::Hash, seeds, pack)?.trim().to_owned())
    }

    /// What an image of a pack costs.
    ///
    /// # Errors
    /// What the emulator said.
    pub fn image(&self, pack: &[u8]) -> Result<ImageCost, BoardError> {
        let said = self.run(Job::Image, 1, pack)?;
        let [given, first_row, seeded, stack, workspace] = numbers(&said).ok_or_else(|| self.failed(&said))?;
        let flash = flash_with(pack).ok_or_else(|| self.failed("the pack does not fit a flash of its size"))?;
        let len =
            u32::try_from(flash.len()).map_err(|_| self.failed("the pack is larger than the machine's memory"))?;
        let said = self.run(Job::Request, len, &flash)?;
        let [start, all, first, hashing, _rows, _bytes] = numbers(&said).ok_or_else(|| self.failed(&said))?;
        let instructions = |ticks| self.measured.machine.instructions(ticks);
        Ok(ImageCost {
            request_instructions: instructions(all),
            request_first_row_instructions: instructions(first),
            hash_instructions: instructions(hashing),
            verification_instructions: instructions(start),
            instructions: instructions(given),
            first_row_instructions: instructions(first_row),
            mapping_instructions: instructions(seeded.saturating_sub(given)),
            ram_bytes: workspace,
            stack_bytes: stack,
        })
    }

    /// What single layers cost.
    ///
    /// # Errors
    /// What the emulator said.
    pub fn layers(&self) -> Result<Vec<MeasuredLayer>, BoardError> {
        let said = self.run(Job::Layers, 1, &[])?;
        said.lines()
            .map(|line| {
                let [inputs, outputs, size, ticks] = numbers(line).ok_or_else(|| self.failed(&said))?;
                let macs = 9 * inputs * outputs * size * size;
                let instructions = self.measured.machine.instructions(ticks);
                Ok(MeasuredLayer {
                    name: format!("{size}x{size}, {inputs} -> {outputs}"),
                    shape: [inputs, outputs, size],
                    macs,
                    instructions,
                    per_mac: instructions as f64 / macs as f64,
                })
            })
            .collect()
    }

    /// Where an image's instructions go, w being known; nothing on a processor whose program has no profile.
    ///
    /// # Errors
    /// What the emulator said.
    pub fn stages(&self, pack: &[u8]) -> Result<Vec<Stage>, BoardError> {
        let Some(every) = self.measured.machine.profile else { return Ok(Vec::new()) };
        let look = self.measured.machine.instructions(every.into());
        let said = self.run(Job::Profile, 1, pack)?;
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
            stages[stage.unwrap_or(STAGES.len() - 1)].instructions += look * count;
        }
        Ok(stages.into_iter().filter(|stage| stage.instructions > 0).collect())
    }

    /// Compares every kernel with its portable twin on random and extreme inputs, so many rounds; returns the comparisons.
    ///
    /// # Errors
    /// What the emulator said: which kernel differs, and where.
    pub fn twins(&self, rounds: u32) -> Result<u64, BoardError> {
        let said = self.run(Job::Twins, rounds, &[])?;
        let [compared] = numbers(&said).ok_or_else(|| self.failed(&said))?;
        Ok(compared)
    }

    /// Runs a job and returns what it printed.
    fn run(&self, job: Job, count: u32, data: &[u8]) -> Result<String, BoardError> {
        let mut file = tempfile::NamedTempFile::new().map_err(|error| self.failed(&error.to_string()))?;
        file.write_all(data).map_err(|cause| BoardError::File { path: file.path().to_owned(), cause })?;
        let Machine { data: at, request, .. } = self.measured.machine;
        let word = |index: u32, value: u32| format!("loader,addr={:#x},data={value},data-len=4", request + 4 * index);
        let mut command = Command::new(self.emulator);
        command.arg("-machine").args(self.measured.emulator);
        command.args(["-display", "none", "-monitor", "none", "-serial", "null", "-icount", "shift=0"]);
        command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(&self.program);
        command.args(["-device", &word(0, job as u32), "-device", &word(1, count)]);
        if !data.is_empty() {
            // A comma would end the file's name.
            let path = file.path().display().to_string().replace(',', ",,");
            command.args(["-device", &format!("loader,file={path},addr={at:#x},force-raw=on")]);
        }
        let output = command.stdin(Stdio::null()).output().map_err(|error| self.failed(&error.to_string()))?;
        // Which of the two the program's output is printed to has changed over QEMU's versions.
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(said) } else { Err(self.failed(&said)) }
    }

    fn failed(&self, said: &str) -> BoardError {
        let said = said.trim();
        let said = if said.is_empty() { "the program gave up" } else { said };
        BoardError::Emulator { program: self.emulator, said: said.to_owned() }
    }
}

/// The bytes of a flash that holds a committed pack and no more; nothing where that cannot be.
fn flash_with(pack: &[u8]) -> Option<Vec<u8>> {
    // Two sectors of records, and the pack.
    let sectors = 2 + pack.len().div_ceil(SECTOR);
    let mut words = vec![0u32; sectors * SECTOR / 4];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    let mut storage = Storage::mount(RamFlash::<_, 4, SECTOR>::erased(bytes));
    let len = u32::try_from(pack.len()).ok()?;
    storage.begin(len, Sha256::digest(pack).into()).ok()?;
    storage.announce(0, 0, len).ok()?;
    for (offset, chunk) in (0..).step_by(SECTOR).zip(pack.chunks(SECTOR)) {
        storage.write(offset, chunk).ok()?;
    }
    storage.commit().ok()?;
    Some(storage.release().release().to_vec())
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
