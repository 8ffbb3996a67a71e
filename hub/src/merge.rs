//! A delta made ready for the store: everything that can be worked out before the database thread has its turn.
//!
//! Pure: it knows movements and rows, no store.

use foldhash::{HashMap, HashMapExt};
use vitrina_shared::delta::{Entry, RowTotal};
use vitrina_shared::movement::{Kind, Words};
use vitrina_shared::totals::Overflow;
use vitrina_shared::{
    Barcode, Chain, Condition, Delta, Details, Money, Position, ReplicaId, TimeMs, Total,
};

/// A delta with its chains and the rows that it touches.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Whose log.
    pub(crate) replica: ReplicaId,
    /// The position right before the first movement.
    pub(crate) base: Position,
    /// The movements.
    pub(crate) entries: Vec<Entry>,
    /// The chain after each.
    pub(crate) chains: Vec<Chain>,
    /// What they touch.
    pub(crate) rows: Rows,
}

/// The rows that movements touch.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Each (barcode, condition) once, in the order of its first movement.
    pub(crate) list: Vec<Row>,
    /// The row of each movement, in the movements' order.
    pub(crate) slots: Vec<usize>,
    /// A movement among them may take others out of the count: a void or a statement.
    pub(crate) decides_others: bool,
    /// A void is among them.
    pub(crate) has_voids: bool,
}

/// One (barcode, condition) of a delta.
#[derive(Debug)]
pub(crate) struct Row {
    /// The barcode.
    pub(crate) barcode: Barcode,
    /// Sellable or not.
    pub(crate) condition: Condition,
    /// What the movements add.
    pub(crate) sum: Total,
    /// What the sender says the total is after them: checked, never trusted.
    pub(crate) claimed: Option<Total>,
    /// What the shop's files say of the barcode.
    pub(crate) said: Said,
}

/// What a shop's files say of a barcode, and which price its tills took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The latest words.
    pub(crate) words: Option<Words>,
    /// The latest price that is no sale's.
    pub(crate) price: Option<Money>,
    /// The first price of a sale: better than nothing, but there may be a discount in it.
    pub(crate) sold_for: Option<Money>,
    /// When words or a price were said last; no sale says any.
    pub(crate) at: Option<TimeMs>,
}

/// What is stored of a row's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Price and words, as the rest of a movement.
    pub(crate) bytes: Vec<u8>,
    /// When they were said; nothing where a sale's price is all there is.
    pub(crate) at: Option<i64>,
}

impl Incoming {
    /// Makes a delta ready.
    ///
    /// # Errors
    ///
    /// [`Overflow`] when its sums are out of range.
    pub(crate) fn of(delta: Delta) -> Result<Self, Overflow> {
        let chains = delta.chains();
        let rows = Rows::of(&delta.entries, &delta.totals)?;
        Ok(Self {
            replica: delta.replica,
            base: delta.base,
            entries: delta.entries,
            chains,
            rows,
        })
    }

    /// The movements from `skip` on, under the branch where a fork puts them: chained anew from its origin.
    ///
    /// # Errors
    ///
    /// As [`Incoming::of`].
    pub(crate) fn forked(&self, skip: usize, branch: ReplicaId) -> Result<Self, Overflow> {
        let entries = self.entries.get(skip..).unwrap_or_default().to_vec();
        Self::of(Delta {
            replica: branch,
            base: branch.origin(),
            entries,
            totals: Vec::new(),
        })
    }

