//! The logs of one shop in memory, as hub and agents keep them: movements, chains, and the index of ids.

use std::collections::BTreeMap;
use std::convert::Infallible;

use vitrina_shared::delta::{Entry, RowTotal};
use vitrina_shared::wire::positions_hash;
use vitrina_shared::{
    Barcode, Chain, Condition, Delta, Movement, MovementId, Position, ReplicaId, Seq, ShopId,
};

/// One replica's log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    chains: Vec<Chain>,
}

/// Every log of a shop that somebody holds.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    logs: BTreeMap<ReplicaId, Log>,
}

fn index(seq: Seq) -> usize {
    usize::try_from(seq.0).expect("a log in memory")
}

impl Logs {
    /// The replicas that have movements.
    pub fn replicas(&self) -> Vec<ReplicaId> {
        self.logs.keys().copied().collect()
    }

    /// A log's movements.
    pub fn entries(&self, replica: ReplicaId) -> &[Entry] {
        self.logs.get(&replica).map_or(&[], |log| &log.entries)
    }

    /// Every movement.
    pub fn all(&self) -> impl Iterator<Item = (ReplicaId, Seq, &Movement)> {
        self.logs.iter().flat_map(|(replica, log)| {
            let numbered = log.entries.iter().zip(1..);
            numbered.map(|(entry, seq)| (*replica, Seq(seq), &entry.movement))
        })
    }

    /// How many movements.
    pub fn count(&self) -> usize {
        self.logs.values().map(|log| log.entries.len()).sum()
    }

    /// The ids of all movements, each with how many dots have it.
    pub fn ids(&self, shop: &ShopId) -> BTreeMap<MovementId, usize> {
        let mut ids = BTreeMap::new();
        for (_, _, movement) in self.all() {
            *ids.entry(movement.id(shop)).or_default() += 1;
        }
        ids
    }

    /// The chain at a place that the log has.
    pub fn chain_at(&self, replica: ReplicaId, seq: Seq) -> Chain {
        match seq.0.checked_sub(1) {
            None => replica.origin().chain,
            Some(last) => self.logs[&replica].chains[index(Seq(last))],
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
        self.position(replica, Seq(self.entries(replica).len() as u64))
    }

    /// Whether a place lies on the log.
    pub fn has(&self, replica: ReplicaId, at: Position) -> bool {
        at.seq <= self.head(replica).seq && self.chain_at(replica, at.seq) == at.chain
    }

    /// The hash of all positions.
    pub fn hash(&self) -> [u8; 32] {
        positions_hash(
            self.logs
                .keys()
                .map(|replica| (*replica, self.head(*replica))),
        )
    }

    /// Appends a movement.
    pub fn append(&mut self, replica: ReplicaId, entry: Entry) {
        let chain = self.head(replica).chain.then(&entry.bytes);
        let log = self.logs.entry(replica).or_default();
        log.entries.push(entry);
        log.chains.push(chain);
    }

    /// Takes a log's movements after a place away.
    pub fn cut(&mut self, replica: ReplicaId, after: Seq) -> Vec<Entry> {
        let Some(log) = self.logs.get_mut(&replica) else {
            return Vec::new();
        };
        log.chains.truncate(index(after));
        log.entries.split_off(index(after))
    }

    /// At most `most` movements after a place, with the totals that they lead to.
    pub fn delta(&self, replica: ReplicaId, after: Seq, most: usize) -> Delta {
        let all = self.entries(replica);
        let end = all.len().min(index(after) + most);
        let entries = all[index(after)..end].to_vec();
        let whole = Delta::sums(&all[..end]).expect("small numbers");
        let touched: BTreeMap<(&Barcode, Condition), _> =
            Delta::sums(&entries).expect("small numbers");
        let totals = touched
            .into_keys()
            .map(|key| RowTotal {
                barcode: key.0.clone(),
                condition: key.1,
                total: whole[&key],
            })
            .collect();
        Delta {
            replica,
            base: self.position(replica, after),
            entries,
            totals,
        }
    }
}
