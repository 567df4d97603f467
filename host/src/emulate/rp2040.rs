//! Runs Node.js with the firmware of a `pico` in an emulated RP2040, and connects its USB serial port to a pseudo-terminal.
//!
//! The emulator itself, the package `rp2040js`, is installed by npm beside the firmware the first time. `rp2040/board.mjs`
//! makes a board of it, and `rp2040/rom.mjs` has the functions of the chip's boot ROM.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nickeldime_boards::{BoardSpec, EmulatorSpec, RP2040};
use nickeldime_checkpoint::files;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use super::process::{end, end_with_parent, read_lines};
use super::pty;
use super::reset::ResetButton;
use super::setup::Setup;
use crate::boards::{BoardError, build, uf2};

/// The program and the files that it runs.
const NODE: &str = EmulatorSpec::RP2040JS.program;
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("rp2040/package.json")),
    ("board.mjs", include_str!("rp2040/board.mjs")),
    ("rom.mjs", include_str!("rp2040/rom.mjs")),
];
/// The package, as `package.json` names it.
const PACKAGE: &str = "rp2040js 1.4.1";
/// The oldest major version of Node.js that runs the package.
const OLDEST: u32 = 18;
/// Time in which the board must be found at its USB cable.
const START: Duration = Duration::from_secs(30);
/// How long a thread sleeps before it checks whether it must stop.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A running board, which ends when it is dropped or when the thread that started it ends.
pub(super) struct Rp2040 {
    child: Arc<Mutex<Child>>,
    stop: Arc<AtomicBool>,
    wires: Vec<JoinHandle<()>>,
    _held: File,
}

/// Checks that Node.js and npm are installed.
pub(super) fn check() -> Result<(), BoardError> {
    let missing = || BoardError::NoEmulator { program: NODE, package: "nodejs npm" };
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let found = version(NODE).ok_or_else(missing)?;
    let major = found.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        return Err(BoardError::OldNode { found, needed: OLDEST });
    }
    version("npm").map(|_| ()).ok_or_else(missing)
}

impl Rp2040 {
    /// Builds the firmware of `board`, starts it in the emulator, and also returns the path of its port.
    pub(super) fn start(board: &BoardSpec, setup: &Setup) -> Result<(Self, PathBuf), BoardError> {
        check()?;
        let features = board.emulator.map_or(&[][..], |emulator| emulator.features);
        let firmware = build::build(*board, features, &setup.trust)?;
        let failed = |said: &str| BoardError::Emulator { program: NODE, said: said.to_owned() };
        // A file of its own: the one that is flashed has no features of tests.
        let mut file = tempfile::NamedTempFile::new().map_err(|error| failed(&error.to_string()))?;
        file.write_all(&uf2::write(&firmware.program.segments, RP2040)).map_err(|error| failed(&error.to_string()))?;
        // The folder of everything that is built: the firmware lies in a folder for its profile in one for its target.
        let built = firmware.path.ancestors().nth(3).ok_or_else(|| failed("the firmware is not in a build folder"))?;
        let folder = built.join("rp2040js");
        install(board.name(), &folder)?;
        let (line, path) = pty::pair().map_err(BoardError::Pty)?;
        let held = pty::hold(&path).map_err(BoardError::Pty)?;
        let mut command = Command::new(NODE);
        command.arg(folder.join("board.mjs")).arg(file.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        end_with_parent(&mut command);
        let mut child = command.spawn().map_err(|error| failed(&error.to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("they were asked for")
        };
        let (tell, lines) = channel();
        read_lines(child.stderr.take(), tell);
        if let Err(said) = enumerated(&lines) {
            end(&mut child);
            return Err(failed(&said));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let wires = match wires(line, input, output, &stop) {
            Ok(wires) => wires,
            Err(error) => {
                end(&mut child);
                return Err(BoardError::Pty(error));
            }
        };
        Ok((Self { child: Arc::new(Mutex::new(child)), stop, wires, _held: held }, path))
    }

    /// The button that resets the emulated board.
    pub(super) fn reset_button(&self) -> ResetButton {
        let child = Arc::clone(&self.child);
        ResetButton::new(move || {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            // The number of a process that has ended may be another one's by now.
            if let Ok(None) = child.try_wait() {
                let _ = kill_process(Pid::from_child(&child), Signal::USR2);
            }
        })
    }

    /// True while the emulator runs.
    pub(super) fn is_running(&mut self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(child.try_wait(), Ok(None))
    }
}

impl Drop for Rp2040 {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        end(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner));
        for wire in self.wires.drain(..) {
            let _ = wire.join();
        }
    }
}

/// Writes the emulator's files to a folder and has npm install the package there, where that is not done yet.
fn install(board: &'static str, folder: &Path) -> Result<(), BoardError> {
    let failed = |cause| BoardError::Write { path: folder.to_owned(), cause };
    fs::create_dir_all(folder).map_err(failed)?;
    // Another program may be about to do the same.
    let _lock = File::open(folder).and_then(|lock| lock.lock().map(|()| lock));
    let mut fresh = !folder.join("node_modules/rp2040js/package.json").is_file();
    for (name, text) in FILES {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        fresh |= name == "package.json";
        files::replace(&path, |out| out.write_all(text.as_bytes()))
            .map_err(|cause| BoardError::Write { path, cause })?;
    }
    if fresh {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]);
        let output = npm.current_dir(folder).stdin(Stdio::null()).output();
        let said = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        // The next start tries again.
        let _ = fs::remove_dir_all(folder.join("node_modules"));
        return Err(BoardError::NoPackage { board, package: PACKAGE, said });
    }
    Ok(())
}

