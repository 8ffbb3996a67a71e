//! Recomputing everything that can be recomputed: chains, columns, totals, voids. In constant memory, but for the
//! oracle, which only looks at small ledgers.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, params};
use vitrina_host::db::{Check, check};
use vitrina_host::output::Lang;
use vitrina_host::say;
use vitrina_shared::voids::{Fact, void_dots};
use vitrina_shared::{
    Condition, Dot, Kind, MovementId, Position, Qty, ReplicaId, Seq, ShopId, TimeMs, Total,
};

use super::log::{self, Names};
use super::replica::{self, Held};
use super::{LedgerError, digest, repair, standing, state, uint};

const LOG: &str =
    "SELECT seq, id, key_hash, barcode, condition, kind, qty, at, body, chain FROM movement
    WHERE replica = ?1 ORDER BY seq";
const BY_ROW: &str = "SELECT barcode, condition, replica, qty, counts, kind, at, id FROM movement
    ORDER BY barcode, condition";
const TOTALS: &str = "SELECT replica, p, n FROM total WHERE barcode = ?1 AND condition = ?2";
const VOIDED: &str =
    "SELECT coalesce(sum(units), 0) FROM voided WHERE barcode = ?1 AND condition = ?2";
const COUNT_TOTALS: &str = "SELECT count(*) FROM total";
const COUNT_VOIDED: &str = "SELECT count(*) FROM voided";
const UNEXPLAINED: &str =
    "SELECT barcode, condition FROM total UNION SELECT barcode, condition FROM voided
    UNION SELECT barcode, condition FROM statement EXCEPT SELECT barcode, condition FROM movement";
const BY_ID: &str =
    "SELECT m.id, r.id, m.seq, m.counts, m.kind, m.barcode, m.condition FROM movement m
    JOIN replica r ON r.no = m.replica ORDER BY m.id";
const FACTS: &str =
    "SELECT r.id, m.seq, m.counts, m.body FROM movement m JOIN replica r ON r.no = m.replica";

/// The oracle holds all facts in memory: only so many.
const ORACLE_MOVEMENTS: u64 = 20_000;
/// More problems than this are only counted.
const MAX_PROBLEMS: usize = 100;

/// What was recomputed, and what was not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Whether nothing was wrong.
    pub(crate) ok: bool,
    /// How much of what was looked at.
    pub(crate) checked: BTreeMap<&'static str, u64>,
    /// What is wrong, in words.
    pub(crate) problems: Vec<String>,
    /// How many that are: only the first are in words.
    found: u64,
    /// The same, as a repair needs it.
    pub(super) wrong: Wrong,
}

/// What is not as the movements say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The file itself: an index, perhaps, that can be made anew.
    pub(super) pages: bool,
    /// A log: what is counted from it would be wrong.
    pub(super) is_damaged: bool,
    /// Places whose stored chain is not that of their bytes, though all that follow are.
    pub(super) chains: Vec<(i64, Position)>,
    /// Movements whose columns are not what their bytes say.
    pub(super) columns: Vec<(i64, Seq)>,
    /// Whom the void movements name.
    pub(super) targets: bool,
    /// Ids of which the wrong dot counts.
    pub(super) ids: BTreeSet<MovementId>,
    /// Rows of totals, of what does not count, or of statements.
    pub(super) rows: BTreeSet<(String, u8)>,
}

impl Verified {
    /// What a person does about what was found.
    pub(crate) fn advice(&self, lang: Lang) -> String {
        if self.wrong.is_damaged {
            say!(
                lang,
                "a log is damaged and cannot be put right from itself. See that status shows pending 0, or keep what is pending with frames export; stop the agent, put ledger.sqlite3 aside, and enrol again with a code of `vitrina-hub shop recode`: the hub gives back all it has",
                "повреждён сам журнал, из него его не исправить. Убедитесь, что status показывает pending 0, или сохраните остаток через frames export; остановите агента, уберите ledger.sqlite3 и подключите заново кодом `vitrina-hub shop recode`: хаб вернёт всё, что у него есть"
            )
        } else {
            say!(
                lang,
                "vitrina-agent verify --repair writes anew what the movements explain",
                "vitrina-agent verify --repair запишет заново то, что объясняют движения"
            )
        }
    }

