//! What the agent shows, brings and asks in an exchange.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use vitrina_host::db::is_damage;
use vitrina_shared::delta::{Delta, Entry, MAX_DELTA_MOVEMENTS, RowTotal};
use vitrina_shared::hold::Leg;
use vitrina_shared::wire::v1::{DisagreementV1, QuarantinedV1, TransfersV1};
use vitrina_shared::wire::{Positions, positions_hash};
use vitrina_shared::{HubLife, LegId, Position, ReplicaId, Seq, TimeMs, Total, planted};

use super::brought::{self, Brought, Without};
use super::replica::{self, Held};
use super::{LedgerError, disagreement, int, log, quarantine, state, transfer, uint};

const FLAGS: &str = "SELECT show_all, token, all_for IS NULL OR all_for <> current FROM state";
const SHOW_ALL: &str = "UPDATE state SET show_all = 1";
const AFTER: &str = "SELECT coalesce(sum(max(qty, 0)), 0), coalesce(sum(max(-qty, 0)), 0)
    FROM movement INDEXED BY movement_barcode
    WHERE barcode = ?1 AND condition = ?2 AND replica = ?3 AND seq > ?4";

/// The most replicas that a frame shows.
const MAX_SHOWN: usize = 1_000;

/// How many positions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// All: at the first exchange of a process, and when a person asks for it.
    All,
    /// Those that changed, unless the ledger or the hub wants all.
    Changed,
}

/// How much one exchange may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// How many positions are shown.
    pub(crate) show: Show,
    /// At most so many movements.
    pub(crate) movements: usize,
    /// At most about so many bytes of them, before packing.
    pub(crate) bytes: usize,
    /// The agent's clock: of what is over for long nobody asks any more.
    pub(crate) now: TimeMs,
}

/// What an exchange shows, brings and asks.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The positions.
    pub(crate) positions: Positions,
    /// What the hub lacks.
    pub(crate) deltas: Vec<Delta>,
    /// The hub's life as last heard.
    pub(crate) life: Option<HubLife>,
    /// Registers are held up to here.
    pub(crate) registers: u64,
    /// Other shops' levels are held up to here.
    pub(crate) feed: u64,
    /// The hub's last token.
    pub(crate) token: Option<Vec<u8>>,
    /// Quarantined records that changed.
    pub(crate) quarantine: Vec<QuarantinedV1>,
    /// The list of disagreements, where it changed.
    pub(crate) disagreements: Option<Vec<DisagreementV1>>,
    /// The legs of holds.
    pub(crate) legs: Brought,
    /// How far transfers are known.
    pub(crate) transfers: TransfersV1,
    /// Movements that the hub has not acknowledged, these included.
    pub(crate) pending: u64,
    /// Whether more is pending than is brought here.
    pub(crate) more: bool,
    /// What [`super::answer::apply`] needs to know of this.
    pub(crate) sent: Sent,
}

/// What was sent, as far as the answer speaks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The replica that was shown as the own one.
    pub(super) own: ReplicaId,
    /// Whether all positions were shown.
    pub(super) all: bool,
    /// The hub's life as it was believed.
    pub(super) life: Option<HubLife>,
    /// Quarantine changes up to here were sent.
    pub(super) quarantine: Option<u64>,
    /// The version of the disagreements that was sent.
    pub(super) disagreements: Option<i64>,
    /// The legs that were sent.
    pub(super) legs: Vec<Leg>,
}

impl Sent {
    /// Nothing was: the answer came on a stick.
    pub(super) fn nothing(own: ReplicaId, life: Option<HubLife>) -> Self {
        Self {
            own,
            all: false,
            life,
            quarantine: None,
            disagreements: None,
            legs: Vec::new(),
        }
    }
}

/// What earlier frames of a stick carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnStick {
    /// Movements, up to here.
    pub(crate) movements: BTreeMap<ReplicaId, Seq>,
    /// Legs.
    pub(crate) legs: BTreeSet<LegId>,
}

