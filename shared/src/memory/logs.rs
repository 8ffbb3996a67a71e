//! The logs of one shop, as hub and agents keep them: movements, chains, totals, and the index of ids.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use super::index::Index;
use crate::delta::{Entry, RowTotal};
use crate::model::ShopModel;
use crate::movement::KeyHash;
use crate::totals::Overflow;
use crate::wire::positions_hash;
use crate::{
    Barcode, Chain, Condition, Delta, Dot, Movement, MovementId, Position, ReplicaId, Seq, ShopId,
    Total,
};

/// A movement with what it is known by, worked out once.
#[derive(Clone, Debug)]
pub struct Held {
    /// The movement.
    pub entry: Entry,
    /// Its identity.
    pub id: MovementId,
    /// Its key, where two contents of it contradict each other.
    pub key: Option<KeyHash>,
}

/// One replica's log.
#[derive(Clone, Debug, Default)]
struct Log {
    held: Vec<Arc<Held>>,
    chains: Vec<Chain>,
    /// The totals of a row after each of its movements.
    rows: BTreeMap<(Barcode, Condition), Vec<(Seq, Total)>>,
}

/// Every log of a shop that somebody holds. A copy shares what it has with its original: it is a backup.
#[derive(Clone, Debug)]
pub struct Logs {
    shop: ShopId,
    replicas: BTreeMap<ReplicaId, Arc<Log>>,
    index: Arc<Index>,
    hash: Cell<Option<[u8; 32]>>,
}

fn place(seq: Seq) -> usize {
    usize::try_from(seq.0).expect("a log in memory")
}

impl Held {
    fn of(shop: &ShopId, entry: Entry) -> Self {
        let movement = &entry.movement;
        let key = movement.key.can_conflict().then(|| movement.key_hash(shop));
        Self {
            id: movement.id(shop),
            key,
            entry,
        }
    }
}

impl Logs {
    /// No log at all.
    pub fn new(shop: ShopId) -> Self {
        Self {
            shop,
            replicas: BTreeMap::new(),
            index: Arc::default(),
            hash: Cell::new(None),
        }
    }

    /// Whose logs they are.
    pub fn shop(&self) -> &ShopId {
        &self.shop
    }

    /// The index of ids.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Barcodes whose units may have changed since the last call.
    pub fn take_touched(&mut self) -> std::collections::BTreeSet<Barcode> {
        Arc::make_mut(&mut self.index).take_touched()
    }

