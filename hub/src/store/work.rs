//! Work items as rows: entries, what happened to them, whose they are. What a change of one tells is put into the outbox by
//! the same transaction.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};
use vitrina_shared::registers::{Item, kind as register};
use vitrina_shared::{ShopId, TimeMs};

use super::sqlite::Txn;
use super::{StoreError, audit, outbox, owners, registers, shops};
use crate::audit::{By, What};
use crate::work::decide::{Entry, Fact, SAME_AGAIN_MS, Step};
use crate::work::owner::{About, Owner, owner};
use crate::work::{Deed, Done, Kind, Level, State, Told, WorkItem};

const ENTRIES: &str = "SELECT id, kind, cause, state, stands, weight, level, snoozed_until, updated_at, evidence \
    FROM work_item WHERE state <> 'resolved' UNION ALL \
    SELECT id, kind, cause, state, stands, weight, level, snoozed_until, updated_at, evidence \
    FROM work_item AS w WHERE state = 'resolved' AND (stands = 1 OR updated_at >= ?1) AND NOT EXISTS (SELECT 1 \
    FROM work_item AS l WHERE l.kind = w.kind AND l.cause = w.cause AND (l.opened_at, l.id) > (w.opened_at, w.id))";
const ONE: &str = "SELECT id, kind, cause, shop, barcode, state, level, person, channel, evidence, opened_at, updated_at, \
    snoozed_until, times FROM work_item WHERE id = ?1";
const OF_CAUSE: &str = "SELECT id FROM work_item WHERE kind = ?1 AND cause = ?2 ORDER BY opened_at DESC, id DESC LIMIT 1";
const ENDED_BY_ITSELF: &str = "SELECT id FROM work_item AS w WHERE id = ?1 AND state = 'resolved' AND \
    (SELECT by FROM work_history WHERE item = w.id ORDER BY n DESC LIMIT 1) = ?2";
const LIST: &str = "SELECT id, kind, cause, shop, barcode, state, level, person, channel, evidence, opened_at, updated_at, \
    snoozed_until, times FROM work_item \
    WHERE (opened_at < ?1 OR (opened_at = ?1 AND id < ?2)) AND (?3 IS NULL OR state = ?3) \
    AND (?4 OR state <> 'resolved') AND (?5 IS NULL OR kind = ?5) AND (?6 IS NULL OR shop = ?6) \
    AND (?7 IS NULL OR person = ?7) ORDER BY opened_at DESC, id DESC LIMIT ?8";
const NAMED: &str = "SELECT id, kind, cause, shop, barcode, state, level, person, channel, evidence, opened_at, updated_at, \
    snoozed_until, times FROM work_item WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 100";
const UNRESOLVED: &str = "SELECT id FROM work_item WHERE state <> 'resolved'";
const ADD: &str = "INSERT INTO work_item (id, kind, cause, shop, barcode, state, stands, weight, level, person, channel, \
    evidence, opened_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, 'open', 1, ?6, ?7, ?8, ?9, ?10, ?11, ?11) \
    ON CONFLICT DO NOTHING";
const REOPEN: &str = "UPDATE work_item SET state = 'open', stands = 1, weight = ?2, level = ?3, person = ?4, channel = ?5, \
    evidence = ?6, updated_at = ?7, snoozed_until = NULL, times = times + 1 WHERE id = ?1 AND state = 'resolved' \
    AND NOT EXISTS (SELECT 1 FROM work_item AS o WHERE o.kind = work_item.kind AND o.cause = work_item.cause \
    AND o.state <> 'resolved')";
const UPDATE: &str = "UPDATE work_item SET weight = ?2, evidence = ?3, updated_at = ?4 WHERE id = ?1 AND state <> 'resolved'";
const ESCALATE: &str = "UPDATE work_item SET state = 'open', level = ?2, person = ?3, channel = ?4, weight = ?5, \
    evidence = ?6, updated_at = ?7, snoozed_until = NULL WHERE id = ?1 AND state <> 'resolved' AND level < ?2";
const WAKE: &str = "UPDATE work_item SET state = 'open', snoozed_until = NULL, updated_at = ?2 \
    WHERE id = ?1 AND state = 'snoozed' AND snoozed_until <= ?2";
