//! Ed25519 keys, HMAC tags, random bytes, SHA-256, and codes that people type.
//!
//! Secrets never print: their `Debug` shows the public half or nothing.

mod code;
mod hash;
mod prefix;

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use aws_lc_rs::{constant_time, hmac};

use crate::os;

pub use code::{CodeError, code_from_bytes, code_to_bytes};
pub use hash::{Sha256, from_hex, hex, sha256, sha256_file, sha256_of};
pub use prefix::{NamePrefix, NoNamePrefix};

/// Why a key, tag or signature was not made or read.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The system gave no random bytes; nothing was made.
    #[error("the system gives no random bytes")]
    Random,
    /// The key file cannot be read.
    #[error("cannot read the key file {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The key file holds something else.
    #[error("{} holds no key: 64 hexadecimal digits are expected", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// The key file cannot be written; an older one is untouched.
    #[error("cannot keep the key")]
    Keep(#[source] os::OsError),
    /// The library refused the key or the message.
    #[error("the signature cannot be made")]
    Library,
}

/// `N` random bytes from the operating system.
///
/// # Errors
///
/// [`SignError::Random`] when the system has none to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], SignError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SignError::Random)?;
    Ok(bytes)
}

/// An Ed25519 public key: 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature: 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// An Ed25519 key pair: who has its file is the shop.
pub struct KeyPair {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair({})", hex(&self.public.0))
    }
}

impl KeyPair {
    /// The pair grown from 32 secret bytes.
    ///
    /// # Errors
    ///
    /// [`SignError::Library`] when the library refuses them.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SignError::Library)?;
        let public = pair.public_key().as_ref().try_into();
        let public = PublicKey(public.map_err(|_| SignError::Library)?);
        Ok(Self { pair, public })
    }

    /// Makes a new pair and keeps it at `path` with mode 0600, replacing an older one.
    ///
    /// # Errors
    ///
    /// [`SignError::Random`], [`SignError::Keep`]; an older key is then untouched.
    pub fn generate(path: &Path) -> Result<Self, SignError> {
        let seed = random_bytes::<32>()?;
        let pair = Self::from_seed(&seed)?;
        let text = format!("{}\n", hex(&seed));
        os::write_secret(path, text.as_bytes()).map_err(SignError::Keep)?;
        Ok(pair)
    }

    /// Reads the pair that [`KeyPair::generate`] kept.
    ///
    /// # Errors
    ///
    /// [`SignError::Read`] (its source is `NotFound` when there is none yet), [`SignError::NotAKey`].
    pub fn load(path: &Path) -> Result<Self, SignError> {
        let text = std::fs::read_to_string(path).map_err(|source| SignError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let seed = from_hex(text.trim()).ok_or_else(|| SignError::NotAKey {
            path: path.to_path_buf(),
        })?;
        Self::from_seed(&seed)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a message.
    ///
    /// # Errors
    ///
    /// [`SignError::Library`] when the library cannot (out of memory).
    pub fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let signature = self
            .pair
            .try_sign(message)
            .map_err(|_| SignError::Library)?;
        let bytes = signature.as_ref().try_into();
        bytes.map(Signature).map_err(|_| SignError::Library)
    }
}

/// Whether `signature` of `message` was made by the secret half of `public`. A `public` that is no key verifies nothing.
pub fn verify(public: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    UnparsedPublicKey::new(&ED25519, public.0)
        .verify(message, &signature.0)
        .is_ok()
}

/// A secret for tags (HMAC-SHA-256), of any length; 32 random bytes are right.
#[derive(Clone)]
pub struct TagKey(hmac::Key);

impl std::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagKey")
    }
}

impl TagKey {
    /// The key made of these bytes.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The tag of a message.
    pub fn tag(&self, message: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        let made = hmac::sign(&self.0, message);
        tag.iter_mut()
            .zip(made.as_ref())
            .for_each(|(to, from)| *to = *from);
        tag
    }

    /// Whether `tag` is that of `message`, in a time that does not tell how much of it was right.
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

/// Whether two secrets are equal, in a time that tells only their lengths.
pub fn same_secret(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_signs_what_its_public_half_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.key");
        let made = KeyPair::generate(&path).unwrap();
        let loaded = KeyPair::load(&path).unwrap();

        let signature = loaded.sign(b"delta").unwrap();

        assert_eq!(made.public(), loaded.public());
        assert!(verify(&made.public(), b"delta", &signature));
        assert!(!verify(&made.public(), b"delto", &signature));
        assert!(!verify(&PublicKey([7; 32]), b"delta", &signature));
    }

    #[test]
    fn a_key_file_with_something_else_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.key");
        assert!(matches!(KeyPair::load(&path), Err(SignError::Read { .. })));
        std::fs::write(&path, "hello").unwrap();

        let refused = KeyPair::load(&path).unwrap_err();

        assert!(refused.to_string().contains("device.key"), "{refused}");
    }

    #[test]
    fn a_secret_does_not_print() {
        let pair = KeyPair::from_seed(&[1; 32]).unwrap();
        assert!(!format!("{pair:?}").contains(&hex(&[1; 32])));
        assert_eq!(format!("{:?}", TagKey::new(b"x")), "TagKey");
    }

    #[test]
    fn a_tag_is_of_its_message_and_key() {
        let key = TagKey::new(b"secret");
        let tag = key.tag(b"cursor");
        assert!(key.verify(b"cursor", &tag));
        assert!(!key.verify(b"cursors", &tag));
        assert!(!TagKey::new(b"other").verify(b"cursor", &tag));
    }

    #[test]
    fn secrets_of_different_length_differ() {
        assert!(same_secret(b"abc", b"abc"));
        assert!(!same_secret(b"abc", b"abcd"));
    }
}
