//! Applying the hub's answer, in one job.

use rusqlite::{Connection, params};
use vitrina_shared::decide::{Acknowledged, acknowledge};
use vitrina_shared::wire::{Answer, Reply, StickAnswer};
use vitrina_shared::{HubLife, Key, Position, ReplicaId, Seq, ShopId, TimeMs, planted};

use super::ask::Sent;
use super::brought::{self, LegsTaken};
use super::promise::Touched;
use super::state::HubSide;
use super::{LedgerError, branch, guard, int, others, register, replica, state, transfer};

const HEARD: &str = "UPDATE state SET last_exchange = max(coalesce(last_exchange, ?1), ?1),
    skew_ms = coalesce(?2, skew_ms), token = coalesce(?3, token), show_all = ?4 OR (show_all AND ?5)";
const ALL_FOR: &str = "UPDATE state SET all_for = current
    WHERE current = (SELECT no FROM replica WHERE id = ?1)";
const REPLACED: &str = "UPDATE state SET replaced = 1 WHERE replaced = 0";
const QUARANTINE: &str = "UPDATE state SET quarantine_acked = max(quarantine_acked, ?1)";
const DISAGREEMENTS: &str = "UPDATE state SET disagreements_acked = ?1";

/// How an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// Over the line: it is the newest.
    Line,
    /// On a stick of this place in the hub's feed: an older one changes nothing.
    Stick(u64),
}

/// When an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The agent's clock.
    pub(crate) now: TimeMs,
    /// How far the hub's clock is ahead, where it can be told.
    pub(crate) skew_ms: Option<i64>,
}

/// What an answer changed.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[expect(
    clippy::struct_field_names,
    reason = "acked and taken are the words of the exchange"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// A newer exchange ended the wait: the answer is empty.
    pub(crate) superseded: bool,
    /// It is of an older life of the hub: nothing was changed.
    pub(crate) older: bool,
    /// Movements that the hub acknowledged with it.
    pub(crate) acked: u64,
    /// Movements that are new here.
    pub(crate) taken: u64,
    /// The replica that the ledger writes from now on.
    pub(crate) minted: Option<ReplicaId>,
    /// Where own tails went.
    pub(crate) branched: Vec<ReplicaId>,
    /// The hub began a new life.
    pub(crate) life_changed: bool,
    /// The next exchange shows all.
    pub(crate) show_all: bool,
    /// There is more to fetch: ask again at once.
    pub(crate) more: bool,
    /// Ask again not before so many milliseconds.
    pub(crate) retry_ms: u32,
    /// The shop's settings changed.
    pub(crate) settings_changed: bool,
    /// The hub's log of some replica goes on where ours does not.
    pub(crate) hub_ahead: bool,
    /// The hub has shown all it holds to the current replica, and the ledger holds it.
    pub(crate) ready_to_open: bool,
    /// Rows whose totals are not what the hub says they are.
    pub(crate) odd_rows: u64,
    /// What it changed of the legs of holds; none where the hub keeps none.
    pub(crate) legs: Option<LegsTaken>,
}

