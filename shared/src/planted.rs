//! Bugs planted on purpose, to show that the simulator finds each of them: `scripts/torture --mutants`.
//!
//! They exist only where the feature `mutants` is on; everywhere else no bug is planted, the compiler knows it, and nothing
//! of them is left.

/// Every planted bug, by name. Those that begin with `agent_` or `hub_` are in one of the two stores; the others are in
/// what both stand on.
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
    "newer_life_is_no_evidence",
    "fork_skips_one_too_many",
    "common_is_one_too_far",
    "ids_are_ignored",
    "largest_dot_counts",
    "voids_are_ignored",
    "stock_is_clamped_at_zero",
    "receipts_have_no_day",
    "receipts_have_no_till",
    "receipts_have_no_kind",
    "ids_have_no_quantity",
    "ids_have_no_text",
    "acknowledged_before_the_commit",
    "extending_may_shorten",
    "legs_take_what_came_last",
    "confirmed_after_declined",
    "a_piece_on_its_way_is_held",
    "broken_tells_nobody",
    "fulfilled_is_free_before_its_sale",
    "cancelled_and_bought_tells_nobody",
    "nobody_puts_it_back",
    "a_bought_leg_ends_no_other",
    "a_bought_hold_is_released",
    "a_kept_piece_is_looked_for_elsewhere",
    "granted_before_the_legs_are_back",
    "held_pieces_are_granted_again",
    "safety_stock_is_granted",
    "the_chains_safety_stock_wins",
    "what_is_said_of_everything_wins",
    "a_shop_that_said_no_is_asked_again",
    "an_ended_leg_is_confirmed",
    "promised_pieces_are_confirmed_again",
    "an_expired_leg_binds_for_ever",
    "tills_sell_what_is_held",
    "transfers_count_voids",
    "a_parcel_is_received_twice",
    "what_has_come_is_still_awaited",
    "agent_relays_only_its_own",
    "agent_keeps_acknowledgements_of_another_life",
    "agent_keeps_the_cursor_of_another_life",
    "agent_lets_the_old_price_win",
    "agent_ignores_its_doubt",
    "agent_doubts_and_goes_on",
    "agent_books_a_repeat",
    "agent_takes_a_contradiction_for_a_repeat",
    "agent_drops_a_forked_tail",
    "agent_goes_on_where_the_hub_is_ahead",
    "agent_moves_no_void_sum",
    "hub_believes_the_body",
    "hub_takes_foreign_logs",
    "hub_reads_any_cursor",
    "hub_skips_what_does_not_fit_a_page",
    "hub_looks_at_no_token",
    "hub_voids_nothing",
    "hub_clamps_at_zero",
    "hub_believes_a_row",
];

#[cfg(feature = "mutants")]
static PLANTED: std::sync::OnceLock<&'static str> = std::sync::OnceLock::new();

/// Plants one bug for the rest of the process; the first one named stays. Whether it is one of [`ALL`], and the
/// program was built with them.
pub fn plant(name: &str) -> bool {
    #[cfg(feature = "mutants")]
    {
        ALL.iter()
            .find(|known| **known == name)
            .is_some_and(|known| PLANTED.set(known).is_ok())
    }
    #[cfg(not(feature = "mutants"))]
    {
        let _ = name;
        false
    }
}

/// Whether this bug is planted.
#[inline]
pub fn is(name: &str) -> bool {
    #[cfg(feature = "mutants")]
    {
        debug_assert!(ALL.contains(&name), "{name} is not listed");
        PLANTED.get().is_some_and(|planted| *planted == name)
    }
    #[cfg(not(feature = "mutants"))]
    {
        let _ = name;
        false
    }
}
