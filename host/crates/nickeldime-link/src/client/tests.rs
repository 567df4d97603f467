//! The client against boards that say what no board says.

use std::collections::VecDeque;
use std::io;

use nickeldime_core::generator::{Latent, Noise};
use nickeldime_core::link::{Answer, Ask, FrameReader, Hello, Model, PROTOCOL_VERSION, Packet, Reply, decode, encode};
use nickeldime_core::pack::NoiseKind;

use super::*;
use crate::wire::Wire;

/// A board that says hello and then, to every sample, the same things.
struct Fake {
    reader: FrameReader<Vec<u8>>,
    to_host: VecDeque<u8>,
    model: Model<'static>,
    rows: Vec<(u16, u16, Vec<u8>)>,
    samples: u32,
    /// Appended to the hello.
    more: &'static [u8],
    /// Says the hello of protocol 2 in place of its own.
    second: bool,
}

const HONEST: Model<'static> = Model {
    name: "m",
    sha256: [1; 32],
    len: 9,
    resolution: 8,
    channels: 3,
    z_dim: 4,
    w_dim: 4,
    noise: NoiseKind::None,
};

fn fake(resolution: u16, rows: &[(u16, u16, usize)]) -> Fake {
    let rows = rows.iter().map(|&(y, x, len)| (y, x, vec![7; len])).collect();
    let model = Model { resolution, ..HONEST };
    let reader = FrameReader::new(vec![0; 8192]);
    Fake { reader, to_host: VecDeque::new(), model, rows, samples: 0, more: &[], second: false }
}

impl Fake {
    fn say(&mut self, id: u32, answer: Answer<'_>) {
        let mut buf = vec![0; 8192];
        let mut message = postcard::to_slice(&Packet::Reply(Reply { id, answer }), &mut buf).expect("fits").to_vec();
        if matches!(answer, Answer::Hello(_)) {
            message.extend(self.more);
        }
        self.frame(message);
    }

    fn frame(&mut self, mut message: Vec<u8>) {
        // COBS of the message and its CRC-32, bit by bit.
        let crc = !message.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
        });
        message.extend(crc.to_le_bytes());
        let mut block = Vec::new();
        let mut full = false;
        for byte in message.into_iter().chain([0]) {
            if byte != 0 {
                block.push(byte);
            }
            full = block.len() == 254;
            if byte == 0 || full {
                self.to_host.push_back(block.len() as u8 + 1);
                self.to_host.extend(block.drain(..));
            }
        }
        assert!(!full, "ends with a zero");
        self.to_host.push_back(0);
    }

    fn answer(&mut self, id: u32, ask: Ask<'_>) {
        match ask {
            Ask::Hello { .. } if self.second => {
                // A reply (1) that is a hello (0), with the fields of that version.
                let fields = ((2_u16, 3_u16, "qemu-m4", "0.1.0"), [4_000_000_u32; 4], 64_u16, 1000_u32, None::<&str>);
                let mut buf = [0; 128];
                let message = postcard::to_slice(&(1_u32, id, 0_u32, fields), &mut buf).expect("fits").to_vec();
                self.frame(message);
            }
            Ask::Hello { .. } => self.say(
                id,
                Answer::Hello(Hello {
                    protocol: PROTOCOL_VERSION,
                    pack_format: 1,
                    board: "fake\x1b[2J",
                    firmware: "1\n",
                    storage: 100,
                    free: 100,
                    workspace: 100,
                    chunk: 64,
                    window: 100,
                    latents: 4,
                    stored_latents: 4,
                    piece: 240,
                    tick_hz: 0,
                    counts_instructions: false,
                    restart: None,
                    trusted: &[],
                    model: Some(self.model),
                }),
            ),
            Ask::Sample { .. } | Ask::Pieces { .. } => {
                self.samples += 1;
                for (y, x, rgb) in self.rows.clone() {
                    self.say(id, Answer::Row { y, x, pixels: &rgb });
                }
                self.say(id, Answer::Done { rows: 8, sha256: [0; 32], ticks: 0 });
            }
            _ => self.say(id, Answer::Cancelled { rows: 0 }),
        }
    }
}

impl Wire for Fake {
    fn send(&mut self, bytes: &[u8], _: Duration) -> io::Result<()> {
        for &byte in bytes {
            if self.reader.push(byte) {
                let message = self.reader.payload().to_vec();
                let Some(Packet::Request(request)) = decode(&message) else { panic!("no request: {message:?}") };
                self.answer(request.id, request.ask);
            }
        }
        Ok(())
    }

    fn receive(&mut self, buf: &mut [u8], within: Duration) -> io::Result<usize> {
        if self.to_host.is_empty() {
            std::thread::sleep(within.min(Duration::from_millis(10)));
        }
        let n = buf.len().min(self.to_host.len());
        for (place, byte) in buf.iter_mut().zip(self.to_host.drain(..n)) {
            *place = byte;
        }
        Ok(n)
    }
}

