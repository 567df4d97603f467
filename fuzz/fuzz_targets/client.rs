//! A hostile board against the host's client: any bytes and any answers, to the request in flight or to none, early and
//! late. No panic, every command ends, and an image that is called whole has the hash that the board said.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use nickeldime_core::generator::{Join, Noise};
use nickeldime_core::link::{
    Answer, DeviceError, FrameReader, Hello, Model, PROTOCOL_VERSION, Packet, Phase, Reply, Status, checksum, decode,
    encode,
};
use nickeldime_core::pack::NoiseKind;
use nickeldime_link::session::{Event, LatentNumbers, Session};
use sha2::{Digest, Sha256};

/// Commands that may follow one another in one session.
const COMMANDS: usize = 8;
/// Deadlines that may pass before a command ends when the board says nothing more.
const DEADLINES: usize = 20_000;

/// Bytes of the input, one after the other; zeros behind its end.
struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    fn byte(&mut self) -> u8 {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> &'i [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Small numbers mostly, and some of any size.
    fn number(&mut self) -> u32 {
        match self.byte() {
            255 => u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
            254 => 4096,
            small => small.into(),
        }
    }
}

/// The board's side: what the client asked last.
struct Heard {
    reader: FrameReader<Vec<u8>>,
    id: u32,
}

impl Heard {
    fn listen(&mut self, session: &mut Session) {
        while let Some(bytes) = session.outgoing() {
            for byte in bytes {
                if self.reader.push(byte)
                    && let Some(Packet::Request(request)) = decode(self.reader.payload())
                {
                    self.id = request.id;
                }
            }
        }
    }
}

fn model<'i>(input: &mut Input<'i>, sha256: [u8; 32]) -> Model<'i> {
    Model {
        name: core::str::from_utf8(input.take(3)).unwrap_or("model"),
        sha256,
        len: input.number(),
        resolution: input.number() as u16,
        channels: input.byte() % 5,
        z_dim: input.byte().into(),
        w_dim: input.byte().into(),
        noise: NoiseKind::Random,
    }
}

/// An answer of any kind.
fn answer<'a, 'i: 'a>(input: &mut Input<'i>, pack: &[u8], pixels: &'a mut Vec<u8>) -> Answer<'a> {
    let sha256 = if input.byte() < 200 { Sha256::digest(pack).into() } else { [7; 32] };
    match input.byte() % 14 {
        0 | 1 => {
            let protocol = if input.byte() < 240 { PROTOCOL_VERSION } else { input.byte().into() };
            let loaded = input.byte() < 200;
            Answer::Hello(Hello {
                protocol,
                pack_format: 4,
                board: "board",
                firmware: "0",
                storage: input.number(),
                free: input.number(),
                workspace: input.number(),
                chunk: input.number(),
                window: input.number(),
                latents: input.byte().into(),
                stored_latents: input.byte().into(),
                piece: input.byte().into(),
                tick_hz: input.byte().into(),
                counts_instructions: input.byte() < 128,
                restart: (input.byte() > 250).then_some("a panic"),
                trusted: input.take(8),
                model: loaded.then(|| model(input, sha256)),
            })
        }
        2 => Answer::Ready {
            offset: input.number(),
            chunk: input.number(),
            granule: input.number(),
            window: input.number(),
            unit: input.number(),
            sector: input.number(),
        },
        3 => Answer::Ack { offset: input.number() },
        4 => Answer::Committed { sha256 },
        5 => Answer::Aborted,
        6..=8 => {
            let (y, x) = (input.byte().into(), input.byte().into());
            pixels.resize(input.byte().into(), y as u8);
            Answer::Row { y, x, pixels }
        }
        9 => {
            // The hash of rows as they come from this board.
            let (rows, width) = (u16::from(input.byte()), usize::from(input.byte()));
            let image: Vec<u8> = (0..rows).flat_map(|y| std::iter::repeat_n(y as u8, width)).collect();
            Answer::Done { rows, sha256: Sha256::digest(image).into(), ticks: input.number().into() }
        }
        10 => Answer::Cancelled { rows: input.byte().into() },
        11 => Answer::Error(match input.byte() % 8 {
            0 => DeviceError::Busy,
            1 => DeviceError::WrongOffset { expected: input.number() },
            2 => DeviceError::WrongLength { granule: input.number() },
            3 => DeviceError::NoUpload,
            4 => DeviceError::WrongPiece { most: input.number() as u16 },
            5 => DeviceError::ModelChanged,
            6 => DeviceError::NoSample,
            _ => DeviceError::LatentDamaged,
        }),
        12 => {
            let from = input.number();
            let sum = checksum(pack.get(..usize::from(input.byte())).unwrap_or_default());
            pixels.extend(std::iter::repeat_n(sum.to_le_bytes(), usize::from(input.byte() % 8)).flatten());
            Answer::Survey { from, sums: pixels }
        }
        _ => Answer::Status(Status {
            phase: Phase::Idle,
            dropped: input.number(),
            model: (input.byte() < 128).then_some(sha256),
        }),
    }
}

fn begin(session: &mut Session, input: &mut Input<'_>, pack: &[u8]) {
    match input.byte() % 6 {
        0 => session.hello(),
        1 => session.upload(pack.to_vec()),
        2 => session.erase(),
        3 => session.sample(LatentNumbers::Pair([1, 2], Join::Cut(1)), 16384, Noise::Const),
        4 => session.sample(LatentNumbers::Layers(vec![1; usize::from(input.byte())]), 16384, Noise::Random(3)),
        _ => session.sample(LatentNumbers::Seed(5), 8192, Noise::Const),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let pack: Vec<u8> = (0..400 + 4 * u32::from(input.byte())).map(|at| (at * 7) as u8).collect();
    let mut session = Session::new(input.number());
    let mut heard = Heard { reader: FrameReader::new(vec![0; 8192]), id: 0 };
    let mut now = Duration::from_secs(1);
    let mut frame = vec![0; 4096];
    for _ in 0..COMMANDS {
        begin(&mut session, &mut input, &pack);
        while session.is_busy() && !input.0.is_empty() {
            heard.listen(&mut session);
            match input.byte() {
                0..=19 => {
                    let count = input.byte().into();
                    session.receive(now, input.take(count));
                }
                20..=49 => {
                    now += Duration::from_millis(input.number().into());
                    session.advance(now);
                }
                50..=69 => {
                    now = session.deadline().unwrap_or(now).max(now);
                    session.advance(now);
                }
                70..=74 => session.stop(),
                choice => {
                    let id = if choice < 80 { input.number() } else { heard.id };
                    let mut pixels = Vec::new();
                    let reply = Reply { id, answer: answer(&mut input, &pack, &mut pixels) };
                    let Ok(bytes) = encode(&Packet::Reply(reply), &mut frame) else { continue };
                    session.receive(now, bytes);
                }
            }
            while let Some(event) = session.event() {
                if let Event::Image(image) = event {
                    let hash: [u8; 32] = Sha256::digest(&image.pixels).into();
                    assert_eq!(hash, image.sha256, "an image is called whole and has another hash");
                }
            }
        }
        // The board says nothing more: every command ends by itself.
        for _ in 0..DEADLINES {
            let Some(deadline) = session.deadline() else { break };
            heard.listen(&mut session);
            now = deadline.max(now);
            session.advance(now);
        }
        assert!(!session.is_busy(), "a command does not end");
    }
});
