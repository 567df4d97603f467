//! Writes firmware to a board: as a file on its boot loader's volume, or through a debug probe.

use nickeldime_boards::{BoardSpec, Load};
use nickeldime_checkpoint::files;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::build::Firmware;
use super::{BoardError, uf2};

/// Name of the file in which a boot loader's volume describes itself.
const INFO: &str = "INFO_UF2.TXT";

/// The way in which firmware was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flashed {
    /// The file was written to this volume.
    Volume(PathBuf),
    /// The chip was written through a probe.
    Probe,
}

/// Writes the UF2 file beside the firmware and returns its path; `None` for boards that take no UF2 file.
///
/// # Errors
/// [`BoardError::Write`].
pub fn uf2_file(board: &BoardSpec, firmware: &Firmware) -> Result<Option<PathBuf>, BoardError> {
    let Load::Uf2 { family, .. } = board.load else { return Ok(None) };
    let path = firmware.path.with_file_name(format!("{}.uf2", board.name()));
    let bytes = uf2::write(&firmware.program.segments, family);
    files::replace(&path, |out| out.write_all(&bytes))
        .map_err(|cause| BoardError::Write { path: path.clone(), cause })?;
    Ok(Some(path))
}

/// Checks that the board is connected and that the tools to write to it are present. The boot loader's volume may be
/// given; otherwise it is searched for.
///
/// # Errors
/// Something is missing, or another board is connected; the text says what to do.
pub fn check(board: &BoardSpec, volume: Option<&Path>) -> Result<FlashTarget, BoardError> {
    match board.load {
        Load::Emulator => Err(BoardError::NotABoard { board: board.name() }),
        Load::Uf2 { id, .. } => find_volume(board.name(), id, volume).map(FlashTarget::Volume),
        Load::Probe { chip, id_at, id } => {
            let probe = Probe { board: board.name(), chip };
            probe.check(id_at, id)?;
            Ok(FlashTarget::Probe(probe))
        }
    }
}

/// The place that firmware is written to.
#[derive(Debug)]
pub enum FlashTarget {
    /// A boot loader's volume.
    Volume(PathBuf),
    /// The chip at a debug probe.
    Probe(Probe),
}

impl FlashTarget {
    /// Writes the firmware.
    ///
    /// # Errors
    /// [`BoardError::Write`], or the error of `probe-rs`.
    pub fn write(&self, board: &BoardSpec, firmware: &Firmware) -> Result<Flashed, BoardError> {
        match self {
            Self::Volume(volume) => {
                let Load::Uf2 { family, .. } = board.load else {
                    return Err(BoardError::NotAVolume { volume: volume.clone() });
                };
                let bytes = uf2::write(&firmware.program.segments, family);
                let path = volume.join(format!("nickeldime-{}.uf2", board.name()));
                copy(&path, &bytes).map_err(|cause| BoardError::Write { path, cause })?;
                Ok(Flashed::Volume(volume.clone()))
            }
            Self::Probe(probe) => {
                probe.run(&[OsStr::new("download"), firmware.path.as_os_str()])?;
                probe.run(&[OsStr::new("reset")])?;
                Ok(Flashed::Probe)
            }
        }
    }
}

/// Writes a file to the volume. The volume disappears after the last block, when the board starts the new firmware.
fn copy(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    // The board may disappear before it acknowledges everything.
    let _ = file.sync_all();
    Ok(())
}

fn find_volume(board: &'static str, id: &'static str, named: Option<&Path>) -> Result<PathBuf, BoardError> {
    let candidates = match named {
        Some(volume) => vec![volume.to_owned()],
        None => mounted(),
    };
    let mut wrong = None;
    for volume in candidates {
        match fs::read_to_string(volume.join(INFO)) {
            Ok(info) => match board_id(&info) {
                found if found == id => return Ok(volume),
                found => wrong = Some(BoardError::WrongVolume { board, id, volume, found: found.to_owned() }),
            },
            Err(_) if named.is_some() => return Err(BoardError::NotAVolume { volume }),
            Err(_) => {}
        }
    }
    Err(wrong.unwrap_or_else(|| BoardError::NoVolume { board, id, ports: nickeldime_link::ports::running(board) }))
}

