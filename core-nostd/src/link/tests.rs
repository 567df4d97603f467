//! The bytes of the messages: as `docs/link.md` has them, and every variant of every type that a message carries.

extern crate std;

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::message::*;
use super::{encode, upload_tag};
use crate::number::Requant;
use crate::pack::{NoiseKind, PackError, WeightWidth};
use crate::sample::{GenerateError, Join, Noise};

const DOCUMENTATION: &str = include_str!("../../../docs/link.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}

/// The bytes of one value.
fn bytes(value: &impl serde::Serialize) -> String {
    hex(postcard::to_slice(value, &mut [0; 256]).expect("fits"))
}

fn hello() -> Hello<'static> {
    let model = Model {
        name: "m",
        sha256: [0xAA; 32],
        len: 5000,
        resolution: 32,
        channels: 3,
        z_dim: 64,
        w_dim: 64,
        noise: NoiseKind::Const,
    };
    Hello {
        protocol: 3,
        pack_format: 4,
        board: "b",
        firmware: "0.1",
        storage: 65536,
        free: 57344,
        workspace: 20480,
        chunk: 4096,
        window: 16640,
        latents: 64,
        stored_latents: 512,
        piece: 240,
        tick_hz: 1000,
        counts_instructions: false,
        restart: None,
        trusted: &[],
        model: Some(model),
    }
}

/// All requests, in the order of their numbers.
fn requests() -> Vec<Ask<'static>> {
    let sha256 = [0xAA; 32];
    let upload = upload_tag(&sha256);
    let (psi, noise, piece) = (1 << 14, Noise::None, 0);
    vec![
        Ask::Hello { protocol: 3 },
        Ask::Status,
        Ask::UploadBegin { len: 5000, sha256 },
        Ask::UploadChunk { upload, offset: 4096, data: &[0, 1, 2, 0] },
        Ask::UploadCommit { sha256 },
        Ask::UploadAbort,
        Ask::Sample { latent: LatentSource::Seed(7), psi, noise, piece },
        Ask::Cancel,
        Ask::UploadSurvey { upload, from: 0 },
        Ask::UploadRange { upload, after: 0, offset: 4096, end: 5000 },
        Ask::Erase,
        Ask::Pieces { sample: 2, model: sha256, piece: 32, first: 0, wanted: &[5, 128] },
        Ask::StoreLatent { first: 256, numbers: &[0, 0, 1, 0, 255, 255, 255, 255] },
    ]
}

/// All replies, in the order of their numbers.
fn replies() -> Vec<Answer<'static>> {
    let sha256 = [0xAA; 32];
    vec![
        Answer::Hello(hello()),
        Answer::Status(Status { phase: Phase::Uploading { received: 1, len: 5000 }, dropped: 2, model: None }),
        Answer::Ready { offset: 0, chunk: 4096, granule: 4, window: 16640, unit: 4096, sector: 4096 },
        Answer::Ack { offset: 4100 },
        Answer::Committed { sha256 },
        Answer::Aborted,
        Answer::Row { y: 1, x: 2, pixels: &[3, 4, 5] },
        Answer::Done { rows: 32, sha256, ticks: 300 },
        Answer::Cancelled { rows: 5 },
        Answer::Error(DeviceError::WrongOffset { expected: 4096 }),
        Answer::Survey { from: 0, sums: &[1, 2, 3, 4, 0, 0, 0, 255] },
        Answer::Erased,
        Answer::Stored { end: 258 },
    ]
}

/// All errors, in the order of their numbers.
fn errors() -> Vec<DeviceError> {
    vec![
        DeviceError::UnknownRequest,
        DeviceError::Busy,
        DeviceError::Stopped { rows: 5 },
        DeviceError::TooLarge { len: 1, free: 2, storage: 3 },
        DeviceError::NoUpload,
        DeviceError::WrongOffset { expected: 4096 },
        DeviceError::WrongLength { granule: 4 },
        DeviceError::Incomplete { received: 1, len: 2 },
        DeviceError::HashMismatch,
        DeviceError::BadPack(PackError::UnsupportedVersion(2)),
        DeviceError::WorkspaceTooSmall { needed: 404, available: 400 },
        DeviceError::Storage,
        DeviceError::NoModel,
        DeviceError::WrongLatent { given: 8, wanted: 10 },
        DeviceError::NotGenerated(GenerateError::NoConstNoise),
        DeviceError::NotErased,
        DeviceError::NoSample,
        DeviceError::ModelChanged,
        DeviceError::WrongPiece { most: 80 },
        DeviceError::LatentDamaged,
        DeviceError::Untrusted { wanted: [0xAA; 8] },
    ]
}