const RESOLVE: &str = "UPDATE work_item SET state = 'resolved', stands = ?2, snoozed_until = NULL, updated_at = ?3 \
    WHERE id = ?1 AND state <> 'resolved'";
const FADE: &str = "UPDATE work_item SET stands = 0, updated_at = ?2 WHERE id = ?1 AND state = 'resolved' AND stands = 1";
const SET_STATE: &str = "UPDATE work_item SET state = ?2, snoozed_until = ?3, updated_at = ?4 WHERE id = ?1 AND state <> 'resolved' \
    AND (state <> ?2 OR snoozed_until IS NOT ?3)";
const ASSIGN: &str = "UPDATE work_item SET person = ?2, channel = ?3, updated_at = ?4 WHERE id = ?1 AND state <> 'resolved' \
    AND (person IS NOT ?2 OR channel IS NOT ?3)";
const TELL: &str = "INSERT INTO work_history (item, n, at, by, what, detail) \
    VALUES (?1, (SELECT coalesce(max(n), 0) + 1 FROM work_history WHERE item = ?1), ?2, ?3, ?4, ?5)";
const HISTORY: &str = "SELECT at, by, what, detail FROM work_history WHERE item = ?1 ORDER BY n";

/// The attributes of goods that the responsibility map asks for.
const CATEGORY: &str = "category";
const BRAND: &str = "brand";

/// Which entries, the latest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkFilter {
    /// Only so far; none: all that are not resolved.
    pub(crate) state: Option<State>,
    /// The resolved ones too, where no state is said.
    pub(crate) all: bool,
    /// Only of this kind.
    pub(crate) kind: Option<Kind>,
    /// Only of this shop.
    pub(crate) shop: Option<ShopId>,
    /// Only of this person.
    pub(crate) person: Option<String>,
    /// Only behind this place, where the last page ended: when it was opened, and its name.
    pub(crate) after: Option<(i64, [u8; 16])>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// What happened once, to be looked at by a person: see [`raise`].
#[derive(Clone, Debug)]
pub(crate) struct Raised {
    /// What.
    pub(crate) kind: Kind,
    /// What makes it one and the same.
    pub(crate) cause: String,
    /// In which shop.
    pub(crate) shop: Option<ShopId>,
    /// Of which barcode.
    pub(crate) barcode: Option<String>,
    /// What is known, as a JSON object.
    pub(crate) evidence: Value,
}

/// What happens to an entry.
struct Event<'a> {
    by: &'a By,
    what: &'static str,
    detail: Value,
}

fn item(row: &Row<'_>) -> Result<WorkItem, StoreError> {
    let text = |i| row.get::<_, Option<String>>(i);
    let (kind, state): (String, String) = (row.get(1)?, row.get(5)?);
    let evidence: String = row.get(9)?;
    Ok(WorkItem {
        id: row.get(0)?,
        kind: kind_of(&kind)?,
        cause: row.get(2)?,
        shop: text(3)?.and_then(|shop| shop.parse().ok()),
        barcode: text(4)?,
        state: state_of(&state)?,
        level: Level::of_number(row.get(6)?),
        owner: match text(7)? {
            None => None,
            Some(person) => Some(Owner {
                person,
                channel: text(8)?,
            }),
        },
        evidence: json_of(&evidence)?,
        opened_at: TimeMs(row.get(10)?),
        updated_at: TimeMs(row.get(11)?),
        snoozed_until: row.get::<_, Option<i64>>(12)?.map(TimeMs),
        times: row.get::<_, i64>(13)?.cast_unsigned(),
    })
}

fn kind_of(word: &str) -> Result<Kind, StoreError> {
    word.parse()
        .map_err(|_| StoreError::Damaged("a work item has a kind that is none"))
}

fn state_of(word: &str) -> Result<State, StoreError> {
    word.parse()
        .map_err(|_| StoreError::Damaged("a work item has a state that is none"))
}

fn json_of(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged("a work item cannot be read"))
}

