//! Boards without a board, by name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nickeldime_boards::{BOARDS, BoardSpec, QEMU_M4};

#[cfg(unix)]
use super::{emulator, in_process, reset::ResetButton};
use crate::boards::{self, BoardError, build};

/// Which board to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BoardKind {
    /// The firmware on an emulated board.
    Emulated(&'static BoardSpec),
    /// The device code in this process.
    Host,
}

impl BoardKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let emulated = BOARDS.iter().filter(|board| board.emulator.is_some());
        emulated.map(Self::Emulated).chain([Self::Host])
    }

    /// The one with the most room: `qemu-m4`.
    pub const fn roomy() -> Self {
        Self::Emulated(&QEMU_M4)
    }

    /// Its name, as in `--board`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emulated(board) => board.name(),
            Self::Host => "host",
        }
    }

    /// What it is, in words for a summary.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Emulated(board) => board.description,
            Self::Host => "the device code in this process, over a pseudo-terminal",
        }
    }

    /// The closest to a real board that can be started here, and when that is not an emulated one, what is missing.
    pub fn best() -> (Self, Option<BoardError>) {
        match Self::roomy().check() {
            Ok(()) => (Self::roomy(), None),
            Err(missing) => (Self::Host, Some(missing)),
        }
    }

    /// Whether everything that this board needs is installed.
    ///
    /// # Errors
    /// What is missing, and how to install it.
    pub fn check(self) -> Result<(), BoardError> {
        #[cfg(unix)]
        return match self {
            Self::Emulated(board) => emulator::check(board).and_then(|_| build::check(*board)),
            Self::Host => Ok(()),
        };
        #[cfg(not(unix))]
        Err(BoardError::NotHere)
    }
}

impl fmt::Display for BoardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BoardKind {
    type Err = BoardError;

    fn from_str(name: &str) -> Result<Self, BoardError> {
        Self::all().find(|kind| kind.name() == name).ok_or_else(|| match boards::find(name) {
            Ok(board) => BoardError::NotEmulated { board: board.name() },
            Err(_) => {
                let known: Vec<&str> = Self::all().map(Self::name).collect();
                BoardError::Unknown { name: name.to_owned(), known: known.join(", ") }
            }
        })
    }
}

/// A running board. Dropping it stops it.
///
/// An emulator also stops when the thread that started it ends, so that a killed program leaves none behind.
pub struct VirtualBoard {
    port: PathBuf,
    kind: BoardKind,
    running: Running,
}

enum Running {
    #[cfg(unix)]
    Emulator(emulator::Emulator),
    #[cfg(unix)]
    InProcess(in_process::InProcess),
}

impl VirtualBoard {
    /// Starts a board with empty storage. For an emulated one this builds the firmware first: half a minute the first time.
    ///
    /// # Errors
    /// What is missing, or what went wrong.
    pub fn start(kind: BoardKind) -> Result<Self, BoardError> {
        Self::begin(kind, false)
    }

    /// [`start`](Self::start) with an emulator that counts instructions. It is slower, and its clock runs as it executes.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`BoardError::NotCounted`].
    pub fn start_counting(kind: BoardKind) -> Result<Self, BoardError> {
        Self::begin(kind, true)
    }

    fn begin(kind: BoardKind, count: bool) -> Result<Self, BoardError> {
        #[cfg(unix)]
        {
            let (running, port) = match kind {
                BoardKind::Emulated(board) => {
                    let (emulator, port) = emulator::Emulator::start(board, count)?;
                    (Running::Emulator(emulator), port)
                }
                BoardKind::Host if count => return Err(BoardError::NotCounted { board: kind.name() }),
                BoardKind::Host => {
                    let (device, port) = in_process::InProcess::start()?;
                    (Running::InProcess(device), port)
                }
            };
            Ok(Self { port, kind, running })
        }
        #[cfg(not(unix))]
        {
            let _ = (kind, count);
            Err(BoardError::NotHere)
        }
    }

    /// The path of its port; any serial program can open it, again and again.
    pub fn port(&self) -> &Path {
        &self.port
    }

    /// Which board it is.
    pub fn kind(&self) -> BoardKind {
        self.kind
    }

    /// What resets it.
    #[cfg(unix)]
    pub fn reset_button(&self) -> ResetButton {
        match &self.running {
            Running::Emulator(emulator) => emulator.reset_button(),
            Running::InProcess(device) => device.reset_button(),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        match &mut self.running {
            #[cfg(unix)]
            Running::Emulator(emulator) => emulator.is_running(),
            #[cfg(unix)]
            Running::InProcess(device) => device.is_running(),
            #[cfg(not(unix))]
            _ => false,
        }
    }
}

impl fmt::Debug for VirtualBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualBoard").field("kind", &self.kind).field("port", &self.port).finish_non_exhaustive()
    }
}
