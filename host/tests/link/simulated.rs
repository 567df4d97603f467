//! The client and the device on lines that lie and flash that loses power: whatever happens, a board has the old model
//! or the new one, whole; and what happens on a good line is fast.
//!
//! Time is the simulated line's own. A schedule that fails says its seed, and `SCHEDULE=seed cargo test --release -p
//! nickeldime --test link thousand_schedules` replays it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nickeldime::emulate::faults::Faults;
use nickeldime::emulate::simulated::{Setup, Simulated, SlowFlash, Supply};
use nickeldime_checkpoint::random::Stream;
use nickeldime_core::device::{Buffers, Engine, Facts};
use nickeldime_core::generator::{GenerateError, Latent, Noise, Sample};
use nickeldime_core::link::Sha256Hash;
use nickeldime_core::pack::{Hashed, NoiseKind, PackError};
use nickeldime_core::storage::{FailingFlash, MappedFlash, RamFlash};
use nickeldime_link::wire::Wire;
use nickeldime_link::{Client, PortError};
use sha2::{Digest, Sha256};

const QUIET: Setup = Setup { baud: 921_600, ring: usize::MAX, faults: Faults::NONE, silent_cut: false };
const HELLO: Duration = Duration::from_secs(5);

/// A pack here is "P", the logarithm of its images' size, and anything: its images are its bytes, seen through the seed.
#[derive(Clone, Copy)]
struct Simple;

impl Engine for Simple {
    fn open(&self, pack: Hashed<'_>) -> Result<Facts, PackError> {
        let [b'P', bits @ 3..=10, ..] = pack.bytes() else { return Err(PackError::NotAPack) };
        let name = heapless::String::try_from("simple").expect("short");
        let (resolution, noise) = (1 << bits, NoiseKind::None);
        Ok(Facts { name, resolution, channels: 3, z_dim: 4, w_dim: 4, num_ws: 4, noise, workspace_len: 0 })
    }

    fn generate(
        &self,
        pack: &[u8],
        sample: &Sample<'_>,
        _: &mut [i32],
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        let Latent::Seed(seed) = sample.latent else { return Err(GenerateError::LatentLength) };
        let size = 1 << pack[1];
        for y in 0..size {
            let at = |x: usize| pack[(x + 3 * size * y + seed as usize) % pack.len()] ^ (x * y) as u8;
            let rgb: Vec<u8> = (0..3 * size).map(at).collect();
            if row(y, &rgb).is_break() {
                return Err(GenerateError::Stopped);
            }
        }
        Ok(())
    }
}

fn pack(random: &mut Stream, bits: u8, len: usize) -> Vec<u8> {
    let body = (2..len).map(|_| random.bits() as u8);
    [b'P', bits].into_iter().chain(body).collect()
}

fn sha(bytes: &[u8]) -> Sha256Hash {
    Sha256::digest(bytes).into()
}

/// Leaked: a test process has them for as long as it lives.
fn buffers(receive: usize, window: usize) -> Buffers<'static> {
    Buffers {
        receive: vec![0; receive].leak(),
        send: vec![0; 800].leak(),
        latents: vec![0; 4].leak(),
        workspace: vec![0; 4].leak(),
        window,
    }
}

fn open<F: MappedFlash + Supply + Send + 'static>(board: &Simulated<F, Simple>) -> Result<Client, PortError> {
    Client::over(Box::new(board.clone()), "simulated", HELLO)
}

/// An image of the loaded model, byte for byte as it should be.
fn assert_serves(client: &mut Client, pack: &[u8], seed: u64) {
    let image = client.sample(&of_seed(seed), &mut all_rows).expect("an image");
    assert!(image.pixels == drawn(pack, seed));
}

fn of_seed(seed: u64) -> Sample<'static> {
    Sample { latent: Latent::Seed(seed), psi: 0, noise: Noise::None }
}

fn all_rows(_: usize, _: &[u8]) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The image that a pack's model makes.
fn drawn(pack: &[u8], seed: u64) -> Vec<u8> {
    let mut rgb = Vec::new();
    let made = Simple.generate(pack, &of_seed(seed), &mut [], &mut |_, row| {
        rgb.extend_from_slice(row);
        ControlFlow::Continue(())
    });
    made.expect("an image");
    rgb
}

