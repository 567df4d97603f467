//! Ed25519 keys (RFC 8032) that sign packs: their files, and what they sign.
//!
//! A secret key is a PKCS #8 file and a public key a SubjectPublicKeyInfo file, both in PEM, as OpenSSL writes and reads
//! them.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::pkcs8::{
    self, DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
    spki::der::pem::LineEnding,
};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use nickeldime_core::hex::Hex;
use nickeldime_core::pack::layout::{HASH_LEN, SIGNATURE_LEN};
use nickeldime_core::pack::trust::{KEY_LEN, ed25519, key_id, split};
use nickeldime_core::pack::{Pack, PackError, write::signed};

/// Errors of making and reading keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A file could not be read.
    #[error("{}: {cause}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// A new file could not be written.
    #[error("{}: {}", .path.display(), not_written(.cause))]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The file is no key.
    #[error("{}: {needed}; `nickeldime key new -o FILE` makes a secret key and its public key FILE.pub", .path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What was needed.
        needed: &'static str,
    },
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// The key could not be encoded.
    #[error("the key cannot be written as PEM: {0}")]
    Encode(String),
}

fn not_written(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AlreadyExists => "is there already, and a key is never overwritten; name a new file".into(),
        _ => cause.to_string(),
    }
}

/// A key that signs.
pub struct SecretKey(SigningKey);

/// A key that tells whose a signature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; KEY_LEN]);

impl SecretKey {
    /// A new key, from the system's random numbers.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; KEY_LEN];
        getrandom::fill(&mut seed).map_err(KeyError::Random)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a key's file.
    ///
    /// # Errors
    /// [`KeyError::Read`], or [`KeyError::NotAKey`] for a public key as well.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let needed = "is no secret Ed25519 key in PEM";
        SigningKey::from_pkcs8_pem(&text(path, needed)?)
            .map(Self)
            .map_err(|_| KeyError::NotAKey { path: path.into(), needed })
    }

    /// Writes the key into `path`, readable by its owner alone, and the public key into `path` with `.pub` behind it.
    /// Returns the second path.
    ///
    /// # Errors
    /// [`KeyError::Write`]: one of the files is there already, or cannot be written. No file is left then.
    pub fn write(&self, path: &Path) -> Result<PathBuf, KeyError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".pub");
        let beside = PathBuf::from(name);
        // Without the public key inside, which not every program reads.
        let bytes = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let secret = bytes.to_pkcs8_pem(LineEnding::LF).map_err(|e| KeyError::Encode(e.to_string()))?;
        let public = self.public().pem()?;
        create(&beside, public.as_bytes(), false)?;
        create(path, secret.as_bytes(), true).inspect_err(|_| {
            // It was made a moment ago, and is of no use alone.
            let _ = std::fs::remove_file(&beside);
        })?;
        Ok(beside)
    }

    /// The key that tells this one's signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The same pack, signed with this key in place of any other.
    ///
    /// # Errors
    /// The bytes are no pack.
    pub fn sign(&self, pack: &[u8]) -> Result<Vec<u8>, PackError> {
        let sign = |hash: &[u8; HASH_LEN]| {
            let mut all = [0; SIGNATURE_LEN];
            let (key, signature) = all.split_at_mut(KEY_LEN);
            key.copy_from_slice(&self.public().0);
            signature.copy_from_slice(&self.0.sign(hash).to_bytes());
            all
        };
        signed(pack, &[&sign])
    }
}

impl PublicKey {
    /// The key's 32 bytes.
    pub fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The first 8 bytes, by which devices and people name the key.
    pub fn id(&self) -> String {
        Hex(&key_id(&self.0)).to_string()
    }

    /// Reads the file of a public key; of a secret key's file, the public key that belongs to it.
    ///
    /// # Errors
    /// [`KeyError::Read`], or [`KeyError::NotAKey`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let needed = "is no Ed25519 key in PEM";
        let text = text(path, needed)?;
        text.parse().or_else(|()| {
            let secret = SigningKey::from_pkcs8_pem(&text).map(SecretKey);
            secret.map(|key| key.public()).map_err(|_| KeyError::NotAKey { path: path.into(), needed })
        })
    }

    /// The key as PEM, with a line break at its end.
    ///
    /// # Errors
    /// [`KeyError::Encode`]: the bytes are no point of the curve.
    pub fn pem(&self) -> Result<String, KeyError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|e| KeyError::Encode(e.to_string()))?;
        key.to_public_key_pem(LineEnding::LF).map_err(|e| KeyError::Encode(e.to_string()))
    }
}

/// From PEM.
impl FromStr for PublicKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        VerifyingKey::from_public_key_pem(text).map(|key| Self(key.to_bytes())).map_err(|_: pkcs8::spki::Error| ())
    }
}

/// All bytes in hexadecimal.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// A signature of a pack.
pub struct Signature {
    /// The key that it names.
    pub key: PublicKey,
    /// True if it is that key's signature of this pack.
    pub holds: bool,
}

/// The signatures of a pack.
pub fn signatures(pack: &Pack<'_>) -> Vec<Signature> {
    let of = |entry| {
        let (key, signature) = split(entry);
        Signature { key: PublicKey(*key), holds: ed25519(key, &pack.sha256(), signature) }
    };
    pack.signatures().iter().map(of).collect()
}

fn text(path: &Path, needed: &'static str) -> Result<String, KeyError> {
    /// A key's file has 119 bytes; what is much longer is another file.
    const LONGEST: u64 = 64 << 10;
    let failed = |cause| KeyError::Read { path: path.into(), cause };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > LONGEST {
        return Err(KeyError::NotAKey { path: path.into(), needed });
    }
    io::read_to_string(io::Read::take(file, LONGEST)).map_err(|cause| match cause.kind() {
        io::ErrorKind::InvalidData => KeyError::NotAKey { path: path.into(), needed },
        _ => failed(cause),
    })
}

/// Writes a new file. A secret one is never readable by others, not for a moment.
fn create(path: &Path, bytes: &[u8], secret: bool) -> Result<(), KeyError> {
    let failed = |cause| KeyError::Write { path: path.into(), cause };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|cause| {
        let _ = std::fs::remove_file(path);
        failed(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_file_and_never_overwrites_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let key = SecretKey::generate().unwrap();
        let beside = key.write(&path).unwrap();
        assert!(SecretKey::read(&path).unwrap().public() == key.public());
        assert!(PublicKey::read(&beside).unwrap() == key.public());
        assert!(PublicKey::read(&path).unwrap() == key.public());
        assert!(matches!(SecretKey::read(&beside), Err(KeyError::NotAKey { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let other = SecretKey::generate().unwrap();
        assert!(matches!(other.write(&path), Err(KeyError::Write { .. })));
        std::fs::remove_file(&beside).unwrap();
        assert!(matches!(other.write(&path), Err(KeyError::Write { .. })));
        assert!(!beside.exists(), "half a pair is left");
        assert!(SecretKey::read(&path).unwrap().public() == key.public());
    }
}