    /// The replicas that have movements.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> {
        let logs = self.replicas.iter().filter(|(_, log)| !log.held.is_empty());
        logs.map(|(replica, _)| *replica)
    }

    /// A log's movements.
    pub fn log(&self, replica: ReplicaId) -> &[Arc<Held>] {
        self.replicas.get(&replica).map_or(&[], |log| &log.held)
    }

    /// Every movement.
    pub fn all(&self) -> impl Iterator<Item = (Dot, &Held)> {
        self.replicas.iter().flat_map(|(replica, log)| {
            let numbered = log.held.iter().zip(1..);
            numbered.map(|(held, seq)| {
                let (replica, seq) = (*replica, Seq(seq));
                (Dot { replica, seq }, &**held)
            })
        })
    }

    /// How many movements.
    pub fn count(&self) -> usize {
        self.replicas.values().map(|log| log.held.len()).sum()
    }

    /// The chain at a place that the log has.
    pub fn chain_at(&self, replica: ReplicaId, seq: Seq) -> Chain {
        match seq.0.checked_sub(1) {
            None => replica.origin().chain,
            Some(last) => self.replicas[&replica].chains[place(Seq(last))],
        }
    }

    /// The same as the decisions ask for it.
    pub fn chains(&self, replica: ReplicaId) -> impl FnMut(Seq) -> Result<Chain, Infallible> + '_ {
        move |seq| Ok(self.chain_at(replica, seq))
    }

    /// A place that the log has.
    pub fn position(&self, replica: ReplicaId, seq: Seq) -> Position {
        Position {
            seq,
            chain: self.chain_at(replica, seq),
        }
    }

    /// The end of a log.
    pub fn head(&self, replica: ReplicaId) -> Position {
        self.position(replica, Seq(self.log(replica).len() as u64))
    }

    /// Whether a place lies on the log.
    pub fn has(&self, replica: ReplicaId, at: Position) -> bool {
        at.seq.0 <= self.log(replica).len() as u64 && self.chain_at(replica, at.seq) == at.chain
    }

    /// The hash of all positions.
    pub fn hash(&self) -> [u8; 32] {
        let known = self.hash.get().unwrap_or_else(|| {
            let heads = self.replicas.keys();
            positions_hash(heads.map(|replica| (*replica, self.head(*replica))))
        });
        self.hash.set(Some(known));
        known
    }

    /// Appends a movement.
    ///
    /// # Errors
    ///
    /// [`Overflow`] when a total would leave its range; nothing is appended.
    pub fn append(&mut self, replica: ReplicaId, entry: Entry) -> Result<Dot, Overflow> {
        let head = self.head(replica).then(&entry.bytes);
        let held = Arc::new(Held::of(&self.shop, entry));
        let movement = &held.entry.movement;
        let row = (movement.barcode.clone(), movement.condition);
        let log = Arc::make_mut(self.replicas.entry(replica).or_default());
        let totals = log.rows.entry(row).or_default();
        let before = totals.last().map_or(Total::default(), |(_, total)| *total);
        totals.push((head.seq, before.after(movement.qty)?));
        log.held.push(Arc::clone(&held));
        log.chains.push(head.chain);
        let seq = head.seq;
        let dot = Dot { replica, seq };
        Arc::make_mut(&mut self.index).add(dot, &held);
        self.hash.set(None);
        Ok(dot)
    }

    /// Takes a log's movements after a place away.
    pub fn cut(&mut self, replica: ReplicaId, after: Seq) -> Vec<Entry> {
        let Some(log) = self.replicas.get_mut(&replica) else {
            return Vec::new();
        };
        let log = Arc::make_mut(log);
        log.chains.truncate(place(after));
        let tail = log.held.split_off(place(after));
        for totals in log.rows.values_mut() {
            totals.retain(|(seq, _)| *seq <= after);
        }
        let index = Arc::make_mut(&mut self.index);
        for (held, seq) in tail.iter().zip(after.0 + 1..) {
            let seq = Seq(seq);
            index.remove(Dot { replica, seq }, held);
        }
        self.hash.set(None);
        tail.iter().map(|held| held.entry.clone()).collect()
    }

    /// At most `most` movements after a place, with the totals that they lead to.
    pub fn delta(&self, replica: ReplicaId, after: Seq, most: usize) -> Delta {
        let all = self.log(replica);
        let end = all.len().min(place(after) + most);
        let held = &all[place(after)..end];
        let mut touched: Vec<(&Barcode, Condition)> = held
            .iter()
            .map(|held| (&held.entry.movement.barcode, held.entry.movement.condition))
            .collect();
        touched.sort_unstable();
        touched.dedup();
        let totals = touched
            .into_iter()
            .map(|(barcode, condition)| RowTotal {
                total: self.total_at(replica, (barcode, condition), Seq(end as u64)),
                barcode: barcode.clone(),
                condition,
            })
            .collect();
        Delta {
            replica,
            base: self.position(replica, after),
            entries: held.iter().map(|held| held.entry.clone()).collect(),
            totals,
        }
    }

    fn total_at(
        &self,
        replica: ReplicaId,
        (barcode, condition): (&Barcode, Condition),
        upto: Seq,
    ) -> Total {
        let totals = &self.replicas[&replica].rows[&(barcode.clone(), condition)];
        let after = totals.partition_point(|(seq, _)| *seq <= upto);
        after
            .checked_sub(1)
            .map_or(Total::default(), |last| totals[last].1)
    }

    /// The same movements in the model of one shop's state.
    ///
    /// # Errors
    ///
    /// [`Overflow`] when a total leaves its range.
    pub fn model(&self) -> Result<ShopModel, Overflow> {
        let mut model = ShopModel::new(self.shop.clone());
        for (dot, held) in self.all() {
            model.append(dot.replica, held.entry.movement.clone())?;
        }
        Ok(model)
    }

    /// Every movement as it is, for whoever compares.
    pub fn movements(&self) -> impl Iterator<Item = &Movement> {
        self.all().map(|(_, held)| &held.entry.movement)
    }
}
