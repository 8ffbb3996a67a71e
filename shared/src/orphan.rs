//! Movements of a stick whose base the hub does not hold: a person said that they happened, so they are stored under a
//! branch of their own, ids kept. When the missing part comes after all, each of them counts once: the ids are the same.

use std::collections::BTreeMap;

use crate::delta::Delta;
use crate::{Position, ReplicaId};

/// The orphans of one stick.
#[derive(Clone, Debug, Default)]
pub struct Orphans(BTreeMap<ReplicaId, Run>);

/// How far the orphans of one replica came.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where they ended in their own log.
    end: Position,
    /// Where they go.
    branch: ReplicaId,
    /// Where they ended there.
    at: Position,
}

impl Orphans {
    /// Takes a delta that no log of the hub leads to. Its branch follows from what it is: the same stick again is the
    /// same branch.
    #[must_use]
    pub fn adopt(&mut self, delta: Delta) -> Delta {
        let Some(first) = delta.chains().first().copied() else {
            return delta;
        };
        let branch = delta.replica.branch(delta.base.seq, first);
        self.place(delta, branch, branch.origin())
    }

    /// A delta that goes on from one that was adopted follows it; any other stays as it is.
    #[must_use]
    pub fn follow(&mut self, delta: Delta) -> Delta {
        match self.0.get(&delta.replica).copied() {
            Some(run) if run.end == delta.base => self.place(delta, run.branch, run.at),
            _ => delta,
        }
    }

    fn place(&mut self, delta: Delta, branch: ReplicaId, base: Position) -> Delta {
        let walk = |from: Position| {
            let entries = delta.entries.iter();
            entries.fold(from, |at, entry| at.then(&entry.bytes))
        };
        let run = Run {
            end: walk(delta.base),
            branch,
            at: walk(base),
        };
        self.0.insert(delta.replica, run);
        Delta {
            replica: branch,
            base,
            entries: delta.entries,
            // What it says of its own rows is not said of the branch's.
            totals: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::Entry;
    use crate::{Condition, Key, Kind, Movement, Qty, TimeMs};

    fn entries(count: u8) -> Vec<Entry> {
        let sale = |number: u8| Movement {
            kind: Kind::Sale,
            condition: Condition::Sellable,
            key: Key::call(&format!("key {number}")),
            barcode: "4600000000008".parse().unwrap(),
            scanned: None,
            qty: Qty::new(-1).unwrap(),
            at: TimeMs(1),
            target: None,
            rest: Box::default(),
        };
        (0..count).map(|number| Entry::new(sale(number))).collect()
    }

    #[test]
    fn what_follows_an_orphan_goes_to_the_same_branch_and_the_same_stick_names_it_again() {
        let replica = ReplicaId([7; 16]);
        let all = entries(5);
        let base = replica.origin().then(b"lost");
        let delta = |base: Position, entries: &[Entry]| Delta {
            replica,
            base,
            entries: entries.to_vec(),
            totals: Vec::new(),
        };
        let middle = all[..2]
            .iter()
            .fold(base, |at, entry| at.then(&entry.bytes));

        let bring = || {
            let mut orphans = Orphans::default();
            let first = orphans.adopt(delta(base, &all[..2]));
            let second = orphans.follow(delta(middle, &all[2..]));
            (first, second)
        };
        let (first, second) = bring();

        assert_eq!(first.base, first.replica.origin());
        assert_eq!(second.replica, first.replica);
        assert_eq!(second.base.seq.0, 2);
        assert_eq!(second.base.chain, first.chains()[1]);
        assert_eq!(bring().1, second);
        let elsewhere = delta(replica.origin(), &all[..1]);
        assert_eq!(Orphans::default().follow(elsewhere.clone()), elsewhere);
    }
}
