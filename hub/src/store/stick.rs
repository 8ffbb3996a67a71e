//! What must be known of a stick before any of it is applied.

use std::collections::BTreeSet;

use rusqlite::Connection;
use vitrina_shared::decide::{self, Outcome};
use vitrina_shared::{Position, ReplicaId, Seq, ShopId};

use super::log::{self, Log};
use super::{StoreError, shops};

/// What a stick says of itself.
#[derive(Clone, Debug)]
pub(crate) struct StickBases {
    /// The shop of its certificate.
    pub(crate) shop: ShopId,
    /// When that was given.
    pub(crate) issued_at: i64,
    /// Every replica that it names.
    pub(crate) replicas: BTreeSet<ReplicaId>,
    /// Where its movements begin.
    pub(crate) bases: Vec<(ReplicaId, Position)>,
}

/// Movements that no log here leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Whose.
    pub(crate) replica: ReplicaId,
    /// The place before the first of them.
    pub(crate) base: Position,
    /// Where the log here ends.
    pub(crate) held: Seq,
}

/// Which of a stick's movements no log here leads to.
pub(super) fn lost(conn: &Connection, stick: &StickBases) -> Result<Vec<Lost>, StoreError> {
    let shop = shops::find(conn, &stick.shop)?;
    if let Some(shop) = &shop
        && shops::is_revoked(conn, shop.index, stick.issued_at)?
    {
        return Err(StoreError::Revoked);
    }
    for replica in &stick.replicas {
        let log = log::find(conn, *replica)?;
        let is_ours = |log: &Log| shop.as_ref().is_some_and(|shop| shop.index == log.shop);
        if log.is_some_and(|log| !is_ours(&log)) {
            return Err(StoreError::ForeignReplica);
        }
    }
    let mut lost = Vec::new();
    for (replica, base) in &stick.bases {
        let log = log::find(conn, *replica)?;
        let head = log
            .as_ref()
            .map_or_else(|| replica.origin(), |log| log.head);
        let chain_at = |seq: Seq| match &log {
            Some(log) => log::chain_at(conn, log, seq),
            None => Ok(head.chain),
        };
        let outcome = decide::admit(head, *replica, *base, &[], chain_at)?;
        if matches!(outcome, Outcome::Gap { .. } | Outcome::Take) {
            lost.push(Lost {
                replica: *replica,
                base: *base,
                held: head.seq,
            });
        }
    }
    Ok(lost)
}
