//! The chain hash: `(seq, chain)` identifies a replica's whole history up to that place.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Seq;

/// SHA-256 over a replica's movements, each with its predecessor's hash. It starts from the replica's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The chain after one more movement, given by its canonical bytes.
    #[must_use]
    pub fn then(self, movement: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(movement);
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain(")?;
        self.0
            .iter()
            .take(4)
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…)")
    }
}

/// A place in a replica's log, with everything before it. Seq 0 carries the replica's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The last movement.
    pub seq: Seq,
    /// The chain after it.
    pub chain: Chain,
}

impl Position {
    /// The position after one more movement.
    #[must_use]
    pub fn then(self, movement: &[u8]) -> Self {
        Self {
            seq: self.seq.next(),
            chain: self.chain.then(movement),
        }
    }
}