/// Images that arrived whole on the lines of the schedules.
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// One upload over an existing model, on a line and a supply that fail as the seed says. Returns how many runs of the
/// client it took.
fn schedule<const WORD: usize, const SECTOR: usize>(seed: u64) -> u32 {
    let mut random = Stream::new(seed, "schedule", 0);
    let sectors = 40;
    let most = 16 * SECTOR;
    let mut len = || 100 + random.below(most - 100);
    let (old, new) = (len(), len());
    let old = pack(&mut random, 3, old);
    let mut new = pack(&mut random, 3, new);
    if random.below(3) == 0 {
        // Much of it lies there already.
        let same = random.below(new.len().min(old.len()));
        new[2..same.max(2)].copy_from_slice(&old[2..same.max(2)]);
    }
    let receive = 280 + random.below(3 * SECTOR);
    let window = random.below(5) * receive;
    let flash = FailingFlash::new(RamFlash::<_, WORD, SECTOR>::erased(vec![0; sectors * SECTOR]));
    let silent_cut = random.below(2) == 0;
    let board = Simulated::new(Setup { ring: window, silent_cut, ..QUIET }, flash, Simple, buffers(receive, window));
    let mut client = open(&board).expect("a good line");
    if random.below(2) == 0 {
        // What was before the old one lies where the new one goes.
        client.upload(&pack(&mut random, 3, most), &mut |_, _| {}).expect("a good line");
    }
    client.upload(&old, &mut |_, _| {}).expect("a good line");

    let mut chance = |most: f64| if random.below(2) == 0 { most * random.uniform().powi(3) } else { 0.0 };
    let mut faults = Faults {
        drop: chance(0.002),
        flip: chance(0.002),
        dup: chance(0.002),
        stall: chance(0.01),
        reset: chance(0.0005),
        ..Faults::NONE
    };
    let mut tries = 0;
    loop {
        tries += 1;
        faults.seed = random.bits();
        faults.cut_at = (random.below(3) == 0).then(|| random.below(3 * new.len()) as u64);
        if tries > 12 {
            // Enough: now the line is good and the power stays.
            faults = Faults::NONE;
        }
        board.fault(faults);
        if tries <= 12 && random.below(2) == 0 {
            let operations = 2 * new.len() / WORD;
            board.lose_power_at(1 + random.below(operations) as u32, random.bits() as u32);
        }
        let sent = open(&board).and_then(|mut client| client.upload(&new, &mut |_, _| {}));
        // An image on the same line, while the board has either model; now and then of a board that is reset in the middle.
        let image_seed = random.bits();
        if let Ok(image) = open(&board).and_then(|mut client| client.sample(&of_seed(image_seed), &mut all_rows)) {
            let right = [&old, &new].iter().any(|pack| image.pixels == drawn(pack, image_seed));
            assert!(right, "an image of neither model, after {tries} tries");
            DRAWN.fetch_add(1, Ordering::Relaxed);
        }
        board.mend();
        let starts = board.happened().starts;
        for found in &starts[1..] {
            assert!(
                found.is_some_and(|found| found == sha(&old) || found == sha(&new)),
                "neither, after {tries} tries"
            );
        }
        match sent {
            Ok(_) => break,
            Err(error) if tries > 12 => panic!("on a good line: {error}"),
            Err(_) => {}
        }
    }
    board.fault(Faults::NONE);
    board.reset();
    assert_eq!(board.happened().starts.last(), Some(&Some(sha(&new))), "told to be loaded, and is after a reset");
    assert_serves(&mut open(&board).expect("a good line"), &new, seed);
    tries
}

trait LosePower {
    fn lose_power_at(&self, n: u32, seed: u32);
}

impl<const WORD: usize, const SECTOR: usize> LosePower for Simulated<FailingFlash<Vec<u8>, WORD, SECTOR>, Simple> {
    fn lose_power_at(&self, n: u32, seed: u32) {
        self.with_flash(|flash| flash.lose_power_at(n, seed));
    }
}

fn one(seed: u64) -> u32 {
    match seed % 16 {
        0 => schedule::<32, 8192>(seed),
        1..4 => schedule::<4, 512>(seed),
        4..6 => schedule::<256, 1024>(seed),
        _ => schedule::<8, 64>(seed),
    }
}

