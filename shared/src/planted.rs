//! Bugs planted on purpose, to show that the simulator finds each of them: `scripts/torture --mutants`.
//!
//! They exist only where the compiler is told `--cfg mutants`; everywhere else no bug is planted, the compiler knows it,
//! and nothing of them is left.

/// Every planted bug, by name.
pub const ALL: &[&str] = &[
    "gap_is_merged",
    "base_is_not_compared",
    "overlap_is_not_compared",
    "repeat_is_merged",
    "held_part_is_merged",
    "branch_is_not_derived_from_the_tail",
    "fork_is_not_relayed",
    "acknowledged_without_chain",
    "acknowledged_up_to_the_own_end",
    "difference_is_known",
    "own_replica_is_used_again",
    "extended_replica_is_used_again",
    "hub_rollback_is_not_seen",
    "life_is_not_raised",
    "ids_are_ignored",
];

#[cfg(mutants)]
static PLANTED: std::sync::OnceLock<&'static str> = std::sync::OnceLock::new();

/// Plants one bug for the rest of the process; the first one named stays. Whether it is one of [`ALL`], and the
/// program was built with them.
pub fn plant(name: &str) -> bool {
    #[cfg(mutants)]
    {
        ALL.iter()
            .find(|known| **known == name)
            .is_some_and(|known| PLANTED.set(known).is_ok())
    }
    #[cfg(not(mutants))]
    {
        let _ = name;
        false
    }
}

/// Whether this bug is planted.
#[inline]
pub(crate) fn is(name: &str) -> bool {
    #[cfg(mutants)]
    {
        debug_assert!(ALL.contains(&name), "{name} is not listed");
        PLANTED.get().is_some_and(|planted| *planted == name)
    }
    #[cfg(not(mutants))]
    {
        let _ = name;
        false
    }
}
