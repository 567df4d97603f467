//! Runs QEMU with the firmware and connects its UART to a pseudo-terminal.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nickeldime_boards::{BoardSpec, EmulatorSpec};

use super::process::{end, end_with_parent, read_lines};
use super::pty;
use super::reset::ResetButton;
use super::rp2040;
use super::setup::Setup;
use crate::boards::{BoardError, build};

/// Time in which QEMU must report the path of the pseudo-terminal.
const START: Duration = Duration::from_secs(20);

/// A running emulator, which ends when it is dropped or when the thread that started it ends.
pub(super) struct Emulator {
    child: Child,
    /// The input of QEMU's monitor.
    monitor: Arc<Mutex<ChildStdin>>,
    _held: File,
}

/// Checks that the board has an emulator and that it is installed.
pub(super) fn check(board: &BoardSpec) -> Result<EmulatorSpec, BoardError> {
    let emulator = board.emulator.ok_or(BoardError::NotEmulated { board: board.name() })?;
    if emulator.is_rp2040js() {
        rp2040::check()?;
        return Ok(emulator);
    }
    let found = Command::new(emulator.program).arg("--version").stdin(Stdio::null()).output();
    match found {
        Ok(output) if output.status.success() => Ok(emulator),
        _ => Err(BoardError::NoEmulator { program: emulator.program, package: package(emulator.program) }),
    }
}

/// The Debian package that contains a QEMU program.
fn package(program: &str) -> &'static str {
    if program.ends_with("arm") { "qemu-system-arm" } else { "qemu-system-misc" }
}

impl Emulator {
    /// Builds the firmware of `board`, starts it, and returns the path of its port too. When instructions are counted, its
    /// time is theirs, one a nanosecond, and the firmware says so.
    pub(super) fn start(board: &BoardSpec, setup: &Setup) -> Result<(Self, PathBuf), BoardError> {
        let EmulatorSpec { program, machine, features } = check(board)?;
        let counted: (&[&str], &[&str]) =
            if setup.count { (&["counted"], &["-icount", "shift=0"]) } else { (&[], &[]) };
        let firmware = build::build(*board, &[features, counted.0].concat(), &setup.trust)?;
        let failed = |said: &str| BoardError::Emulator { program, said: said.to_owned() };
        let mut command = Command::new(program);
        command
            .arg("-machine")
            .args(machine)
            .args(counted.1)
            .args(["-display", "none", "-monitor", "stdio", "-serial", "pty", "-kernel"])
            .arg(&firmware.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        end_with_parent(&mut command);
        let mut child = command.spawn().map_err(|error| failed(&error.to_string()))?;
        let Some(monitor) = child.stdin.take() else { unreachable!("it was asked for") };
        let (tell, lines) = channel();
        // QEMU's versions differ in whether they print the path to stdout or to stderr.
        read_lines(child.stdout.take(), tell.clone());
        read_lines(child.stderr.take(), tell);
        let started = port(&lines).map_err(|said| failed(&said)).and_then(|path| {
            let held = pty::hold(&path).map_err(BoardError::Pty)?;
            Ok((path, held))
        });
        match started {
            Ok((path, held)) => Ok((Self { child, monitor: Arc::new(Mutex::new(monitor)), _held: held }, path)),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// The button that resets the emulated board.
    pub(super) fn reset_button(&self) -> ResetButton {
        let monitor = Arc::clone(&self.monitor);
        ResetButton::new(move || {
            let mut monitor = monitor.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = monitor.write_all(b"system_reset\n").and_then(|()| monitor.flush());
        })
    }

    /// True while the emulator runs.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Waits for "char device redirected to /dev/pts/N (label serial0)".
fn port(lines: &Receiver<String>) -> Result<PathBuf, String> {
    let end = Instant::now() + START;
    let mut said = String::new();
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some((_, rest)) = line.split_once("char device redirected to ") {
                    return Ok(PathBuf::from(rest.split(" (label").next().unwrap_or(rest)));
                }
                said.push_str(&line);
                said.push('\n');
            }
            Err(RecvTimeoutError::Timeout) => return Err("it did not say where its serial line is".to_owned()),
            Err(RecvTimeoutError::Disconnected) => return Err(said.trim().to_owned()),
        }
    }
}
