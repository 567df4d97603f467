//! The command against a board, through a real serial path: what is sent is what runs, and what runs is what the host
//! previewed, bit for bit.
//!
//! Every test runs on the device code in process (`host`), and on the firmware in the emulator where that is installed.
//! Everything has a time limit: a test that would hang fails.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nickeldime::port::{BoardKind, Client, PortError};
use nickeldime_core::generator::{Latent, Noise, Sample, generate};
use nickeldime_core::link::DeviceError;
use nickeldime_core::pack::{Pack, PackError};
use serde_json::Value;

/// For one command.
const LIMIT: Duration = Duration::from_secs(120);
/// For a board to start: the first one builds the firmware.
const START: Duration = Duration::from_secs(300);

/// The boards that can run here.
fn boards() -> Vec<BoardKind> {
    let runs = |kind: &BoardKind| match kind.check() {
        Ok(()) => true,
        Err(missing) => {
            eprintln!("not tested on {kind}: {missing}");
            false
        }
    };
    BoardKind::all().filter(runs).collect()
}

fn nickeldime(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nickeldime"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(args: &[&str]) -> Self {
        Self(nickeldime(args).spawn().expect("the command starts"))
    }

    /// Waits for the end: success, standard output, standard error.
    fn finish(mut self) -> (bool, String, String) {
        let (out, err) = (read_all(self.0.stdout.take()), read_all(self.0.stderr.take()));
        let end = Instant::now() + LIMIT;
        let status = loop {
            match self.0.try_wait().expect("a child can be waited for") {
                Some(status) => break status,
                None => assert!(Instant::now() < end, "a command takes longer than {LIMIT:?}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let join = |reader: std::thread::JoinHandle<String>| reader.join().expect("read to the end");
        (status.success(), join(out), join(err))
    }
}

fn read_all(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    let mut from = from.expect("piped");
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = from.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Runs a command that succeeds, and returns its JSON.
fn json(args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    let (success, out, err) = Running::start(&args).finish();
    assert!(success, "{args:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error} in {out}"))
}

/// Runs a command that fails, and returns its one line of error.
fn error(args: &[&str]) -> String {
    let (success, out, err) = Running::start(args).finish();
    assert!(!success, "{args:?} succeeded: {out}");
    let last = err.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && !err.contains("panicked"), "{args:?}: {err}");
    last.to_owned()
}

/// A running `nickeldime emulate`.
struct Emulated {
    process: Running,
    port: String,
}

fn emulate(kind: BoardKind) -> Emulated {
    let mut process = Running::start(&["emulate", "--board", kind.name(), "--json"]);
    let (tell, told) = channel();
    let out = process.0.stdout.take().expect("piped");
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(out).read_line(&mut line);
        let _ = tell.send(line);
    });
    let line = told.recv_timeout(START).expect("a board starts in time");
    if line.is_empty() {
        let (_, _, err) = process.finish();
        panic!("{kind} did not start: {err}");
    }
    let said: Value = serde_json::from_str(&line).expect("one JSON object on the first line");
    assert_eq!(said["board"], kind.name());
    Emulated { process, port: said["port"].as_str().expect("a path").to_owned() }
}

/// A folder of this test run, and in it a pack for the board: of the shipped teacher where that fits.
fn packed(kind: BoardKind) -> &'static (tempfile::TempDir, PathBuf) {
    static TEACHER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    static SMALL: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let pack = |model: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.ndm");
        json(&["pack", model, "-o", text(&path)]);
        (folder, path)
    };
    if ["qemu-m0", "stm32f405"].contains(&kind.name()) {
        return SMALL.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let model = folder.path().join("small.safetensors");
            let shape = ["--channels", "5,4,4,3", "--w-dim", "16", "--mapping-layers", "2"];
            json(&[&["new", "-o", text(&model)], &shape[..]].concat());
            pack(text(&model))
        });
    }
    let teacher = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/digits32/teacher-digits32.pkl");
    TEACHER.get_or_init(|| pack(teacher))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// What the host makes of a sample.
fn preview(pack: &[u8], sample: &Sample<'_>) -> Vec<u8> {
    let pack = Pack::open(pack).expect("a good pack");
    let mut workspace = vec![0; pack.workspace_len()];
    let mut image = Vec::new();
    let made = generate(&pack, sample, &mut workspace, &mut |_, row| {
        image.extend_from_slice(row);
        ControlFlow::Continue(())
    });
    made.expect("a good sample");
    image
}