/// Waits until the board was found at its USB cable; otherwise returns what the emulator said.
fn enumerated(lines: &Receiver<String>) -> Result<(), String> {
    let end = Instant::now() + START;
    let mut said = String::new();
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) if line == "enumerated" => return Ok(()),
            Ok(line) => {
                said.push_str(&line);
                said.push('\n');
            }
            Err(RecvTimeoutError::Timeout) => return Err("its USB was not found".to_owned()),
            Err(RecvTimeoutError::Disconnected) => return Err(said.trim().to_owned()),
        }
    }
}

/// Starts the threads that carry bytes between the pseudo-terminal and the emulator, one for each direction.
fn wires(
    line: OwnedFd,
    mut to_board: ChildStdin,
    mut from_board: ChildStdout,
    stop: &Arc<AtomicBool>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    let line = Arc::new(line);
    let thread =
        |name: &str, work: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.to_owned()).spawn(work);
    let (host, stopped) = (Arc::clone(&line), Arc::clone(stop));
    let there = thread(
        "to the board",
        Box::new(move || {
            let mut bytes = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                wait(&host, PollFlags::IN);
                let sent = match rustix::io::read(&*host, &mut bytes) {
                    Ok(len) => to_board.write_all(&bytes[..len]).and_then(|()| to_board.flush()),
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
                    Err(error) => Err(error.into()),
                };
                if sent.is_err() {
                    return;
                }
            }
        }),
    )?;
    let stopped = Arc::clone(stop);
    let back = thread(
        "from the board",
        Box::new(move || {
            let mut bytes = [0; 4096];
            loop {
                let mut rest = match from_board.read(&mut bytes) {
                    Ok(0) => return,
                    Ok(len) => &bytes[..len],
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => return,
                };
                while !rest.is_empty() {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    match rustix::io::write(&*line, rest) {
                        Ok(len) => rest = &rest[len..],
                        // Nobody reads: the board waits, as it would for a computer that does not ask.
                        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => wait(&line, PollFlags::OUT),
                        Err(_) => return,
                    }
                }
            }
        }),
    )?;
    Ok(vec![there, back])
}

/// Sleeps until the line is ready, but not for long.
fn wait(line: &OwnedFd, until: PollFlags) {
    let _ = poll(&mut [PollFd::new(line, until)], Some(&NAP));
}
