//! Taking the hub's movements of a replica, and moving an own tail that left the common history to its branch.

use rusqlite::Connection;
use vitrina_shared::decide::{self, Outcome, Taking};
use vitrina_shared::delta::{Delta, Entry};
use vitrina_shared::{Chain, ReplicaId, Seq, ShopId, TimeMs, planted};

use super::log::{self, Place, Tail};
use super::{LedgerError, replica};

/// What became of a delta of the hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Took {
    /// How many movements are new here.
    pub(super) added: u64,
    /// The hub's log is known to be ours up to here.
    pub(super) upto: Option<Seq>,
    /// Where an own tail went.
    pub(super) branch: Option<ReplicaId>,
    /// Somebody else wrote under the replica's name.
    pub(super) ends_own: bool,
    /// Rows whose totals are not what the hub says they are.
    pub(super) odd_rows: u64,
}

/// Takes a delta of the hub.
pub(super) fn take(
    conn: &Connection,
    shop: &ShopId,
    delta: &Delta,
    now: TimeMs,
) -> Result<Took, LedgerError> {
    let id = delta.replica;
    let no = replica::find_or_add(conn, id, now)?;
    let head = replica::head(conn, no, id)?;
    let chains = delta.chains();
    let taking = decide::take(head, id, delta.base, &chains, |seq| {
        replica::chain_at(conn, no, id, seq)
    })?;
    let ends_own = taking.ends_own_replica();
    let (skip, branch) = match taking {
        Taking::Elsewhere => return Ok(Took::default()),
        Taking::Known => {
            return Ok(Took {
                upto: Some(delta.last_seq()),
                ..Took::default()
            });
        }
        Taking::Extend { skip } => (skip, None),
        Taking::Branch {
            common,
            skip,
            branch,
        } => {
            let tail = take_off(conn, no, common, head.seq)?;
            if !planted::is("agent_drops_a_forked_tail") {
                store(conn, shop, branch, &tail, now)?;
            }
            (skip, Some(branch))
        }
    };
    let mut tail = Tail {
        no,
        id,
        head: replica::head(conn, no, id)?,
    };
    let new = delta.entries.get(skip..).unwrap_or_default();
    for entry in new {
        tail.take(conn, shop, entry, now)?;
    }
    let mut odd_rows = 0;
    for row in &delta.totals {
        odd_rows += u64::from(log::total(conn, &row.barcode, row.condition, no)? != row.total);
    }
    Ok(Took {
        added: new.len() as u64,
        upto: Some(delta.last_seq()),
        branch,
        ends_own,
        odd_rows,
    })
}

/// Takes the movements after `common` off a log; what the hub acknowledged of them it did not mean.
fn take_off(conn: &Connection, no: i64, common: Seq, head: Seq) -> Result<Vec<Entry>, LedgerError> {
    let tail = log::entries(conn, no, common, usize::MAX)?;
    for seq in (common.0 + 1..=head.0).rev() {
        log::remove(
            conn,
            Place {
                replica: no,
                seq: Seq(seq),
            },
        )?;
    }
    replica::cut_acked(conn, no, common)?;
    Ok(tail)
}

/// Stores movements under a branch, from its first on. A branch that goes on differently branches again.
fn store(
    conn: &Connection,
    shop: &ShopId,
    branch: ReplicaId,
    entries: &[Entry],
    now: TimeMs,
) -> Result<(), LedgerError> {
    let (mut id, mut entries) = (branch, entries);
    loop {
        let no = replica::find_or_add(conn, id, now)?;
        let head = replica::head(conn, no, id)?;
        let chains = chains_from(id, entries);
        let outcome = decide::admit(head, id, id.origin(), &chains, |seq| {
            replica::chain_at(conn, no, id, seq)
        })?;
        match outcome {
            Outcome::Merge { skip } => {
                let mut tail = Tail { no, id, head };
                for entry in entries.get(skip..).unwrap_or_default() {
                    tail.take(conn, shop, entry, now)?;
                }
                return Ok(());
            }
            Outcome::Duplicate => return Ok(()),
            Outcome::Fork { skip, branch, .. } => {
                entries = entries.get(skip..).unwrap_or_default();
                id = branch;
            }
            Outcome::Gap { .. } | Outcome::Take => {
                return Err(LedgerError::Damaged {
                    what: "a branch that does not begin at its origin",
                });
            }
        }
    }
}

fn chains_from(id: ReplicaId, entries: &[Entry]) -> Vec<Chain> {
    let mut at = id.origin();
    entries
        .iter()
        .map(|entry| {
            at = at.then(&entry.bytes);
            at.chain
        })
        .collect()
}