/// The board's id in `INFO_UF2.TXT`; empty if there is none.
fn board_id(info: &str) -> &str {
    info.lines().find_map(|line| line.strip_prefix("Board-ID:")).unwrap_or_default().trim()
}

/// The folders where volumes are mounted.
fn mounted() -> Vec<PathBuf> {
    if cfg!(windows) {
        return ('D'..='Z').map(|letter| PathBuf::from(format!("{letter}:\\"))).collect();
    }
    if cfg!(target_os = "macos") {
        let volumes = fs::read_dir("/Volumes").into_iter().flatten().flatten();
        return volumes.map(|entry| entry.path()).collect();
    }
    // A line is "device path type ...", with spaces in the path as \040.
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let volumes = mounts.lines().filter(|line| line.starts_with("/dev/"));
    volumes.filter_map(|line| line.split(' ').nth(1)).map(|path| path.replace("\\040", " ").into()).collect()
}

/// The program `probe-rs`, with the options for a board's chip.
#[derive(Debug)]
pub struct Probe {
    board: &'static str,
    chip: &'static str,
}

impl Probe {
    /// Checks that there is a probe, and that this board's chip is attached to it.
    fn check(&self, id_at: u32, id: u32) -> Result<(), BoardError> {
        let list = self.call(&[OsStr::new("list")])?;
        if list.contains("No debug probes were found") {
            return Err(BoardError::NoProbe { board: self.board });
        }
        let said = self.run(&["read", "b32", &format!("{id_at:#x}"), "1"].map(OsStr::new))?;
        // The word may be preceded by its address.
        let word = said.split_whitespace().next_back().unwrap_or_default();
        let found = u32::from_str_radix(word.trim_start_matches("0x"), 16)
            .map_err(|_| BoardError::Probe { board: self.board, said: said.trim().to_owned() })?;
        match found & 0xFFF {
            found if found == id => Ok(()),
            found => Err(BoardError::WrongChip { board: self.board, chip: self.chip, found, expected: id }),
        }
    }

    /// Runs a command on the chip and returns its output.
    fn run(&self, args: &[&OsStr]) -> Result<String, BoardError> {
        self.call(&[args, &["--chip", self.chip].map(OsStr::new)].concat())
    }

    fn call(&self, args: &[&OsStr]) -> Result<String, BoardError> {
        let output = Command::new("probe-rs").args(args).stdin(Stdio::null()).output();
        let output = output.map_err(|cause| BoardError::NoProbeRs { board: self.board, cause })?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        if said.contains("No connected probes were found") {
            return Err(BoardError::NoProbe { board: self.board });
        }
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Err(BoardError::Probe { board: self.board, said: lines.join("; ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(info: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join(INFO), info).expect("written");
        folder
    }

    #[test]
    fn the_boot_loader_of_another_board_is_refused() {
        let pico = crate::boards::find("pico2").expect("known");
        let right = volume("UF2 Bootloader v1.0\r\nModel: Raspberry Pi RP2350\r\nBoard-ID: RP2350\r\n");
        assert!(matches!(check(&pico, Some(right.path())), Ok(FlashTarget::Volume(path)) if path == right.path()));
        let wrong = volume("UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n");
        let said = check(&pico, Some(wrong.path())).expect_err("another board").to_string();
        assert!(said.contains("RPI-RP2") && said.contains("RP2350"), "{said}");
        let none = tempfile::tempdir().expect("a temporary folder");
        let said = check(&pico, Some(none.path())).expect_err("no volume").to_string();
        assert!(said.contains("BOOTSEL"), "{said}");
    }

    #[test]
    fn emulated_boards_are_not_flashed() {
        let said = check(&nickeldime_boards::QEMU_M4, None).expect_err("there is no such board").to_string();
        assert!(said.contains("nickeldime emulate"), "{said}");
    }
}
