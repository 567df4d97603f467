//! The device on a line and a flash in memory, with a simple engine in the generator's place.

extern crate std;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::hash::sha256 as sha;
use crate::link::message::{LatentSource, Packet, Reply, Request};
use crate::link::{FrameReader, checksum, encode, upload_tag};
use crate::pack::{Hashed, NoiseKind, PackError, Trust};
use crate::sample::{Join, Noise};
use crate::storage::RamFlash;

const SECTOR: usize = 64;

type Flash = RamFlash<Vec<u8>, 4, SECTOR>;

/// Both directions of a line.
#[derive(Default)]
struct Wires {
    to_device: VecDeque<u8>,
    to_host: Vec<u8>,
    /// Arrives while the device sends its n-th reply from now.
    meanwhile: Option<(usize, Vec<u8>)>,
}

#[derive(Clone, Default)]
struct Loop(Rc<RefCell<Wires>>);

impl embedded_io::ErrorType for Loop {
    type Error = embedded_io::ErrorKind;
}

impl ReadReady for Loop {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(!self.0.borrow().to_device.is_empty())
    }
}

impl Read for Loop {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let mut wires = self.0.borrow_mut();
        let n = buf.len().min(wires.to_device.len());
        for (place, byte) in buf.iter_mut().zip(wires.to_device.drain(..n)) {
            *place = byte;
        }
        Ok(n)
    }
}

impl Write for Loop {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        self.0.borrow_mut().to_host.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        let mut wires = self.0.borrow_mut();
        if let Some((replies, bytes)) = wires.meanwhile.take() {
            if replies == 0 {
                wires.to_device.extend(bytes);
            } else {
                wires.meanwhile = Some((replies - 1, bytes));
            }
        }
        Ok(())
    }
}

/// Bytes in a row: too many for one piece in the buffer below.
const ROW: usize = 3 * 96;

/// A pack here is "P", workspace in words (u16), and anything; its image has 8 rows of 96 pixels.
#[derive(Clone, Copy)]
struct Simple;

impl Engine for Simple {
    fn open(&self, pack: Hashed<'_>) -> Result<Facts, PackError> {
        match pack.bytes() {
            [b'P', low, high, ..] => Ok(Facts {
                name: heapless::String::try_from("simple").expect("short"),
                resolution: 96,
                channels: 3,
                z_dim: 5,
                w_dim: 4,
                num_ws: 3,
                noise: NoiseKind::None,
                workspace_len: usize::from(u16::from_le_bytes([*low, *high])),
            }),
            _ => Err(PackError::Truncated),
        }
    }

    fn generate(
        &self,
        pack: &[u8],
        sample: &Sample<'_>,
        _: &mut [i32],
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        if sample.noise == Noise::Const {
            return Err(GenerateError::NoConstNoise);
        }
        for y in 0..8 {
            if row(y, &row_of(pack, sample, y)).is_break() {
                return Err(GenerateError::Stopped);
            }
        }
        Ok(())
    }
}

fn row_of(pack: &[u8], sample: &Sample<'_>, y: usize) -> [u8; ROW] {
    let latent: i64 = match sample.latent {
        Latent::Seed(seed) => seed as i64,
        Latent::Z(z) => z.iter().zip(1..).map(|(v, i)| i64::from(*v) * i).sum(),
        Latent::W(w) => w.iter().zip(1..).map(|(v, i)| i64::from(*v) * i).sum(),
        Latent::Layers(ws) => ws.iter().zip(7..).map(|(v, i)| i64::from(*v) * i).sum(),
        Latent::Pair { seeds: [first, second], join } => {
            let join = match join {
                Join::Cut(cut) => i64::from(cut),
                Join::Weight(weight) => 1000 + i64::from(weight),
            };
            3 * first as i64 + 5 * second as i64 + join
        }
    };
    let mut row = [0; ROW];
    for (x, byte) in row.iter_mut().enumerate() {
        *byte = pack[(x * y) % pack.len()] ^ (latent as u8) ^ (latent >> 8) as u8 ^ y as u8;
    }
    row
}

const IDENTITY: Identity = Identity { board: "test", firmware: "0", restart: None, trust: Trust::ANYBODY };

struct Bench {
    wires: Loop,
    device: Device<'static, Loop, Flash, NoClock, Simple>,
    reader: FrameReader<Vec<u8>>,
    next_id: u32,
}

/// An answer, owned.
#[derive(Debug, PartialEq)]
enum Told {
    Hello { model: Option<Sha256Hash>, chunk: u32 },
    Row(u16, u16, Vec<u8>),
    Survey(u32, Vec<u8>),
    Plain(Answer<'static>),
}

impl Bench {
    fn new(flash: Flash) -> Self {
        let buffers = Buffers {
            receive: vec![0; 256].leak(),
            send: vec![0; 256].leak(),
            latents: vec![0; 12].leak(),
            workspace: vec![0; 100].leak(),
            window: 1024,
        };
        let wires = Loop::default();
        let device = Device::new(IDENTITY, wires.clone(), flash, NoClock, Simple, buffers);
        Self { wires, device, reader: FrameReader::new(vec![0; 512]), next_id: 1 }
    }

    /// The same board with this flash.
    fn with_flash(self, flash: Flash) -> Self {
        let (serial, _, clock, buffers) = self.device.into_parts();
        let device = Device::new(IDENTITY, serial, flash, clock, Simple, buffers);
        Self { device, ..self }
    }

    fn reset(self) -> Self {
        let (serial, flash, clock, buffers) = self.device.into_parts();
        let device = Device::new(IDENTITY, serial, flash, clock, Simple, buffers);
        Self { device, ..self }
    }

    fn empty() -> Self {
        Self::new(RamFlash::erased(vec![0; 32 * SECTOR]))
    }

