//! Consecutive movements of one replica, and the totals they lead to.

use std::collections::BTreeMap;

use crate::movement::{Condition, Movement, MovementError};
use crate::totals::Overflow;
use crate::{Barcode, Chain, Position, ReplicaId, Seq, Total};

/// The most movements of one delta.
pub const MAX_DELTA_MOVEMENTS: usize = 5_000;

/// One movement with the bytes it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The movement.
    pub movement: Movement,
    /// Its canonical bytes.
    pub bytes: Box<[u8]>,
}

impl Entry {
    /// A new movement with its bytes.
    pub fn new(movement: Movement) -> Self {
        let bytes = movement.to_bytes().into();
        Self { movement, bytes }
    }

    /// A stored movement.
    ///
    /// # Errors
    ///
    /// [`MovementError`] when the bytes are no movement.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MovementError> {
        Ok(Self {
            movement: Movement::from_bytes(bytes)?,
            bytes: bytes.into(),
        })
    }
}

/// A row of totals that a delta leads to. It is checked, not trusted: rows move only with the movements that explain
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowTotal {
    /// The barcode.
    pub barcode: Barcode,
    /// Sellable or not.
    pub condition: Condition,
    /// The replica's total after the delta's last movement.
    pub total: Total,
}

/// Consecutive movements of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Whose log.
    pub replica: ReplicaId,
    /// The position right before the first movement.
    pub base: Position,
    /// The movements, at most [`MAX_DELTA_MOVEMENTS`].
    pub entries: Vec<Entry>,
    /// The totals of every row that the movements touch, in the order of (barcode, condition).
    pub totals: Vec<RowTotal>,
}

impl Delta {
    /// The chain after each movement, in order.
    pub fn chains(&self) -> Vec<Chain> {
        let mut chain = self.base.chain;
        self.entries
            .iter()
            .map(|entry| {
                chain = chain.then(&entry.bytes);
                chain
            })
            .collect()
    }

    /// The position after the last movement.
    pub fn end(&self) -> Position {
        let entries = self.entries.iter();
        entries.fold(self.base, |at, entry| at.then(&entry.bytes))
    }

    /// The place after the last movement.
    pub fn last_seq(&self) -> Seq {
        Seq(self.base.seq.0 + self.entries.len() as u64)
    }

    /// What the movements add to each row they touch, in the order of (barcode, condition).
    ///
    /// # Errors
    ///
    /// [`Overflow`] when a sum is out of range.
    pub fn sums(entries: &[Entry]) -> Result<BTreeMap<(&Barcode, Condition), Total>, Overflow> {
        let mut sums: BTreeMap<(&Barcode, Condition), Total> = BTreeMap::new();
        for Entry { movement, .. } in entries {
            let sum = sums
                .entry((&movement.barcode, movement.condition))
                .or_default();
            *sum = sum.after(movement.qty)?;
        }
        Ok(sums)
    }
}