fn open(fake: Fake) -> Result<Client, PortError> {
    Client::over(Box::new(fake), "fake", Duration::from_secs(2))
}

const SEED: Sample<'static> = Sample { latent: Latent::Seed(1), psi: 0, noise: Noise::None };

#[test]
fn an_image_size_that_no_model_has_is_refused_with_the_hello() {
    for resolution in [0, 1, 4, 9, 96, 2048, 32768, u16::MAX] {
        let error = open(fake(resolution, &[])).expect_err("refused").to_string();
        assert!(error.contains(&format!("{resolution}x{resolution}")), "{error}");
    }
    for resolution in [8, 256, 1024] {
        open(fake(resolution, &[])).expect("a size that models have");
    }
}

#[test]
fn a_hello_of_the_same_version_with_more_in_it_is_not_called_old() {
    let mut longer = fake(8, &[]);
    longer.more = &[1, 2];
    let error = open(longer).expect_err("refused");
    assert!(matches!(error.link(), Some(LinkError::OddHello { .. })), "{error}");
}

#[test]
fn a_board_of_protocol_2_is_met_with_a_sentence() {
    let mut old = fake(8, &[]);
    old.second = true;
    let error = open(old).expect_err("refused");
    assert_eq!(error.link(), Some(&LinkError::WrongProtocol { device: 2 }));
    let said = error.to_string();
    assert!(said.contains("protocol version 2, this program 3") && said.contains("firmware"), "{said}");
}

#[test]
fn rows_that_are_none_are_asked_for_again_and_then_given_up() {
    let whole: Vec<_> = (0..8).map(|y| (y, 0, 24)).collect();
    let then = |row| whole.iter().copied().chain([row]).collect::<Vec<_>>();
    for rows in [
        vec![],
        vec![(0, 0, 0)],
        vec![(0, 8, 0)],
        vec![(0, 0, 25)],
        vec![(0, 0, 4000)],
        vec![(0, 0, 12), (0, 4, 13)],
        vec![(0, 9, 3)],
        vec![(8, 0, 24)],
        vec![(u16::MAX, u16::MAX, 24)],
        vec![(0, u16::MAX, 1)],
        vec![(0, 0, 24), (0, 8, 24)],
        vec![(1, 0, 24)],
        whole.clone(),
        then((8, 0, 24)),
        then((7, 8, 0)),
    ] {
        let mut client = open(fake(8, &rows)).expect("says hello");
        let started = Instant::now();
        let image = client.sample(&SEED, &mut |_, _| ControlFlow::Continue(()));
        let damaged = image.as_ref().err().and_then(PortError::link);
        assert!(matches!(damaged, Some(LinkError::Damaged { .. })), "{rows:?}: {image:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{rows:?}");
    }
}

#[test]
fn a_latent_that_the_board_has_no_room_for_is_not_sent() {
    let mut client = open(fake(8, &[])).expect("says hello");
    let sample = Sample { latent: Latent::W(&[0; 5]), ..SEED };
    let error = client.sample(&sample, &mut |_, _| ControlFlow::Continue(())).expect_err("refused").to_string();
    assert!(error.contains("5 numbers") && error.contains("room for 4"), "{error}");
}

#[test]
fn text_from_the_line_cannot_move_a_cursor() {
    let client = open(fake(8, &[])).expect("says hello");
    let board = client.board();
    assert_eq!((&board.board[..], &board.firmware[..]), ("fake\u{fffd}[2J", "1\u{fffd}"));
}

/// A line on which something never ends.
struct Flood(Vec<u8>);

impl Wire for Flood {
    fn send(&mut self, _: &[u8], _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, buf: &mut [u8], _: Duration) -> io::Result<usize> {
        let n = buf.len() / self.0.len() * self.0.len();
        buf[..n].chunks_exact_mut(self.0.len()).for_each(|piece| piece.copy_from_slice(&self.0));
        Ok(n)
    }
}

#[test]
fn a_flood_has_an_end() {
    let mut buf = [0; 64];
    let foreign = Packet::Reply(Reply { id: 0, answer: Answer::Aborted });
    let foreign = encode(&foreign, &mut buf).expect("fits").to_vec();
    for flood in [foreign, b"$GPGGA\r\n".to_vec(), vec![0]] {
        let started = Instant::now();
        let opened = Client::over(Box::new(Flood(flood)), "flood", Duration::from_secs(1));
        let refused = opened.as_ref().err().and_then(PortError::link);
        assert!(matches!(refused, Some(LinkError::Silent | LinkError::NotOurs { .. })), "{opened:?}");
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}
