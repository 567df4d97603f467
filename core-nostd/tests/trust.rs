//! A device that trusts keys loads what they signed and nothing else, whichever way a pack comes.

use ed25519_dalek::{Signer, SigningKey};
use nickeldime_core::hash::sha256;
use nickeldime_core::pack::layout::{HASH_LEN, SIGNATURE_LEN};
use nickeldime_core::pack::trust::{Trust, ed25519, key_id};
use nickeldime_core::pack::{
    Pack,
    write::{SignHash, signed},
};
use nickeldime_core::storage::{MappedFlash, RamFlash, Storage, StorageError};
use nickeldime_testkit::packs::{Aligned, random_pack, tiny};

const SECTOR: usize = 512;

type Flash = RamFlash<&'static mut [u8], 4, SECTOR>;

fn flash() -> Flash {
    // Sectors begin at multiples of what a vector's allocation is aligned to, which a pack needs.
    let words = vec![0_u128; 64 * SECTOR / 16].leak();
    RamFlash::erased(bytemuck::cast_slice_mut(words))
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Trusts the keys of seeds 1 and 2.
fn trust() -> Trust {
    let keys = vec![key(1).verifying_key().to_bytes(), key(2).verifying_key().to_bytes()].leak();
    let ids = keys.iter().map(key_id).collect::<Vec<_>>().leak();
    Trust::new(keys, ids, ed25519)
}

fn sign(pack: &[u8], seeds: &[u8]) -> Vec<u8> {
    let signers: Vec<_> = seeds
        .iter()
        .map(|&seed| {
            move |hash: &[u8; HASH_LEN]| -> [u8; SIGNATURE_LEN] {
                let key = key(seed);
                [&key.verifying_key().to_bytes()[..], &key.sign(hash).to_bytes()].concat().try_into().unwrap()
            }
        })
        .collect();
    let signers: Vec<SignHash<'_>> = signers.iter().map(|s| s as _).collect();
    signed(pack, &signers).unwrap()
}

fn upload<F: MappedFlash>(storage: &mut Storage<F>, pack: &[u8]) -> Result<(), StorageError> {
    let len = pack.len() as u32;
    let at = storage.begin(len, sha256(pack))?;
    let at = storage.announce(at, at, len)?;
    let mut rest = at;
    while rest < len {
        rest = storage.write(rest, &pack[rest as usize..len.min(rest + 64) as usize])?;
    }
    storage.commit()
}

#[test]
fn only_a_whole_signature_of_a_trusted_key_loads() {
    let plain = random_pack(&tiny(), 1);
    let good = sign(plain.bytes(), &[1]);
    let other = sign(random_pack(&tiny(), 2).bytes(), &[2]);
    assert_eq!(Pack::open(Aligned::new(&good).bytes()).unwrap().signatures().len(), 1);
    let mut storage = Storage::mount_trusting(flash(), trust());
    assert_eq!(upload(&mut storage, &good), Ok(()));

    let refused = |storage: &mut Storage<Flash>, pack: &[u8], why: &str| {
        assert_eq!(upload(storage, pack), Err(StorageError::Untrusted), "{why}");
        assert_eq!(storage.active(), Some(&good[..]), "{why}: the old model is gone");
    };
    refused(&mut storage, plain.bytes(), "no signature");
    refused(&mut storage, &sign(plain.bytes(), &[3]), "another key");
    refused(&mut storage, &good[..good.len() - SIGNATURE_LEN], "the signature cut off");
    refused(&mut storage, &good[..good.len() - 1], "a byte cut off");
    // Another pack's signature by a trusted key.
    let mut moved = good.clone();
    let from = good.len() - SIGNATURE_LEN;
    moved[from..].copy_from_slice(&other[other.len() - SIGNATURE_LEN..]);
    refused(&mut storage, &moved, "the signature of another pack");
    // A flipped bit anywhere: in the contents, the hash, the key, the signature.
    for bit in (0..good.len() * 8).step_by(if cfg!(miri) { 4099 } else { 1 }) {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&mut storage, &flipped, &format!("bit {bit}"));
    }
    // One trusted signature among others is enough.
    let several = sign(plain.bytes(), &[3, 2]);
    assert_eq!(upload(&mut storage, &several), Ok(()));
    let storage = Storage::mount_trusting(storage.release(), trust());
    assert_eq!(storage.active(), Some(&several[..]), "after a restart");
}

