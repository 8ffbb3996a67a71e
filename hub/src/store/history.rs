//! The merged movements as readers see them: pages, the feed, the way a number came about.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::movement::{Kind, Movement};
use vitrina_shared::{Barcode, MovementId, ReplicaId, Seq, ShopId, TimeMs};

use super::sqlite::find_barcode;
use super::{Store, StoreError, log, shops, voids};

const DOWN: &str = "SELECT h.pos, h.shop, h.replica, h.first_seq, h.count, h.received_at FROM history AS h \
    WHERE h.pos < ?1 AND h.restated = 0 ORDER BY h.pos DESC";
const DOWN_OF_SHOP: &str = "SELECT h.pos, h.shop, h.replica, h.first_seq, h.count, h.received_at FROM history AS h \
    WHERE h.shop = ?2 AND h.pos < ?1 AND h.restated = 0 ORDER BY h.pos DESC";
const UP: &str = "SELECT h.pos, h.shop, h.replica, h.first_seq, h.count, h.received_at FROM history AS h \
    WHERE h.pos >= ?1 ORDER BY h.pos";
const RUN_BEFORE: &str = "SELECT max(pos) FROM history WHERE pos <= ?1";
const RUN_OF: &str = "SELECT pos, first_seq, received_at FROM history \
    WHERE replica = ?1 AND first_seq <= ?2 AND restated = 0 ORDER BY first_seq DESC LIMIT 1";
const MOVEMENTS: &str = "SELECT seq, counts, body FROM movement WHERE replica = ?1 AND seq >= ?2 AND seq <= ?3 ORDER BY seq";
const REPLICAS: &str = "SELECT id, name FROM replica";
const LAST_OF_LEVEL: &str = "SELECT replica, last FROM total WHERE shop = ?1 AND barcode = ?2";
const LINK: &str = "SELECT prev, counts, body FROM movement WHERE replica = ?1 AND seq = ?2";

/// Movements that one call looks at before it answers with fewer than asked.
const MAX_LOOKED_AT: usize = 200_000;

/// Which movements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MovementFilter {
    /// Of one shop.
    pub(crate) shop: Option<ShopId>,
    /// Of one barcode.
    pub(crate) barcode: Option<Barcode>,
    /// Of one kind.
    pub(crate) kind: Option<Kind>,
    /// Not before.
    pub(crate) from: Option<TimeMs>,
    /// Before.
    pub(crate) to: Option<TimeMs>,
}

/// One movement of the merged history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MovementRow {
    /// Its identity.
    pub(crate) id: MovementId,
    /// The shop.
    pub(crate) shop: ShopId,
    /// Whose log.
    pub(crate) replica: ReplicaId,
    /// The place in it.
    pub(crate) seq: Seq,
    /// The movement.
    pub(crate) movement: Movement,
    /// When the hub had it.
    pub(crate) received_at: TimeMs,
    /// Whether it counts.
    pub(crate) counts: bool,
    /// Its place in the feed of movements.
    pub(crate) pos: u64,
}

/// A page of movements, the latest received first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MovementPage {
    /// The movements.
    pub(crate) rows: Vec<MovementRow>,
    /// Go on before this position; nothing: the end.
    pub(crate) next: Option<u64>,
}

/// A part of the feed of movements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MovementFeed {
    /// The movements in the order of their positions.
    pub(crate) rows: Vec<MovementRow>,
    /// Go on behind this position.
    pub(crate) upto: u64,
    /// There is more already.
    pub(crate) more: bool,
}

/// A movement with the on-hand that it led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Explained {
    /// The movement.
    pub(crate) row: MovementRow,
    /// The sum of the shop's movements up to it that count.
    pub(crate) sum: i64,
}

impl MovementFilter {
    fn takes(&self, row: &MovementRow) -> bool {
        let movement = &row.movement;
        self.barcode
            .as_ref()
            .is_none_or(|barcode| *barcode == movement.barcode)
            && self.kind.is_none_or(|kind| kind == movement.kind)
            && self.from.is_none_or(|from| movement.at >= from)
            && self.to.is_none_or(|to| movement.at < to)
            && self.shop.as_ref().is_none_or(|shop| *shop == row.shop)
    }
}

/// A run of movements that were merged together.
struct Run {
    pos: u64,
    shop: u32,
    replica: i64,
    first: u64,
    count: u64,
    received_at: TimeMs,
}

fn run(row: &rusqlite::Row<'_>) -> rusqlite::Result<Run> {
    let number = |i| row.get::<_, i64>(i).map(i64::cast_unsigned);
    Ok(Run {
        pos: number(0)?,
        shop: row.get(1)?,
        replica: row.get(2)?,
        first: number(3)?,
        count: number(4)?,
        received_at: TimeMs(row.get(5)?),
    })
}

/// The names behind this file's small numbers.
struct Names {
    shops: HashMap<u32, ShopId>,
    replicas: HashMap<i64, ReplicaId>,
}

