//! The command against a board, through a real serial path: what is sent is what runs, and what runs is what the host
//! previewed, bit for bit.
//!
//! Every test runs on the device code in process (`host`), and on the firmware in the emulators that are installed.

use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use nickeldime::emulate::{BoardKind, VirtualBoard};
use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::link::DeviceError;
use nickeldime_core::pack::{Pack, PackError, WeightWidth};
use nickeldime_link::{Client, LinkError, PortError};
use nickeldime_testkit::boards::{
    Running, all_rows, boards, emulate, emulate_with, error, json, packed, preview, seed,
};
use nickeldime_testkit::command::text;
use nickeldime_testkit::fixture;
use nickeldime_testkit::packs::{Shape, random_pack, tiny};

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

/// Odd channel counts and either width of weights, on processors with and without DSP, an FPU, and division.
#[test]
fn generators_of_five_shapes_make_the_hosts_images_on_every_processor() {
    let shapes: [&[u16]; 5] = [&[6, 3], &[9, 7, 6], &[9, 7, 6, 5], &[5, 7, 3, 4], &[5, 7, 3, 4, 3]];
    for kind in boards() {
        let board = emulate(kind);
        let mut client = Client::open(&board.port).expect("answers");
        for (index, channels) in shapes.into_iter().enumerate() {
            let width = [WeightWidth::I8, WeightWidth::I16][index % 2];
            let shape = Shape { z_dim: 7, w_dim: 9, mapping_layers: 2, channels: channels.to_vec(), width, ..tiny() };
            let pack = random_pack(&shape, index as u32);
            // The smallest board has room for one at a time.
            client.erase().expect("answers");
            client.upload(pack.bytes(), &mut |_, _| {}).expect("fits");
            for number in 0..8 {
                let sample = Sample { noise: Noise::Random(number), ..seed(number) };
                let image = client.sample(&sample, &mut all_rows).expect("makes an image");
                assert!(image.pixels == preview(pack.bytes(), &sample), "{kind}, {shape:?}, seed {number}");
            }
        }
    }
}

/// A grey model is grey all the way: a byte a pixel in the pack's image, on the line, and in the files.
#[test]
fn a_grey_model_is_drawn_by_every_board_with_a_byte_a_pixel() {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join("grey.ndm");
    json(&["pack", text(&fixture("cases/grey/grey.pkl")), "-o", text(&pack), "--mapping-bits", "8"]);
    let pack = text(&pack);
    for kind in boards() {
        let board = emulate(kind);
        let port = &board.port[..];
        json(&["send", pack, "--port", port]);
        for options in [
            &["--seed", "0..2"][..],
            &["--numpy-seeds", "--seed", "85", "--noise", "random"],
            &["--walk", "1,2", "--frames", "3"],
            &["--mixing-grid", "--rows", "1", "--cols", "2"],
        ] {
            let device = json(&[&["sample", "--port", port], options].concat());
            let host = json(&[&["sample", pack], options].concat());
            assert_eq!(device["sha256"], host["sha256"], "{kind}, {options:?}");
        }
        let mut client = Client::open(port).expect("answers");
        let image = client.sample(&seed(3), &mut all_rows).expect("makes an image");
        let bytes = fs::read(pack).expect("packed");
        assert!(image.pixels.len() == 16 * 16 && image.pixels == preview(&bytes, &seed(3)), "{kind}");
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
            assert!(image.pixels == preview(&bytes, &sample), "{kind}, {latent:?}");
        }
        let short = Sample { latent: Latent::Z(&z[1..]), psi: 0, noise: Noise::None };
        let refused = client.sample(&short, &mut all_rows);
        let wrong = matches!(why(&refused), Some(LinkError::Refused(DeviceError::WrongLatent { .. })));
        assert!(wrong, "{refused:?}");
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
        assert_eq!(why(&refused), Some(&LinkError::Refused(expected)), "{kind}");
        let truncated = client.upload(&bytes[..2000], &mut |_, _| {});
        let expected = DeviceError::BadPack(PackError::Truncated);
        assert_eq!(why(&truncated), Some(&LinkError::Refused(expected)), "{kind}");
        // And goes on with what it had.
        let image = client.sample(&seed(3), &mut all_rows).expect("makes an image");
        assert!(image.pixels == preview(&bytes, &seed(3)), "{kind}");
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
            assert!(sent["kept"].as_u64() > Some(0), "goes on where it was: {sent}");
        }
        for millis in [100, 300, 700] {
            let sample = Running::start(&["sample", "--port", &board.port, "--seed", "0..99"]);
            std::thread::sleep(Duration::from_millis(millis));
            drop(sample);
            let mut client = Client::open(&board.port).expect("answers the next one");
            let image = client.sample(&seed(millis), &mut all_rows).expect("makes an image");
            assert!(image.pixels == preview(&bytes, &seed(millis)), "{kind}");
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
        assert_eq!(why(&stopped), Some(&LinkError::Stopped));
        let image = client.sample(&seed(2), &mut all_rows).expect("makes an image");
        assert!(image.pixels == preview(&bytes, &seed(2)), "{kind}");
    }
}