    /// Drops the first `skip` movements, which are held already.
    ///
    /// # Errors
    ///
    /// As [`Incoming::of`].
    pub(crate) fn without(mut self, skip: usize) -> Result<Self, Overflow> {
        let Some(last_held) = skip.checked_sub(1) else {
            return Ok(self);
        };
        let chain = self
            .chains
            .get(last_held)
            .copied()
            .unwrap_or(self.base.chain);
        self.base = Position {
            seq: vitrina_shared::Seq(self.base.seq.0 + skip as u64),
            chain,
        };
        self.entries.drain(..skip.min(self.entries.len()));
        self.chains.drain(..skip.min(self.chains.len()));
        let claimed = std::mem::take(&mut self.rows.list);
        self.rows = Rows::of(&self.entries, &[])?;
        let claims: HashMap<(&str, Condition), Option<Total>> = claimed
            .iter()
            .map(|row| ((row.barcode.as_str(), row.condition), row.claimed))
            .collect();
        for row in &mut self.rows.list {
            row.claimed = claims
                .get(&(row.barcode.as_str(), row.condition))
                .copied()
                .flatten();
        }
        Ok(self)
    }

    /// The position after the last movement.
    pub(crate) fn head(&self) -> Position {
        Position {
            seq: vitrina_shared::Seq(self.base.seq.0 + self.entries.len() as u64),
            chain: self.chains.last().copied().unwrap_or(self.base.chain),
        }
    }
}

impl Rows {
    /// The rows of movements, with what the sender says of them.
    pub(crate) fn of(entries: &[Entry], claimed: &[RowTotal]) -> Result<Self, Overflow> {
        let mut rows = Self {
            slots: Vec::with_capacity(entries.len()),
            ..Self::default()
        };
        let mut places: HashMap<(&str, Condition), usize> = HashMap::with_capacity(entries.len());
        for Entry { movement, .. } in entries {
            rows.has_voids |= movement.kind == Kind::Void;
            rows.decides_others |= matches!(movement.kind, Kind::Void | Kind::Balance);
            let place = *places
                .entry((movement.barcode.as_str(), movement.condition))
                .or_insert_with(|| {
                    rows.list.push(Row {
                        barcode: movement.barcode.clone(),
                        condition: movement.condition,
                        sum: Total::default(),
                        claimed: None,
                        said: Said::default(),
                    });
                    rows.list.len() - 1
                });
            rows.slots.push(place);
            if let Some(row) = rows.list.get_mut(place) {
                row.sum = row.sum.after(movement.qty)?;
                if !movement.rest.is_empty() {
                    row.said
                        .hear(movement.kind, movement.at, movement.details());
                }
            }
        }
        for claim in claimed {
            if let Some(row) = places
                .get(&(claim.barcode.as_str(), claim.condition))
                .and_then(|place| rows.list.get_mut(*place))
            {
                row.claimed = Some(claim.total);
            }
        }
        Ok(rows)
    }
}

impl Said {
    /// One more movement's words, in the order of the log.
    pub(crate) fn hear(&mut self, kind: Kind, at: TimeMs, details: Details) {
        let says_words = details.words != Words::default();
        let mut is_said = says_words;
        match details.price {
            Some(price) if matches!(kind, Kind::Sale | Kind::Return) => {
                self.sold_for = self.sold_for.or(Some(price));
            }
            Some(price) => (self.price, is_said) = (Some(price), true),
            None => {}
        }
        if says_words {
            self.words.get_or_insert_default().overlay(details.words);
        }
        if is_said {
            self.at = Some(at);
        }
    }

    /// Adds what is said later to what was stored; `None` where nothing changes.
    pub(crate) fn after(&self, stored: Option<&Stored>) -> Option<Stored> {
        let Some(at) = self.at else {
            let price = stored.is_none().then_some(self.sold_for).flatten()?;
            return Some(Stored::new(Some(price), Words::default(), None));
        };
        // A sale's price gives way.
        let before = stored.filter(|stored| stored.at.is_some());
        let said = before.map_or_else(Details::default, |stored| Details::read(&stored.bytes));
        let mut words = said.words.clone();
        words.overlay(self.words.clone().unwrap_or_default());
        let price = self.price.or(said.price);
        if before.is_some() && words == said.words && price == said.price {
            return None;
        }
        Some(Stored::new(price, words, Some(at.0)))
    }
}