impl Names {
    fn read(conn: &Connection) -> Result<Self, StoreError> {
        let shops = shops::all(conn)?
            .into_iter()
            .map(|shop| (shop.index, shop.shop))
            .collect();
        let mut statement = conn.prepare_cached(REPLICAS)?;
        let replicas = statement
            .query_map([], |row| Ok((row.get(0)?, ReplicaId(row.get(1)?))))?
            .collect::<Result<_, _>>()?;
        Ok(Self { shops, replicas })
    }

    fn row(
        &self,
        run: &Run,
        seq: u64,
        counts: bool,
        body: &[u8],
    ) -> Result<MovementRow, StoreError> {
        let movement = log::read_body(body)?;
        let shop = self
            .shops
            .get(&run.shop)
            .ok_or(StoreError::Damaged("a movement's shop is gone"))?;
        let replica = self
            .replicas
            .get(&run.replica)
            .ok_or(StoreError::Damaged("a movement's replica is gone"))?;
        Ok(MovementRow {
            id: movement.id(shop),
            shop: shop.clone(),
            replica: *replica,
            seq: Seq(seq),
            received_at: run.received_at,
            counts,
            pos: run.pos + (seq - run.first),
            movement,
        })
    }

    /// The movements of a run with seq within `from..=to`, ascending.
    fn rows(
        &self,
        conn: &Connection,
        run: &Run,
        (from, to): (u64, u64),
    ) -> Result<Vec<MovementRow>, StoreError> {
        let mut statement = conn.prepare_cached(MOVEMENTS)?;
        let mut found =
            statement.query(params![run.replica, from.cast_signed(), to.cast_signed()])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let seq = row.get::<_, i64>(0)?.cast_unsigned();
            rows.push(self.row(
                run,
                seq,
                row.get(1)?,
                row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?,
            )?);
        }
        Ok(rows)
    }
}

/// A page, the latest received first.
pub(super) fn page(
    conn: &Connection,
    filter: &MovementFilter,
    before: Option<u64>,
    limit: usize,
) -> Result<MovementPage, StoreError> {
    let names = Names::read(conn)?;
    let upper = before.map_or(i64::MAX, u64::cast_signed);
    if let Some(barcode) = &filter.barcode {
        return page_of_barcode(
            conn,
            &names,
            (filter, barcode),
            upper.cast_unsigned(),
            limit,
        );
    }
    let shop = match &filter.shop {
        None => None,
        Some(shop) => match shops::find(conn, shop)? {
            Some(shop) => Some(shop.index),
            None => return Ok(MovementPage::default()),
        },
    };
    let mut statement = conn.prepare_cached(if shop.is_some() { DOWN_OF_SHOP } else { DOWN })?;
    let mut found = match shop {
        Some(shop) => statement.query(params![upper, shop])?,
        None => statement.query(params![upper])?,
    };
    let mut page = MovementPage::default();
    let mut looked_at = 0;
    while let Some(row) = found.next()? {
        let run = run(row)?;
        let last = (run.first + run.count - 1)
            .min((run.first + (upper.cast_unsigned() - run.pos)).saturating_sub(1));
        for row in names.rows(conn, &run, (run.first, last))?.into_iter().rev() {
            looked_at += 1;
            if page.rows.len() == limit || looked_at > MAX_LOOKED_AT {
                page.next = Some(row.pos + 1);
                return Ok(page);
            }
            if filter.takes(&row) {
                page.rows.push(row);
            }
        }
    }
    Ok(page)
}

fn page_of_barcode(
    conn: &Connection,
    names: &Names,
    (filter, barcode): (&MovementFilter, &Barcode),
    upper: u64,
    limit: usize,
) -> Result<MovementPage, StoreError> {
    let mut rows = of_barcode(conn, names, barcode, filter.shop.as_ref())?;
    rows.retain(|row| row.pos < upper && filter.takes(row));
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.pos));
    let next = if rows.len() > limit {
        rows.get(limit).map(|row| row.pos + 1)
    } else {
        None
    };
    rows.truncate(limit);
    Ok(MovementPage { rows, next })
}

