//! Runs the command and boards for the tests of the link. Everything has a time limit, so a test that would hang fails.

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nickeldime_core::generator::{Latent, Noise, Sample, generate};
use nickeldime_core::pack::Pack;
use serde_json::Value;

use crate::command::{binary, text};
use nickeldime::emulate::BoardKind;

/// Time limit for one command.
pub const LIMIT: Duration = Duration::from_secs(120);
/// Time limit for a board to start. The first one also builds the firmware.
pub const START: Duration = Duration::from_secs(300);

/// The boards that can run here.
pub fn boards() -> Vec<BoardKind> {
    let runs = |kind: &BoardKind| match kind.check() {
        Ok(()) => true,
        Err(missing) => {
            eprintln!("not tested on {kind}: {missing}");
            false
        }
    };
    BoardKind::all().filter(runs).collect()
}

pub fn nickeldime(args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub fn start(args: &[&str]) -> Self {
        Self(nickeldime(args).spawn().expect("the command starts"))
    }

    /// Waits for the end. Returns success, standard output and standard error.
    pub fn finish(mut self) -> (bool, String, String) {
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

pub fn read_all(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    let mut from = from.expect("piped");
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = from.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Runs a command that succeeds, and returns its JSON.
pub fn json(args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    let (success, out, err) = Running::start(&args).finish();
    assert!(success, "{args:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error} in {out}"))
}

/// Runs a command that fails, and returns its one line of error.
pub fn error(args: &[&str]) -> String {
    let (success, out, err) = Running::start(args).finish();
    assert!(!success, "{args:?} succeeded: {out}");
    let last = err.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && !err.contains("panicked"), "{args:?}: {err}");
    last.to_owned()
}

/// A running `nickeldime emulate`.
pub struct Emulated {
    pub process: Running,
    pub port: String,
}

pub fn emulate(kind: BoardKind) -> Emulated {
    emulate_with(kind, &[])
}

/// [`emulate`] with more flags.
pub fn emulate_with(kind: BoardKind, flags: &[&str]) -> Emulated {
    let mut process = Running::start(&[&["emulate", "--board", kind.name(), "--json"], flags].concat());
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

/// A folder of this test run and a pack in it for the board: of the shipped teacher if that fits.
pub fn packed(kind: BoardKind) -> &'static (tempfile::TempDir, PathBuf) {
    static TEACHER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    static SMALL: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let pack = |model: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.ndm");
        json(&["pack", model, "-o", text(&path)]);
        (folder, path)
    };
    if ["qemu-m0", "stm32f405", "pico"].contains(&kind.name()) {
        return SMALL.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let model = folder.path().join("small.safetensors");
            let shape = ["--channels", "5,4,4,3", "--w-dim", "16", "--mapping-layers", "2"];
            json(&[&["new", "-o", text(&model)], &shape[..]].concat());
            pack(text(&model))
        });
    }
    let teacher = crate::fixture("digits32/teacher-digits32.pkl");
    TEACHER.get_or_init(|| pack(text(&teacher)))
}

/// The image that the host draws of a sample.
pub fn preview(pack: &[u8], sample: &Sample<'_>) -> Vec<u8> {
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

pub fn all_rows(_: usize, _: &[u8]) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub fn seed(seed: u64) -> Sample<'static> {
    Sample { latent: Latent::Seed(seed), psi: 1 << 14, noise: Noise::Const }
}