    fn with_model(bytes: &[u8]) -> Self {
        let mut bench = Self::empty();
        bench.upload(bytes);
        bench
    }

    fn frame(id: u32, ask: Ask<'_>) -> Vec<u8> {
        let mut buf = [0; 1024];
        encode(&Packet::Request(Request { id, ask }), &mut buf).expect("fits").to_vec()
    }

    fn deliver(&mut self, bytes: &[u8]) -> Vec<(u32, Told)> {
        self.wires.0.borrow_mut().to_device.extend(bytes);
        self.device.poll();
        let sent = core::mem::take(&mut self.wires.0.borrow_mut().to_host);
        let mut told = Vec::new();
        for byte in sent {
            if !self.reader.push(byte) {
                continue;
            }
            let Ok(Packet::Reply(Reply { id, answer })) = postcard::from_bytes(self.reader.payload()) else {
                panic!("a device only replies");
            };
            told.push((
                id,
                match answer {
                    Answer::Hello(hello) => {
                        Told::Hello { model: hello.model.map(|model| model.sha256), chunk: hello.chunk }
                    }
                    Answer::Row { y, x, pixels } => Told::Row(y, x, pixels.to_vec()),
                    Answer::Stored { end } => Told::Plain(Answer::Stored { end }),
                    Answer::Status(status) => Told::Plain(Answer::Status(status)),
                    Answer::Survey { from, sums } => Told::Survey(from, sums.to_vec()),
                    Answer::Erased => Told::Plain(Answer::Erased),
                    Answer::Ready { offset, chunk, granule, window, unit, sector } => {
                        Told::Plain(Answer::Ready { offset, chunk, granule, window, unit, sector })
                    }
                    Answer::Ack { offset } => Told::Plain(Answer::Ack { offset }),
                    Answer::Committed { sha256 } => Told::Plain(Answer::Committed { sha256 }),
                    Answer::Aborted => Told::Plain(Answer::Aborted),
                    Answer::Done { rows, sha256, ticks } => Told::Plain(Answer::Done { rows, sha256, ticks }),
                    Answer::Cancelled { rows } => Told::Plain(Answer::Cancelled { rows }),
                    Answer::Error(error) => Told::Plain(Answer::Error(error)),
                },
            ));
        }
        assert_eq!(self.reader.dropped(), 0, "a device sends whole frames");
        told
    }

    fn ask(&mut self, ask: Ask<'_>) -> Vec<Told> {
        let id = self.next_id;
        self.next_id += 1;
        let told = self.deliver(&Self::frame(id, ask));
        assert!(told.iter().all(|(of, _)| *of == id));
        told.into_iter().map(|(_, told)| told).collect()
    }

    /// The only answer to a question that has one.
    fn one(&mut self, ask: Ask<'_>) -> Told {
        let mut told = self.ask(ask);
        assert_eq!(told.len(), 1);
        told.remove(0)
    }

