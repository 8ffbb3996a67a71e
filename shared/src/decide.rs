//! Who sends what to whom: every decision of the exchange as a pure function (DESIGN §3.7, §4).
//!
//! Neither side trusts a number alone. A position is `(seq, chain)`; two logs agree up to a place exactly when their
//! chains there are equal. The hub's log of a replica never shrinks and may always be extended by its own true
//! continuation. *Who finds his own replica behind or different at the hub mints a new one; who is equal or ahead
//! goes on.* A tail that left the common history moves, ids kept, to the branch that its fork names.
//!
//! `chain_at` reads a log's chain at a place from 0 (the origin) to its head; it is the only thing the functions ask
//! the store for.

use crate::{Chain, HubLife, Position, ReplicaId, Seq, planted};

/// What an agent shows of one replica of its shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whose log.
    pub replica: ReplicaId,
    /// Up to here the hub has acknowledged it, in this life of the hub.
    pub acked: Position,
    /// The last movement the agent holds.
    pub head: Position,
}

/// What the hub does with a delta. A refusal that the protocol expects is a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Merge all but the first movements; those were merged before.
    Merge {
        /// How many to leave out.
        skip: usize,
    },
    /// All merged before. Normal: the agent sends again when an answer was lost.
    Duplicate,
    /// Movements are missing before the delta.
    Gap {
        /// The agent sends from here.
        expected: Seq,
    },
    /// The delta starts from a history that the hub does not hold: the agent takes the hub's.
    Take,
    /// The delta leaves the hub's log after `common`: its tail is stored under the branch at once, because those
    /// sales happened, and the agent takes the hub's log from `common`.
    Fork {
        /// The last place both share.
        common: Seq,
        /// How many movements of the delta are common.
        skip: usize,
        /// The branch's name.
        branch: ReplicaId,
    },
}

/// Decides about a delta of `replica` that starts after `base` and has the given chain after each movement, when the
/// hub's log of that replica ends at `head`.
///
/// # Errors
///
/// Only what `chain_at` fails with.
pub fn admit<E>(
    head: Position,
    replica: ReplicaId,
    base: Position,
    chains: &[Chain],
    mut chain_at: impl FnMut(Seq) -> Result<Chain, E>,
) -> Result<Outcome, E> {
    if base.seq > head.seq {
        if planted::is("gap_is_merged") {
            return Ok(Outcome::Merge { skip: 0 });
        }
        return Ok(Outcome::Gap {
            expected: head.seq.next(),
        });
    }
    if chain_at(base.seq)? != base.chain && !planted::is("base_is_not_compared") {
        return Ok(Outcome::Take);
    }
    let overlap = usize::try_from(head.seq.0 - base.seq.0)
        .unwrap_or(usize::MAX)
        .min(chains.len());
    let place = |index: usize| Seq(base.seq.0 + 1 + index as u64);
    let agrees_at_end = match overlap
        .checked_sub(1)
        .and_then(|last| Some((last, chains.get(last)?)))
    {
        Some((last, chain)) => {
            chain_at(place(last))? == *chain || planted::is("overlap_is_not_compared")
        }
        None => true,
    };
    if !agrees_at_end {
        // Chains that differ once differ for ever, so the first difference is found by halving.
        let (mut low, mut high) = (0, overlap - 1);
        while low < high {
            let middle = low.midpoint(high);
            if chains.get(middle) == Some(&chain_at(place(middle))?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let common = Seq(base.seq.0 + low as u64);
        let divergent = chains.get(low).copied().unwrap_or(base.chain);
        return Ok(Outcome::Fork {
            common,
            skip: low + usize::from(planted::is("fork_skips_one_too_many")),
            branch: replica.branch(common, divergent),
        });
    }
    if overlap == chains.len() && !planted::is("repeat_is_merged") {
        return Ok(Outcome::Duplicate);
    }
    if planted::is("held_part_is_merged") {
        return Ok(Outcome::Merge { skip: 0 });
    }
    Ok(Outcome::Merge { skip: overlap })
}

/// How the hub's log of a replica stands to what the agent shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both hold the same.
    Same,
    /// The agent holds more, as far as the hub can see: it sends.
    AgentAhead,
    /// The hub's log is longer or different: it sends its movements after `from`, a place that both share.
    HubAhead {
        /// The highest place shown that lies on the hub's log.
        from: Seq,
    },
}

/// Compares what an agent shows of a replica with the hub's log, which ends at `head`. `outcome` is what became of the
/// agent's delta of that replica in the same exchange, if it brought one: a refused delta proves a difference that the
/// shown positions alone do not.
///
/// # Errors
///
/// Only what `chain_at` fails with.
pub fn relate<E>(
    head: Position,
    shown: &Shown,
    outcome: Option<Outcome>,
    mut chain_at: impl FnMut(Seq) -> Result<Chain, E>,
) -> Result<Relation, E> {
    if head == shown.head {
        return Ok(Relation::Same);
    }
    if let Some(Outcome::Fork { common, .. }) = outcome
        && !planted::is("fork_is_not_relayed")
    {
        return Ok(Relation::HubAhead { from: common });
    }
    let mut lies_on_log = |at: Position| -> Result<bool, E> {
        Ok(at.seq <= head.seq && chain_at(at.seq)? == at.chain)
    };
    if lies_on_log(shown.head)? {
        return Ok(Relation::HubAhead {
            from: shown.head.seq,
        });
    }
    let acked_is_common = lies_on_log(shown.acked)?;
    let may_continue = shown.head.seq > head.seq
        && outcome != Some(Outcome::Take)
        && (acked_is_common || shown.acked.seq > head.seq);
    Ok(match (may_continue, acked_is_common) {
        (true, _) => Relation::AgentAhead,
        (false, true) => Relation::HubAhead {
            from: shown.acked.seq,
        },
        (false, false) => Relation::HubAhead { from: Seq(0) },
    })
}

/// What the agent learns from the hub's position of a replica it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// The hub holds the log up to this place.
    UpTo(Seq),
    /// The hub's history is longer or different. Its movements follow in this answer; where they do not, the agent
    /// forgets what it thought acknowledged (unless a `Duplicate` of this answer proves a later place) and shows the
    /// log from there, so that the difference is found.
    HubAhead,
}

