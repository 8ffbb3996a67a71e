//! Whether the books balance: everything that can be worked out from the movements is, and compared.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use vitrina_host::db::{self, Check};
use vitrina_shared::voids::{Fact, void_dots};
use vitrina_shared::{Dot, Seq, ShopId, Total};

use super::log::{self, Log};
use super::sqlite::{SqliteStore, find_barcode};
use super::{StoreError, digest, holds, shops, transfers};

const MOVEMENTS: &str =
    "SELECT seq, barcode, prev, counts, body, chain FROM movement WHERE replica = ?1 ORDER BY seq";
const TOTALS: &str =
    "SELECT barcode, condition, p, n, last FROM total WHERE shop = ?1 AND replica = ?2";
const CORRECTIONS: &str =
    "SELECT barcode, condition, units FROM correction WHERE shop = ?1 AND units <> 0";

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Checked {
    /// Shops.
    pub(crate) shops: u64,
    /// Replicas.
    pub(crate) replicas: u64,
    /// Movements, each with its chain.
    pub(crate) movements: u64,
    /// Rows of totals.
    pub(crate) totals: u64,
    /// What is wrong.
    #[serde(skip)]
    pub(crate) problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Problem {
    /// A stable code.
    pub(crate) code: &'static str,
    /// The shop, where it is one shop's.
    pub(crate) shop: Option<ShopId>,
    /// What is wrong, for people.
    pub(crate) detail: String,
}

/// What a person does about a log that is damaged.
pub(crate) const LOG_ADVICE: &str = "the log is damaged and nothing is counted from it: restore a backup, and the shops fill in what it lacks \
    (vitrina-hub restore FILE), or begin anew without the database (vitrina-hub serve --init)";

impl Problem {
    /// Whether a log itself is wrong: then its rows must not be written anew from it.
    pub(crate) fn is_of_the_log(&self) -> bool {
        matches!(self.code, "hole" | "chain" | "body")
    }
}

impl SqliteStore {
    /// Looks at the file, and recomputes everything from the movements.
    pub(super) fn verify(&self, shop: Option<&ShopId>) -> Result<Checked, StoreError> {
        let pages = self.db().check_blocking(Check::Full)?;
        let mut checked = match self.examine(shop) {
            // What the file's damage leads to is no news beside the damage.
            Err(error) if !pages.is_empty() => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "not all could be read"
                );
                Checked::default()
            }
            examined => examined?,
        };
        let pages = pages.into_iter().map(|detail| Problem {
            code: "database",
            shop: None,
            detail,
        });
        checked.problems.splice(0..0, pages);
        Ok(checked)
    }

    /// Recomputes everything from the movements.
    pub(super) fn examine(&self, shop: Option<&ShopId>) -> Result<Checked, StoreError> {
        let mut checked = Checked::default();
        let settings = db::Settings {
            cache_kib: 16_000,
            ..self.db().settings().clone()
        };
        let conn = db::connect_read_only(&settings)?;
        // One snapshot for the whole look.
        conn.execute_batch("BEGIN")?;
        for row in shops::all(&conn)? {
            if shop.is_none_or(|shop| *shop == row.shop) {
                verify_shop(&conn, row.index, &row.shop, &mut checked)?;
            }
        }
        Ok(checked)
    }
}

/// The rows of totals of one replica, by (barcode, condition): the total and its last movement.
type Rows = BTreeMap<(i64, u8), (Total, u64)>;