    fn count(&mut self, what: &'static str, by: u64) {
        *self.checked.entry(what).or_default() += by;
    }

    /// A log is not what was written: only another side's can help.
    fn damaged(&mut self, words: String) {
        self.wrong.is_damaged = true;
        self.problem(words);
    }

    fn problem(&mut self, words: String) {
        self.ok = false;
        self.found += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(words);
        }
    }
}

/// Looks at everything within one snapshot.
pub(super) fn verify(conn: &Connection) -> Result<Verified, LedgerError> {
    conn.execute_batch("BEGIN")?;
    let mut verified = Verified {
        ok: true,
        ..Verified::default()
    };
    // The indexes too: by them a movement that comes again is found.
    let pages = check(conn, Check::Full)?;
    verified.count("pages", 1);
    verified.wrong.pages = !pages.is_empty();
    for words in pages {
        verified.problem(format!("the database file: {words}"));
    }
    if let Some(shop) = state::shop(conn)? {
        for held in replica::all(conn)? {
            chain(conn, &shop, &held, &mut verified)?;
        }
        if !repair::targets_are_right(conn)? {
            verified.wrong.targets = true;
            verified.problem("whom the void movements name is not what they say".to_owned());
        }
        rows(conn, &mut verified)?;
        standings(conn, &mut verified)?;
        if let Some(alert) = digest::alert(conn)? {
            verified.problem(alert);
        }
        if verified
            .checked
            .get("movements")
            .is_some_and(|count| *count <= ORACLE_MOVEMENTS)
        {
            oracle(conn, &shop, &mut verified)?;
        }
    }
    conn.execute_batch("ROLLBACK")?;
    Ok(verified)
}

/// One log: no hole, every chain, every column as its bytes say.
fn chain(
    conn: &Connection,
    shop: &ShopId,
    held: &Held,
    verified: &mut Verified,
) -> Result<(), LedgerError> {
    let mut at = held.id.origin();
    // A stored chain that is not what comes out, until the next one says which of the two is right.
    let mut odd: Option<Position> = None;
    let mut query = conn.prepare(LOG)?;
    let mut rows = query.query([held.no])?;
    while let Some(row) = rows.next()? {
        let seq = Seq(uint(row.get(0)?));
        let body: Vec<u8> = row.get(8)?;
        verified.count("movements", 1);
        at = at.then(&body);
        if at.seq != seq {
            verified.damaged(format!("{} has a hole before {seq}", held.id));
            return Ok(());
        }
        let is_chained = at.chain.0 == row.get::<_, [u8; 32]>(9)?;
        match (odd.take(), is_chained) {
            (None, true) => {}
            (None, false) => odd = Some(at),
            (Some(odd), true) => {
                verified.wrong.chains.push((held.no, odd));
                let seq = odd.seq;
                verified.problem(format!("{} {seq} has not the chain of its bytes", held.id));
            }
            (Some(odd), false) => {
                let seq = odd.seq;
                verified.damaged(format!("{} breaks its chain at {seq}", held.id));
                return Ok(());
            }
        }
        if !is_as_its_bytes_say(shop, row, &body)? {
            verified.wrong.columns.push((held.no, seq));
            verified.problem(format!("{} {seq} is not as its bytes say", held.id));
        }
    }
    if let Some(Position { seq, .. }) = odd {
        verified.damaged(format!("{} breaks its chain at {seq}", held.id));
    }
    if held.acked > at.seq {
        verified.problem(format!(
            "{} is acknowledged up to {} but ends at {}",
            held.id, held.acked, at.seq
        ));
    }
    verified.count("chains", 1);
    Ok(())
}

