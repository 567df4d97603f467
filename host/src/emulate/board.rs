//! Virtual boards, by name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nickeldime_boards::{BOARDS, BoardSpec, QEMU_M4};

use super::setup::Setup;
#[cfg(unix)]
use super::{emulator, in_process, reset::ResetButton, rp2040};
use crate::boards::{self, BoardError, build};

/// The kind of virtual board to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BoardKind {
    /// The firmware on an emulated board.
    Emulated(&'static BoardSpec),
    /// The device code running in this process.
    Host,
}

impl BoardKind {
    /// Iterates over all kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        let emulated = BOARDS.iter().filter(|board| board.emulator.is_some());
        emulated.map(Self::Emulated).chain([Self::Host])
    }

    /// The emulated board with the most memory, `qemu-m4`.
    pub const fn roomy() -> Self {
        Self::Emulated(&QEMU_M4)
    }

    /// The name, as `--board` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emulated(board) => board.name(),
            Self::Host => "host",
        }
    }

    /// A description in words, for summaries.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Emulated(board) => board.description,
            Self::Host => "the device code in this process, over a pseudo-terminal",
        }
    }

    /// The kind closest to a real board that can be started here. If it is not an emulated one, the error says what is
    /// missing for that.
    pub fn best() -> (Self, Option<BoardError>) {
        match Self::roomy().check() {
            Ok(()) => (Self::roomy(), None),
            Err(missing) => (Self::Host, Some(missing)),
        }
    }

    /// Checks that everything that this board needs is installed.
    ///
    /// # Errors
    /// A description of what is missing, and how to install it.
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

/// A running board, which stops when it is dropped.
///
/// An emulator also stops when the thread that started it ends, so that no emulator outlives a killed program.
pub struct VirtualBoard {
    port: PathBuf,
    kind: BoardKind,
    running: Running,
}

enum Running {
    #[cfg(unix)]
    Emulator(emulator::Emulator),
    #[cfg(unix)]
    Rp2040(rp2040::Rp2040),
    #[cfg(unix)]
    InProcess(in_process::InProcess),
}

impl VirtualBoard {
    /// Starts a board with empty storage. For an emulated board this builds the firmware first, which takes half a
    /// minute the first time.
    ///
    /// # Errors
    /// A requirement is missing, or the build or the start failed.
    pub fn start(kind: BoardKind) -> Result<Self, BoardError> {
        Self::start_with(kind, &Setup::default())
    }

    /// [`start`](Self::start) with a setup of its own.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`BoardError::NotCounted`].
    pub fn start_with(kind: BoardKind, setup: &Setup) -> Result<Self, BoardError> {
        #[cfg(unix)]
        {
            let (running, port) = match kind {
                BoardKind::Emulated(board) if board.emulator.is_some_and(|emulator| emulator.is_rp2040js()) => {
                    if setup.count {
                        return Err(BoardError::NotCounted { board: kind.name() });
                    }
                    let (board, port) = rp2040::Rp2040::start(board, setup)?;
                    (Running::Rp2040(board), port)
                }
                BoardKind::Emulated(board) => {
                    let (emulator, port) = emulator::Emulator::start(board, setup)?;
                    (Running::Emulator(emulator), port)
                }
                BoardKind::Host if setup.count => return Err(BoardError::NotCounted { board: kind.name() }),
                BoardKind::Host => {
                    let (device, port) = in_process::InProcess::start(setup)?;
                    (Running::InProcess(device), port)
                }
            };
            Ok(Self { port, kind, running })
        }
        #[cfg(not(unix))]
        {
            let _ = (kind, setup);
            Err(BoardError::NotHere)
        }
    }

    /// The path of the board's port. Any serial program can open it, repeatedly.
    pub fn port(&self) -> &Path {
        &self.port
    }

    /// The kind of the board.
    pub fn kind(&self) -> BoardKind {
        self.kind
    }

    /// The button that resets the board.
    #[cfg(unix)]
    pub fn reset_button(&self) -> ResetButton {
        match &self.running {
            Running::Emulator(emulator) => emulator.reset_button(),
            Running::Rp2040(board) => board.reset_button(),
            Running::InProcess(device) => device.reset_button(),
        }
    }

    /// True while the board runs.
    pub fn is_running(&mut self) -> bool {
        match &mut self.running {
            #[cfg(unix)]
            Running::Emulator(emulator) => emulator.is_running(),
            #[cfg(unix)]
            Running::Rp2040(board) => board.is_running(),
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