impl OnStick {
    /// Another frame.
    pub(crate) fn add(&mut self, asked: &Asked) {
        for delta in &asked.deltas {
            self.movements.insert(delta.replica, delta.last_seq());
        }
        self.legs.extend(asked.legs.legs.iter().map(|leg| leg.id));
    }
}

/// Everything is offered to the hub again, from the first movement on.
pub(crate) fn offer_again(conn: &Connection) -> Result<(), LedgerError> {
    replica::forget_acked(conn)?;
    conn.execute(SHOW_ALL, [])?;
    Ok(())
}

/// Where a stick begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StickFrom {
    /// Where the hub's acknowledgement ends.
    Acknowledged,
    /// At the first movement of every replica.
    Start,
}

/// Builds an exchange out of one snapshot of the ledger.
pub(crate) fn ask(conn: &Connection, ask: &Ask) -> Result<Asked, LedgerError> {
    build(conn, ask, &replica::all(conn)?, &Without::acknowledged())
}

/// Builds the next frame of a stick: what comes behind `done`, as if so much had been acknowledged.
pub(crate) fn stick(
    conn: &Connection,
    ask: &Ask,
    from: StickFrom,
    done: &OnStick,
) -> Result<Asked, LedgerError> {
    let mut replicas = replica::all(conn)?;
    for held in &mut replicas {
        let begin = match from {
            StickFrom::Acknowledged => held.acked,
            StickFrom::Start => Seq(0),
        };
        let behind = done.movements.get(&held.id).copied().unwrap_or(begin);
        // A log becomes shorter where its tail moves to a branch meanwhile.
        held.acked = behind.min(held.head.seq);
    }
    let mut without = match from {
        StickFrom::Acknowledged => Without::acknowledged(),
        StickFrom::Start => Without::nothing(),
    };
    without.done.clone_from(&done.legs);
    let mut asked = build(conn, ask, &replicas, &without)?;
    if asked.more {
        // They go with the last movements, and behind them.
        asked.legs = Brought::default();
    } else {
        asked.more = !asked.legs.section.all && !asked.legs.legs.is_empty();
    }
    Ok(asked)
}

fn build(
    conn: &Connection,
    ask: &Ask,
    replicas: &[Held],
    without: &Without,
) -> Result<Asked, LedgerError> {
    let own = replica::current(conn)?.ok_or(LedgerError::NotEnrolled)?.id;
    let (show_all, token, unseen): (bool, Option<Vec<u8>>, bool) = conn
        .prepare_cached(FLAGS)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let positions = positions(
        conn,
        own,
        replicas,
        show_all || unseen || ask.show == Show::All,
    )?;
    let deltas = deltas(conn, own, replicas, ask)?;
    let brought: u64 = deltas.iter().map(|delta| delta.entries.len() as u64).sum();
    let pending = replicas
        .iter()
        .map(|held| held.head.seq.0.saturating_sub(held.acked.0))
        .sum();
    let hub = state::hub_side(conn)?;
    let (quarantine, quarantine_upto) = quarantine::unsent(conn)?;
    let (disagreements, version) = disagreement::unsent(conn)?;
    let legs = brought::legs(conn, (replicas, &deltas), without, ask.now)?;
    let sent = Sent {
        own,
        all: positions.all,
        life: hub.life,
        quarantine: quarantine_upto,
        disagreements: disagreements.is_some().then_some(version),
        legs: legs.legs.clone(),
    };
    Ok(Asked {
        positions,
        deltas,
        life: hub.life,
        registers: hub.registers,
        feed: hub.feed,
        token,
        quarantine,
        disagreements,
        legs,
        transfers: transfer::held(conn)?,
        pending,
        more: pending > brought,
        sent,
    })
}