impl Acknowledged {
    /// Whether the agent must mint a new replica, when it is its current one.
    pub fn ends_own_replica(self) -> bool {
        let is_planted = planted::is("own_replica_is_used_again")
            || planted::is("extended_replica_is_used_again");
        self == Self::HubAhead && !is_planted
    }
}

/// Reads the hub's position of a replica whose own log ends at `head`.
///
/// # Errors
///
/// Only what `chain_at` fails with.
pub fn acknowledge<E>(
    head: Position,
    hub: Position,
    mut chain_at: impl FnMut(Seq) -> Result<Chain, E>,
) -> Result<Acknowledged, E> {
    if planted::is("acknowledged_up_to_the_own_end") {
        return Ok(Acknowledged::UpTo(head.seq));
    }
    if hub.seq <= head.seq
        && (chain_at(hub.seq)? == hub.chain || planted::is("acknowledged_without_chain"))
    {
        Ok(Acknowledged::UpTo(hub.seq))
    } else {
        Ok(Acknowledged::HubAhead)
    }
}

/// What the agent does with movements of a replica that the hub sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// They do not start from a place of the own log: nothing is applied; the next exchange shows more.
    Elsewhere,
    /// All of them are held already: the hub's log is known up to the last of them.
    Known,
    /// They go on from the own head: appended, without the first `skip`.
    Extend {
        /// How many are held already.
        skip: usize,
    },
    /// The own tail after `common` moves to `branch`; then they are appended, without the first `skip`.
    Branch {
        /// The last place both share.
        common: Seq,
        /// How many of the hub's movements are common.
        skip: usize,
        /// Where the own tail goes.
        branch: ReplicaId,
    },
}

impl Taking {
    /// Whether the agent must mint a new replica, when it is its current one: somebody else wrote under its name, so
    /// it is not the only continuation.
    pub fn ends_own_replica(self) -> bool {
        match self {
            Self::Extend { .. } => !planted::is("extended_replica_is_used_again"),
            Self::Branch { .. } => !planted::is("own_replica_is_used_again"),
            Self::Elsewhere | Self::Known => false,
        }
    }
}