#[test]
fn a_record_of_before_the_trust_is_passed_over_at_boot() {
    let good = sign(random_pack(&tiny(), 1).bytes(), &[2]);
    let foreign = random_pack(&tiny(), 2);
    // Loaded by firmware that trusted everybody, the foreign one last.
    let mut storage = Storage::mount(flash());
    assert_eq!(upload(&mut storage, &good), Ok(()));
    assert_eq!(upload(&mut storage, foreign.bytes()), Ok(()));
    let mut storage = Storage::mount_trusting(storage.release(), trust());
    assert_eq!(storage.active(), Some(&good[..]), "the newest trusted one is loaded");
    // Asking for it again, without a byte to send, is no way in.
    assert_eq!(upload(&mut storage, foreign.bytes()), Err(StorageError::Untrusted));
    assert_eq!(storage.active(), Some(&good[..]));
    // With no trusted one at all there is no model.
    let mut storage = Storage::mount(flash());
    assert_eq!(upload(&mut storage, foreign.bytes()), Ok(()));
    assert_eq!(Storage::mount_trusting(storage.release(), trust()).active(), None);
}

#[test]
fn a_resumed_upload_cannot_change_the_signature() {
    let plain = random_pack(&tiny(), 1);
    let (good, bad) = (sign(plain.bytes(), &[1]), sign(plain.bytes(), &[3]));
    assert_eq!(good.len(), bad.len());
    let mut storage = Storage::mount_trusting(flash(), trust());
    let len = good.len() as u32;
    let at = storage.begin(len, sha256(&good)).unwrap();
    assert_eq!(storage.announce(at, at, len), Ok(at));
    // All but the signature is stored; then the line breaks, and the rest is another signature.
    let stored = (good.len() - SIGNATURE_LEN) / 4 * 4;
    let mut rest = at;
    while (rest as usize) < stored {
        rest = storage.write(rest, &good[rest as usize..stored.min(rest as usize + 64)]).unwrap();
    }
    let mut storage = Storage::mount_trusting(storage.release(), trust());
    let at = storage.begin(len, sha256(&good)).unwrap();
    storage.announce(at, at, len).unwrap();
    let mut rest = at;
    while rest < len {
        rest = storage.write(rest, &bad[rest as usize..len.min(rest + 64) as usize]).unwrap();
    }
    assert_eq!(storage.commit(), Err(StorageError::HashMismatch));
    // Announced as what it is, it is whole and not trusted.
    assert_eq!(upload(&mut storage, &bad), Err(StorageError::Untrusted));
    assert_eq!(storage.active(), None);
    assert_eq!(upload(&mut storage, &good), Ok(()));
}

#[test]
fn without_keys_a_trusting_device_loads_nothing_and_another_loads_anything() {
    let pack = random_pack(&tiny(), 1);
    let mut nobody = Storage::mount_trusting(flash(), Trust::new(&[], &[], ed25519));
    assert_eq!(upload(&mut nobody, &sign(pack.bytes(), &[1])), Err(StorageError::Untrusted));
    let mut anybody = Storage::mount(flash());
    let good = sign(pack.bytes(), &[1]);
    let broken: Vec<u8> = good.iter().enumerate().map(|(at, b)| b ^ u8::from(at > 900)).collect();
    assert_eq!(upload(&mut anybody, &broken), Ok(()), "the storage of a device without keys keeps any bytes");
}