/// Applies an answer.
///
/// # Errors
///
/// [`LedgerError`]; then nothing of it was applied.
pub(crate) fn apply(
    conn: &Connection,
    answer: &Answer,
    sent: &Sent,
    via: Via,
    heard: Heard,
) -> Result<Taken, LedgerError> {
    let shop = state::shop(conn)?.ok_or(LedgerError::NotEnrolled)?;
    let welcome = &answer.welcome;
    let life = answer.life();
    let mut hub = state::hub_side(conn)?;
    let is_older = is_older(conn, via, life, hub.life)?;
    if welcome.superseded || is_older {
        return Ok(Taken {
            superseded: welcome.superseded,
            older: is_older,
            ..Taken::default()
        });
    }
    let pending = replica::pending(conn)?;
    let mut taken = Taken {
        life_changed: hub.life.is_some_and(|known| known != life),
        more: welcome.more,
        retry_ms: welcome.retry_ms,
        ..Taken::default()
    };
    if hub.life != Some(life) {
        state::begin_life(conn, life)?;
        hub = state::hub_side(conn)?;
    }
    take_movements(conn, answer, (&shop, via), heard.now, &mut taken)?;
    taken.settings_changed = take_words(conn, answer, (sent, via), &hub)?;
    taken.show_all = welcome.show_all
        || taken.minted.is_some()
        || (!sent.all && (taken.life_changed || sent.life != Some(life)));
    match via {
        // Nobody was spoken with.
        Via::Stick(pos) => state::stick_taken(conn, life, pos, answer.token.as_deref())?,
        Via::Line => {
            conn.prepare_cached(HEARD)?.execute(params![
                heard.now.0,
                heard.skew_ms,
                answer.token,
                taken.show_all,
                !sent.all
            ])?;
        }
    }
    if sent.all {
        conn.prepare_cached(ALL_FOR)?.execute([sent.own.0])?;
    }
    if let Some(upto) = sent.quarantine {
        conn.prepare_cached(QUARANTINE)?.execute([int(upto)])?;
    }
    if let Some(version) = sent.disagreements {
        conn.prepare_cached(DISAGREEMENTS)?.execute([version])?;
    }
    transfer::take(conn, answer.transfers.as_ref(), via)?;
    take_legs(conn, answer, (&shop, sent, via), heard.now, &mut taken)?;
    taken.acked = pending.saturating_sub(replica::pending(conn)?);
    taken.hub_ahead = replica::all(conn)?.iter().any(|held| held.is_behind);
    taken.ready_to_open = guard::is_ready(conn)?;
    Ok(taken)
}

/// Applies one frame of a stick.
///
/// # Errors
///
/// [`LedgerError`]; then nothing of it was applied.
pub(crate) fn apply_stick(
    conn: &Connection,
    stick: &StickAnswer,
    heard: Heard,
) -> Result<Taken, LedgerError> {
    let own = replica::current_or_mint(conn, heard.now)?.id;
    let sent = Sent::nothing(own, state::hub_side(conn)?.life);
    apply(
        conn,
        &stick.answer,
        &sent,
        Via::Stick(stick.about.pos),
        heard,
    )
}

/// Legs come last: before a leg is answered everything is applied that came with it.
fn take_legs(
    conn: &Connection,
    answer: &Answer,
    (shop, sent, via): (&ShopId, &Sent, Via),
    now: TimeMs,
    taken: &mut Taken,
) -> Result<(), LedgerError> {
    let is_unsure = sent.all
        || taken.life_changed
        || taken.minted.is_some()
        || taken.settings_changed
        || !taken.branched.is_empty();
    let touched = if is_unsure {
        Touched::Any
    } else {
        let entries = answer.deltas.iter().flat_map(|delta| &delta.entries);
        Touched::Some(
            entries
                .map(|entry| entry.movement.barcode.clone())
                .collect(),
        )
    };
    let is_same_life = sent.life == Some(answer.life());
    let legs = if is_same_life { &sent.legs[..] } else { &[] };
    taken.legs = brought::take(conn, (answer, shop, via), legs, touched, now)?;
    Ok(())
}

/// Whether an answer on a stick is older than what is known here. One of another life that is not later is, too: which
/// of the two goes on only the line can tell.
fn is_older(
    conn: &Connection,
    via: Via,
    life: HubLife,
    known: Option<HubLife>,
) -> Result<bool, LedgerError> {
    let (Via::Stick(pos), Some(known)) = (via, known) else {
        return Ok(false);
    };
    Ok(if life == known {
        pos < state::known_pos(conn, life)?
    } else {
        life.ordinal <= known.ordinal
    })
}

