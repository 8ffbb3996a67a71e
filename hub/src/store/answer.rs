//! What the hub answers a shop, read from one snapshot.

use rusqlite::Connection;
use vitrina_shared::decide::{self, Outcome, Relation, Shown};
use vitrina_shared::digest::Digest;
use vitrina_shared::registers::kind;
use vitrina_shared::wire::positions_hash;
use vitrina_shared::wire::v1::{DecisionV1, HubLegsV1, HubTransfersV1, RegisterV1, RegistersV1};
use vitrina_shared::{Delta, HubLife, Position, ReplicaId, Seq, TimeMs};

use super::{StoreError, digest, heard, holds, lives, log, registers, shops, transfers};
use crate::change::ShopRow;

/// The most movements of one answer.
const MAX_MOVEMENTS: usize = 5_000;
/// About how many bytes of them.
const MAX_BYTES: usize = 600_000;

/// What a shop wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The shop.
    pub(crate) shop: ShopRow,
    /// When its certificate was given: it may have been taken back while the shop waited.
    pub(crate) issued_at: i64,
    /// The life of the hub's last answer to it.
    pub(crate) life: Option<HubLife>,
    /// Registers are held up to here, in that life.
    pub(crate) registers: u64,
    /// What it shows.
    pub(crate) shown: Vec<Shown>,
    /// Whether that is all it holds.
    pub(crate) all: bool,
    /// What became of its deltas, by replica.
    pub(crate) outcomes: Vec<(ReplicaId, Outcome)>,
    /// The hash of all its positions.
    pub(crate) hash: [u8; 32],
    /// Whether it shows what its rows add up to.
    pub(crate) digest: bool,
    /// Legs are held up to here, in the life that it names; none where it takes no holds.
    pub(crate) legs: Option<u64>,
    /// Transfers are held up to here, in the life that it names; none where it takes none.
    pub(crate) transfers: Option<u64>,
    /// The hub's clock.
    pub(crate) now: TimeMs,
}

/// What the hub has for it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The hub's life.
    pub(crate) life: HubLife,
    /// The hash of all the hub's positions of the shop.
    pub(crate) hash: [u8; 32],
    /// The hub's positions of the replicas shown, and of all others where all were shown.
    pub(crate) positions: Vec<(ReplicaId, Position)>,
    /// Every position of the shop, for the token.
    pub(crate) every: Vec<(ReplicaId, Position)>,
    /// What the agent lacks.
    pub(crate) deltas: Vec<Delta>,
    /// There is more than fits.
    pub(crate) more: bool,
    /// The next exchange must show all.
    pub(crate) show_all: bool,
    /// Registers that the agent lacks.
    pub(crate) registers: Option<RegistersV1>,
    /// The shop's own settings are among them.
    pub(crate) has_settings: bool,
    /// What people decided.
    pub(crate) decisions: Vec<DecisionV1>,
    /// What the shop's rows add up to here, where both sides hold the same.
    pub(crate) digest: Option<Digest>,
    /// Legs that the agent lacks.
    pub(crate) legs: Option<HubLegsV1>,
    /// Transfers that the agent lacks.
    pub(crate) transfers: Option<HubTransfersV1>,
}

impl Found {
    /// Whether there is something that a waiting agent should hear at once.
    pub(crate) fn is_worth_telling(&self) -> bool {
        let has_legs = { self.legs.as_ref() }.is_some_and(|legs| !legs.list.is_empty());
        let is_news = |told: &HubTransfersV1| !told.list.is_empty() || !told.ship.is_empty();
        let has_transfers = self.transfers.as_ref().is_some_and(is_news);
        !self.deltas.is_empty()
            || self.show_all
            || self.has_settings
            || has_legs
            || has_transfers
            || !self.decisions.is_empty()
    }
}