fn all_rows(_: usize, _: &[u8]) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn seed(seed: u64) -> Sample<'static> {
    Sample { latent: Latent::Seed(seed), psi: 1 << 14, noise: Noise::Const }
}

#[test]
fn the_device_makes_the_image_that_the_host_previewed() {
    for kind in boards() {
        let pack = text(&packed(kind).1);
        let board = emulate(kind);
        let port = &board.port[..];
        let refused = error(&["sample", "--port", port, "--seed", "1"]);
        assert!(refused.contains("nickeldime send"), "an empty board says what to do: {refused}");

        let sent = json(&["send", pack, "--port", port]);
        assert_eq!(sent["already_loaded"], false);
        assert_eq!(sent["board"], kind.name());
        // Every command opens the port anew.
        assert_eq!(json(&["send", pack, "--port", port])["already_loaded"], true);
        for options in [&["--seed", "0..1"][..], &["--seed", "7", "--psi", "0.5", "--noise", "random"]] {
            let device = json(&[&["sample", "--port", port], options].concat());
            let host = json(&[&["sample", pack], options].concat());
            assert_eq!(device["sha256"], host["sha256"], "{kind}, {options:?}");
        }
        let ports = json(&["devices", "--port", port]);
        let found = ports["ports"].as_array().expect("a list").iter().find(|entry| entry["port"] == port);
        assert_eq!(found.expect("in the list")["model"]["sha256"], sent["sha256"]);
    }
}

#[test]
fn latents_from_the_host_make_the_same_image_there() {
    for kind in boards() {
        let bytes = fs::read(&packed(kind).1).expect("packed");
        let pack = Pack::open(&bytes).expect("a good pack");
        let z: Vec<i16> = (0..pack.z_dim() as i16).map(|i| (i - 30) * 150).collect();
        let w: Vec<i32> = (0..pack.w_dim() as i32).map(|i| (i - 20) * 3001).collect();
        let board = emulate(kind);
        let mut client = Client::open(&board.port).expect("answers");
        client.upload(&bytes, &mut |_, _| {}).expect("fits");
        for latent in [Latent::Z(&z), Latent::W(&w)] {
            let sample = Sample { latent, psi: 12_000, noise: Noise::None };
            let image = client.sample(&sample, &mut all_rows).expect("makes an image");
            assert!(image.rgb == preview(&bytes, &sample), "{kind}, {latent:?}");
        }
        let short = Sample { latent: Latent::Z(&z[1..]), psi: 0, noise: Noise::None };
        let refused = client.sample(&short, &mut all_rows);
        assert!(matches!(refused, Err(PortError::Refused(DeviceError::WrongLatent { .. }))), "{refused:?}");
    }
}

#[test]
fn a_damaged_pack_is_refused_on_both_sides() {
    for kind in boards() {
        let (folder, path) = packed(kind);
        let bytes = fs::read(path).expect("packed");
        let damaged = folder.path().join("damaged.ndm");
        let board = emulate(kind);
        let mut client = Client::open(&board.port).expect("answers");
        client.upload(&bytes, &mut |_, _| {}).expect("fits");
        drop(client);
        for place in [0, 9, 40, 200, bytes.len() / 2, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[place] ^= 4;
            fs::write(&damaged, &flipped).expect("written");
            let refused = error(&["send", text(&damaged), "--port", &board.port]);
            assert!(refused.contains("damaged.ndm"), "{refused}");
        }
        // Past the host's check: the device has its own. One place only, an upload takes seconds in the emulator.
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 4;
        let mut client = Client::open(&board.port).expect("answers");
        let refused = client.upload(&flipped, &mut |_, _| {});
        let expected = DeviceError::BadPack(PackError::HashMismatch);
        assert!(matches!(refused, Err(PortError::Refused(error)) if error == expected), "{kind}: {refused:?}");
        let truncated = client.upload(&bytes[..2000], &mut |_, _| {});
        let expected = DeviceError::BadPack(PackError::Truncated);
        assert!(matches!(truncated, Err(PortError::Refused(error)) if error == expected), "{kind}: {truncated:?}");
        // And goes on with what it had.
        let image = client.sample(&seed(3), &mut all_rows).expect("makes an image");
        assert!(image.rgb == preview(&bytes, &seed(3)), "{kind}");
    }
}