/// Decides about the hub's movements of `replica` that start after `base` with the given chain after each, when the
/// own log ends at `head`.
///
/// # Errors
///
/// Only what `chain_at` fails with.
pub fn take<E>(
    head: Position,
    replica: ReplicaId,
    base: Position,
    chains: &[Chain],
    mut chain_at: impl FnMut(Seq) -> Result<Chain, E>,
) -> Result<Taking, E> {
    if base.seq > head.seq || chain_at(base.seq)? != base.chain {
        return Ok(Taking::Elsewhere);
    }
    for (skip, theirs) in chains.iter().enumerate() {
        let common = Seq(base.seq.0 + skip as u64);
        if common == head.seq {
            return Ok(Taking::Extend { skip });
        }
        let own = chain_at(common.next())?;
        if own != *theirs && !planted::is("difference_is_known") {
            return Ok(Taking::Branch {
                common: Seq(common.0 + u64::from(planted::is("common_is_one_too_far"))),
                skip,
                branch: replica.branch(common, own),
            });
        }
    }
    Ok(Taking::Known)
}

/// What an authentic token or cursor of the hub says about the hub's own past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The life it was given in.
    pub life: HubLife,
    /// Whether the hub finds it on its own history (only asked where the life is its own).
    pub on_history: bool,
}

/// Whether the hub's database goes back behind something it once said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeVerdict {
    /// Nothing speaks against the current life.
    Goes,
    /// `HubBehind`: the hub begins one new life of this ordinal, by compare-and-set on the life it read.
    Behind {
        /// 1 + the greater of its own ordinal and the one shown.
        ordinal: u64,
    },
}