#[test]
fn ten_thousand_schedules_of_faults_end_with_a_whole_model() {
    let seeds = match std::env::var("SCHEDULE") {
        Ok(seed) => {
            let seed = seed.parse().expect("SCHEDULE is a number");
            seed..seed + 1
        }
        Err(_) => 0..10_000,
    };
    let (mut tries, mut failed) = (0, Vec::new());
    let total = seeds.end - seeds.start;
    for seed in seeds {
        match std::panic::catch_unwind(|| one(seed)) {
            Ok(count) => tries += u64::from(count),
            Err(_) => failed.push(seed),
        }
    }
    println!("{total} schedules, {tries} runs of the client, {} images", DRAWN.load(Ordering::Relaxed));
    assert!(failed.is_empty(), "failed: {failed:?}; SCHEDULE=seed replays one");
}

/// The flash operations of an upload are counted, and power is lost at each of them.
#[test]
fn power_lost_at_every_erase_and_write_of_an_upload_leaves_the_old_or_the_new_model() {
    type Flash = FailingFlash<Vec<u8>, 8, 256>;
    let mut random = Stream::new(1, "power", 0);
    let models = [900, 1500, 1300].map(|len| pack(&mut random, 4, len));
    let [before, old, new] = &models;
    let mut stored = vec![0xFF; 24 * 256];
    // With and without something of the model before the old one where the new one goes.
    for earlier in [&[old][..], &[before, old]] {
        let flash = Flash::new(RamFlash::new(std::mem::take(&mut stored)));
        let mut memory = buffers(600, 1800);
        let board = Simulated::new(QUIET, flash, Simple, memory);
        earlier.iter().for_each(|pack| {
            open(&board).expect("answers").upload(pack, &mut |_, _| {}).expect("fits");
        });
        let (flash, again) = board.stop().expect("runs");
        (memory, stored) = (again, flash.bytes().to_vec());
        let mut lost = 0;
        for cut in 1.. {
            let mut flash = Flash::new(RamFlash::new(stored.clone()));
            flash.lose_power_at(cut, cut);
            let board = Simulated::new(QUIET, flash, Simple, memory);
            let sent = open(&board).and_then(|mut client| client.upload(new, &mut |_, _| {}));
            let starts = board.happened().starts;
            for found in &starts[1..] {
                let whole = found.is_some_and(|found| found == sha(old) || found == sha(new));
                assert!(whole, "neither, after power was lost at {cut}");
                lost += 1;
            }
            // The board was dead for a moment, the client has not given up, and the rest has arrived.
            sent.unwrap_or_else(|error| panic!("power lost at {cut}: {error}"));
            assert_serves(&mut open(&board).expect("answers"), new, cut.into());
            memory = board.stop().expect("runs").1;
            if starts.len() == 1 {
                // All of it took fewer operations.
                break;
            }
        }
        println!("power was lost at each of {lost} erases and writes");
        assert!(lost > 150, "{lost}");
        stored.fill(0xFF);
    }
}

/// A pack that takes as long to send as one of 2.4 MB, and makes images of 256x256.
#[test]
fn a_line_of_921600_baud_is_full_in_both_directions() {
    let mut random = Stream::new(2, "line", 0);
    let pack = pack(&mut random, 8, 2_400_000);
    let window = 4 * 4160;
    let flash = SlowFlash::new(RamFlash::<_, 256, 4096>::erased(vec![0; 6 << 20]));
    let board = Simulated::new(Setup { ring: window, ..QUIET }, flash, Simple, buffers(4160, window));
    let mut client = open(&board).expect("answers");
    let before = board.happened();
    let sent = client.upload(&pack, &mut |_, _| {}).expect("fits");
    let line = f64::from(QUIET.baud) / 10.0;
    let share = |bytes: usize, elapsed: Duration| 100.0 * bytes as f64 / line / elapsed.as_secs_f64();
    let happened = board.happened();
    let sending = share(pack.len(), sent.elapsed);
    println!(
        "send: {sending:.2} % of the line ({} bytes there, {} back, {:?})",
        happened.to_board - before.to_board,
        happened.to_host - before.to_host,
        sent.elapsed
    );
    assert_eq!((sent.bytes, happened.overrun), (pack.len() as u64, 0));
    assert!(sending >= 95.0, "{sending:.2} %");
    let sample = Sample { latent: Latent::Seed(3), psi: 0, noise: Noise::None };
    let image = client.sample(&sample, &mut |_, _| ControlFlow::Continue(())).expect("an image");
    let reading = share(image.pixels.len(), image.elapsed);
    println!(
        "image of 256x256: {reading:.2} % of the line ({} bytes back)",
        board.happened().to_host - happened.to_host
    );
    assert!(reading >= 95.0, "{reading:.2} %");
}