/// The latest entry of each cause that a decision asks for.
pub(super) fn entries(conn: &Connection, now: TimeMs) -> Result<Vec<Entry>, StoreError> {
    let mut statement = conn.prepare_cached(ENTRIES)?;
    let mut rows = statement.query([now.0.saturating_sub(SAME_AGAIN_MS)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, state, evidence): (String, String, String) =
            (row.get(1)?, row.get(3)?, row.get(9)?);
        // An entry of a kind that a newer hub wrote is none of this one's.
        let Ok(kind) = kind.parse() else { continue };
        entries.push(Entry {
            id: row.get(0)?,
            kind,
            cause: row.get(2)?,
            state: state_of(&state)?,
            stands: row.get(4)?,
            weight: row.get(5)?,
            level: Level::of_number(row.get(6)?),
            snoozed_until: row.get::<_, Option<i64>>(7)?.map(TimeMs),
            updated_at: TimeMs(row.get(8)?),
            evidence: json_of(&evidence)?,
        });
    }
    Ok(entries)
}

/// One entry.
pub(super) fn one(conn: &Connection, id: &[u8; 16]) -> Result<Option<WorkItem>, StoreError> {
    let mut statement = conn.prepare_cached(ONE)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(item).transpose()
}

/// What happened to an entry, the oldest first.
pub(super) fn history(conn: &Connection, id: &[u8; 16]) -> Result<Vec<Told>, StoreError> {
    let mut statement = conn.prepare_cached(HISTORY)?;
    let mut rows = statement.query([id])?;
    let mut history = Vec::new();
    while let Some(row) = rows.next()? {
        let detail: String = row.get(3)?;
        history.push(Told {
            at: TimeMs(row.get(0)?),
            by: row.get(1)?,
            what: row.get(2)?,
            detail: json_of(&detail)?,
        });
    }
    Ok(history)
}

/// A page of entries, the latest opened first.
pub(super) fn list(conn: &Connection, filter: &WorkFilter) -> Result<Vec<WorkItem>, StoreError> {
    let (opened_at, id) = filter.after.unwrap_or((i64::MAX, [0xff; 16]));
    let mut statement = conn.prepare_cached(LIST)?;
    let mut rows = statement.query(params![
        opened_at,
        id,
        filter.state.map(State::word),
        filter.all || filter.state.is_some(),
        filter.kind.map(Kind::word),
        filter.shop.as_ref().map(ShopId::as_str),
        filter.person,
        i64::try_from(filter.limit).unwrap_or(i64::MAX)
    ])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(item(row)?);
    }
    Ok(items)
}

/// The entries whose names lie in a range; a hundred at most.
pub(super) fn named(
    conn: &Connection,
    (first, last): ([u8; 16], [u8; 16]),
) -> Result<Vec<WorkItem>, StoreError> {
    let mut statement = conn.prepare_cached(NAMED)?;
    let mut rows = statement.query([first, last])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(item(row)?);
    }
    Ok(items)
}

/// Takes steps of a decision. What a person did meanwhile stays: a step that no longer fits its entry does nothing.
pub(super) fn take(txn: &Txn<'_>, steps: &[Step]) -> Result<(), StoreError> {
    for step in steps {
        let by_itself = |what| Event {
            by: &By::Hub,
            what,
            detail: json!({}),
        };
        match step {
            Step::Open(fact) => {
                open(txn, fact)?;
            }
            Step::Reopen(id, fact) => {
                let owner = owner_of(txn.conn, fact)?;
                let (person, channel) = parts(owner.as_ref());
                let done = txn.conn.prepare_cached(REOPEN)?.execute(params![
                    id,
                    fact.weight,
                    fact.level.number(),
                    person,
                    channel,
                    fact.evidence.to_string(),
                    txn.now.0
                ])?;
                tell_if(txn, done, id, &by_itself("reopened"))?;
            }
            Step::Update(id, fact) => {
                txn.conn.prepare_cached(UPDATE)?.execute(params![
                    id,
                    fact.weight,
                    fact.evidence.to_string(),
                    txn.now.0
                ])?;
            }
            Step::Escalate(id, fact) => {
                let owner = owner_of(txn.conn, fact)?;
                let (person, channel) = parts(owner.as_ref());
                let done = txn.conn.prepare_cached(ESCALATE)?.execute(params![
                    id,
                    fact.level.number(),
                    person,
                    channel,
                    fact.weight,
                    fact.evidence.to_string(),
                    txn.now.0
                ])?;
                tell_if(txn, done, id, &by_itself("escalated"))?;
            }
            Step::Wake(id) => {
                let done = txn
                    .conn
                    .prepare_cached(WAKE)?
                    .execute(params![id, txn.now.0])?;
                tell_if(txn, done, id, &by_itself("snooze_over"))?;
            }
            Step::Resolve(id) => {
                let done = txn
                    .conn
                    .prepare_cached(RESOLVE)?
                    .execute(params![id, false, txn.now.0])?;
                tell_if(txn, done, id, &by_itself("resolved"))?;
            }
            Step::Fade(id) => {
                txn.conn
                    .prepare_cached(FADE)?
                    .execute(params![id, txn.now.0])?;
            }
        }
    }
    Ok(())
}