/// Reads the answer.
pub(super) fn find(conn: &Connection, ask: &Ask) -> Result<Found, StoreError> {
    if shops::is_revoked(conn, ask.shop.index, ask.issued_at)? {
        return Err(StoreError::Revoked);
    }
    let life = lives::current(conn)?.ok_or(StoreError::Damaged("the hub has no life"))?;
    let logs = log::of_shop(conn, ask.shop.index)?;
    let every: Vec<_> = logs
        .iter()
        .map(|log| (log.name, log.head))
        .filter(|(_, head)| head.seq > Seq(0))
        .collect();
    let hash = positions_hash(every.iter().copied());
    let (mut positions, mut wanted) = (Vec::new(), Vec::new());
    let mut is_all_same = true;
    for shown in &ask.shown {
        let log = logs.iter().find(|log| log.name == shown.replica);
        let head = log.map_or_else(|| shown.replica.origin(), |log| log.head);
        positions.push((shown.replica, head));
        let outcome = ask
            .outcomes
            .iter()
            .rev()
            .find(|(name, _)| *name == shown.replica)
            .map(|(_, outcome)| *outcome);
        let relation = decide::relate(head, shown, outcome, |seq| match log {
            Some(log) => log::chain_at(conn, log, seq),
            None => Ok(head.chain),
        })?;
        is_all_same &= relation == Relation::Same;
        if let (Relation::HubAhead { from }, Some(log)) = (relation, log) {
            wanted.push((log, from));
        }
    }
    if ask.all {
        let is_shown = |log: &log::Log| ask.shown.iter().any(|shown| shown.replica == log.name);
        for log in logs.iter().filter(|log| !is_shown(log)) {
            positions.push((log.name, log.head));
            if log.head.seq > Seq(0) {
                is_all_same = false;
                wanted.push((log, Seq(0)));
            }
        }
    }
    let (deltas, is_cut) = deltas(conn, &wanted)?;
    let cursor = if ask.life == Some(life) {
        ask.registers
    } else {
        0
    };
    let (registers, is_more) = match registers::after(conn, &ask.shop.shop, cursor)? {
        Some((list, is_more)) => (Some(list), is_more),
        None => (None, false),
    };
    let (legs, are_more_legs) = legs(conn, ask, life)?;
    let (transfers, are_more_transfers) = transfers(conn, ask, life)?;
    Ok(Found {
        life,
        hash,
        positions,
        every,
        deltas,
        more: is_cut || is_more || are_more_legs || are_more_transfers,
        show_all: !ask.all && is_all_same && hash != ask.hash,
        has_settings: has_settings(registers.as_ref()),
        registers,
        decisions: heard::decisions(conn, ask.shop.index, ask.now)?,
        digest: comparable(conn, ask, hash)?,
        legs,
        transfers,
    })
}

/// Whether the shop's own settings are among the registers.
fn has_settings(registers: Option<&RegistersV1>) -> bool {
    let is_settings = |register: &RegisterV1| register.kind == kind::SETTINGS;
    registers.is_some_and(|registers| registers.list.iter().any(is_settings))
}

/// The legs that the agent lacks, where it takes holds; whether there are more.
fn legs(
    conn: &Connection,
    ask: &Ask,
    life: HubLife,
) -> Result<(Option<HubLegsV1>, bool), StoreError> {
    let Some(held) = ask.legs else {
        return Ok((None, false));
    };
    let held = if ask.life == Some(life) { held } else { 0 };
    let (legs, is_more) = holds::after(conn, ask.shop.index, held)?;
    Ok((Some(legs), is_more))
}

/// The transfers that the agent lacks, where it takes any; whether there are more.
fn transfers(
    conn: &Connection,
    ask: &Ask,
    life: HubLife,
) -> Result<(Option<HubTransfersV1>, bool), StoreError> {
    let Some(held) = ask.transfers else {
        return Ok((None, false));
    };
    let held = if ask.life == Some(life) { held } else { 0 };
    let (transfers, is_more) = transfers::after(conn, &ask.shop, held)?;
    Ok((Some(transfers), is_more))
}

/// What the shop's rows add up to, where that can be compared.
fn comparable(conn: &Connection, ask: &Ask, hash: [u8; 32]) -> Result<Option<Digest>, StoreError> {
    if ask.digest && hash == ask.hash {
        digest::digest(conn, ask.shop.index)
    } else {
        Ok(None)
    }
}

/// The movements that the agent lacks, as many as fit; whether there are more.
fn deltas(
    conn: &Connection,
    wanted: &[(&log::Log, Seq)],
) -> Result<(Vec<Delta>, bool), StoreError> {
    let (mut movements, mut bytes) = (MAX_MOVEMENTS, MAX_BYTES);
    let mut deltas = Vec::new();
    for (log, from) in wanted {
        if movements == 0 || bytes == 0 {
            return Ok((deltas, true));
        }
        let mut from = *from;
        if from == log.head.seq {
            continue;
        }
        let delta = log::delta(conn, log, from, movements, bytes)?;
        movements = movements.saturating_sub(delta.entries.len());
        bytes = bytes.saturating_sub(delta.entries.iter().map(|entry| entry.bytes.len()).sum());
        from = delta.last_seq();
        deltas.push(delta);
        if from < log.head.seq {
            return Ok((deltas, true));
        }
    }
    Ok((deltas, false))
}