#[test]
fn programs_killed_in_the_middle_do_no_harm() {
    for kind in boards() {
        let (_, path) = packed(kind);
        let bytes = fs::read(path).expect("packed");
        let board = emulate(kind);
        let send = Running::start(&["send", text(path), "--port", &board.port]);
        std::thread::sleep(Duration::from_millis(1500));
        drop(send);
        let sent = json(&["send", text(path), "--port", &board.port]);
        if kind == BoardKind::roomy() && sent["already_loaded"] == false {
            assert!(sent["resumed_at"].as_u64() > Some(0), "goes on where it was: {sent}");
        }
        for millis in [100, 300, 700] {
            let sample = Running::start(&["sample", "--port", &board.port, "--seed", "0..99"]);
            std::thread::sleep(Duration::from_millis(millis));
            drop(sample);
            let mut client = Client::open(&board.port).expect("answers the next one");
            let image = client.sample(&seed(millis), &mut all_rows).expect("makes an image");
            assert!(image.rgb == preview(&bytes, &seed(millis)), "{kind}");
        }
    }
}

#[test]
fn an_image_can_be_stopped_and_the_next_one_is_whole() {
    for kind in boards() {
        let bytes = fs::read(&packed(kind).1).expect("packed");
        let board = emulate(kind);
        let mut client = Client::open(&board.port).expect("answers");
        client.upload(&bytes, &mut |_, _| {}).expect("fits");
        let stopped = client.sample(&seed(1), &mut |y, _| {
            if y == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(PortError::Stopped)), "{stopped:?}");
        let image = client.sample(&seed(2), &mut all_rows).expect("makes an image");
        assert!(image.rgb == preview(&bytes, &seed(2)), "{kind}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_emulate_leaves_no_emulator_behind() {
    for kind in boards() {
        let board = emulate(kind);
        let id = board.process.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("a Linux");
        // Dropping kills with the signal that nobody can catch.
        drop(board);
        for child in children.split_whitespace() {
            let end = Instant::now() + Duration::from_secs(5);
            while fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z")) {
                assert!(Instant::now() < end, "{kind}: process {child} is still there");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        assert_eq!(children.is_empty(), kind == BoardKind::Host);
    }
}

#[cfg(unix)]
#[test]
fn a_port_that_is_not_a_board_is_told_apart() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::os::unix::fs::PermissionsExt;

    let pack = text(&packed(BoardKind::Host).1);
    let missing = error(&["send", pack, "--port", "/dev/no-such-port"]);
    assert!(missing.contains("no such port"), "{missing}");

    // Nobody at the other end.
    let silent = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&silent).expect("ours");
    unlockpt(&silent).expect("ours");
    let port = ptsname(&silent, Vec::new()).expect("has a name").into_string().expect("in UTF-8");
    let started = Instant::now();
    let ports = json(&["devices", "--port", &port]);
    assert!(started.elapsed() < Duration::from_secs(6), "a silent port does not hold up the others");
    let entry = ports["ports"].as_array().expect("a list").iter().find(|entry| entry["port"] == port);
    let said = entry.expect("in the list")["error"].as_str().expect("an error").to_owned();
    assert!(said.contains("nobody answers"), "{said}");
    let said = error(&["send", pack, "--port", &port]);
    assert!(said.contains("nobody answers"), "{said}");

    // Somebody who says something else.
    let mut talker = fs::File::from(silent);
    let gps = std::thread::spawn(move || {
        use std::io::Write;
        let end = Instant::now() + Duration::from_secs(8);
        while Instant::now() < end && talker.write_all(b"$GPGGA,123519,4807.038,N,01131.000,E\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let said = error(&["send", pack, "--port", &port]);
    assert!(said.contains("does not speak nickeldime's protocol"), "{said}");
    gps.join().expect("talks to the end");

    // A board that another program has open.
    let board = emulate(BoardKind::Host);
    let holder = Client::open(&board.port).expect("answers");
    let said = error(&["send", pack, "--port", &board.port]);
    assert!(said.contains("another program has this port open"), "{said}");
    drop(holder);

    // No permission; root has it always.
    let own = fs::metadata(&board.port).expect("is there");
    fs::set_permissions(&board.port, fs::Permissions::from_mode(0o000)).expect("ours");
    if fs::File::open(&board.port).is_err() {
        let said = error(&["send", pack, "--port", &board.port]);
        assert!(said.contains("dialout"), "{said}");
    }
    fs::set_permissions(&board.port, own.permissions()).expect("ours");
}