#[cfg(unix)]
#[test]
fn a_board_that_panicked_says_so_after_its_restart() {
    use nickeldime_boards::{BoardSpec, EmulatorSpec};

    for (name, says) in [
        ("qemu-m4", "a panic 0"),
        ("qemu-m55", "a panic 0"),
        ("qemu-rv32", "a panic"),
        ("stm32f405", "a panic 08"),
        ("pico", "a panic 10"),
    ] {
        let board = *nickeldime_boards::find(name).expect("known");
        let emulator = board.emulator.expect("emulated");
        let features: &'static [&'static str] = [emulator.features, &["panic-once"]].concat().leak();
        let panics = BoardKind::Emulated(Box::leak(Box::new(BoardSpec {
            emulator: Some(EmulatorSpec { features, ..emulator }),
            ..board
        })));
        if let Err(missing) = panics.check() {
            eprintln!("not tested on {name}: {missing}");
            continue;
        }
        let running = VirtualBoard::start(panics).expect("starts");
        let client = Client::open(running.port().to_str().expect("in UTF-8")).expect("answers");
        let restart = client.board().restart.clone().expect("it did not start by itself twice");
        assert!(restart.starts_with(says), "{name}: {restart}");
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

/// The program and the USB of a real board, in an emulator that knows neither: the board comes back after its reset button, with
/// its model, and does not restart while nobody talks to it for longer than its watchdog waits.
#[test]
fn the_pico_keeps_its_model_over_a_reset_and_stays_awake() {
    let pico: BoardKind = "pico".parse().expect("an emulated board");
    if let Err(missing) = pico.check() {
        eprintln!("not tested: {missing}");
        return;
    }
    let bytes = fs::read(&packed(pico).1).expect("packed");
    let board = VirtualBoard::start(pico).expect("starts");
    let mut client = Client::open(text(board.port())).expect("answers");
    assert_eq!((&client.board().board[..], client.board().counts_instructions), ("pico", false));
    client.upload(&bytes, &mut |_, _| {}).expect("fits");
    drop(client);
    board.reset_button().press();
    std::thread::sleep(Duration::from_secs(10));
    let mut client = Client::open(text(board.port())).expect("answers after its reset");
    assert_eq!(client.board().restart, None, "its watchdog is fed while it sleeps");
    let image = client.sample(&seed(5), &mut all_rows).expect("has its model");
    assert!(image.pixels == preview(&bytes, &seed(5)));
    let refused = error(&["emulate", "--board", "pico", "--count"]);
    assert!(refused.contains("nothing counts the instructions of pico"), "{refused}");
}

/// Keys are made, packs signed and boards started by the command, as their owner would.
#[test]
fn a_board_that_trusts_a_key_loads_what_that_key_signed_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let keys = ["owner", "stranger"].map(|name| json(&["key", "new", "-o", &path(name)]));
    let [owner, stranger] = keys.each_ref().map(|key| key["id"].as_str().expect("an id"));
    assert_eq!(json(&["key", "show", &path("owner")])["public_key"], keys[0]["public_key"]);
    assert!(error(&["key", "new", "-o", &path("owner")]).contains("never overwritten"));
    for kind in boards().into_iter().filter(|kind| ["host", "qemu-m4"].contains(&kind.name())) {
        let plain = text(&packed(kind).1);
        let public = error(&["pack", plain, "--sign", &path("owner.pub"), "-o", &path("x.ndm")]);
        assert!(public.contains("is no secret"), "{public}");
        for name in ["owner", "stranger"] {
            json(&["pack", plain, "--sign", &path(name), "-o", &path(&format!("{name}.ndm"))]);
        }
        let signed = json(&["inspect", &path("owner.ndm")]);
        assert_eq!((&signed["signatures"][0]["id"], &signed["signatures"][0]["holds"]), (&keys[0]["id"], &true.into()));
        let board = emulate_with(kind, &["--trust", &path("owner.pub")]);
        let port = &board.port[..];
        for refused in [plain, &path("stranger.ndm")] {
            let said = error(&["send", refused, "--port", port]);
            assert!(said.contains(owner) && said.contains("pack --sign") && !said.contains(stranger), "{said}");
        }
        let sent = json(&["send", &path("owner.ndm"), "--port", port]);
        let mut flipped = fs::read(path("owner.ndm")).expect("written");
        *flipped.last_mut().expect("bytes") ^= 1;
        fs::write(path("flipped.ndm"), flipped).expect("written");
        error(&["send", &path("flipped.ndm"), "--port", port]);
        // The old model serves, and draws what the unsigned pack draws on this computer.
        let device = json(&["sample", "--port", port, "--seed", "4"]);
        assert_eq!(device["sha256"], json(&["sample", plain, "--seed", "4"])["sha256"], "{kind}");
        let ports = json(&["devices", "--port", port]);
        let found = ports["ports"].as_array().expect("a list").iter().find(|entry| entry["port"] == port);
        let found = found.expect("in the list");
        assert_eq!((&found["model"]["sha256"], &found["trusted"]), (&sent["sha256"], &vec![owner].into()));
        // A board that trusts nobody in particular does not care.
        json(&["send", &path("stranger.ndm"), "--port", &emulate(kind).port]);
    }
}

/// Why a board did not do what it was asked for.
fn why<T>(result: &Result<T, PortError>) -> Option<&LinkError> {
    result.as_ref().err().and_then(PortError::link)
}