fn verify_shop(
    conn: &Connection,
    index: u32,
    shop: &ShopId,
    checked: &mut Checked,
) -> Result<(), StoreError> {
    checked.shops += 1;
    let found_before = checked.problems.len();
    let mut facts: Vec<(Fact, i64, i64)> = Vec::new();
    let mut uncounted: BTreeSet<Dot> = BTreeSet::new();
    for log in log::of_shop(conn, index)? {
        checked.replicas += 1;
        let mut rows = Rows::new();
        verify_log(
            conn,
            (shop, &log),
            &mut rows,
            (&mut facts, &mut uncounted),
            checked,
        )?;
        verify_totals(conn, (shop, &log), &rows, checked)?;
    }
    let all: Vec<Fact> = facts.iter().map(|(fact, ..)| fact.clone()).collect();
    let void = void_dots(&all);
    if void != uncounted {
        let detail = match void.symmetric_difference(&uncounted).next() {
            Some(dot) => format!(
                "movement {} of replica {} counts and should not, or the other way",
                dot.seq, dot.replica
            ),
            None => String::new(),
        };
        checked.problems.push(Problem {
            code: "voids",
            shop: Some(shop.clone()),
            detail,
        });
    }
    let mut expected: BTreeMap<(i64, u8), i64> = BTreeMap::new();
    for (fact, barcode, units) in facts.iter().filter(|(fact, ..)| void.contains(&fact.dot)) {
        *expected
            .entry((*barcode, fact.condition.number()))
            .or_default() += units;
    }
    expected.retain(|_, units| *units != 0);
    let mut statement = conn.prepare_cached(CORRECTIONS)?;
    let found: BTreeMap<(i64, u8), i64> = statement
        .query_map([index], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    if found != expected {
        let detail =
            "what is taken from the totals is not what the movements that do not count add up to";
        checked.problems.push(Problem {
            code: "correction",
            shop: Some(shop.clone()),
            detail: detail.to_owned(),
        });
    }
    if let Some(alert) = digest::alert(conn, index)? {
        checked.problems.push(Problem {
            code: "digest",
            shop: Some(shop.clone()),
            detail: alert.found,
        });
    }
    // Legs and transfers stand on the movements: where those are wrong there is nothing to compare with.
    if checked.problems.len() == found_before {
        checked.problems.extend(derived(conn, (index, shop))?);
    }
    Ok(())
}

/// What is wrong of that which stands on the movements of several shops.
fn derived(conn: &Connection, (index, shop): (u32, &ShopId)) -> Result<Vec<Problem>, StoreError> {
    let problem = |code, detail| Problem {
        code,
        shop: Some(shop.clone()),
        detail,
    };
    let legs = holds::wrong_legs(conn, index)?.into_iter().map(|leg| {
        let detail = format!("leg {leg} of a hold is not what its sides and the movements say");
        problem("leg", detail)
    });
    let transfers = transfers::wrong_transfers(conn, index)?.into_iter();
    let transfers = transfers.map(|transfer| {
        let detail = format!("transfer {transfer} is not what its movements say");
        problem("transfer", detail)
    });
    Ok(legs.chain(transfers).collect())
}

fn verify_log(
    conn: &Connection,
    (shop, log): (&ShopId, &Log),
    rows: &mut Rows,
    (facts, uncounted): (&mut Vec<(Fact, i64, i64)>, &mut BTreeSet<Dot>),
    checked: &mut Checked,
) -> Result<(), StoreError> {
    let name = log.name;
    let mut at = name.origin();
    let mut wrong = |code, detail: String| {
        checked.problems.push(Problem {
            code,
            shop: Some(shop.clone()),
            detail,
        });
    };
    let mut statement = conn.prepare_cached(MOVEMENTS)?;
    let mut found = statement.query([log.id])?;
    while let Some(row) = found.next()? {
        checked.movements += 1;
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        let body = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
        at = at.then(body);
        if at.seq.0 != seq {
            wrong("hole", format!("replica {name} has no movement {}", at.seq));
            return Ok(());
        }
        let kept: Option<[u8; 32]> = row.get(5)?;
        if kept.is_some_and(|kept| kept != at.chain.0) {
            wrong(
                "chain",
                format!("replica {name} has another chain than its movements at {seq}"),
            );
            return Ok(());
        }
        let Ok(movement) = log::read_body(body) else {
            wrong(
                "body",
                format!("movement {seq} of replica {name} cannot be read"),
            );
            return Ok(());
        };
        let barcode: i64 = row.get(1)?;
        let slot = rows
            .entry((barcode, movement.condition.number()))
            .or_default();
        if slot.1 != row.get::<_, i64>(2)?.cast_unsigned()
            || find_barcode(conn, movement.barcode.as_str())? != Some(barcode)
        {
            wrong(
                "link",
                format!("movement {seq} of replica {name} is not linked to the one before"),
            );
        }
        *slot = (slot.0.after(movement.qty)?, seq);
        let dot = Dot {
            replica: log.name,
            seq: Seq(seq),
        };
        if !row.get::<_, bool>(3)? {
            uncounted.insert(dot);
        }
        facts.push((
            Fact::of(shop, dot, &movement),
            barcode,
            movement.qty.units(),
        ));
    }
    if at != log.head {
        wrong(
            "chain",
            format!("the head of replica {name} is not that of its movements"),
        );
    }
    Ok(())
}

fn verify_totals(
    conn: &Connection,
    (shop, log): (&ShopId, &Log),
    expected: &Rows,
    checked: &mut Checked,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached(TOTALS)?;
    let found: Rows = statement
        .query_map(params![log.shop, log.id], |row| {
            let number = |i| row.get::<_, i64>(i).map(i64::cast_unsigned);
            Ok((
                (row.get(0)?, row.get(1)?),
                (
                    Total {
                        p: number(2)?,
                        n: number(3)?,
                    },
                    number(4)?,
                ),
            ))
        })?
        .collect::<Result<_, _>>()?;
    checked.totals += found.len() as u64;
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    for key in keys {
        if found.get(key) != expected.get(key) {
            let barcode = super::sqlite::barcode_text(conn, key.0)?;
            let detail = format!(
                "the total of {barcode} in replica {} is not the sum of its movements",
                log.name
            );
            checked.problems.push(Problem {
                code: "total",
                shop: Some(shop.clone()),
                detail,
            });
        }
    }
    Ok(())
}