/// Reads what the hub acknowledges, takes its movements, and mints where somebody else wrote under the own name.
fn take_movements(
    conn: &Connection,
    answer: &Answer,
    (shop, via): (&ShopId, Via),
    now: TimeMs,
    taken: &mut Taken,
) -> Result<(), LedgerError> {
    let current = replica::current_or_mint(conn, now)?;
    let mut must_mint = current.is_doubted;
    for (id, hub) in &answer.positions {
        let known = read_position(conn, *id, (*hub, via), now)?;
        must_mint |= known.ends_own_replica() && *id == current.id;
    }
    for reply in &answer.replies {
        if let Reply::Duplicate { replica, upto } = reply
            && let Some(no) = replica::find(conn, ReplicaId(*replica))?
            && replica::head(conn, no, ReplicaId(*replica))?.seq.0 >= *upto
        {
            replica::raise_acked(conn, no, Seq(*upto))?;
        }
    }
    let mut source_changed = false;
    for delta in &answer.deltas {
        let took = branch::take(conn, shop, delta, now)?;
        taken.taken += took.added;
        taken.branched.extend(took.branch);
        taken.odd_rows += took.odd_rows;
        must_mint |= took.ends_own && delta.replica == current.id;
        source_changed |= delta
            .entries
            .iter()
            .any(|entry| entry.movement.key == Key::SourceChanged);
        if let (Some(upto), Some(no)) = (took.upto, replica::find(conn, delta.replica)?) {
            replica::raise_acked(conn, no, upto)?;
            if let Some((_, hub)) = answer.positions.iter().find(|(id, _)| *id == delta.replica)
                && acknowledged(conn, no, delta.replica, *hub)? == Acknowledged::UpTo(hub.seq)
            {
                replica::set_acked(conn, no, hub.seq)?;
            }
        }
    }
    if must_mint && !planted::is("agent_goes_on_where_the_hub_is_ahead") {
        taken.minted = Some(replica::mint(conn, now)?);
    }
    if source_changed {
        // The change was booked in an earlier life of this ledger.
        state::set_source(conn, state::settings(conn)?.source)?;
    }
    Ok(())
}

/// Acknowledges up to the hub's position where it lies on our log; otherwise remembers that it does not.
fn read_position(
    conn: &Connection,
    id: ReplicaId,
    (hub, via): (Position, Via),
    now: TimeMs,
) -> Result<Acknowledged, LedgerError> {
    let no = match replica::find(conn, id)? {
        Some(no) => no,
        None if hub.seq == Seq(0) => return Ok(Acknowledged::UpTo(Seq(0))),
        None => replica::find_or_add(conn, id, now)?,
    };
    let known = acknowledged(conn, no, id, hub)?;
    match (known, via) {
        (Acknowledged::UpTo(seq), Via::Line) => replica::set_acked(conn, no, seq)?,
        // Within one life the hub's log only grows, and the line may have told of more.
        (Acknowledged::UpTo(seq), Via::Stick(_)) => replica::raise_acked(conn, no, seq)?,
        (Acknowledged::HubAhead, _) => replica::set_behind(conn, no)?,
    }
    Ok(known)
}

fn acknowledged(
    conn: &Connection,
    no: i64,
    id: ReplicaId,
    hub: Position,
) -> Result<Acknowledged, LedgerError> {
    let head = replica::head(conn, no, id)?;
    acknowledge(head, hub, |seq| replica::chain_at(conn, no, id, seq))
}

/// Registers, other shops' levels. Whether the shop's settings changed.
fn take_words(
    conn: &Connection,
    answer: &Answer,
    (sent, via): (&Sent, Via),
    hub: &HubSide,
) -> Result<bool, LedgerError> {
    let mut settings_changed = false;
    if let Some(registers) = &answer.registers {
        settings_changed = register::apply(conn, &registers.list, registers.upto, hub.generation)?;
        if settings_changed {
            state::follow_source(conn)?;
        }
    }
    if let Some(others) = &answer.others {
        others::apply(conn, others, hub.feed, hub.generation)?;
    }
    // Asked in this life of the hub, and nothing is left to send: what did not come again is gone.
    // A stick does not bring everything.
    let is_line = via == Via::Line;
    if is_line && sent.life == Some(answer.life()) && !answer.welcome.more {
        conn.prepare_cached(REPLACED)?.execute([])?;
    }
    Ok(settings_changed)
}
