//! What a new user meets: no board, the wrong port, a port in use, somebody else's device, a cable that is pulled. The words
//! are here as they are printed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nickeldime::emulate::faults::Faults;
use nickeldime::emulate::faulty_port::FaultyPort;
use nickeldime::emulate::{BoardKind, VirtualBoard};
use nickeldime_link::Client;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use nickeldime_testkit::boards::{Running, error, json, nickeldime, packed};
use nickeldime_testkit::command::text;

/// A pseudo-terminal: this end, non-blocking, and the path of the other.
pub fn pty() -> (File, String) {
    let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&end).expect("ours");
    unlockpt(&end).expect("ours");
    let path = ptsname(&end, Vec::new()).expect("has a name").into_string().expect("in UTF-8");
    fcntl_setfl(&end, fcntl_getfl(&end).expect("open") | OFlags::NONBLOCK).expect("ours");
    (File::from(end), path)
}

/// Does something again and again until it is dropped.
struct Meanwhile(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Meanwhile {
    fn start(mut work: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                work();
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().expect("joined once").join();
    }
}

fn pack() -> &'static str {
    text(&packed(BoardKind::Host).1)
}

fn send(port: &str) -> String {
    error(&["send", pack(), "--port", port])
}

/// What `devices` says of a port, as a line.
fn devices(port: &str) -> String {
    let started = Instant::now();
    let (success, out, err) = Running::start(&["devices", "--port", port]).finish();
    assert!(success, "{err}");
    assert!(started.elapsed() < Duration::from_secs(10), "a port that does not answer holds up nobody");
    out.lines().find(|line| line.starts_with(port)).unwrap_or_else(|| panic!("not in the list: {out}")).to_owned()
}

#[test]
fn no_board_and_no_port() {
    let (success, out, _) = Running::start(&["devices"]).finish();
    assert!(success);
    assert!(out.trim_end().ends_with("No board answered. `nickeldime emulate` makes one without hardware."), "{out}");
    let missing = send("/dev/no-such-port");
    assert!(missing.starts_with("error: /dev/no-such-port: no such port. "), "{missing}");
    assert!(missing.contains("There are: ") || missing.contains("is the board plugged in"), "{missing}");
    let none = error(&["send", pack(), "--all"]);
    assert_eq!(
        none,
        "error: no board answers at any port: `nickeldime devices` shows why, `nickeldime emulate` makes one"
    );
}

#[test]
fn a_port_with_nobody_behind_it() {
    let (_end, port) = pty();
    let silent = format!(
        "{port}: nobody answers. Is the board running the nickeldime firmware, is this its port, or is it another \
         program's device? `nickeldime devices` shows what answers where"
    );
    assert_eq!(devices(&port), silent);
    assert_eq!(send(&port), format!("error: {silent}"));
}

#[test]
fn a_gps() {
    let (mut end, port) = pty();
    let _gps = Meanwhile::start(move || {
        let _ = end.write_all(b"$GPGGA,123519,4807.038,N,01131.000,E\r\n");
        std::thread::sleep(Duration::from_millis(100));
    });
    let said = send(&port);
    let begins = format!("error: {port}: what answers there does not speak nickeldime's protocol (");
    assert!(said.starts_with(&begins), "{said}");
    assert!(said.contains("bytes came, no frame among them; they begin \"") && said.contains("GPGGA"), "{said}");
    assert!(said.contains("another program's device?"), "{said}");
}

/// A real shell, and what the terminal that it is on sends back of what is typed.
#[test]
fn a_shell() {
    let (mut line, port) = pty();
    let (mut end, terminal) = pty();
    let open = || Stdio::from(File::options().read(true).write(true).open(&terminal).expect("ours"));
    let mut shell = Command::new("sh");
    shell.arg("-i").env("PS1", "$ ").env("ENV", "").stdin(open()).stdout(open()).stderr(open());
    // Its own session, so that what looks like Ctrl-C in a frame ends nobody else.
    // SAFETY: between fork and exec two system calls are made; they allocate nothing and take no lock.
    unsafe {
        shell.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(std::io::stdin())?;
            Ok(())
        })
    };
    let _shell = Running(shell.spawn().expect("there is a shell"));
    let mut prompt = Vec::new();
    while !prompt.ends_with(b"$ ") {
        let mut bytes = [0; 256];
        let count = end.read(&mut bytes).unwrap_or(0);
        prompt.extend_from_slice(&bytes[..count]);
    }
    let _wires = Meanwhile::start(move || {
        let mut bytes = [0; 256];
        if let Ok(count) = line.read(&mut bytes) {
            let _ = end.write_all(&bytes[..count]);
        }
        if let Ok(count) = end.read(&mut bytes) {
            let _ = line.write_all(&bytes[..count]);
        }
        std::thread::sleep(Duration::from_millis(1));
    });
    let said = send(&port);
    // A terminal shows what it is sent, but not as it is: a control character becomes two, and the version of the protocol
    // is Ctrl-C, at which the terminal forgets what came before.
    assert!(said.contains("does not speak nickeldime's protocol") && said.contains("they begin \"^C"), "{said}");
}