impl Stored {
    fn new(price: Option<Money>, words: Words, at: Option<i64>) -> Self {
        let details = Details {
            price,
            words,
            ..Details::default()
        };
        Self {
            bytes: details.to_bytes().into_vec(),
            at,
        }
    }

    /// What several rows of a level say, the earliest first: each word as it was said last. A sale's price stands
    /// only where nothing else is said.
    pub(crate) fn overlay<'a>(rows: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        rows.into_iter().fold(None, |before: Option<Self>, later| {
            let Some(before) = before.filter(|before| before.at.is_some()) else {
                return Some(later.clone());
            };
            let (said, more) = (Details::read(&before.bytes), Details::read(&later.bytes));
            let mut words = said.words;
            words.overlay(more.words);
            Some(Self::new(more.price.or(said.price), words, later.at))
        })
    }
}

#[cfg(test)]
mod tests {
    use vitrina_shared::{Key, Movement, Qty};

    use super::*;

    fn movement(kind: Kind, barcode: &str, qty: i64, price: Option<i64>) -> Entry {
        Entry::new(Movement {
            kind,
            condition: Condition::Sellable,
            key: Key::call(&format!("{barcode}{qty}{price:?}")),
            barcode: barcode.parse().unwrap(),
            scanned: None,
            qty: Qty::new(qty).unwrap(),
            at: TimeMs(1),
            target: None,
            rest: Details {
                price: price.map(Money::rub),
                ..Details::default()
            }
            .to_bytes(),
        })
    }

    #[test]
    fn a_row_sums_its_movements_whatever_their_order() {
        let entries = [
            movement(Kind::Receipt, "A", 5, None),
            movement(Kind::Receipt, "B", 1, None),
            movement(Kind::Sale, "A", -2, None),
        ];

        let rows = Rows::of(&entries, &[]).unwrap();

        assert_eq!(rows.slots, [0, 1, 0]);
        assert_eq!(rows.list[0].sum, Total { p: 5, n: 2 });
        assert!(!rows.decides_others);
    }

    #[test]
    fn a_sales_price_is_shown_only_where_no_file_names_one() {
        let price = |stored: &Stored| Details::read(&stored.bytes).price;
        let sold = Rows::of(&[movement(Kind::Sale, "A", -1, Some(900))], &[]).unwrap();
        let of_sale = sold.list[0].said.after(None).unwrap();
        assert_eq!((price(&of_sale), of_sale.at), (Some(Money::rub(900)), None));

        let both = Rows::of(
            &[
                movement(Kind::Opening, "A", 1, Some(1_000)),
                movement(Kind::Sale, "A", -1, Some(900)),
            ],
            &[],
        )
        .unwrap();
        let stated = both.list[0].said.after(Some(&of_sale)).unwrap();
        assert_eq!(
            (price(&stated), stated.at),
            (Some(Money::rub(1_000)), Some(1))
        );
        assert_eq!(sold.list[0].said.after(Some(&stated)), None);
    }

    #[test]
    fn what_an_older_replica_said_stays_until_it_is_said_anew() {
        let card = |price, name: Option<&str>, at| {
            let words = Words {
                name: name.map(Into::into),
                size: name.map(|_| "17".into()),
                ..Words::default()
            };
            Stored::new(Some(Money::rub(price)), words, at)
        };
        let said = |rows: &[Stored]| {
            let all = Stored::overlay(rows).unwrap();
            let details = Details::read(&all.bytes);
            (
                details.price.unwrap().hundredths,
                details.words.name.map(String::from),
                details.words.size.map(String::from),
            )
        };
        let (first, sold) = (card(1_000, Some("Ring"), Some(5)), card(900, None, None));
        let ring = Some("Ring".to_owned());

        let size = Some("17".to_owned());
        assert_eq!(
            said(&[sold.clone(), first.clone()]),
            (1_000, ring.clone(), size.clone())
        );
        assert_eq!(
            said(&[sold, first, card(1_100, None, Some(9))]),
            (1_100, ring, size)
        );
    }
}