/// A new entry; false where one of its cause is open already.
fn open(txn: &Txn<'_>, fact: &Fact) -> Result<bool, StoreError> {
    let id = txn.random::<16>()?;
    let owner = owner_of(txn.conn, fact)?;
    let (person, channel) = parts(owner.as_ref());
    let done = txn.conn.prepare_cached(ADD)?.execute(params![
        id,
        fact.kind.word(),
        fact.cause,
        fact.shop.as_ref().map(ShopId::as_str),
        fact.barcode,
        fact.weight,
        fact.level.number(),
        person,
        channel,
        fact.evidence.to_string(),
        txn.now.0
    ])?;
    let event = Event {
        by: &By::Hub,
        what: "opened",
        detail: json!({}),
    };
    tell_if(txn, done, &id, &event)?;
    Ok(done > 0)
}

/// Raises what happened once: for holds and transfers, in the transaction that finds it. However often the same cause is
/// raised it is one entry, also after a person resolved it; while it is not, what is known is kept up to date. Whether there
/// is a new entry.
pub(super) fn raise(txn: &Txn<'_>, raised: &Raised) -> Result<bool, StoreError> {
    let fact = fact_of(raised);
    let Some(id) = latest(txn.conn, raised)? else {
        return open(txn, &fact);
    };
    let text = fact.evidence.to_string();
    txn.conn
        .prepare_cached(UPDATE)?
        .execute(params![id, fact.weight, text, txn.now.0])?;
    Ok(false)
}

/// What was raised is so again: its entry is opened again where the hub itself had seen it end. What a person resolved stays
/// so.
pub(super) fn raise_again(txn: &Txn<'_>, raised: &Raised) -> Result<(), StoreError> {
    let Some(id) = latest(txn.conn, raised)? else {
        return Ok(());
    };
    let ended: Option<[u8; 16]> = txn
        .conn
        .prepare_cached(ENDED_BY_ITSELF)?
        .query_row(params![id, By::Hub.to_string()], |row| row.get(0))
        .optional()?;
    match ended {
        None => Ok(()),
        Some(id) => take(txn, &[Step::Reopen(id, fact_of(raised))]),
    }
}

/// The latest entry of a cause.
fn latest(conn: &Connection, raised: &Raised) -> Result<Option<[u8; 16]>, StoreError> {
    let found = conn
        .prepare_cached(OF_CAUSE)?
        .query_row(params![raised.kind.word(), raised.cause], |row| row.get(0))
        .optional()?;
    Ok(found)
}

fn fact_of(raised: &Raised) -> Fact {
    Fact {
        kind: raised.kind,
        cause: raised.cause.clone(),
        shop: raised.shop.clone(),
        barcode: raised.barcode.clone(),
        weight: 1,
        level: Level::Manager,
        presence: crate::work::decide::Presence::Stands,
        evidence: raised.evidence.clone(),
    }
}

/// A person's deed.
pub(super) fn act(
    txn: &Txn<'_>,
    by: &By,
    (id, deed, note): (&[u8; 16], &Deed, Option<&str>),
) -> Result<Done, StoreError> {
    let Some(before) = one(txn.conn, id)? else {
        return Ok(Done::Unknown);
    };
    let (what, told, until) = match deed {
        Deed::Acknowledge => (What::AlertAcknowledge, "acknowledged", None),
        Deed::Snooze(until) => (What::AlertSnooze, "snoozed", Some(*until)),
        Deed::Resolve => (What::AlertResolve, "resolved", None),
    };
    let done = match deed {
        Deed::Resolve => txn.conn.prepare_cached(RESOLVE)?.execute(params![
            id,
            before.kind.stands(),
            txn.now.0
        ])?,
        _ if before.state == State::Resolved => return Ok(Done::Over),
        _ => txn.conn.prepare_cached(SET_STATE)?.execute(params![
            id,
            told,
            until.map(|until| until.0),
            txn.now.0
        ])?,
    };
    if done > 0 {
        let mut detail = json!({});
        if let Some(members) = detail.as_object_mut() {
            if let Some(note) = note {
                members.insert("note".into(), note.into());
            }
            if let Some(until) = until {
                members.insert(
                    "until".into(),
                    vitrina_host::when::rfc3339_ms(until.0).into(),
                );
            }
        }
        let shop = match &before.shop {
            Some(shop) => shops::find(txn.conn, shop)?.map(|shop| shop.index),
            None => None,
        };
        let about = json!({ "alert": before.name(), "kind": before.kind.word() });
        audit::add(txn, by, (what, shop), &about)?;
        let event = Event {
            by,
            what: told,
            detail,
        };
        tell(txn, id, &event)?;
    }
    let now = one(txn.conn, id)?.ok_or(StoreError::Damaged("a work item is gone"))?;
    Ok(Done::Is(Box::new(now)))
}