/// The first word of a value's `Debug`: the name of its variant.
fn name(value: &impl core::fmt::Debug) -> String {
    format!("{value:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().into()
}

/// Fails unless every value begins with its place in the list, and the documentation has a row of that number and name.
fn assert_numbered<T: serde::Serialize + core::fmt::Debug>(values: &[T]) {
    for (number, value) in values.iter().enumerate() {
        let name = name(value);
        assert!(bytes(value).starts_with(&format!("{number:02x}")), "{name} is not number {number}");
        assert!(DOCUMENTATION.contains(&format!("| {number} | {name} |")), "docs/link.md lacks {number} {name}");
    }
}

/// Fails unless the values have these bytes.
fn assert_bytes<T: serde::Serialize + core::fmt::Debug>(values: &[(T, &str)]) {
    for (value, expected) in values {
        assert_eq!(&bytes(value), expected, "{value:?}");
    }
}

#[test]
fn every_request_reply_and_error_keeps_its_number_and_is_documented() {
    assert_numbered(&requests());
    assert_numbered(&replies());
    assert_numbered(&errors());
    // A variant that is added here must be added above.
    for ask in requests() {
        match ask {
            Ask::Hello { .. } | Ask::Status | Ask::UploadBegin { .. } | Ask::UploadChunk { .. } => {}
            Ask::UploadCommit { .. } | Ask::UploadAbort | Ask::Sample { .. } | Ask::Cancel => {}
            Ask::UploadSurvey { .. } | Ask::UploadRange { .. } | Ask::Erase => {}
            Ask::Pieces { .. } | Ask::StoreLatent { .. } => {}
        }
    }
    for answer in replies() {
        match answer {
            Answer::Hello(_) | Answer::Status(_) | Answer::Ready { .. } | Answer::Ack { .. } => {}
            Answer::Committed { .. } | Answer::Aborted | Answer::Row { .. } | Answer::Done { .. } => {}
            Answer::Cancelled { .. } | Answer::Error(_) | Answer::Survey { .. } | Answer::Erased => {}
            Answer::Stored { .. } => {}
        }
    }
    for error in errors() {
        match error {
            DeviceError::UnknownRequest | DeviceError::Busy | DeviceError::Stopped { .. } => {}
            DeviceError::TooLarge { .. } | DeviceError::NoUpload | DeviceError::WrongOffset { .. } => {}
            DeviceError::WrongLength { .. } | DeviceError::Incomplete { .. } | DeviceError::HashMismatch => {}
            DeviceError::BadPack(_) | DeviceError::WorkspaceTooSmall { .. } | DeviceError::Storage => {}
            DeviceError::NoModel | DeviceError::WrongLatent { .. } | DeviceError::NotGenerated(_) => {}
            DeviceError::NotErased | DeviceError::NoSample | DeviceError::ModelChanged => {}
            DeviceError::WrongPiece { .. } | DeviceError::LatentDamaged | DeviceError::Untrusted { .. } => {}
        }
    }
}

#[test]
fn every_variant_that_a_message_or_a_header_carries_keeps_its_number() {
    assert_bytes(&[
        (PackError::Misaligned, "00"),
        (PackError::Truncated, "01"),
        (PackError::TrailingBytes, "02"),
        (PackError::NotAPack, "03"),
        (PackError::UnsupportedVersion(300), "04 ac 02"),
        (PackError::HashMismatch, "05"),
        (PackError::Header, "06"),
        (PackError::Architecture, "07"),
        (PackError::Layout, "08"),
        (PackError::Scale, "09"),
        (PackError::Overflow, "0a"),
        (PackError::TooLarge, "0b"),
        (PackError::FourBitWeights, "0c"),
    ]);
    assert_bytes(&[
        (GenerateError::LatentLength, "00"),
        (GenerateError::WorkspaceTooSmall, "01"),
        (GenerateError::NoConstNoise, "02"),
        (GenerateError::Stopped, "03"),
        (GenerateError::PackChanged, "04"),
    ]);
    assert_bytes(&[(Join::Cut(4), "00 04"), (Join::Weight(-1), "01 01")]);
    assert_bytes(&[(Noise::None, "00"), (Noise::Const, "01"), (Noise::Random(300), "02 ac 02")]);
    assert_bytes(&[(NoiseKind::None, "00"), (NoiseKind::Const, "01"), (NoiseKind::Random, "02")]);
    assert_bytes(&[(WeightWidth::I8, "00"), (WeightWidth::I16, "01")]);
    assert_bytes(&[(Requant { multiplier: -1, shift: 40 }, "01 28")]);
    assert_bytes(&[
        (Phase::Idle, "00"),
        (Phase::Uploading { received: 1, len: 300 }, "01 01 ac 02"),
        (Phase::Sampling, "02"),
    ]);
    let pair = LatentSource::Pair { seeds: [7, 300], join: Join::Cut(4) };
    assert_bytes(&[
        (LatentSource::Seed(300), "00 ac 02"),
        (LatentSource::Z(&[1, 2]), "01 02 01 02"),
        (LatentSource::W(&[1, 2, 3, 4]), "02 04 01 02 03 04"),
        (pair, "03 07 ac 02 00 04"),
        (LatentSource::Layers { checksum: 1 }, "04 01"),
    ]);
    assert_bytes(&[
        (Packet::Request(Request { id: 1, ask: Ask::Status }), "00 01 01"),
        (Packet::Reply(Reply { id: 1, answer: Answer::Erased }), "01 01 0b"),
    ]);
}

#[test]
fn the_bytes_in_the_documentation_are_the_bytes_on_the_line() {
    let pair = LatentSource::Pair { seeds: [7, 300], join: Join::Cut(4) };
    let pair = Ask::Sample { latent: pair, psi: 1 << 14, noise: Noise::None, piece: 0 };
    let blend = LatentSource::Pair { seeds: [7, 300], join: Join::Weight(8192) };
    let blend = Ask::Sample { latent: blend, psi: 1 << 14, noise: Noise::Random(9), piece: 32 };
    let small = DeviceError::WorkspaceTooSmall { needed: 404, available: 400 };
    let version = DeviceError::BadPack(PackError::UnsupportedVersion(2));
    let [hello, _, begin, chunk, commit, _, sample, cancel, survey, range, erase, pieces, store] =
        requests().try_into().expect("thirteen");
    let [identity, _, ready, ack, _, _, row, _, cancelled, error, sums, erased, stored] =
        replies().try_into().expect("thirteen");
    let request = |id, ask| Packet::Request(Request { id, ask });
    let reply = |id, answer| Packet::Reply(Reply { id, answer });
    let mut missing = Vec::new();
    for packet in [
        reply(1, identity),
        reply(2, Answer::Error(small)),
        reply(2, Answer::Error(version)),
        request(1, hello),
        request(5, begin),
        reply(5, ready),
        request(6, survey),
        reply(6, sums),
        request(7, range),
        request(8, chunk),
        reply(8, ack),
        reply(9, error),
        request(10, commit),
        request(11, erase),
        reply(11, erased),
        request(300, cancel),
        reply(300, cancelled),
        request(2, sample),
        reply(2, row),
        request(3, pair),
        request(4, blend),
        request(12, pieces),
        request(13, store),
        reply(13, stored),
    ] {
        let row = format!("| `{}` | `{}` |", bytes(&packet), hex(encode(&packet, &mut [0; 256]).expect("fits")));
        if !DOCUMENTATION.contains(&row) {
            missing.push(format!("{packet:?}: {row}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