fn is_as_its_bytes_say(shop: &ShopId, row: &Row<'_>, body: &[u8]) -> Result<bool, LedgerError> {
    let Ok(entry) = log::entry(body) else {
        return Ok(false);
    };
    let movement = &entry.movement;
    let names = Names::of(shop, movement);
    Ok(row.get::<_, [u8; 16]>(1)? == names.id.0
        && row.get::<_, Option<[u8; 16]>>(2)? == names.key.map(|key| key.0)
        && row.get::<_, String>(3)? == movement.barcode.as_str()
        && row.get::<_, u8>(4)? == movement.condition.number()
        && row.get::<_, u8>(5)? == movement.kind.number()
        && row.get::<_, i64>(6)? == movement.qty.units()
        && row.get::<_, i64>(7)? == movement.at.0)
}

/// What the movements of one row come to.
#[derive(Default)]
struct Sums {
    totals: BTreeMap<i64, Total>,
    voided: i64,
    statement: Option<(TimeMs, MovementId)>,
}

/// Every row of totals is the sum of its movements, and there is no other.
fn rows(conn: &Connection, verified: &mut Verified) -> Result<(), LedgerError> {
    let mut query = conn.prepare(BY_ROW)?;
    let mut rows = query.query([])?;
    let mut open: Option<((String, u8), Sums)> = None;
    let (mut totals, mut voided) = (0, 0);
    let mut finish =
        |key: &(String, u8), sums: &Sums, verified: &mut Verified| -> Result<(), LedgerError> {
            totals += sums
                .totals
                .values()
                .filter(|total| **total != Total::default())
                .count() as u64;
            voided += u64::from(sums.voided != 0);
            compare(conn, key, sums, verified)
        };
    while let Some(row) = rows.next()? {
        let key = (row.get::<_, String>(0)?, row.get::<_, u8>(1)?);
        if open.as_ref().is_some_and(|(before, _)| *before != key)
            && let Some((before, sums)) = open.take()
        {
            finish(&before, &sums, verified)?;
        }
        let (_, sums) = open.get_or_insert_with(|| (key, Sums::default()));
        let qty = Qty::new(row.get(3)?).map_err(|_| LedgerError::Damaged { what: "a quantity" })?;
        let total = sums.totals.entry(row.get(2)?).or_default();
        *total = total.after(qty)?;
        if !row.get::<_, bool>(4)? {
            sums.voided += qty.units();
        }
        let id = MovementId(row.get(7)?);
        let is_statement = Kind::of_number(row.get(5)?) == Kind::Balance;
        if is_statement && !standing::is_targeted(conn, id)? {
            sums.statement = sums.statement.max(Some((TimeMs(row.get(6)?), id)));
        }
    }
    if let Some((key, sums)) = open.take() {
        finish(&key, &sums, verified)?;
    }
    let held =
        |sql| -> Result<u64, LedgerError> { Ok(uint(conn.query_row(sql, [], |row| row.get(0))?)) };
    if held(COUNT_TOTALS)? != totals || held(COUNT_VOIDED)? != voided {
        verified.problem("there are totals that no movement explains".to_owned());
        let mut query = conn.prepare(UNEXPLAINED)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in rows {
            verified.wrong.rows.insert(row?);
        }
    }
    Ok(())
}

