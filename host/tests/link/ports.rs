//! Real ports: the command, or the client, over pseudo-terminals to boards in this process and in an emulator.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nickeldime::emulate::faults::Faults;
use nickeldime::emulate::faulty_port::{FaultyPort, LineTap};
use nickeldime::emulate::{BoardKind, VirtualBoard};
use nickeldime_checkpoint::random::Stream;
use nickeldime_core::link::{Ask, FrameReader, Packet, decode};
use nickeldime_link::{Client, LinkError};
use sha2::{Digest, Sha256};

use nickeldime_testkit::boards::{Running, all_rows, emulate, json, packed, preview, seed};
use nickeldime_testkit::command::text;

/// Counts the bytes of packs that pass, those sent twice too.
fn chunks(count: &Arc<AtomicU64>) -> LineTap {
    let count = Arc::clone(count);
    let mut reader = FrameReader::new(vec![0; 8192]);
    Box::new(move |bytes| {
        for &byte in bytes {
            if reader.push(byte)
                && let Some(Packet::Request(request)) = decode(reader.payload())
                && let Ask::UploadChunk { data, .. } = request.ask
            {
                count.fetch_add(data.len() as u64, Ordering::Relaxed);
            }
        }
    })
}

fn wait_for(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !what() {
        assert!(Instant::now() < end, "waited for a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_send_that_is_killed_goes_on_where_it_was() {
    let pack = text(&packed(BoardKind::Host).1);
    let len = fs::metadata(pack).expect("packed").len();
    for (percent, reset) in [(10, false), (50, false), (90, false), (50, true)] {
        let board = VirtualBoard::start(BoardKind::Host).expect("starts");
        let passed = Arc::new(AtomicU64::new(0));
        let line =
            FaultyPort::start(board.port(), board.reset_button(), Faults::NONE, Some(921_600), Some(chunks(&passed)));
        let line = line.expect("a pseudo-terminal");
        let port = line.port();
        let send = Running::start(&["send", pack, "--port", text(&port)]);
        wait_for(|| 100 * passed.load(Ordering::Relaxed) >= percent * len);
        // The signal that nobody can catch.
        drop(send);
        if reset {
            board.reset_button().press();
        }
        let sent = json(&["send", pack, "--port", text(&port)]);
        let twice = passed.load(Ordering::Relaxed) - len;
        let client = Client::open(text(&port)).expect("answers");
        let window = u64::from(client.board().window);
        println!("killed at {percent} %, reset: {reset}: {twice} bytes sent twice, a window is {window}: {sent}");
        assert!(sent["kept"].as_u64() > Some(0) && sent["already_loaded"] == false);
        assert!(twice < 2 * window, "{twice} bytes twice");
        assert_eq!(client.board().model.as_ref().expect("is loaded").len as u64, len);
    }
}

/// Packs that are sent in a second.
fn small_packs(folder: &Path) -> [(PathBuf, Vec<u8>); 3] {
    ["1", "2", "3"].map(|seed| {
        let (model, path) = (folder.join("model.safetensors"), folder.join(seed).with_extension("ndm"));
        let shape = ["--channels", "12,12,8,6", "--w-dim", "32", "--mapping-layers", "2", "--seed", seed];
        json(&[&["new", "-o", text(&model)], &shape[..]].concat());
        json(&["pack", text(&model), "-o", text(&path)]);
        let bytes = fs::read(&path).expect("packed");
        (path, bytes)
    })
}

/// The emulated board with the most memory, where its emulator is installed.
fn emulated() -> Option<BoardKind> {
    let kind = BoardKind::roomy();
    kind.check().inspect_err(|missing| eprintln!("not tested on {kind}: {missing}")).ok().map(|()| kind)
}

/// Schedules of faults on the emulated board: uploads, each until it has succeeded.
fn schedules(count: u64) {
    let Some(kind) = emulated() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let packs = small_packs(folder.path()).map(|(_, bytes)| bytes);
    let hashes = packs.each_ref().map(Sha256::digest);
    let board = VirtualBoard::start(kind).expect("starts");
    let port = text(board.port()).to_owned();
    Client::open(&port).expect("answers").upload(&packs[0], &mut |_, _| {}).expect("fits");
    let (mut tries, mut resets) = (0, 0);
    for schedule in 0..count {
        let mut random = Stream::new(schedule, "emulated", 0);
        // Where the new one goes lies the one before the old one, which is a third.
        let (old, new) = (schedule as usize % 3, (schedule as usize + 1) % 3);
        let mut chance = |most: f64| if random.below(2) == 0 { most * random.uniform() } else { 0.0 };
        let mut faults = Faults {
            drop: chance(0.0005),
            flip: chance(0.0005),
            dup: chance(0.0005),
            stall: chance(0.001),
            reset: chance(0.0002),
            ..Faults::NONE
        };
        resets += u32::from(faults.reset > 0.0);
        for attempt in 0.. {
            tries += 1;
            faults.seed = random.bits();
            faults.cut_at = (random.below(3) == 0).then(|| random.below(2 * packs[new].len()) as u64);
            if attempt == 8 {
                faults = Faults::NONE;
            }
            let line = FaultyPort::start(board.port(), board.reset_button(), faults, None, None).expect("a port");
            let sent =
                Client::open(text(&line.port())).and_then(|mut client| client.upload(&packs[new], &mut |_, _| {}));
            drop(line);
            assert!(attempt < 8 || sent.is_ok(), "schedule {schedule}, on a good line: {sent:?}");
            // Past the faults: what it has is whole, and its images are the host's.
            let mut client =
                Client::open(&port).unwrap_or_else(|error| panic!("schedule {schedule}, {faults}: {error}"));
            let loaded = client.board().model.as_ref().map(|model| model.sha256);
            let which = hashes.iter().position(|hash| loaded.is_some_and(|loaded| hash[..] == loaded));
            let which =
                which.unwrap_or_else(|| panic!("schedule {schedule}, {faults}: neither the old nor the new model"));
            assert!(which == new || sent.is_err(), "schedule {schedule}, {faults}: told to be loaded, and is not");
            let image = client.sample(&seed(schedule), &mut all_rows).expect("an image");
            assert!(
                image.pixels == preview(&packs[which], &seed(schedule)),
                "schedule {schedule}, {faults}: another image"
            );
            if which == new {
                break;
            }
            assert_eq!(which, old);
        }
    }
    println!("{count} schedules, {resets} of them with resets, {tries} runs of the client");
}

// A schedule takes half a minute: the board's time is real.
#[test]
fn schedules_of_faults_on_an_emulated_board_end_with_a_whole_model() {
    schedules(4);
}

#[test]
#[ignore = "minutes: run by name"]
fn twenty_schedules_of_faults_on_an_emulated_board_end_with_a_whole_model() {
    schedules(20);
}

// The line drops, flips and doubles 3 of 10,000 bytes each, both ways.
#[test]
fn a_hundred_images_of_an_emulated_board_survive_a_bad_line() {
    let Some(kind) = emulated() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [(_, pack), ..] = small_packs(folder.path());
    let board = VirtualBoard::start(kind).expect("starts");
    Client::open(text(board.port())).expect("answers").upload(&pack, &mut |_, _| {}).expect("fits");
    let faults = Faults { drop: 3e-4, flip: 3e-4, dup: 3e-4, seed: 1, ..Faults::NONE };
    let line = FaultyPort::start(board.port(), board.reset_button(), faults, None, None).expect("a port");
    let mut client = Client::open(text(&line.port())).expect("answers");
    let started = Instant::now();
    for number in 0..100 {
        let image = client.sample(&seed(number), &mut all_rows).unwrap_or_else(|e| panic!("image {number}: {e}"));
        assert!(image.pixels == preview(&pack, &seed(number)), "image {number}");
    }
    println!("100 of 100 images over a bad line in {:.0?}", started.elapsed());
}

/// Samples of two seeds' worth of models, one after the other on one connection and on new ones.
fn samples(count: u64) {
    let kind = BoardKind::best().0;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [(_, pack), ..] = small_packs(folder.path());
    let board = VirtualBoard::start(kind).expect("starts");
    let mut client = Client::open(text(board.port())).expect("answers");
    client.upload(&pack, &mut |_, _| {}).expect("fits");
    for number in 0..count {
        if number % 100 == 99 {
            drop(client);
            client = Client::open(text(board.port())).expect("answers");
        }
        let image = client.sample(&seed(number), &mut all_rows).expect("an image");
        assert!(image.pixels == preview(&pack, &seed(number)), "image {number}");
    }
    let dropped = client.status().expect("answers").dropped;
    println!("{count} images from {kind}, every byte as the host has it; {dropped} frames dropped");
}

#[test]
fn fifty_samples_in_a_row_have_no_wrong_byte() {
    samples(50);
}

#[test]
#[ignore = "minutes: run by name"]
fn a_thousand_samples_in_a_row_have_no_wrong_byte() {
    samples(1000);
}

#[test]
fn a_cancel_in_mid_image_is_answered_within_a_row() {
    // The teacher's rows take the emulated core much longer than the line.
    let kind = BoardKind::best().0;
    let pack = fs::read(&packed(kind).1).expect("packed");
    let board = VirtualBoard::start(kind).expect("starts");
    let mut client = Client::open(text(board.port())).expect("answers");
    client.upload(&pack, &mut |_, _| {}).expect("fits");
    for last in [0, 3, 11] {
        let stopped = client.sample(&seed(1), &mut |y, _| {
            if y == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let stopped = stopped.expect_err("stopped");
        assert_eq!(stopped.link(), Some(&LinkError::Stopped));
        // The cancel was answered by the time that this returns; the next image is whole.
        let image = client.sample(&seed(2), &mut all_rows).expect("an image");
        assert!(image.pixels == preview(&pack, &seed(2)));
    }
}

#[test]
fn many_boards_get_the_model_at_once_and_a_bad_one_stops_none() {
    let pack = text(&packed(BoardKind::Host).1);
    let boards = [(); 3].map(|()| VirtualBoard::start(BoardKind::Host).expect("starts"));
    let ports = boards.each_ref().map(|board| text(board.port()));
    let all: Vec<&str> = ports.iter().flat_map(|port| ["--port", port]).collect();
    let sent = json(&[&["send", pack], &all[..]].concat());
    assert_eq!((sent["sent"].as_u64(), sent["failed"].as_u64()), (Some(3), Some(0)));
    // One that is none, and the first twice.
    let args = [&["send", pack, "--port", "/dev/no-such-port"], &all[..], &all[..2]].concat();
    let (success, out, err) = Running::start(&args).finish();
    assert!(!success);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(lines[0].starts_with("/dev/no-such-port: no such port"), "{out}");
    for (line, port) in lines[1..].iter().zip(ports) {
        assert!(line.starts_with(&format!("host at {port} has ")), "{out}");
    }
    assert!(lines[4].starts_with("3 of 4 boards run "), "{out}");
    assert_eq!(err.lines().last(), Some("error: 1 of 4 boards did not get it"));
    // --all asks those that are named too, and sends to those that answer.
    let sent = json(&[&["send", pack, "--all"], &all[..]].concat());
    assert_eq!(sent["boards"].as_array().expect("a list").len(), 3);
}

#[test]
fn an_erased_board_is_empty() {
    let pack = text(&packed(BoardKind::Host).1);
    let board = emulate(BoardKind::Host);
    let port = &board.port[..];
    json(&["send", pack, "--port", port]);
    let erased = json(&["erase", "--port", port]);
    assert!(erased["erased"].is_string(), "{erased}");
    let ports = json(&["devices", "--port", port]);
    let found = ports["ports"].as_array().expect("a list").iter().find(|entry| entry["port"] == port);
    let found = found.expect("in the list");
    assert!(found["model"].is_null() && found["free"] == found["storage"], "{found}");
    assert_eq!(json(&["send", pack, "--port", port])["kept"], 0);
}

#[test]
fn an_emulated_board_with_faults_comes_back_after_a_cut() {
    use std::io::{BufRead, BufReader};
    let pack = text(&packed(BoardKind::Host).1);
    let mut board =
        Running::start(&["emulate", "--board", "host", "--json", "--faults", "dup=0.00001,cut-at=60000,seed=3"]);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (out, said) = (board.0.stdout.take().expect("piped"), Arc::clone(&lines));
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let port: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            said.lock().expect("alive").push(port["port"].as_str().expect("a path").to_owned());
        }
    });
    let port = |number: usize| {
        wait_for(|| lines.lock().expect("alive").len() > number);
        lines.lock().expect("alive")[number].clone()
    };
    let broken = nickeldime_testkit::boards::error(&["send", pack, "--port", &port(0)]);
    assert!(broken.contains("the line broke"), "{broken}");
    let sent = json(&["send", pack, "--port", &port(1)]);
    assert!(sent["kept"].as_u64() > Some(0), "{sent}");
}