/// Every movement of a barcode, found by the links of its rows.
fn of_barcode(
    conn: &Connection,
    names: &Names,
    barcode: &Barcode,
    shop: Option<&ShopId>,
) -> Result<Vec<MovementRow>, StoreError> {
    let Some(id) = find_barcode(conn, barcode.as_str())? else {
        return Ok(Vec::new());
    };
    let mut rows = Vec::new();
    for (index, _) in names
        .shops
        .iter()
        .filter(|(_, name)| shop.is_none_or(|shop| *shop == **name))
    {
        let mut statement = conn.prepare_cached(LAST_OF_LEVEL)?;
        let lasts: Vec<(i64, i64)> = statement
            .query_map(params![index, id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (replica, last) in lasts {
            let mut seq = last.cast_unsigned();
            while seq > 0 {
                let (prev, row) = link(conn, names, (*index, replica), seq)?;
                rows.push(row);
                if prev >= seq {
                    return Err(StoreError::Damaged("a movement's link goes forward"));
                }
                seq = prev;
            }
        }
    }
    Ok(rows)
}

/// Movements by their places: shop, log and seq.
pub(super) fn at(
    conn: &Connection,
    places: &[(u32, i64, u64)],
) -> Result<Vec<MovementRow>, StoreError> {
    let names = Names::read(conn)?;
    let of_place = |(shop, log, seq): &(u32, i64, u64)| {
        link(conn, &names, (*shop, *log), *seq).map(|(_, row)| row)
    };
    places.iter().map(of_place).collect()
}

fn link(
    conn: &Connection,
    names: &Names,
    (shop, replica): (u32, i64),
    seq: u64,
) -> Result<(u64, MovementRow), StoreError> {
    let (pos, first, received_at): (i64, i64, i64) = conn
        .prepare_cached(RUN_OF)?
        .query_row(params![replica, seq.cast_signed()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let run = Run {
        pos: pos.cast_unsigned(),
        shop,
        replica,
        first: first.cast_unsigned(),
        count: 1,
        received_at: TimeMs(received_at),
    };
    let (prev, counts, body): (i64, bool, Vec<u8>) = conn
        .prepare_cached(LINK)?
        .query_row(params![replica, seq.cast_signed()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    Ok((prev.cast_unsigned(), names.row(&run, seq, counts, &body)?))
}

/// The feed behind `since`: each id once, where the dot that speaks for it stands, and again when its state changed.
pub(super) fn feed(
    conn: &Connection,
    filter: &MovementFilter,
    since: u64,
    head: u64,
    limit: usize,
) -> Result<MovementFeed, StoreError> {
    let names = Names::read(conn)?;
    // The run that `since` lies in may have begun before it.
    let begins: Option<i64> = conn
        .prepare_cached(RUN_BEFORE)?
        .query_row([since.cast_signed()], |row| row.get(0))
        .optional()?
        .flatten();
    let mut feed = MovementFeed {
        upto: since,
        ..MovementFeed::default()
    };
    let mut looked_at = 0;
    let mut statement = conn.prepare_cached(UP)?;
    let mut found = statement.query([begins.unwrap_or(0)])?;
    while let Some(row) = found.next()? {
        let run = run(row)?;
        let from = run.first + (since + 1).saturating_sub(run.pos);
        for row in names.rows(conn, &run, (from, run.first + run.count - 1))? {
            if feed.rows.len() == limit || looked_at > MAX_LOOKED_AT {
                feed.more = true;
                return Ok(feed);
            }
            looked_at += 1;
            feed.upto = row.pos;
            let speaks = row.counts
                || voids::speaks_for_id(
                    conn,
                    (run.shop, &row.shop),
                    (row.replica, row.seq.0),
                    &row.movement,
                )?;
            if speaks && filter.takes(&row) {
                feed.rows.push(row);
            }
        }
    }
    feed.upto = feed.upto.max(head);
    Ok(feed)
}

/// How the number of a barcode came about: its movements by shop and time, with the running sum.
pub(super) fn explain(
    conn: &Connection,
    barcode: &Barcode,
    shop: Option<&ShopId>,
) -> Result<Vec<Explained>, StoreError> {
    let names = Names::read(conn)?;
    let mut rows = of_barcode(conn, &names, barcode, shop)?;
    rows.sort_by(|a, b| {
        let key = |row: &MovementRow| (row.movement.at, row.replica, row.seq);
        a.shop.cmp(&b.shop).then_with(|| key(a).cmp(&key(b)))
    });
    let mut explained: Vec<Explained> = Vec::with_capacity(rows.len());
    for row in rows {
        let before = explained
            .last()
            .filter(|last| last.row.shop == row.shop)
            .map_or(0, |last| last.sum);
        let units = if row.counts {
            row.movement.qty.units()
        } else {
            0
        };
        explained.push(Explained {
            sum: before.saturating_add(units),
            row,
        });
    }
    Ok(explained)
}

impl Store {
    /// The merged movements, the latest received first; `before` is where the last page ended.
    pub(crate) async fn movements_page(
        &self,
        filter: MovementFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<MovementPage, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .read(move |conn| page(conn, &filter, before, limit))
                    .await
            }
        }
    }

    /// The feed of movements behind `since`: each id once, and again when its state changed. No row is ever skipped.
    pub(crate) async fn movements_feed(
        &self,
        filter: MovementFilter,
        since: u64,
        limit: usize,
    ) -> Result<MovementFeed, StoreError> {
        match self {
            Self::Sqlite(store) => {
                let head = store.head().pos;
                store
                    .read(move |conn| feed(conn, &filter, since, head, limit))
                    .await
            }
        }
    }

    /// How the number of a barcode came about, by shop and time.
    pub(crate) async fn explain(
        &self,
        barcode: Barcode,
        shop: Option<ShopId>,
    ) -> Result<Vec<Explained>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .read(move |conn| explain(conn, &barcode, shop.as_ref()))
                    .await
            }
        }
    }
}