#[test]
fn two_joined_wires() {
    let (mut end, port) = pty();
    let _loop = Meanwhile::start(move || {
        let mut bytes = [0; 256];
        match end.read(&mut bytes) {
            Ok(count) => drop(end.write_all(&bytes[..count])),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    });
    let said = send(&port);
    assert_eq!(
        said,
        format!(
            "error: {port}: what is sent there comes back as it is: a terminal (a shell, a login prompt) or two joined \
             wires, not a board. `nickeldime devices` shows what answers where"
        )
    );
}

#[test]
fn a_port_that_another_program_holds() {
    let board = VirtualBoard::start(BoardKind::Host).expect("starts");
    let port = text(board.port());
    let holder = Client::open(port).expect("answers");
    let (said, listed) = (send(port), devices(port));
    drop(holder);
    if cfg!(target_os = "linux") {
        let name = fs::read_to_string("/proc/self/comm").expect("a Linux");
        let busy = format!(
            "{port}: {} (process {}) has this port open. Close it and try again",
            name.trim(),
            std::process::id()
        );
        assert_eq!((said, listed), (format!("error: {busy}"), busy));
    } else {
        assert!(said.contains("another program has this port open"), "{said}");
    }
}

/// The lock of `flock`, in a program of that name.
#[cfg(target_os = "linux")]
#[test]
fn a_port_that_the_modem_manager_looks_at() {
    let Ok(flock) = fs::read("/usr/bin/flock") else {
        eprintln!("not tested: there is no /usr/bin/flock");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("ModemManager");
    fs::write(&program, flock).expect("written");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    let board = VirtualBoard::start(BoardKind::Host).expect("starts");
    let port = text(board.port());
    let manager = Command::new(&program).args(["-o", port, "sleep", "60"]).spawn().expect("starts");
    let mut manager = Running(manager);
    let end = Instant::now() + Duration::from_secs(20);
    let said = loop {
        let (success, _, err) = Running::start(&["send", pack(), "--port", port]).finish();
        if !success {
            break err.lines().last().unwrap_or_default().to_owned();
        }
        assert!(Instant::now() < end, "it does not lock the port");
    };
    assert_eq!(
        said,
        format!(
            "error: {port}: ModemManager (process {}) has this port open, to see whether it is a modem. Try again in half \
             a minute, or keep it away for good: `sudo systemctl disable --now ModemManager`",
            manager.0.id()
        )
    );
    let _ = manager.0.kill();
}

/// As another user, whom the port does not belong to.
#[test]
fn a_port_that_is_not_ours() {
    use std::os::unix::fs::PermissionsExt;
    let board = VirtualBoard::start(BoardKind::Host).expect("starts");
    let port = text(board.port());
    fs::set_permissions(port, fs::Permissions::from_mode(0o600)).expect("ours");
    let mut command = nickeldime(&["devices", "--port", port]);
    if rustix::process::geteuid().is_root() {
        // Nobody, on every system.
        command.uid(65_534).gid(65_534).current_dir("/");
    } else {
        fs::set_permissions(port, fs::Permissions::from_mode(0o000)).expect("ours");
    }
    let Ok(output) = command.output() else {
        eprintln!("not tested: another user may not run the command here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let said = said.lines().find(|line| line.starts_with(port)).expect("in the list");
    let begins = format!("{port}: permission denied. ");
    assert!(said.starts_with(&begins), "{said}");
    assert!(
        said.contains("`sudo usermod -aG ") && said.ends_with(" $USER`, then log out and in again")
            || said.contains("a udev rule gives serial ports to the group dialout"),
        "{said}"
    );
}

#[test]
fn a_cable_that_is_pulled_in_mid_upload() {
    let board = VirtualBoard::start(BoardKind::Host).expect("starts");
    let faults = Faults { cut_at: Some(100_000), ..Faults::NONE };
    let line = FaultyPort::start(board.port(), board.reset_button(), faults, Some(921_600), None).expect("a port");
    let port = line.port();
    let port = text(&port);
    let said = send(port);
    let begins = format!("error: {port}: the line broke (");
    let ends = "). Unplugged or reset? The board has its old model, or the new one if that was complete; plug it in and run \
                the command again, and it goes on where it was";
    assert!(said.starts_with(&begins) && said.ends_with(ends), "{said}");
    // Plugged in again.
    let end = Instant::now() + Duration::from_secs(20);
    let again = loop {
        if let Some(port) = line.plugged_again() {
            break port;
        }
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    };
    let sent = json(&["send", pack(), "--port", text(&again)]);
    assert!(sent["kept"].as_u64() > Some(50_000), "{sent}");
}
