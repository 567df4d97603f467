//! `live` on a terminal that is a pseudo-terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nickeldime::emulate::{BoardKind, VirtualBoard};
use nickeldime_link::Client;
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::new_user::pty;
use nickeldime_testkit::boards::{Running, error, json, nickeldime, packed};
use nickeldime_testkit::command::text;

/// A running `live`, and the terminal that it is on.
struct Terminal {
    screen: File,
    path: String,
    live: Running,
    shown: String,
}

impl Terminal {
    /// `live` on the board at a port.
    fn start(port: &str, more: &[&str]) -> Self {
        Self::of(&[&["--port", port], more].concat())
    }

    fn of(args: &[&str]) -> Self {
        let (screen, path) = pty();
        tcsetwinsize(&screen, Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).expect("ours");
        let open = || Stdio::from(File::options().read(true).write(true).open(&path).expect("ours"));
        let mut command = nickeldime(&[&["live"], args].concat());
        command.env("COLORTERM", "truecolor").stdin(open()).stdout(open()).stderr(open());
        let live: Child = command.spawn().expect("starts");
        Self { screen, path, live: Running(live), shown: String::new() }
    }

    /// Reads until `until` has been shown since the last time.
    fn wait_for(&mut self, until: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let mut bytes = [0; 65_536];
            if let Ok(count) = self.screen.read(&mut bytes) {
                self.shown += &String::from_utf8_lossy(&bytes[..count]);
            }
            if let Some(at) = self.shown.find(until) {
                self.shown.drain(..at + until.len());
                return;
            }
            assert!(
                Instant::now() < end,
                "no {until:?} in {:?}",
                self.shown.chars().rev().take(300).collect::<String>()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn press(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).expect("ours");
    }

    /// Waits for the end; returns whether it was a good one, after the screen and the line are as they were.
    fn end(mut self) -> bool {
        self.wait_for("\x1b[?25h");
        self.wait_for("\x1b[?1049l");
        let end = Instant::now() + Duration::from_secs(30);
        let status = loop {
            let _ = self.screen.read(&mut [0; 4096]);
            match self.live.0.try_wait().expect("a child can be waited for") {
                Some(status) => break status,
                None => assert!(Instant::now() < end, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let line = File::open(&self.path).expect("ours");
        let modes = tcgetattr(&line).expect("a terminal").local_modes;
        assert!(modes.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO), "{modes:?}");
        status.success()
    }
}

fn board() -> VirtualBoard {
    let board = VirtualBoard::start(BoardKind::Host).expect("starts");
    json(&["send", text(&packed(BoardKind::Host).1), "--port", text(board.port())]);
    board
}

#[test]
fn a_walk_heeds_its_keys_and_leaves_the_terminal_as_it_was() {
    let board = board();
    let port = text(board.port());
    let mut terminal = Terminal::start(port, &["--seed", "5"]);
    terminal.wait_for("\x1b[?1049h");
    terminal.wait_for("seed 5 to 6");
    // Two pixels a character, in 24-bit colours.
    terminal.wait_for("\x1b[38;2;");
    terminal.wait_for("▀");
    terminal.press("m");
    terminal.wait_for("with ");
    terminal.press("m");
    terminal.wait_for(" to ");
    terminal.press("\x1b[A");
    terminal.wait_for("psi 0.8");
    terminal.press("q");
    assert!(terminal.end());
    // And the board answers the next one.
    Client::open(port).expect("answers");
}

#[test]
fn a_walk_that_ends_by_itself_or_by_a_signal_leaves_the_terminal_as_it_was() {
    let board = board();
    assert!(Terminal::start(text(board.port()), &["--images", "3"]).end());
    let mut terminal = Terminal::start(text(board.port()), &[]);
    terminal.wait_for("▀");
    let id = rustix::process::Pid::from_child(&terminal.live.0);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("ours");
    terminal.end();
    let mut terminal = Terminal::start(text(board.port()), &[]);
    terminal.wait_for("▀");
    // The board is gone.
    drop(board);
    assert!(!terminal.end());
}

#[test]
fn a_pack_is_walked_through_without_a_board() {
    let pack = text(&packed(BoardKind::Host).1);
    let mut terminal = Terminal::of(&[pack, "--seed", "5"]);
    terminal.wait_for("\x1b[?1049h");
    terminal.wait_for("seed 5 to 6");
    terminal.wait_for("▀");
    terminal.press("\x1b[C");
    terminal.wait_for("seed 6 to 7");
    terminal.press("m");
    terminal.wait_for("with ");
    terminal.press(" ");
    terminal.press("q");
    assert!(terminal.end());
    // Of one colour.
    let folder = tempfile::tempdir().expect("a folder");
    let grey = folder.path().join("grey.ndm");
    json(&["pack", text(&nickeldime_testkit::fixture("cases/grey/grey.pkl")), "-o", text(&grey)]);
    let mut terminal = Terminal::of(&[text(&grey), "--images", "3"]);
    terminal.wait_for("▀");
    assert!(terminal.end());
    let said = error(&["live", pack]);
    assert!(said.contains(&format!("nickeldime sample {pack} -o grid.png")), "{said}");
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let said = error(&["live", "--port", "/dev/no-such-port"]);
    assert_eq!(
        said,
        "error: this draws in a terminal, and here is none: `nickeldime sample --port /dev/no-such-port -o grid.png` \
         writes pictures"
    );
}
