//! Boards without a board, by name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::BoardError;
#[cfg(unix)]
use super::{emulator, firmware, in_process};

/// Which board to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoardKind {
    /// The firmware on an emulated Cortex-M4.
    QemuM4,
    /// The device code in this process.
    Host,
}

impl BoardKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::QemuM4, Self::Host];

    /// Its name, as in `--board`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QemuM4 => "qemu-m4",
            Self::Host => "host",
        }
    }

    /// What it is, in words for a summary.
    pub const fn description(self) -> &'static str {
        match self {
            Self::QemuM4 => "firmware on an emulated Cortex-M4 (QEMU mps2-an386)",
            Self::Host => "the device code in this process, over a pseudo-terminal",
        }
    }

    /// The closest to a real board that can be started here, and when that is not an emulated one, what is missing.
    pub fn best() -> (Self, Option<BoardError>) {
        match Self::QemuM4.check() {
            Ok(()) => (Self::QemuM4, None),
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
            Self::QemuM4 => emulator::check().and_then(|()| firmware::check(firmware::find(self.name())?)),
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
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| BoardError::Unknown { name: name.to_owned(), known: Self::ALL.map(Self::name).join(", ") })
    }
}

/// A running board. Dropping it stops it.
///
/// An emulator also stops when the thread that started it ends, so that a killed program leaves none behind.
pub struct Board {
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

impl Board {
    /// Starts a board with empty storage. For `qemu-m4` this builds the firmware first: half a minute the first time.
    ///
    /// # Errors
    /// What is missing, or what went wrong.
    pub fn start(kind: BoardKind) -> Result<Self, BoardError> {
        #[cfg(unix)]
        {
            let (running, port) = match kind {
                BoardKind::QemuM4 => {
                    let (emulator, port) = emulator::Emulator::start(firmware::find(kind.name())?)?;
                    (Running::Emulator(emulator), port)
                }
                BoardKind::Host => {
                    let (device, port) = in_process::InProcess::start()?;
                    (Running::InProcess(device), port)
                }
            };
            Ok(Self { port, kind, running })
        }
        #[cfg(not(unix))]
        {
            let _ = kind;
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

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("kind", &self.kind).field("port", &self.port).finish_non_exhaustive()
    }
}
