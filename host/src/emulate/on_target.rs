//! Runs the engine alone on an emulated processor: counts instructions, measures the stack, and compares kernels and
//! images.
//!
//! With `-icount shift=0`, QEMU runs one instruction in one virtual nanosecond. The machine's timer therefore counts
//! instructions, and every run gives the same number.

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
    /// Arguments that select QEMU's machine. The Cortex-M0's program runs on the Cortex-M4, which executes the same
    /// instructions and has enough memory.
    emulator: &'static [&'static str],
    /// Name of the processor's own kernels.
    kernels: &'static str,
    /// Cargo features of the program that its target triple does not imply.
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

/// The kernels that the program is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// The processor's own kernels.
    Own,
    /// The portable kernels.
    Portable,
}

/// The program that was built for a board.
#[derive(Debug)]
pub struct OnTarget {
    program: PathBuf,
    emulator: &'static str,
    measured: Measured,
    kernels: Kernels,
}

/// A 3x3 layer with i8 weights and i16 activations, including requantisation and leaky ReLU.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MeasuredLayer {
    /// A name for people to read.
    pub name: String,
    /// Number of input channels, number of output channels, and height and width.
    pub shape: [u64; 3],
    /// Number of multiply-accumulates.
    pub macs: u64,
    /// Instructions of the whole layer.
    pub instructions: u64,
    /// Instructions for each multiply-accumulate.
    pub per_mac: f64,
}

/// The cost of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageCost {
    /// Instructions from a request's first byte to the last byte of the answer, for the second image after a start.
    pub request_instructions: u64,
    /// Instructions from a request's first byte to the first byte of the first row.
    pub request_first_row_instructions: u64,
    /// Instructions of the hash over the image's rows; they are part of the request.
    pub hash_instructions: u64,
    /// Instructions for hashing and proving the pack, once at the start and once when a pack is committed.
    pub verification_instructions: u64,
    /// Instructions from a known w to the last row; they are part of the request.
    pub instructions: u64,
    /// Instructions from a known w to the first row.
    pub first_row_instructions: u64,
    /// Instructions from a seed to w; they are part of the request.
    pub mapping_instructions: u64,
    /// Bytes of RAM except the stack.
    pub ram_bytes: u64,
    /// Bytes of the deepest stack, including that of opening the pack.
    pub stack_bytes: u64,
}

/// A share of an image's instructions.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stage {
    /// The name of the stage.
    pub name: String,
    /// Approximate number of instructions, from samples of the program counter.
    pub instructions: u64,
}

/// The stages, each with parts of the names of its functions. The first match counts.
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
    /// Builds the program for a board. This is quick if nothing has changed.
    ///
    /// # Errors
    /// Something is missing (the text says how to install it), the compiler failed, or the board cannot be measured.
    pub fn build(board: &str, kernels: Kernels) -> Result<Self, BoardError> {
        let board = boards::find(board)?;
        let measured = MEASURED.into_iter().find(|measured| measured.board == board.name());
        let measured = measured.ok_or(BoardError::NotEmulated { board: board.name() })?;
        let emulator = emulator::check(&board)?.program;
        let features = if kernels == Kernels::Portable { &["portable-kernels"] } else { measured.features };
        let source = build::Source { package: "nickeldime-measure", program: "measure", features, trust: &[] };
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

    /// The SHA-256 of the images of seeds `0 .. seeds`, one after the other, with psi 1 and noise of the same seed.
    ///
    /// # Errors
    /// The emulator failed; the text is its output.
    pub fn hash(&self, pack: &[u8], seeds: u32) -> Result<String, BoardError> {
        Ok(self.run(Job::Hash, seeds, pack)?.trim().to_owned())
    }

    /// Measures the cost of an image of a pack.
    ///
    /// # Errors
    /// The emulator failed; the text is its output.
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

    /// Measures the cost of single layers.
    ///
    /// # Errors
    /// The emulator failed; the text is its output.
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

    /// The stages of an image from a known w, with their instructions; empty if the processor's program has no profile.
    ///
    /// # Errors
    /// The emulator failed; the text is its output.
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

    /// Compares every kernel with its portable twin on random and extreme inputs, for this many rounds. Returns the
    /// number of comparisons.
    ///
    /// # Errors
    /// The emulator failed, or a kernel differs; the text says which one, and where.
    pub fn twins(&self, rounds: u32) -> Result<u64, BoardError> {
        let said = self.run(Job::Twins, rounds, &[])?;
        let [compared] = numbers(&said).ok_or_else(|| self.failed(&said))?;
        Ok(compared)
    }

    /// Runs a job and returns its output.
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
            // An unescaped comma would end the file's name.
            let path = file.path().display().to_string().replace(',', ",,");
            command.args(["-device", &format!("loader,file={path},addr={at:#x},force-raw=on")]);
        }
        let output = command.stdin(Stdio::null()).output().map_err(|error| self.failed(&error.to_string()))?;
        // QEMU's versions differ in whether they print the program's output to stdout or to stderr.
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(said) } else { Err(self.failed(&said)) }
    }

    fn failed(&self, said: &str) -> BoardError {
        let said = said.trim();
        let said = if said.is_empty() { "the program gave up" } else { said };
        BoardError::Emulator { program: self.emulator, said: said.to_owned() }
    }
}

/// The contents of a flash that holds only a committed pack; `None` if the pack cannot be stored.
fn flash_with(pack: &[u8]) -> Option<Vec<u8>> {
    // The flash has two sectors of records, and the pack.
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

/// Parses exactly N numbers.
fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// The functions of a program, by address.
fn functions(elf: &[u8]) -> Option<Vec<(u64, String)>> {
    let file = object::File::parse(elf).ok()?;
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    // Bit 0 of an address says that it is Thumb code.
    let mut functions: Vec<_> =
        functions.filter_map(|symbol| Some((symbol.address() & !1, symbol.name().ok()?.to_owned()))).collect();
    functions.sort();
    Some(functions)
}