/// Judges the hub's life by evidence whose authenticity is proved. A lower ordinal is never evidence: it only shows a
/// reader that slept through a new life.
pub fn judge_life(own: HubLife, evidence: Evidence) -> LifeVerdict {
    let contradicts = if evidence.life == own {
        !evidence.on_history && !planted::is("hub_rollback_is_not_seen")
    } else {
        evidence.life.ordinal >= own.ordinal && !planted::is("newer_life_is_no_evidence")
    };
    if contradicts {
        LifeVerdict::Behind {
            ordinal: if planted::is("life_is_not_raised") {
                own.ordinal
            } else {
                1 + own.ordinal.max(evidence.life.ordinal)
            },
        }
    } else {
        LifeVerdict::Goes
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const REPLICA: ReplicaId = ReplicaId([1; 16]);

    /// A log of one-byte movements.
    struct Log(Vec<Position>);

    impl Log {
        fn of(movements: &[u8]) -> Self {
            let mut at = REPLICA.origin();
            let mut positions = vec![at];
            for byte in movements {
                at = at.then(&[*byte]);
                positions.push(at);
            }
            Self(positions)
        }
        fn head(&self) -> Position {
            *self.0.last().unwrap()
        }
        fn at(&self, seq: usize) -> Position {
            self.0[seq]
        }
        fn chain_at(&self) -> impl FnMut(Seq) -> Result<Chain, Infallible> + '_ {
            |seq| Ok(self.0[usize::try_from(seq.0).unwrap()].chain)
        }
        /// The chains after each movement behind `base`.
        fn after(&self, base: usize) -> Vec<Chain> {
            self.0[base + 1..].iter().map(|p| p.chain).collect()
        }
        fn shown(&self, acked: usize) -> Shown {
            Shown {
                replica: REPLICA,
                acked: self.at(acked),
                head: self.head(),
            }
        }
    }

    fn admit_from(hub: &Log, agent: &Log, base: usize) -> Outcome {
        admit(
            hub.head(),
            REPLICA,
            agent.at(base),
            &agent.after(base),
            hub.chain_at(),
        )
        .unwrap()
    }

    #[test]
    fn a_delta_sent_twice_counts_once() {
        let agent = Log::of(b"abc");

        assert_eq!(
            admit_from(&Log::of(b""), &agent, 0),
            Outcome::Merge { skip: 0 }
        );
        assert_eq!(
            admit_from(&Log::of(b"ab"), &agent, 0),
            Outcome::Merge { skip: 2 }
        );
        assert_eq!(admit_from(&Log::of(b"abc"), &agent, 0), Outcome::Duplicate);
        assert_eq!(admit_from(&Log::of(b"abcd"), &agent, 1), Outcome::Duplicate);
    }

    #[test]
    fn a_hole_is_asked_for() {
        assert_eq!(
            admit_from(&Log::of(b"a"), &Log::of(b"abcd"), 3),
            Outcome::Gap { expected: Seq(2) }
        );
    }

    #[test]
    fn a_forked_tail_is_found_to_the_movement() {
        let hub = Log::of(b"abcde");
        let agent = Log::of(b"abXYZW");

        let outcome = admit_from(&hub, &agent, 1);

        let branch = REPLICA.branch(Seq(2), agent.at(3).chain);
        assert_eq!(
            outcome,
            Outcome::Fork {
                common: Seq(2),
                skip: 1,
                branch
            }
        );
        assert_eq!(
            admit_from(&hub, &agent, 4),
            Outcome::Take,
            "the base itself is not on the hub's log"
        );
    }

    #[test]
    fn both_sides_name_the_same_branch() {
        let hub = Log::of(b"abcde");
        let agent = Log::of(b"abXY");

        let Outcome::Fork { branch, .. } = admit_from(&hub, &agent, 0) else {
            panic!("no fork")
        };
        let taking = take(
            agent.head(),
            REPLICA,
            hub.at(1),
            &hub.after(1),
            agent.chain_at(),
        )
        .unwrap();

        assert_eq!(
            taking,
            Taking::Branch {
                common: Seq(2),
                skip: 1,
                branch
            }
        );
        assert!(taking.ends_own_replica());
    }

    #[test]
    fn a_restored_agent_finds_itself_behind_and_mints() {
        let hub = Log::of(b"abcde");
        let restored = Log::of(b"abc");

        assert_eq!(
            relate(hub.head(), &restored.shown(2), None, hub.chain_at()),
            Ok(Relation::HubAhead { from: Seq(3) })
        );
        let taking = take(
            restored.head(),
            REPLICA,
            hub.at(3),
            &hub.after(3),
            restored.chain_at(),
        )
        .unwrap();
        assert_eq!(taking, Taking::Extend { skip: 0 });
        assert!(taking.ends_own_replica());
    }

    #[test]
    fn who_is_equal_or_ahead_goes_on() {
        let agent = Log::of(b"abcd");
        for hub in [Log::of(b"ab"), Log::of(b""), Log::of(b"abcd")] {
            let relation = relate(hub.head(), &agent.shown(0), None, hub.chain_at()).unwrap();
            assert!(
                !matches!(relation, Relation::HubAhead { .. }),
                "{relation:?}"
            );
        }
        let taking = take(
            agent.head(),
            REPLICA,
            agent.at(1),
            &agent.after(1),
            agent.chain_at(),
        )
        .unwrap();
        assert_eq!(taking, Taking::Known);
        assert!(!taking.ends_own_replica());
    }

    #[test]
    fn a_hub_that_lost_its_log_is_filled_again() {
        let agent = Log::of(b"abcd");
        let hub = Log::of(b"a");

        assert_eq!(
            relate(hub.head(), &agent.shown(3), None, hub.chain_at()),
            Ok(Relation::AgentAhead)
        );
        assert_eq!(
            acknowledge(agent.head(), hub.head(), agent.chain_at()),
            Ok(Acknowledged::UpTo(Seq(1)))
        );
    }

    #[test]
    fn a_refused_delta_proves_what_positions_alone_do_not() {
        let hub = Log::of(b"a");
        let agent = Log::of(b"XY");
        let outcome = admit_from(&hub, &agent, 0);

        assert!(
            matches!(outcome, Outcome::Fork { common: Seq(0), .. }),
            "{outcome:?}"
        );
        let relation = relate(hub.head(), &agent.shown(0), Some(outcome), hub.chain_at());
        assert_eq!(relation, Ok(Relation::HubAhead { from: Seq(0) }));
    }

    #[test]
    fn only_what_contradicts_the_own_life_is_evidence() {
        let own = HubLife {
            ordinal: 3,
            random: [3; 16],
        };
        let verdict = |life, on_history| judge_life(own, Evidence { life, on_history });
        let other = |ordinal| HubLife {
            ordinal,
            random: [9; 16],
        };

        assert_eq!(verdict(own, true), LifeVerdict::Goes);
        assert_eq!(verdict(own, false), LifeVerdict::Behind { ordinal: 4 });
        assert_eq!(verdict(other(2), false), LifeVerdict::Goes);
        assert_eq!(verdict(other(3), false), LifeVerdict::Behind { ordinal: 4 });
        assert_eq!(verdict(other(7), false), LifeVerdict::Behind { ordinal: 8 });
    }
}
