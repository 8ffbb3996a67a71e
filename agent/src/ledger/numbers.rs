//! The numbers of the ledger itself: status, health, metrics.

use rusqlite::{Connection, Row};
use vitrina_shared::registers::Source;
use vitrina_shared::{HubLife, ReplicaId, Seq, ShopId, TimeMs};

use super::digest::Repairs;
use super::hold::{self, Counts};
use super::lost::{self, Lost};
use super::replica::HighWater;
use super::{LedgerError, digest, disagreement, guard, quarantine, replica, state};

const STATE: &str = "SELECT last_exchange, skew_ms, opened_at, doubt FROM state";

/// What the ledger says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The shop; none before enrolment.
    pub(crate) shop: Option<ShopId>,
    /// The replica that is written.
    pub(crate) replica: Option<ReplicaId>,
    /// Its last movement.
    pub(crate) seq: Seq,
    /// The hub holds it up to here.
    pub(crate) acked_seq: Seq,
    /// Movements that the hub has not acknowledged, of all replicas.
    pub(crate) pending: u64,
    /// How many replicas have movements.
    pub(crate) replicas: u64,
    /// Movements of all replicas.
    pub(crate) movements: u64,
    /// The last finished exchange, by the agent's clock.
    pub(crate) last_exchange_at: Option<TimeMs>,
    /// How far the hub's clock is ahead.
    pub(crate) skew_ms: Option<i64>,
    /// The hub's life.
    pub(crate) life: Option<HubLife>,
    /// Who keeps the books now.
    pub(crate) source: Source,
    /// Who should, by the hub's setting.
    pub(crate) source_wanted: Source,
    /// The shop's 1C last proved itself.
    pub(crate) source_as_of: Option<TimeMs>,
    /// How often it should, in milliseconds.
    pub(crate) source_every_ms: Option<i64>,
    /// The time of the opening.
    pub(crate) opened_at: Option<TimeMs>,
    /// Open records in quarantine.
    pub(crate) quarantined: u64,
    /// Rows on which the shop's 1C and the ledger disagree.
    pub(crate) disagreements: u64,
    /// Web orders that wait for somebody.
    pub(crate) holds: Counts,
    /// Why the current replica may not be the only continuation of its log.
    pub(crate) doubt: Option<String>,
    /// The hub has shown all it holds to the current replica.
    pub(crate) ready_to_open: bool,
    /// Another name of this log was written before, and what it wrote after the copy may be at the hub alone.
    pub(crate) is_behind: bool,
    /// What was put right of the rows, and what could not be.
    pub(crate) repairs: Repairs,
    /// What was recorded here and is not held.
    pub(crate) lost: Vec<Lost>,
}

impl Numbers {
    /// Whether the shop's 1C is silent for longer than it should be, as the hub judges it.
    pub(crate) fn is_source_overdue(&self, now: TimeMs) -> bool {
        self.source_every_ms.is_some_and(|every| {
            self.source_as_of
                .is_none_or(|as_of| now.since(as_of) > every + every / 2)
        })
    }
}

/// Reads them.
pub(crate) fn numbers(conn: &Connection) -> Result<Numbers, LedgerError> {
    let current = replica::current(conn)?;
    let replicas = replica::all(conn)?;
    let own = replicas
        .iter()
        .find(|held| current.is_some_and(|current| current.no == held.no));
    let source = state::source(conn)?;
    let read = |row: &Row<'_>| {
        let times: (Option<i64>, Option<i64>, Option<i64>) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((times, row.get::<_, Option<String>>(3)?))
    };
    let ((exchange, skew_ms, opened_at), doubt) =
        conn.prepare_cached(STATE)?.query_row([], read)?;
    let ready_to_open = guard::is_ready(conn)?;
    Ok(Numbers {
        shop: state::shop(conn)?,
        replica: current.map(|current| current.id),
        seq: own.map_or(Seq(0), |held| held.head.seq),
        acked_seq: own.map_or(Seq(0), |held| held.acked),
        pending: replicas
            .iter()
            .map(|held| held.head.seq.0.saturating_sub(held.acked.0))
            .sum(),
        replicas: replicas
            .iter()
            .filter(|held| held.head.seq > Seq(0))
            .count() as u64,
        movements: replicas.iter().map(|held| held.head.seq.0).sum(),
        last_exchange_at: exchange.map(TimeMs),
        skew_ms,
        life: state::hub_side(conn)?.life,
        source: source.effective,
        source_wanted: source.wanted,
        source_as_of: source.as_of,
        source_every_ms: source.every_ms,
        opened_at: opened_at.map(TimeMs),
        quarantined: quarantine::count_open(conn)?,
        disagreements: disagreement::count(conn)?,
        holds: hold::counts(conn)?,
        is_behind: doubt.is_some() || (replicas.len() > 1 && !ready_to_open),
        doubt,
        ready_to_open,
        repairs: digest::repairs(conn)?,
        lost: lost::lost(conn)?,
    })
}

/// Movements of all replicas that the hub has not acknowledged.
pub(crate) fn pending(conn: &Connection) -> Result<u64, LedgerError> {
    replica::pending(conn)
}

/// What the file beside the ledger should say.
pub(crate) fn high_water(conn: &Connection) -> Result<Option<HighWater>, LedgerError> {
    let Some(current) = replica::current(conn)? else {
        return Ok(None);
    };
    let head = replica::head(conn, current.no, current.id)?;
    Ok(Some(HighWater {
        replica: current.id,
        seq: head.seq,
    }))
}
