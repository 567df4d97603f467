//! Any requests in any order, whole, damaged, late and twice, with resets and lost power between and in the midst of them: no panic,
//! and the loaded model is always one that was committed, whole.

#![no_main]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use libfuzzer_sys::fuzz_target;
use nickeldime_core::device::{Buffers, Device, Engine, Facts, Identity, NoClock};
use nickeldime_core::generator::{GenerateError, Join, Noise, Sample};
use nickeldime_core::link::{Ask, LatentSource, Packet, Request, checksum, encode, upload_tag};
use nickeldime_core::pack::{Hashed, NoiseKind, PackError, Trust};
use nickeldime_core::storage::{FailingFlash, MappedFlash, RamFlash};
use sha2::{Digest, Sha256};

const SECTOR: usize = 64;
type Flash = FailingFlash<Vec<u8>, 4, SECTOR>;

/// What the board hears; it is heard by nobody.
#[derive(Clone, Default)]
struct Line(Rc<RefCell<VecDeque<u8>>>);

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.0.borrow().is_empty())
    }
}

impl Read for Line {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut line = self.0.borrow_mut();
        let count = buf.len().min(line.len());
        buf.iter_mut().zip(line.drain(..count)).for_each(|(place, byte)| *place = byte);
        Ok(count)
    }
}

impl Write for Line {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// A pack is "P" and anything; its image has four rows of eight pixels.
#[derive(Clone, Copy)]
struct Simple;

impl Engine for Simple {
    fn open(&self, pack: Hashed<'_>) -> Result<Facts, PackError> {
        let pack = pack.bytes();
        let [b'P', ..] = pack else { return Err(PackError::NotAPack) };
        let (name, noise) = (heapless::String::new(), NoiseKind::None);
        let workspace_len = usize::from(pack.len() > 400);
        Ok(Facts { name, resolution: 8, channels: 3, z_dim: 3, w_dim: 2, num_ws: 2, noise, workspace_len })
    }

    fn generate(
        &self,
        pack: &[u8],
        _: &Sample<'_>,
        _: &mut [i32],
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        for y in 0..4 {
            if row(y, &[pack[0]; 24]).is_break() {
                return Err(GenerateError::Stopped);
            }
        }
        Ok(())
    }
}

/// Bytes of the input, one after the other; zeros behind its end.
struct Input<'i>(&'i [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        *first
    }