fn compare(
    conn: &Connection,
    key: &(String, u8),
    sums: &Sums,
    verified: &mut Verified,
) -> Result<(), LedgerError> {
    let (text, condition) = key;
    verified.count("rows", 1);
    let before = verified.found;
    let mut query = conn.prepare_cached(TOTALS)?;
    let held = query.query_map(params![text, condition], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            Total {
                p: uint(row.get(1)?),
                n: uint(row.get(2)?),
            },
        ))
    })?;
    let held: BTreeMap<i64, Total> = held.collect::<rusqlite::Result<_>>()?;
    let explained = sums
        .totals
        .iter()
        .filter(|(_, total)| **total != Total::default());
    if !explained.map(|(no, total)| (*no, *total)).eq(held) {
        verified.problem(format!(
            "the totals of {text} are not the sum of its movements"
        ));
    }
    let voided: i64 = conn
        .prepare_cached(VOIDED)?
        .query_row(params![text, condition], |row| row.get(0))?;
    if voided != sums.voided {
        verified.problem(format!(
            "what does not count of {text} is not the sum of its void movements"
        ));
    }
    let barcode = log::barcode(text)?;
    if standing::statement(conn, &barcode, Condition::of_number(*condition))? != sums.statement {
        verified.problem(format!(
            "the statement of {text} that counts is not its latest"
        ));
    }
    if verified.found > before {
        verified.wrong.rows.insert(key.clone());
    }
    Ok(())
}

/// Every id counts once, or not at all where it is named or superseded.
fn standings(conn: &Connection, verified: &mut Verified) -> Result<(), LedgerError> {
    struct Group {
        id: MovementId,
        smallest: Dot,
        counting: Vec<Dot>,
        is_void: bool,
        is_superseded: bool,
    }
    let close = |group: &Group, verified: &mut Verified| -> Result<(), LedgerError> {
        let is_named = !group.is_void && standing::is_targeted(conn, group.id)?;
        let should: &[Dot] = if is_named || group.is_superseded {
            &[]
        } else {
            &[group.smallest]
        };
        verified.count("ids", 1);
        if group.counting != should {
            verified.wrong.ids.insert(group.id);
            verified.problem(format!(
                "{} counts {} times",
                group.id,
                group.counting.len()
            ));
        }
        Ok(())
    };
    let mut query = conn.prepare(BY_ID)?;
    let mut rows = query.query([])?;
    let mut open: Option<Group> = None;
    while let Some(row) = rows.next()? {
        let id = MovementId(row.get(0)?);
        let dot = Dot {
            replica: ReplicaId(row.get(1)?),
            seq: Seq(uint(row.get(2)?)),
        };
        if let Some(before) = open.take_if(|group| group.id != id) {
            close(&before, verified)?;
        }
        let group = open.get_or_insert_with(|| Group {
            id,
            smallest: dot,
            counting: Vec::new(),
            is_void: false,
            is_superseded: false,
        });
        group.smallest = group.smallest.min(dot);
        if row.get::<_, bool>(3)? {
            group.counting.push(dot);
        }
        let kind = Kind::of_number(row.get(4)?);
        group.is_void |= kind == Kind::Void;
        if kind == Kind::Balance {
            let barcode = log::barcode(&row.get::<_, String>(5)?)?;
            let latest = standing::statement(conn, &barcode, Condition::of_number(row.get(6)?))?;
            group.is_superseded |= latest.is_some_and(|(_, latest)| latest != id);
        }
    }
    open.map_or(Ok(()), |group| close(&group, verified))
}

/// The whole set at once, by the model's own function.
fn oracle(conn: &Connection, shop: &ShopId, verified: &mut Verified) -> Result<(), LedgerError> {
    let mut query = conn.prepare(FACTS)?;
    let mut rows = query.query([])?;
    let mut facts = Vec::new();
    let mut void = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let dot = Dot {
            replica: ReplicaId(row.get(0)?),
            seq: Seq(uint(row.get(1)?)),
        };
        if !row.get::<_, bool>(2)? {
            void.insert(dot);
        }
        let Ok(entry) = log::entry(&row.get::<_, Vec<u8>>(3)?) else {
            continue;
        };
        facts.push(Fact::of(shop, dot, &entry.movement));
    }
    verified.count("oracle", facts.len() as u64);
    if void_dots(&facts) != void {
        verified.problem("what does not count is not what the model says".to_owned());
    }
    Ok(())
}