    fn refused(&mut self, ask: Ask<'_>) -> DeviceError {
        match self.one(ask) {
            Told::Plain(Answer::Error(error)) => error,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn begin(&mut self, bytes: &[u8]) -> Told {
        self.one(Ask::UploadBegin { len: bytes.len() as u32, sha256: sha(bytes) })
    }

    fn upload(&mut self, bytes: &[u8]) {
        assert!(matches!(self.begin(bytes), Told::Plain(Answer::Ready { offset: 0, .. })));
        self.upload_rest(bytes, 0);
        self.commit(bytes);
    }

    fn upload_rest(&mut self, bytes: &[u8], from: usize) {
        self.upload_part(sha(bytes), bytes, from);
    }

    /// Bytes of an upload that was begun as the pack with this hash.
    fn upload_part(&mut self, sha256: Sha256Hash, bytes: &[u8], from: usize) {
        let upload = upload_tag(&sha256);
        let (at, end) = (from as u32, bytes.len() as u32);
        let run = Ask::UploadRange { upload, after: at, offset: at, end };
        assert_eq!(self.one(run), Told::Plain(Answer::Ack { offset: at }));
        for (i, data) in bytes[from..].chunks(128).enumerate() {
            let offset = (from + 128 * i) as u32;
            let end = offset + data.len() as u32;
            let chunk = Ask::UploadChunk { upload, offset, data };
            assert_eq!(self.one(chunk), Told::Plain(Answer::Ack { offset: end }));
        }
    }

    fn commit(&mut self, bytes: &[u8]) {
        let sha256 = sha(bytes);
        assert_eq!(self.one(Ask::UploadCommit { sha256 }), Told::Plain(Answer::Committed { sha256 }));
    }

    fn model(&mut self) -> Option<Sha256Hash> {
        match self.one(Ask::Hello { protocol: PROTOCOL_VERSION }) {
            Told::Hello { model, .. } => model,
            other => panic!("no hello: {other:?}"),
        }
    }

    /// Samples seed 7 and checks every byte of the image against `pack`.
    fn assert_serves(&mut self, pack: &[u8]) {
        assert_eq!(self.model(), Some(sha(pack)));
        let told = self.ask(sample(LatentSource::Seed(7)));
        assert_image(&told, pack, Latent::Seed(7));
    }
}

fn assert_image(told: &[Told], pack: &[u8], latent: Latent<'_>) {
    let wanted = Sample { latent, psi: 0, noise: Noise::None };
    let image: Vec<u8> = (0..8).flat_map(|y| row_of(pack, &wanted, y)).collect();
    let mut got = Vec::new();
    for told in &told[..told.len() - 1] {
        let Told::Row(y, x, rgb) = told else { panic!("{told:?} among rows") };
        assert_eq!(ROW * usize::from(*y) + 3 * usize::from(*x), got.len());
        got.extend_from_slice(rgb);
    }
    assert_eq!(got, image);
    let done = Answer::Done { rows: 8, sha256: sha(&image), ticks: 0 };
    assert_eq!(told.last(), Some(&Told::Plain(done)));
}

fn sample(latent: LatentSource<'_>) -> Ask<'_> {
    Ask::Sample { latent, psi: 1 << 14, noise: Noise::None, piece: 0 }
}

fn pack(workspace: u16, seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![b'P'];
    bytes.extend_from_slice(&workspace.to_le_bytes());
    bytes.extend((3..len).map(|i| (i as u8).wrapping_mul(29) ^ seed));
    bytes
}

#[test]
fn a_pack_is_uploaded_and_makes_images_also_after_a_restart() {
    let bytes = pack(100, 1, 601);
    let mut bench = Bench::empty();
    assert_eq!(bench.model(), None);
    assert_eq!(bench.refused(sample(LatentSource::Seed(1))), DeviceError::NoModel);
    bench.upload(&bytes);
    bench.assert_serves(&bytes);
    let mut bench = bench.reset();
    bench.assert_serves(&bytes);
}

#[test]
fn latents_from_the_host_arrive_as_they_are() {
    let bytes = pack(0, 1, 77);
    let mut bench = Bench::with_model(&bytes);
    let z = [1i16, -2, i16::MIN, i16::MAX, 5];
    let given: Vec<u8> = z.iter().flat_map(|v| v.to_le_bytes()).collect();
    let told = bench.ask(sample(LatentSource::Z(&given)));
    assert_image(&told, &bytes, Latent::Z(&z));
    assert_eq!(bench.refused(sample(LatentSource::Z(&given[..8]))), DeviceError::WrongLatent { given: 8, wanted: 10 });
    for join in [Join::Cut(200), Join::Weight(-5)] {
        let seeds = [u64::MAX, 2];
        let told = bench.ask(sample(LatentSource::Pair { seeds, join }));
        assert_image(&told, &bytes, Latent::Pair { seeds, join });
    }
    let w = [1i32, -2, i32::MIN, i32::MAX];
    let given: Vec<u8> = w.iter().flat_map(|v| v.to_le_bytes()).collect();
    let told = bench.ask(sample(LatentSource::W(&given)));
    assert_image(&told, &bytes, Latent::W(&w));
    assert_eq!(
        bench.refused(sample(LatentSource::W(&given[..15]))),
        DeviceError::WrongLatent { given: 15, wanted: 16 }
    );
}

#[test]
fn the_same_pack_is_not_sent_twice() {
    let bytes = pack(0, 1, 300);
    let mut bench = Bench::with_model(&bytes);
    assert_eq!(bench.begin(&bytes), Told::Plain(Answer::Committed { sha256: sha(&bytes) }));
    bench.commit(&bytes);
}

#[test]
fn what_is_not_a_pack_never_replaces_one() {
    let old = pack(0, 1, 500);
    let mut bench = Bench::with_model(&old);

    // Announced and sent differ.
    let new = pack(0, 2, 500);
    bench.begin(&new);
    bench.upload_part(sha(&new), &pack(0, 3, 500), 0);
    assert_eq!(bench.refused(Ask::UploadCommit { sha256: sha(&new) }), DeviceError::HashMismatch);
    bench.assert_serves(&old);

    // Sent as announced, but no pack.
    let junk = vec![9; 500];
    bench.begin(&junk);
    bench.upload_rest(&junk, 0);
    let refused = bench.refused(Ask::UploadCommit { sha256: sha(&junk) });
    assert_eq!(refused, DeviceError::BadPack(PackError::Truncated));
    bench.assert_serves(&old);

    // A pack that needs more RAM than there is.
    let hungry = pack(101, 2, 500);
    bench.begin(&hungry);
    bench.upload_rest(&hungry, 0);
    let refused = bench.refused(Ask::UploadCommit { sha256: sha(&hungry) });
    assert_eq!(refused, DeviceError::WorkspaceTooSmall { needed: 404, available: 400 });
    bench.assert_serves(&old);

    // One that fits nowhere.
    let refused = bench.refused(Ask::UploadBegin { len: 30 * 64 - 511, sha256: [0; 32] });
    assert_eq!(refused, DeviceError::TooLarge { len: 30 * 64 - 511, free: 30 * 64 - 512, storage: 30 * 64 });
    bench.assert_serves(&old);

    // After all that, a good one.
    bench.upload(&new);
    bench.assert_serves(&new);
}

#[test]
fn an_upload_abandoned_at_any_chunk_leaves_the_old_model() {
    let (old, new) = (pack(0, 1, 600), pack(0, 2, 700));
    for chunks in (0..=new.len().div_ceil(128)).step_by(if cfg!(miri) { 4 } else { 1 }) {
        let mut bench = Bench::with_model(&old);
        bench.begin(&new);
        let stored = new.len().min(128 * chunks);
        bench.upload_part(sha(&new), &new[..stored], 0);
        bench.assert_serves(&old);
        // The host comes back: it goes on where it was.
        let offset = stored as u32;
        let ready = Answer::Ready { offset, chunk: 192, granule: 4, window: 1024, unit: 64, sector: 64 };
        assert_eq!(bench.begin(&new), Told::Plain(ready));
        // Or the power goes: the old model is there, and the new one can be sent.
        let mut bench = bench.reset();
        bench.assert_serves(&old);
        bench.upload(&new);
        bench.assert_serves(&new);
    }
}

#[test]
fn a_survey_tells_what_a_reset_has_left() {
    let (old, new) = (pack(0, 1, 600), pack(0, 2, 700));
    let upload = upload_tag(&sha(&new));
    let mut bench = Bench::with_model(&old);
    assert_eq!(bench.refused(Ask::UploadSurvey { upload, from: 0 }), DeviceError::NoUpload);
    bench.begin(&new);
    bench.upload_part(sha(&new), &new[..384], 0);
    let mut bench = bench.reset();
    assert!(matches!(bench.begin(&new), Told::Plain(Answer::Ready { offset: 0, .. })));
    assert_eq!(bench.refused(Ask::UploadSurvey { upload: !upload, from: 0 }), DeviceError::NoUpload);
    assert_eq!(bench.refused(Ask::UploadSurvey { upload, from: 5 }), DeviceError::WrongLength { granule: 4 });
    let Told::Survey(64, sums) = bench.one(Ask::UploadSurvey { upload, from: 64 }) else { panic!("no survey") };
    let sums: Vec<u32> = sums.as_chunks().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect();
    assert_eq!(sums.len(), 10);
    for (index, (sum, unit)) in sums.iter().zip(new[64..].chunks(64)).enumerate() {
        assert_eq!(*sum == crate::link::checksum(unit), index < 5, "unit {index}");
    }
    // The rest, and not what is there.
    let run = Ask::UploadRange { upload, after: 0, offset: 384, end: 700 };
    assert_eq!(bench.one(run), Told::Plain(Answer::Ack { offset: 384 }));
    bench.upload_rest(&new, 384);
    bench.commit(&new);
    bench.assert_serves(&new);
}

#[test]
fn messages_of_another_upload_come_late_are_none_of_this_one() {
    let (old, new, other) = (pack(0, 1, 600), pack(0, 2, 300), pack(0, 3, 300));
    let mut bench = Bench::with_model(&old);
    bench.begin(&other);
    bench.upload_part(sha(&other), &other[..128], 0);
    bench.begin(&new);
    let upload = upload_tag(&sha(&other));
    let late = Ask::UploadRange { upload, after: 0, offset: 0, end: 300 };
    assert_eq!(bench.refused(late), DeviceError::NoUpload);
    bench.upload_part(sha(&new), &new[..128], 0);
    let late = Ask::UploadChunk { upload, offset: 128, data: &other[128..256] };
    assert_eq!(bench.refused(late), DeviceError::NoUpload);
    bench.upload_rest(&new, 128);
    bench.commit(&new);
    bench.assert_serves(&new);
}

#[test]
fn an_erased_device_has_no_model_and_takes_one() {
    let bytes = pack(0, 1, 300);
    let mut bench = Bench::with_model(&bytes);
    bench.begin(&pack(0, 2, 300));
    for _ in 0..2 {
        assert_eq!(bench.one(Ask::Erase), Told::Plain(Answer::Erased));
        assert_eq!(bench.model(), None);
    }
    assert_eq!(bench.refused(sample(LatentSource::Seed(1))), DeviceError::NoModel);
    assert_eq!(bench.refused(Ask::UploadCommit { sha256: sha(&bytes) }), DeviceError::NoUpload);
    bench.upload(&bytes);
    bench.assert_serves(&bytes);
}

#[test]
fn requests_out_of_order_are_refused_and_change_nothing() {
    let (old, new) = (pack(0, 1, 300), pack(0, 2, 300));
    let mut bench = Bench::with_model(&old);
    let upload = upload_tag(&sha(&new));
    assert_eq!(bench.refused(Ask::UploadChunk { upload, offset: 0, data: &new[..64] }), DeviceError::NoUpload);
    assert_eq!(bench.refused(Ask::UploadCommit { sha256: sha(&new) }), DeviceError::NoUpload);
    assert_eq!(bench.one(Ask::UploadAbort), Told::Plain(Answer::Aborted));
    bench.begin(&new);
    let run = |bench: &mut Bench| {
        let run = bench.one(Ask::UploadRange { upload, after: 0, offset: 0, end: 300 });
        assert_eq!(run, Told::Plain(Answer::Ack { offset: 0 }));
    };
    run(&mut bench);
    let refused = bench.refused(Ask::UploadChunk { upload, offset: 64, data: &new[64..128] });
    assert_eq!(refused, DeviceError::WrongOffset { expected: 0 });
    run(&mut bench);
    let refused = bench.refused(Ask::UploadChunk { upload, offset: 0, data: &new[..63] });
    assert_eq!(refused, DeviceError::WrongLength { granule: 4 });
    let refused = bench.refused(Ask::UploadCommit { sha256: sha(&new) });
    assert_eq!(refused, DeviceError::Incomplete { received: 0, len: 300 });
    // Every chunk twice, as a host does that lost the replies.
    for (i, data) in new.chunks(128).enumerate() {
        let offset = 128 * i as u32;
        let end = Told::Plain(Answer::Ack { offset: offset + data.len() as u32 });
        assert_eq!(bench.one(Ask::UploadChunk { upload, offset, data }), end);
        assert_eq!(bench.one(Ask::UploadChunk { upload, offset, data }), end);
    }
    // A sample in the middle of an upload comes from the old model.
    bench.assert_serves(&old);
    bench.commit(&new);
    bench.commit(&new);
    bench.assert_serves(&new);
    bench.begin(&old);
    assert_eq!(bench.one(Ask::UploadAbort), Told::Plain(Answer::Aborted));
    let upload = upload_tag(&sha(&old));
    assert_eq!(bench.refused(Ask::UploadChunk { upload, offset: 0, data: &old[..64] }), DeviceError::NoUpload);
    bench.assert_serves(&new);
}

#[test]
fn a_cancel_in_mid_image_is_answered_before_the_next_piece() {
    let bytes = pack(0, 1, 99);
    for replies in (0..16).step_by(if cfg!(miri) { 7 } else { 1 }) {
        let mut bench = Bench::with_model(&bytes);
        bench.wires.0.borrow_mut().meanwhile = Some((replies, Bench::frame(900, Ask::Cancel)));
        let told = bench.deliver(&Bench::frame(800, sample(LatentSource::Seed(1))));
        let rows = told.iter().filter(|(id, told)| *id == 800 && matches!(told, Told::Row(..))).count();
        // Two pieces a row; the cancel arrives with piece `replies`, and is seen before the next one.
        let whole = replies.div_ceil(2);
        let tail = &told[rows..];
        assert_eq!(rows, replies + 1);
        if rows < 16 {
            let stopped = Answer::Error(DeviceError::Stopped { rows: whole as u16 });
            let cancelled = Answer::Cancelled { rows: whole as u16 };
            assert_eq!(tail, [(800, Told::Plain(stopped)), (900, Told::Plain(cancelled))]);
        } else {
            // After the last piece there is nothing left to stop.
            assert!(matches!(tail[0], (800, Told::Plain(Answer::Done { rows: 8, .. }))));
            assert_eq!(tail[1], (900, Told::Plain(Answer::Cancelled { rows: 0 })));
        }
        bench.assert_serves(&bytes);
    }
}

#[test]
fn while_an_image_is_made_the_rest_waits_and_a_hello_stops_it() {
    let bytes = pack(0, 1, 99);
    let mut bench = Bench::with_model(&bytes);
    let mut meanwhile = Bench::frame(900, Ask::Status);
    meanwhile.extend(Bench::frame(901, Ask::UploadAbort));
    meanwhile.extend(Bench::frame(800, sample(LatentSource::Seed(1))));
    meanwhile.extend([1, 2, 3, 0]);
    meanwhile.extend(Bench::frame(902, Ask::Hello { protocol: 9 }));
    bench.wires.0.borrow_mut().meanwhile = Some((3, meanwhile));
    let told = bench.deliver(&Bench::frame(800, sample(LatentSource::Seed(1))));
    let tail = &told[4..];
    let (phase, model) = (Phase::Sampling, Some(sha(&bytes)));
    assert_eq!(tail[0], (900, Told::Plain(Answer::Status(Status { phase, dropped: 0, model }))));
    assert_eq!(tail[1], (901, Told::Plain(Answer::Error(DeviceError::Busy))));
    assert_eq!(tail[2], (800, Told::Plain(Answer::Error(DeviceError::Stopped { rows: 2 }))));
    assert!(matches!(tail[3], (902, Told::Hello { .. })), "whatever the version");
    assert_eq!(tail.len(), 4);
    bench.assert_serves(&bytes);
}

#[test]
fn what_the_generator_refuses_is_passed_on() {
    let mut bench = Bench::with_model(&pack(0, 1, 99));
    let refused = bench.refused(Ask::Sample { latent: LatentSource::Seed(1), psi: 0, noise: Noise::Const, piece: 0 });
    assert_eq!(refused, DeviceError::NotGenerated(GenerateError::NoConstNoise));
}

#[test]
fn its_own_echo_and_unknown_requests_do_no_harm() {
    let bytes = pack(0, 1, 99);
    let mut bench = Bench::with_model(&bytes);
    let mut buf = [0; 128];
    let echo = Packet::Reply(Reply { id: 5, answer: Answer::Cancelled { rows: 0 } });
    let echo = encode(&echo, &mut buf).expect("fits").to_vec();
    assert!(bench.deliver(&echo).is_empty(), "an echo is not answered");
    // A request of a later version: direction 0, id 77, variant 200.
    let mut later = vec![0, 77, 200, 1, 2, 3];
    later.extend_from_slice(&crate::link::checksum(&later).to_le_bytes());
    let mut frame = vec![0; 32];
    let n = cobs::encode(&later, &mut frame);
    frame.truncate(n + 1);
    assert_eq!(bench.deliver(&frame), [(77, Told::Plain(Answer::Error(DeviceError::UnknownRequest)))]);
    // A hello of a later version, longer than this one's, is answered; a known request with more behind it is not known.
    let raw = |message: &[u8]| {
        let mut message = message.to_vec();
        message.extend_from_slice(&crate::link::checksum(&message).to_le_bytes());
        let mut frame = vec![0; 32];
        let n = cobs::encode(&message, &mut frame);
        frame.truncate(n + 1);
        frame
    };
    assert!(matches!(bench.deliver(&raw(&[0, 78, 0, 9, 1, 2, 3]))[..], [(78, Told::Hello { .. })]));
    let unknown = [(79, Told::Plain(Answer::Error(DeviceError::UnknownRequest)))];
    assert_eq!(bench.deliver(&raw(&[0, 79, 7, 0])), unknown);
    bench.assert_serves(&bytes);
}

#[test]
fn any_order_of_any_requests_leaves_a_working_device() {
    let packs = [pack(0, 1, 300), pack(0, 2, 260), vec![7; 100]];
    let mut seed = 3u32;
    let mut random = move |n: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % n
    };
    let mut bench = Bench::with_model(&packs[0]);
    let mut loaded = sha(&packs[0]);
    for step in 0..if cfg!(miri) { 40 } else { 30_000 } {
        let bytes = &packs[random(3) as usize];
        let from = (64 * random(5) as usize).min(bytes.len());
        let data = &bytes[from..bytes.len().min(from + 64 * (1 + random(2) as usize))];
        let upload = upload_tag(&sha(bytes));
        let (at, end) = (from as u32, (from + data.len()) as u32);
        let ask = match random(11) {
            0 => Ask::UploadBegin { len: bytes.len() as u32, sha256: sha(bytes) },
            1..5 => Ask::UploadChunk { upload, offset: at, data },
            9 => Ask::UploadRange { upload, after: 64 * random(3), offset: at, end: bytes.len() as u32 },
            10 => Ask::UploadRange { upload, after: at, offset: at, end },
            5 => Ask::UploadCommit { sha256: sha(bytes) },
            6 if random(10) == 0 => Ask::UploadAbort,
            6 => Ask::Cancel,
            7 => sample(LatentSource::Seed(1)),
            _ => Ask::Status,
        };
        let mut frame = Bench::frame(step, ask);
        // Some are damaged on the way, some arrive twice.
        match random(8) {
            0 => {
                let at = random(frame.len() as u32) as usize;
                frame[at] ^= 1 << random(8);
                frame.push(0);
            }
            1 => frame.extend_from_within(..),
            _ => {}
        }
        for (_, told) in bench.deliver(&frame) {
            if let Told::Plain(Answer::Committed { sha256 }) = told {
                assert!(sha256 != sha(&packs[2]), "no pack, never committed");
                loaded = sha256;
            }
        }
        if random(50) == 0 {
            bench = bench.reset();
        }
        if step % 16 == 0 {
            assert_eq!(bench.model(), Some(loaded));
        }
    }
    let serving = packs.iter().find(|bytes| sha(bytes) == loaded).expect("one of the two").clone();
    bench.assert_serves(&serving);
}

/// What a device is meant to be, in as few words as there are for it.
#[derive(Clone, Copy)]
struct Meant {
    /// Which of the packs is loaded.
    loaded: Option<usize>,
    /// Which is on its way, how much of it is there, and whether its run is announced.
    upload: Option<(usize, u32, bool)>,
}

/// The alphabet of the check below.
#[derive(Clone, Copy, Debug)]
enum Word {
    Begin(usize),
    Run,
    Chunk(u32),
    Commit,
    Erase,
    Reset,
}

const WORDS: [Word; 8] = [
    Word::Begin(0),
    Word::Begin(1),
    Word::Run,
    Word::Chunk(0),
    Word::Chunk(64),
    Word::Commit,
    Word::Erase,
    Word::Reset,
];
const LEN: u32 = 100;

impl Meant {
    /// What follows, and what is answered. Run, chunk and commit are those of pack 1.
    fn after(mut self, word: Word, packs: &[Vec<u8>; 2]) -> (Self, Option<Answer<'static>>) {
        let error = |error| Some(Answer::Error(error));
        let answer = match word {
            Word::Begin(which) if self.loaded == Some(which) => Some(Answer::Committed { sha256: sha(&packs[which]) }),
            Word::Begin(which) => {
                let known = self.upload.filter(|upload| upload.0 == which);
                let upload = known.unwrap_or((which, 0, false));
                self.upload = Some(upload);
                Some(Answer::Ready { offset: upload.1, chunk: 192, granule: 4, window: 1024, unit: 64, sector: 64 })
            }
            Word::Reset => {
                self.upload = None;
                None
            }
            Word::Erase => {
                self = Self { loaded: None, upload: None };
                Some(Answer::Erased)
            }
            Word::Commit => match self.upload {
                Some((1, LEN, _)) => {
                    self = Self { loaded: Some(1), upload: None };
                    Some(Answer::Committed { sha256: sha(&packs[1]) })
                }
                Some((1, received, _)) => error(DeviceError::Incomplete { received, len: LEN }),
                _ if self.loaded == Some(1) => Some(Answer::Committed { sha256: sha(&packs[1]) }),
                _ => error(DeviceError::NoUpload),
            },
            Word::Run | Word::Chunk(_) => match (&mut self.upload, word) {
                (Some((1, received, announced)), Word::Run) => {
                    *announced = true;
                    Some(Answer::Ack { offset: *received })
                }
                (Some((1, received, announced)), Word::Chunk(offset)) => {
                    let end = if offset == 0 { 64 } else { LEN };
                    if *received == offset && *announced {
                        *received = end;
                    }
                    match *received >= end {
                        true => Some(Answer::Ack { offset: *received }),
                        false => error(DeviceError::WrongOffset { expected: *received }),
                    }
                }
                _ => error(DeviceError::NoUpload),
            },
        };
        (self, answer)
    }
}

#[test]
fn every_sequence_of_six_messages_is_answered_as_it_is_meant() {
    let packs = [pack(0, 1, 130), pack(0, 2, LEN as usize)];
    let sha256 = sha(&packs[1]);
    let upload = upload_tag(&sha256);
    let frames = WORDS.map(|word| {
        let ask = match word {
            Word::Begin(which) => Ask::UploadBegin { len: packs[which].len() as u32, sha256: sha(&packs[which]) },
            Word::Run => Ask::UploadRange { upload, after: 0, offset: 0, end: LEN },
            Word::Chunk(0) => Ask::UploadChunk { upload, offset: 0, data: &packs[1][..64] },
            Word::Chunk(offset) => Ask::UploadChunk { upload, offset, data: &packs[1][64..] },
            Word::Commit => Ask::UploadCommit { sha256 },
            Word::Erase | Word::Reset => Ask::Erase,
        };
        Bench::frame(9, ask)
    });
    let start = Bench::with_model(&packs[0]).device.into_parts().1.release();
    let mut bench = Bench::empty();
    let mut ended = [0; 3];
    let all = WORDS.len().pow(6);
    for sequence in (0..all).step_by(if cfg!(miri) { all / 9 } else { 1 }) {
        bench = bench.with_flash(Flash::new(start.clone()));
        let mut meant = Meant { loaded: Some(0), upload: None };
        let words = (0..6).map(|place| sequence / WORDS.len().pow(place) % WORDS.len());
        let said = || words.clone().map(|word| WORDS[word]).collect::<Vec<_>>();
        for word in words.clone() {
            let answer;
            (meant, answer) = meant.after(WORDS[word], &packs);
            match answer {
                None => bench = bench.reset(),
                Some(answer) => assert_eq!(bench.deliver(&frames[word]), [(9, Told::Plain(answer))], "{:?}", said()),
            }
            assert_eq!(bench.device.loaded(), meant.loaded.map(|which| sha(&packs[which])), "{:?}", said());
        }
        bench = bench.reset();
        assert_eq!(bench.device.loaded(), meant.loaded.map(|which| sha(&packs[which])), "{:?}, reset", said());
        ended[meant.loaded.map_or(2, |which| which)] += 1;
        // The model is whole: every image would be; one in a while is made.
        if sequence % 1000 == 0 {
            match meant.loaded {
                Some(which) => bench.assert_serves(&packs[which]),
                None => assert_eq!(bench.model(), None),
            }
        }
    }
    assert!(cfg!(miri) || ended.iter().all(|&count| count >= 34), "{ended:?}");
}

/// Pixels of the image by piece of 32 pixels: three to a row.
fn pieces_of(pack: &[u8], latent: Latent<'_>) -> Vec<Vec<u8>> {
    let wanted = Sample { latent, psi: 0, noise: Noise::None };
    (0..8).flat_map(|y| row_of(pack, &wanted, y).chunks(96).map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
}

#[test]
fn lost_pieces_are_made_again_and_nothing_else_is_sent() {
    let bytes = pack(0, 1, 500);
    let mut bench = Bench::with_model(&bytes);
    let latent = LatentSource::Seed(7);
    let id = bench.next_id;
    let told = bench.ask(Ask::Sample { latent, psi: 0, noise: Noise::None, piece: 32 });
    assert_eq!(told.len(), 8 * 3 + 1, "three pieces a row, and the end");
    let (model, all) = (sha(&bytes), pieces_of(&bytes, Latent::Seed(7)));
    let image: Vec<u8> = all.concat();
    // Pieces 10, 13 and 20: bits 2, 5 and 12 from piece 8 on.
    let pieces = Ask::Pieces { sample: id, model, piece: 32, first: 8, wanted: &[0b10_0100, 0b1_0000] };
    let told = bench.ask(pieces);
    let found: Vec<_> = told[..told.len() - 1]
        .iter()
        .map(|told| {
            let Told::Row(y, x, pixels) = told else { panic!("{told:?} among rows") };
            let number = usize::from(*y) * 3 + usize::from(*x) / 32;
            assert_eq!(pixels, &all[number]);
            number
        })
        .collect();
    assert_eq!(found, [10, 13, 20]);
    assert_eq!(told.last(), Some(&Told::Plain(Answer::Done { rows: 8, sha256: sha(&image), ticks: 0 })));
    // None at all: the end got lost.
    let none = Ask::Pieces { sample: id, model, piece: 32, first: 0, wanted: &[] };
    assert_eq!(bench.one(none), Told::Plain(Answer::Done { rows: 8, sha256: sha(&image), ticks: 0 }));
    // Other pieces than the first time's: one of a whole row, at the image's end.
    let last = Ask::Pieces { sample: id, model, piece: 48, first: 15, wanted: &[1] };
    let told = bench.ask(last);
    assert_eq!(told[0], Told::Row(7, 48, image[ROW * 7 + 144..].to_vec()));
    assert_eq!(told.len(), 2);
}

#[test]
fn pieces_of_another_sample_or_another_model_are_refused() {
    let (old, new) = (pack(0, 1, 500), pack(0, 2, 500));
    let mut bench = Bench::with_model(&old);
    let pieces = |sample, pack: &[u8], piece| Ask::Pieces { sample, model: sha(pack), piece, first: 0, wanted: &[1] };
    assert_eq!(bench.refused(pieces(1, &old, 32)), DeviceError::NoSample, "none yet");
    let id = bench.next_id;
    bench.ask(sample(LatentSource::Seed(7)));
    assert_eq!(bench.ask(pieces(id, &old, 32)).len(), 2);
    assert_eq!(bench.refused(pieces(id + 1, &old, 32)), DeviceError::NoSample);
    assert_eq!(bench.refused(pieces(id, &old, 0)), DeviceError::WrongPiece { most: 77 });
    assert_eq!(bench.refused(pieces(id, &old, 78)), DeviceError::WrongPiece { most: 77 });
    let long = Ask::Pieces { sample: id, model: sha(&old), piece: 1, first: 0, wanted: &[0; 200] };
    assert_eq!(bench.ask(long).len(), 1);
    // Numbers for another latent take the place of those of the sample.
    bench.ask(Ask::StoreLatent { first: 0, numbers: &[0; 4] });
    assert_eq!(bench.refused(pieces(id, &old, 32)), DeviceError::NoSample);
    let id = bench.next_id;
    bench.ask(sample(LatentSource::Seed(7)));
    bench.upload(&new);
    assert_eq!(bench.refused(pieces(id, &old, 32)), DeviceError::ModelChanged);
    assert_eq!(bench.refused(pieces(id, &new, 32)), DeviceError::NoSample);
    let mut bench = bench.reset();
    assert_eq!(bench.refused(pieces(id, &new, 32)), DeviceError::NoSample, "after a restart");
}

/// The alphabet of the check below: an image, pieces of it that belong to one of the packs, and what comes between.
#[derive(Clone, Copy, Debug)]
enum Between {
    Sample,
    Pieces(usize),
    Replace,
    Numbers,
    Erase,
    Reset,
}

const BETWEEN: [Between; 7] = [
    Between::Sample,
    Between::Pieces(0),
    Between::Pieces(1),
    Between::Replace,
    Between::Numbers,
    Between::Erase,
    Between::Reset,
];

#[test]
fn every_sequence_of_six_messages_about_images_is_answered_as_it_is_meant() {
    let packs = [pack(0, 1, 130), pack(0, 2, 130)];
    let images = packs.each_ref().map(|bytes| pieces_of(bytes, Latent::Seed(7)));
    let done = |which: usize| Told::Plain(Answer::Done { rows: 8, sha256: sha(&images[which].concat()), ticks: 0 });
    let row = |which: usize, number: usize| {
        Told::Row(number as u16 / 3, number as u16 % 3 * 32, images[which][number].clone())
    };
    let start = Bench::with_model(&packs[0]).device.into_parts().1.release();
    let mut bench = Bench::empty();
    let mut recovered = 0;
    let all = BETWEEN.len().pow(6);
    for sequence in (0..all).step_by(if cfg!(miri) { all / 9 } else { 1 }) {
        bench = bench.with_flash(Flash::new(start.clone()));
        // Which pack is loaded, and which one the remembered image is of.
        let (mut loaded, mut remembered) = (Some(0), None);
        let words = (0..6).map(|place| BETWEEN[sequence / BETWEEN.len().pow(place) % BETWEEN.len()]);
        let said = || words.clone().collect::<Vec<_>>();
        for word in words.clone() {
            let refused = |error| vec![Told::Plain(Answer::Error(error))];
            let (ask, wanted) = match word {
                Between::Sample => {
                    let ask = Ask::Sample { latent: LatentSource::Seed(7), psi: 0, noise: Noise::None, piece: 32 };
                    remembered = loaded.or(remembered);
                    let image = |which| (0..24).map(|number| row(which, number)).chain([done(which)]).collect();
                    (ask, loaded.map_or_else(|| refused(DeviceError::NoModel), image))
                }
                Between::Pieces(of) => {
                    let model = sha(&packs[of]);
                    let ask = Ask::Pieces { sample: 9, model, piece: 32, first: 8, wanted: &[0b100] };
                    let wanted = match (loaded, remembered) {
                        (None, _) => refused(DeviceError::NoModel),
                        (Some(which), _) if which != of => refused(DeviceError::ModelChanged),
                        (_, Some(which)) if which == of => vec![row(of, 10), done(of)],
                        _ => refused(DeviceError::NoSample),
                    };
                    recovered += usize::from(wanted.len() == 2);
                    (ask, wanted)
                }
                Between::Numbers => {
                    // They take the place of the image's own.
                    remembered = None;
                    let ask = Ask::StoreLatent { first: 0, numbers: &[0; 4] };
                    (ask, vec![Told::Plain(Answer::Stored { end: 1 })])
                }
                Between::Erase => {
                    (loaded, remembered) = (None, None);
                    (Ask::Erase, vec![Told::Plain(Answer::Erased)])
                }
                Between::Replace => {
                    let other = loaded.map_or(0, |which| 1 - which);
                    (loaded, remembered) = (Some(other), None);
                    bench.upload(&packs[other]);
                    continue;
                }
                Between::Reset => {
                    remembered = None;
                    bench = bench.reset();
                    continue;
                }
            };
            let told: Vec<Told> = bench.deliver(&Bench::frame(9, ask)).into_iter().map(|(_, told)| told).collect();
            assert_eq!(told, wanted, "{:?}", said());
        }
    }
    assert!(cfg!(miri) || recovered > 1000, "{recovered}");
}

#[test]
fn an_image_is_cancelled_within_a_row() {
    let bytes = pack(0, 1, 500);
    let mut bench = Bench::with_model(&bytes);
    let cancel = Bench::frame(900, Ask::Cancel);
    bench.wires.0.borrow_mut().meanwhile = Some((4, cancel));
    let ask = Ask::Sample { latent: LatentSource::Seed(7), psi: 0, noise: Noise::None, piece: 8 };
    let told = bench.deliver(&Bench::frame(899, ask));
    let rows = told.iter().filter(|(_, told)| matches!(told, Told::Row(0, ..))).count();
    assert_eq!(rows, 5, "pieces of the first row, of which there are twelve");
    assert_eq!(told[5], (899, Told::Plain(Answer::Error(DeviceError::Stopped { rows: 0 }))));
    assert_eq!(told[6], (900, Told::Plain(Answer::Cancelled { rows: 0 })));
}

#[test]
fn a_latent_for_every_layer_arrives_in_pieces() {
    let bytes = pack(0, 1, 77);
    let mut bench = Bench::with_model(&bytes);
    let ws: Vec<i32> = (0..12).map(|i| i * i - 40).collect();
    let numbers: Vec<u8> = ws.iter().flat_map(|v| v.to_le_bytes()).collect();
    let layers = || sample(LatentSource::Layers { checksum: checksum(&numbers) });
    assert_eq!(bench.refused(layers()), DeviceError::LatentDamaged, "nothing is stored");
    // In any order, and twice.
    for (first, end) in [(8, 12), (0, 5), (5, 8), (5, 8)] {
        let told = bench.one(Ask::StoreLatent { first, numbers: &numbers[4 * usize::from(first)..4 * end] });
        assert_eq!(told, Told::Plain(Answer::Stored { end: end as u16 }));
    }
    let told = bench.ask(layers());
    assert_image(&told, &bytes, Latent::Layers(&ws));
    let wrong = DeviceError::WrongLatent { given: 52, wanted: 48 };
    assert_eq!(bench.refused(Ask::StoreLatent { first: 12, numbers: &[0; 4] }), wrong);
    let wrong = DeviceError::WrongLatent { given: 3, wanted: 48 };
    assert_eq!(bench.refused(Ask::StoreLatent { first: 0, numbers: &[0; 3] }), wrong);
}