/// The map changed: whoever now is responsible has what is not resolved.
pub(super) fn assign_all(txn: &Txn<'_>, by: &By) -> Result<(), StoreError> {
    let open: Vec<[u8; 16]> = {
        let mut statement = txn.conn.prepare_cached(UNRESOLVED)?;
        let ids = statement.query_map([], |row| row.get(0))?;
        ids.collect::<Result<_, _>>()?
    };
    for id in open {
        let Some(item) = one(txn.conn, &id)? else {
            continue;
        };
        let owner = owner_for(txn.conn, (item.kind, item.level), &item.shop, &item.barcode)?;
        let (person, channel) = parts(owner.as_ref());
        let done = txn
            .conn
            .prepare_cached(ASSIGN)?
            .execute(params![id, person, channel, txn.now.0])?;
        let event = Event {
            by,
            what: "assigned",
            detail: json!({ "person": person }),
        };
        tell_if(txn, done, &id, &event)?;
    }
    Ok(())
}

fn parts(owner: Option<&Owner>) -> (Option<&str>, Option<&str>) {
    let person = owner.map(|owner| owner.person.as_str());
    (person, owner.and_then(|owner| owner.channel.as_deref()))
}

fn owner_of(conn: &Connection, fact: &Fact) -> Result<Option<Owner>, StoreError> {
    owner_for(conn, (fact.kind, fact.level), &fact.shop, &fact.barcode)
}

/// Whose an entry is, by what the shop's settings and the catalogue say now.
#[expect(clippy::ref_option, reason = "both are fields of what asks")]
fn owner_for(
    conn: &Connection,
    (kind, level): (Kind, Level),
    shop: &Option<ShopId>,
    barcode: &Option<String>,
) -> Result<Option<Owner>, StoreError> {
    let rules = owners::rules(conn)?;
    if rules.is_empty() {
        return Ok(None);
    }
    let row = match shop {
        Some(shop) => shops::find(conn, shop)?,
        None => None,
    };
    let says = match barcode {
        Some(barcode) => registers::get(conn, register::ITEM, barcode)?,
        None => None,
    };
    let goods: Item = says
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let attribute = |name: &str| goods.attributes.get(name).map(String::as_str);
    let about = About {
        kind: Some(kind),
        level,
        shop: shop.as_ref(),
        city: row.as_ref().and_then(|row| row.settings.city.as_deref()),
        category: attribute(CATEGORY),
        brand: attribute(BRAND),
    };
    Ok(owner(&rules, &about).cloned())
}

fn tell_if(
    txn: &Txn<'_>,
    changed: usize,
    id: &[u8; 16],
    event: &Event<'_>,
) -> Result<(), StoreError> {
    if changed > 0 {
        tell(txn, id, event)?;
    }
    Ok(())
}

/// Writes down what happened, and puts it into the outbox of everybody whom it reaches.
fn tell(txn: &Txn<'_>, id: &[u8; 16], event: &Event<'_>) -> Result<(), StoreError> {
    txn.conn.prepare_cached(TELL)?.execute(params![
        id,
        txn.now.0,
        event.by.to_string(),
        event.what,
        event.detail.to_string()
    ])?;
    let item = one(txn.conn, id)?.ok_or(StoreError::Damaged("a work item is gone"))?;
    let by = event.by.to_string();
    outbox::put(txn, &item, (event.what, &by, &event.detail))
}