fn positions(
    conn: &Connection,
    own: ReplicaId,
    replicas: &[Held],
    all: bool,
) -> Result<Positions, LedgerError> {
    let is_shown = |held: &&Held| {
        let differs = held.head.seq != held.acked || held.is_behind;
        held.id == own || differs || (all && held.head.seq > Seq(0))
    };
    let mut shown: Vec<&Held> = replicas.iter().filter(is_shown).collect();
    let fits = shown.len() <= MAX_SHOWN;
    shown.sort_by_key(|held| held.id != own);
    shown.truncate(MAX_SHOWN);
    Ok(Positions {
        own,
        hash: positions_hash(replicas.iter().map(|held| (held.id, held.head))),
        all: all && fits,
        list: shown
            .into_iter()
            .map(|held| held.shown(conn))
            .collect::<Result<_, _>>()?,
    })
}

/// What the hub lacks, replica by replica, from where it has acknowledged.
fn deltas(
    conn: &Connection,
    own: ReplicaId,
    replicas: &[Held],
    ask: &Ask,
) -> Result<Vec<Delta>, LedgerError> {
    let mut movements = ask.movements.min(MAX_DELTA_MOVEMENTS);
    let mut bytes = ask.bytes;
    let mut deltas = Vec::new();
    let is_own = |held: &&Held| !planted::is("agent_relays_only_its_own") || held.id == own;
    for held in replicas
        .iter()
        .filter(is_own)
        .filter(|held| held.head.seq > held.acked)
    {
        if movements == 0 {
            break;
        }
        let mut entries = log::entries(conn, held.no, held.acked, movements)?;
        let fitting = entries
            .iter()
            .take_while(|entry| take(&mut bytes, entry.bytes.len()))
            .count();
        // One movement always fits, so that the queue never stands still.
        entries.truncate(if deltas.is_empty() {
            fitting.max(1)
        } else {
            fitting
        });
        if entries.is_empty() {
            break;
        }
        movements -= entries.len();
        deltas.push(delta(conn, held, entries)?);
    }
    Ok(deltas)
}

fn take(left: &mut usize, bytes: usize) -> bool {
    let fits = bytes <= *left;
    *left = if fits { *left - bytes } else { 0 };
    fits
}

fn delta(conn: &Connection, held: &Held, entries: Vec<Entry>) -> Result<Delta, LedgerError> {
    let base = Position {
        seq: held.acked,
        chain: replica::chain_at(conn, held.no, held.id, held.acked)?,
    };
    let last = Seq(held.acked.0 + entries.len() as u64);
    let totals = totals_at(conn, held, &entries, last)?;
    Ok(Delta {
        replica: held.id,
        base,
        entries,
        totals,
    })
}

/// The totals of the touched rows after `last`: those of now, less what came later.
fn totals_at(
    conn: &Connection,
    held: &Held,
    entries: &[Entry],
    last: Seq,
) -> Result<Vec<RowTotal>, LedgerError> {
    let touched: BTreeMap<_, _> = Delta::sums(entries)?;
    let mut after = conn.prepare_cached(AFTER)?;
    touched
        .keys()
        .map(|(barcode, condition)| {
            let mut sum_after = |seq: Seq| {
                let key = params![barcode.as_str(), condition.number(), held.no, int(seq.0)];
                after.query_row(key, |row| {
                    Ok(Total {
                        p: uint(row.get(0)?),
                        n: uint(row.get(1)?),
                    })
                })
            };
            let now = match log::total(conn, barcode, *condition, held.no) {
                // The log is whole: what it brings must not wait for the table beside it.
                Err(error) if is_damage(&error) => sum_after(Seq(0))?,
                now => now?,
            };
            let later = if last == held.head.seq {
                Total::default()
            } else {
                sum_after(last)?
            };
            let less = |now: u64, later: u64| {
                now.checked_sub(later)
                    .ok_or(LedgerError::Damaged { what: "a total" })
            };
            let total = Total {
                p: less(now.p, later.p)?,
                n: less(now.n, later.n)?,
            };
            Ok(RowTotal {
                barcode: (*barcode).clone(),
                condition: *condition,
                total,
            })
        })
        .collect()
}