    fn place(&mut self) -> u32 {
        // Most are words, some are not.
        let byte = u32::from(self.byte());
        if byte < 240 { 4 * byte } else { byte | u32::from(self.byte()) << 24 }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let packs: Vec<Vec<u8>> = [(b'P', 300), (b'P', 260), (b'P', 401), (b'Q', 100)]
        .iter()
        .map(|&(first, len)| (0..len).map(|i: u32| if i == 0 { first } else { (i * len) as u8 }).collect())
        .collect();
    let hashes: Vec<[u8; 32]> = packs.iter().map(|pack| Sha256::digest(pack).into()).collect();
    let mut input = Input(bytes);
    let line = Line::default();
    let mut memory = (vec![0; 150], vec![0; 256], vec![0; 4], vec![0; 0]);
    let (receive, send, latents, workspace) = (&mut *memory.0, &mut *memory.1, &mut *memory.2, &mut *memory.3);
    let buffers = Buffers { receive, send, latents, workspace, window: 4 * usize::from(input.byte()) };
    let identity = Identity { board: "fuzz", firmware: "0", restart: None, trust: Trust::ANYBODY };
    let flash = Flash::new(RamFlash::erased(vec![0; 20 * SECTOR]));
    let mut device = Device::new(identity, line.clone(), flash, NoClock, Simple, buffers);
    let mut frame = vec![0; 1024];
    let mut id = 0;
    while !input.0.is_empty() {
        let choice = input.byte();
        let which = usize::from(choice >> 6);
        let (pack, sha256) = (&packs[which], hashes[which]);
        let upload = upload_tag(&sha256);
        id += 1;
        let ask = match choice & 15 {
            0 => Ask::UploadBegin { len: pack.len() as u32, sha256 },
            1 => Ask::UploadRange { upload, after: input.place(), offset: input.place(), end: pack.len() as u32 },
            2 => Ask::UploadRange { upload, after: input.place(), offset: input.place(), end: input.place() },
            3 | 4 => {
                let offset = input.place();
                let from = pack.len().min(offset as usize);
                let end = pack.len().min(from + input.byte() as usize);
                Ask::UploadChunk { upload, offset, data: &pack[from..end] }
            }
            5 => Ask::UploadCommit { sha256 },
            6 => Ask::UploadSurvey { upload, from: input.place() },
            7 => Ask::Sample {
                latent: LatentSource::Pair { seeds: [1, 2], join: Join::Cut(1) },
                psi: 1,
                noise: Noise::None,
                piece: input.byte().into(),
            },
            8 => Ask::Sample {
                latent: LatentSource::W(&pack[..usize::from(input.byte() % 20)]),
                psi: 1,
                noise: Noise::Const,
                piece: 0,
            },
            9 => match input.byte() % 5 {
                0 => Ask::Status,
                1 => Ask::Cancel,
                2 => Ask::UploadAbort,
                3 => Ask::Erase,
                _ => Ask::Hello { protocol: 3 },
            },
            10 => Ask::UploadBegin { len: input.place(), sha256 },
            11 => {
                let at = usize::from(input.byte()).min(input.0.len());
                let (raw, rest) = input.0.split_at(at);
                input.0 = rest;
                line.0.borrow_mut().extend(raw);
                if choice & 16 == 0 {
                    // A whole frame of any message: its sum is right.
                    line.0.borrow_mut().extend([0]);
                    line.0.borrow_mut().extend(framed(raw));
                }
                device.poll();
                continue;
            }
            12 => {
                // Power is lost at one of the next operations; here, or in a request to come.
                device.flash_mut().lose_power_at(1 + u32::from(input.byte()), id);
                continue;
            }
            13 => {
                let (serial, mut flash, clock, buffers) = device.into_parts();
                flash.restore();
                serial.0.borrow_mut().clear();
                device = Device::new(identity, serial, flash, clock, Simple, buffers);
                continue;
            }
            14 => match input.byte() % 3 {
                0 => Ask::StoreLatent {
                    first: u16::from(input.byte()) % 6,
                    numbers: &pack[..usize::from(input.byte() % 20)],
                },
                1 => Ask::Sample {
                    latent: LatentSource::Layers { checksum: checksum(&pack[..16]) },
                    psi: 1,
                    noise: Noise::None,
                    piece: 0,
                },
                _ => Ask::Pieces {
                    sample: id - id.min(u32::from(input.byte() % 4)),
                    model: sha256,
                    piece: input.byte().into(),
                    first: input.place(),
                    wanted: &pack[..usize::from(input.byte()).min(100)],
                },
            },
            _ => {
                device.poll();
                continue;
            }
        };
        let asked = encode(&Packet::Request(Request { id, ask }), &mut frame).expect("fits");
        line.0.borrow_mut().extend(asked);
        // Some wait, so that the next comes while this one is answered.
        if choice & 32 == 0 {
            device.poll();
        }
        if let Some(loaded) = device.loaded() {
            let which = hashes.iter().position(|hash| *hash == loaded).expect("one that was sent");
            assert!(which < 2, "no pack, or one that is too large, is loaded");
            let pack = &packs[which];
            assert!(device.flash().bytes().windows(pack.len()).any(|there| there == pack), "and it is whole");
        }
    }
});

/// Any bytes as a message.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![1];
    let mut code = 0;
    for byte in message.iter().copied().chain(checksum(message).to_le_bytes()) {
        if byte != 0 {
            frame.push(byte);
        }
        if byte == 0 || frame.len() - code == 255 {
            frame[code] = (frame.len() - code) as u8;
            code = frame.len();
            frame.push(1);
        }
    }
    frame[code] = (frame.len() - code) as u8;
    frame.push(0);
    frame
}