#[test]
fn a_pack_that_fits_only_alone_is_refused_with_the_numbers_and_fits_after_an_erase() {
    let mut random = Stream::new(3, "alone", 0);
    let flash = RamFlash::<_, 8, 256>::erased(vec![0; 22 * 256]);
    let board = Simulated::new(QUIET, flash, Simple, buffers(600, 1800));
    let (old, new) = (pack(&mut random, 3, 2000), pack(&mut random, 3, 4000));
    let mut client = open(&board).expect("answers");
    client.upload(&old, &mut |_, _| {}).expect("fits");
    let refused = client.upload(&new, &mut |_, _| {}).expect_err("too large").to_string();
    assert_eq!(
        refused,
        "the pack has 4000 bytes; beside the loaded model 3072 of the board's 5120 are free, and the loaded one stays \
         until the new one is complete. `send --replace` erases it first: the board has no model until the new one has \
         arrived"
    );
    assert_serves(&mut client, &old, 1);
    client.erase().expect("answers");
    client.upload(&new, &mut |_, _| {}).expect("fits alone");
    assert_serves(&mut client, &new, 1);
    let refused = client.upload(&pack(&mut random, 3, 6000), &mut |_, _| {}).expect_err("too large").to_string();
    assert_eq!(
        refused,
        "the pack has 6000 bytes, the board's storage 5120: a pack at a higher --ratio fits (1.2 times smaller)"
    );
}

/// Images of 256x256 or 32x32, one after another on one connection over a line with these faults. Returns how many arrived
/// whole, the bytes that the board sent for each, and the longest simulated time of one; `piece` bytes fit in a reply.
fn images_over(bits: u8, faults: Faults, count: u64) -> (u64, u64, Duration) {
    let mut random = Stream::new(4, "lossy", u64::from(bits));
    let pack = pack(&mut random, bits, 3000);
    let flash = RamFlash::<_, 8, 256>::erased(vec![0; 32 * 256]);
    let board = Simulated::new(Setup { ring: 4096, ..QUIET }, flash, Simple, buffers(600, 1800));
    let mut client = open(&board).expect("a good line");
    client.upload(&pack, &mut |_, _| {}).expect("a good line");
    let before = board.happened();
    let (mut whole, mut longest) = (0, Duration::ZERO);
    for seed in 0..count {
        board.fault(Faults { seed, ..faults });
        let started = board.now();
        match client.sample(&of_seed(seed), &mut all_rows) {
            Ok(image) => {
                assert!(image.pixels == drawn(&pack, seed), "an image that is reported is right");
                whole += 1;
            }
            Err(error) => println!("image {seed}: {error}"),
        }
        longest = longest.max(board.now() - started);
    }
    (whole, (board.happened().to_host - before.to_host) / count, longest)
}

#[test]
fn images_survive_a_bad_line() {
    let bad = |chance| Faults { drop: chance, flip: chance, dup: chance, ..Faults::NONE };
    for bits in [5, 8] {
        let (_, clean, _) = images_over(bits, Faults::NONE, 5);
        let size = 1 << bits;
        for (chance, most) in [(1e-4, 115), (3e-4, 135)] {
            let (whole, bytes, longest) = images_over(bits, bad(chance), 50);
            let share = 100 * bytes / clean;
            println!("{size}x{size} at {chance} each: {whole} of 50, {share} % of the bytes, at most {longest:?}");
            assert_eq!(whole, 50);
            assert!(share <= most, "{share} %");
        }
        // 30 bytes of 10,000 are damaged.
        let (whole, bytes, longest) = images_over(bits, bad(1e-3), 20);
        println!(
            "{size}x{size} at 0.001 each: {whole} of 20, {} % of the bytes, at most {longest:?}",
            100 * bytes / clean
        );
        assert!(longest < Duration::from_secs(120), "{longest:?}");
    }
}
