//! Domain-separated SHA-256: every identity of the model is derived here and nowhere else.

use sha2::{Digest, Sha256};

/// A SHA-256 over parts that cannot run into each other: each is preceded by its length (64 bits, little endian).
pub(crate) struct Hash(Sha256);

impl Hash {
    /// Starts a hash of one kind of thing; `domain` names the kind and its version.
    pub(crate) fn of(domain: &str) -> Self {
        Self(Sha256::new()).with(domain.as_bytes())
    }

    /// Adds one part.
    pub(crate) fn with(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// The whole digest.
    pub(crate) fn whole(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The first 128 bits, for ids.
    pub(crate) fn half(self) -> [u8; 16] {
        let whole = self.whole();
        let mut half = [0; 16];
        half.copy_from_slice(whole.split_at(16).0);
        half
    }
}

/// The first 128 bits over parts that follow each other without their lengths: what the agents name their records by.
pub(crate) fn half_of(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(hash.finalize().split_at(16).0);
    half
}
