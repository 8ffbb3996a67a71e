//! What the rows of a shop add up to, so that two sides with the same history can see that their numbers are the same.
//!
//! The digest is a sum of hashes, so the order in which rows are read does not matter. It is read off the rows, never
//! kept beside them: a kept one would not notice that a row is wrong. It says nothing where the histories differ, and a
//! difference is settled by the movements alone: each side holds its rows against its own log, once ([`Trial`]).

use crate::hash::Hash;
use crate::wire::v1::DigestV1;
use crate::{Barcode, Condition, ReplicaId, Total};

/// The sum so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    rows: u64,
    sum: u128,
}

impl Digest {
    /// Adds a row of totals; one that was never moved is none.
    pub fn total(
        &mut self,
        barcode: &Barcode,
        condition: Condition,
        replica: ReplicaId,
        total: Total,
    ) {
        if total == Total::default() {
            return;
        }
        self.add(
            Hash::of("vitrina.row.1")
                .with(barcode.as_str().as_bytes())
                .with(&[condition.number()])
                .with(&replica.0)
                .with(&total.p.to_le_bytes())
                .with(&total.n.to_le_bytes()),
        );
    }

    /// Adds what does not count of a barcode; nothing is no row.
    pub fn voided(&mut self, barcode: &Barcode, condition: Condition, units: i64) {
        if units == 0 {
            return;
        }
        self.add(
            Hash::of("vitrina.voided.1")
                .with(barcode.as_str().as_bytes())
                .with(&[condition.number()])
                .with(&units.to_le_bytes()),
        );
    }

    fn add(&mut self, hash: Hash) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(hash.half()));
    }

    /// As it travels.
    pub fn to_wire(self) -> DigestV1 {
        DigestV1 {
            rows: self.rows,
            sum: self.sum.to_le_bytes(),
        }
    }
}

/// How far one side is with a difference. There is one of these for each shop on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trial {
    /// Both were equal when they last looked.
    #[default]
    Equal,
    /// They differed, and this side held its rows against its log.
    Tried,
    /// They still differ: a person must act.
    Given,
}

/// What a side does after a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// It holds its rows against its log and replaces those that are wrong.
    Recompute,
    /// It tells people.
    Alert,
    /// It takes back what it told them.
    AllClear,
}

impl Trial {
    /// After a comparison at equal positions. Between two recomputations there is always an equality: never a loop.
    pub fn compared(&mut self, is_equal: bool) -> Step {
        let (next, step) = match (*self, is_equal) {
            (Self::Given, true) => (Self::Equal, Step::AllClear),
            (_, true) => (Self::Equal, Step::Nothing),
            (Self::Equal, false) => (Self::Tried, Step::Recompute),
            (Self::Tried, false) => (Self::Given, Step::Alert),
            (Self::Given, false) => (Self::Given, Step::Nothing),
        };
        *self = next;
        step
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Rows = BTreeMap<(u8, u8), Total>;

    fn digest(rows: &Rows, reversed: bool) -> Digest {
        let mut digest = Digest::default();
        let mut list: Vec<_> = rows.iter().collect();
        if reversed {
            list.reverse();
        }
        for ((barcode, replica), total) in list {
            let barcode: Barcode = format!("B{barcode}").parse().unwrap();
            let replica = ReplicaId([*replica; 16]);
            digest.total(&barcode, Condition::Sellable, replica, *total);
        }
        digest
    }

    fn rows() -> impl Strategy<Value = Rows> {
        let total = (0..50_u64, 0..50_u64).prop_map(|(p, n)| Total { p, n });
        proptest::collection::btree_map((0..20_u8, 0..3_u8), total, 0..40)
    }

    /// One side: its rows, and what its log says they are.
    struct Side {
        rows: Rows,
        log: Rows,
        trial: Trial,
        recomputed: u32,
        alerted: bool,
    }

    impl Side {
        fn new(rows: Rows, log: Rows) -> Self {
            Self {
                rows,
                log,
                trial: Trial::default(),
                recomputed: 0,
                alerted: false,
            }
        }

        fn compare(&mut self, theirs: Digest) {
            match self.trial.compared(digest(&self.rows, false) == theirs) {
                Step::Recompute => {
                    self.recomputed += 1;
                    self.rows = self.log.clone();
                }
                Step::Alert => self.alerted = true,
                Step::AllClear => self.alerted = false,
                Step::Nothing => {}
            }
        }
    }

    /// One exchange: the hub looks first, then the agent looks at what the hub answers.
    fn exchange(agent: &mut Side, hub: &mut Side) {
        let shown = digest(&agent.rows, false);
        hub.compare(shown);
        let answered = digest(&hub.rows, false);
        if answered == shown {
            hub.compare(shown);
        }
        agent.compare(answered);
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_matter_and_empty_ones_are_none(rows in rows()) {
            let mut without = rows.clone();
            without.retain(|_, total| *total != Total::default());
            prop_assert_eq!(digest(&rows, false), digest(&rows, true));
            prop_assert_eq!(digest(&rows, false), digest(&without, false));
        }

        #[test]
        fn any_other_rows_have_another_digest(one in rows(), other in rows()) {
            let strip = |mut rows: Rows| {
                rows.retain(|_, total| *total != Total::default());
                rows
            };
            let (one, other) = (strip(one), strip(other));
            prop_assert_eq!(digest(&one, false) == digest(&other, false), one == other);
        }

        #[test]
        fn whatever_rows_are_wrong_both_sides_are_right_after_two_exchanges(
            log in rows(), agent in rows(), hub in rows(),
        ) {
            let (mut agent, mut hub) = (Side::new(agent, log.clone()), Side::new(hub, log.clone()));
            for _ in 0..2 {
                exchange(&mut agent, &mut hub);
            }
            // Rows that are wrong alike on both sides are not seen by a comparison: `verify` sees them.
            if digest(&agent.rows, false) != digest(&log, false) {
                prop_assert_eq!(digest(&agent.rows, false), digest(&hub.rows, false));
                prop_assert!(agent.recomputed == 0 || hub.recomputed == 0);
            }
            prop_assert!(!agent.alerted && !hub.alerted);
            prop_assert!(agent.recomputed <= 1 && hub.recomputed <= 1);
        }

        #[test]
        fn sides_whose_logs_say_different_things_try_once_and_tell(
            log in rows(), wrong in rows(), exchanges in 2..9_usize,
        ) {
            prop_assume!(digest(&log, false) != digest(&wrong, false));
            let (mut agent, mut hub) = (Side::new(log.clone(), log.clone()), Side::new(wrong.clone(), wrong));
            for _ in 0..exchanges {
                exchange(&mut agent, &mut hub);
            }
            prop_assert_eq!((agent.recomputed, hub.recomputed), (1, 1));
            prop_assert!(agent.alerted && hub.alerted);

            // Somebody put one side right.
            hub.rows = log.clone();
            exchange(&mut agent, &mut hub);
            prop_assert!(!agent.alerted && !hub.alerted);
        }
    }
}
