//! Legs: the laws of their join, the table of what they come to, and what the hub does about a hold, whatever comes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{barcode, shop};
use proptest::prelude::*;
use vitrina_shared::hold::{
    Act, DeclineReason, Facts, HubSide, HubState, Known, Leg, Merged, Purpose, RETURN_MS, ShopSide,
    Terms, Word, WorkKind, effect, expire, extend, held, is_open, is_unanswered, release, settle,
    word,
};
use vitrina_shared::{HoldId, LegId, MovementId, Qty, TimeMs};

const NOW: TimeMs = TimeMs(1_790_000_000_000);
const LATER: TimeMs = TimeMs(NOW.0 + 3_600_000);

fn leg(number: u8, state: HubState, side: ShopSide) -> Leg {
    Leg {
        id: LegId([number; 16]),
        terms: Arc::new(Terms {
            hold: HoldId([1; 16]),
            shop: shop(),
            barcode: barcode(1),
            ordered: None,
            qty: Qty::new(2).unwrap(),
            order: "1024".into(),
            caller: "site".into(),
            purpose: Purpose::Order,
            created_at: NOW.plus(i64::from(number)),
            allow_variant: false,
            comes_from: None,
        }),
        hub: HubSide {
            state,
            expires_at: LATER,
        },
        shop: side,
    }
}

fn travels_from(leg: &mut Leg, from: u8) {
    let terms = Terms {
        comes_from: Some(LegId([from; 16])),
        ..(*leg.terms).clone()
    };
    leg.terms = Arc::new(terms);
}

fn sides() -> [ShopSide; 6] {
    let movement = MovementId([9; 16]);
    [
        ShopSide::None,
        ShopSide::Declined {
            reason: DeclineReason::NotFound,
            at: NOW,
        },
        ShopSide::Confirmed { at: NOW },
        ShopSide::Moved { movement, at: NOW },
        ShopSide::Broken { at: NOW },
        ShopSide::Fulfilled { movement, at: NOW },
    ]
}

fn after(movement: Merged) -> Facts {
    Facts {
        movement,
        has_arrived: false,
    }
}

fn any_side() -> impl Strategy<Value = ShopSide> {
    (0_usize..6, 0_i64..3, 0_u8..3, 0_u8..5).prop_map(|(rank, at, movement, reason)| {
        let (at, movement) = (TimeMs(at), MovementId([movement; 16]));
        let reason = DeclineReason::of_number(reason);
        [
            ShopSide::None,
            ShopSide::Declined { reason, at },
            ShopSide::Confirmed { at },
            ShopSide::Moved { movement, at },
            ShopSide::Broken { at },
            ShopSide::Fulfilled { movement, at },
        ][rank]
    })
}

/// Any copy of the leg of a number.
fn any_copy(number: u8) -> impl Strategy<Value = Leg> {
    (0_u8..4, 0_i64..3, any_side()).prop_map(move |(state, expires, side)| {
        let mut leg = leg(number, HubState::of_number(state).unwrap(), side);
        leg.hub.expires_at = TimeMs(expires);
        leg
    })
}

/// Up to four legs of a hold, with what the movements say of each; a piece may travel from one to the next.
fn any_hold() -> impl Strategy<Value = Vec<(Leg, Facts)>> {
    let facts = (0_usize..3, any::<bool>(), any::<bool>());
    let one = (any_copy(0), facts);
    prop::collection::vec(one, 1..5).prop_map(|all| {
        let numbered = all.into_iter().zip(1_u8..);
        let each = numbered.map(|((copy, (merged, has_arrived, travels)), number)| {
            let mut copy = Leg {
                id: LegId([number; 16]),
                ..copy
            };
            copy.hub.expires_at = LATER;
            if travels && number > 1 {
                travels_from(&mut copy, number - 1);
            }
            let movement = [Merged::NotYet, Merged::Counts, Merged::Void][merged];
            (
                copy,
                Facts {
                    movement,
                    has_arrived,
                },
            )
        });
        each.collect()
    })
}

fn known(legs: &[(Leg, Facts)]) -> Vec<Known<'_>> {
    legs.iter().map(|(leg, facts)| (leg, *facts)).collect()
}

/// Does what the hub can do by itself, as often as there is something to do; what it told people, and what it would open.
fn settled(legs: &mut [(Leg, Facts)]) -> (Vec<(LegId, WorkKind)>, Vec<Act>) {
    let (mut told, mut opens) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let mut wrote = false;
        for act in settle(&known(legs)) {
            match act {
                Act::Write { leg, state } => {
                    let one = legs.iter_mut().find(|(one, _)| one.id == leg).unwrap();
                    let next = HubSide { state, ..one.0.hub };
                    assert!(next.state > one.0.hub.state, "a write that changes nothing");
                    one.0.hub = one.0.hub.join(next);
                    wrote = true;
                }
                Act::Raise { leg, kind } => {
                    if !told.contains(&(leg, kind)) {
                        told.push((leg, kind));
                    }
                }
                other => {
                    if !opens.contains(&other) {
                        opens.push(other);
                    }
                }
            }
        }
        if !wrote {
            return (told, opens);
        }
    }
    panic!("never settled: {legs:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn the_join_of_legs_is_commutative_associative_and_idempotent(a in any_copy(1), b in any_copy(1), c in any_copy(1)) {
        prop_assert_eq!(a.join(&b), b.join(&a));
        prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
        prop_assert_eq!(a.join(&a), a.clone());
        let joined = a.join(&b);
        prop_assert!(joined.hub.state >= a.hub.state && joined.hub.expires_at >= a.hub.expires_at);
        prop_assert!(joined.shop.number() >= a.shop.number(), "nothing that was said is unsaid");
        prop_assert!(joined.shop == a.shop || joined.shop == b.shop, "what is said comes with what belongs to it");
    }

    #[test]
    fn a_settled_hold_has_one_open_leg_at_most_and_whoever_kept_a_piece_in_vain_is_told(hold in any_hold()) {
        let mut legs = hold;
        let before = legs.clone();
        let (told, opens) = settled(&mut legs);
        let now = known(&legs);

        let open = now.iter().filter(|(leg, _)| is_open(leg, &now)).count();
        let has_buyer = now.iter().any(|(leg, facts)| {
            matches!(leg.shop, ShopSide::Fulfilled { .. }) && facts.movement != Merged::Void
        });
        prop_assert!(open <= 1, "{} are open: {:?}", open, legs);
        prop_assert!(!has_buyer || opens.is_empty(), "the buyer has it, and another leg opens: {:?}", opens);
        prop_assert!(opens.len() <= 1, "{:?}", opens);
        for ((leg, facts), (old, _)) in legs.iter().zip(&before) {
            prop_assert_eq!(leg.shop, old.shop, "the hub does not speak for the shop");
            let is_kept = matches!(leg.shop, ShopSide::Confirmed { .. });
            let broke = matches!(leg.shop, ShopSide::Broken { .. }) && old.is_requested();
            let is_told = told.iter().any(|(id, _)| *id == leg.id);
            prop_assert!(is_told || leg.is_requested() || !is_kept, "nobody puts it back: {:?}", leg);
            prop_assert!(!broke || is_told, "nobody hears that it broke: {:?}", leg);
            let effect = effect(leg, *facts);
            prop_assert!(!effect.is_held || effect.word != Some(Word::Fulfilled), "sold and held");
        }
    }

    #[test]
    fn a_hold_that_was_let_go_holds_nothing_but_what_is_sold_or_on_its_way(hold in any_hold()) {
        let mut legs = hold;
        settled(&mut legs);
        if let Ok(live) = release(&known(&legs)) {
            for (leg, _) in legs.iter_mut().filter(|(leg, _)| live.contains(&leg.id)) {
                leg.hub.state = HubState::Released;
            }
            settled(&mut legs);
            for (leg, facts) in &legs {
                let is_going = leg.shop.movement().is_some() && facts.movement != Merged::Counts;
                // Its piece travels already; only the shop's word for that is still on its way.
                let has_left = legs.iter().any(|(other, _)| other.terms.comes_from == Some(leg.id));
                prop_assert!(held(leg, *facts) == 0 || is_going || has_left, "{:?} {:?}", leg, facts);
            }
            if word(&known(&legs)) == Some(Word::Released) {
                prop_assert_eq!(release(&known(&legs)), Ok(Vec::new()), "twice is once");
            }
        }
    }
}

#[test]
fn the_states_go_down_the_list_of_the_design() {
    for pair in HubState::ALL.windows(2) {
        assert!(pair[0] < pair[1]);
    }
    for pair in sides().windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
        assert_eq!(pair[0].join(pair[1]), pair[1]);
    }
    // Whatever belongs to them: a no of later is less than a yes of earlier.
    let early = ShopSide::Confirmed { at: TimeMs(0) };
    let late = ShopSide::Declined {
        reason: DeclineReason::Other,
        at: NOW,
    };
    assert!(late < early);
}

#[test]
fn extending_never_shortens() {
    let long = HubSide {
        state: HubState::Requested,
        expires_at: LATER,
    };
    let short = HubSide {
        state: HubState::Ended,
        expires_at: NOW,
    };
    let joined = HubSide {
        state: HubState::Ended,
        expires_at: LATER,
    };
    assert_eq!(long.join(short), joined);
    assert_eq!(short.join(long), joined);
}

/// One row of the table: a word for each of the shop's states, whether it is held, and who is told.
type Cell = (Option<Word>, bool, &'static [WorkKind]);

/// The table of DESIGN §6, cell by cell; of `moved` and `fulfilled` once their movement counts.
#[test]
fn the_effect_of_every_pair_is_the_one_of_the_table() {
    use WorkKind::{BoughtAfterEnd, Broken, CancelledAndBought, PutBack, TravelsUnwanted};
    let table: [[Cell; 6]; 4] = [
        [
            (Some(Word::Requested), true, &[]),
            (Some(Word::Declined), false, &[]),
            (Some(Word::Confirmed), true, &[]),
            (Some(Word::InTransit), false, &[]),
            (Some(Word::Broken), false, &[Broken]),
            (Some(Word::Fulfilled), false, &[]),
        ],
        [
            (None, false, &[]),
            (Some(Word::Declined), false, &[]),
            (Some(Word::Declined), false, &[PutBack]),
            (Some(Word::InTransit), false, &[TravelsUnwanted]),
            (Some(Word::Broken), false, &[Broken]),
            (Some(Word::Fulfilled), false, &[BoughtAfterEnd]),
        ],
        [
            (Some(Word::Expired), false, &[]),
            (Some(Word::Expired), false, &[]),
            (Some(Word::Expired), false, &[PutBack]),
            (Some(Word::Expired), false, &[TravelsUnwanted]),
            (Some(Word::Expired), false, &[Broken]),
            (Some(Word::Fulfilled), false, &[BoughtAfterEnd]),
        ],
        [
            (Some(Word::Released), false, &[]),
            (Some(Word::Released), false, &[]),
            (Some(Word::Released), false, &[PutBack]),
            (Some(Word::Released), false, &[TravelsUnwanted]),
            (Some(Word::Released), false, &[Broken]),
            (Some(Word::Fulfilled), false, &[CancelledAndBought]),
        ],
    ];
    for (state, row) in HubState::ALL.into_iter().zip(table) {
        for (side, (word, is_held, tells)) in sides().into_iter().zip(row) {
            let mut legs = [(leg(1, state, side), after(Merged::Counts))];
            let found = effect(&legs[0].0, legs[0].1);
            assert_eq!(found.word, word, "{state:?} {side:?}");
            assert_eq!(found.is_held, is_held, "{state:?} {side:?}");
            let (told, _) = settled(&mut legs);
            let told: Vec<WorkKind> = told.into_iter().map(|(_, kind)| kind).collect();
            assert_eq!(told, tells, "{state:?} {side:?}");
        }
    }
}

#[test]
fn a_piece_is_held_until_the_movement_that_takes_it_away_counts() {
    for side in sides().into_iter().filter(|side| side.movement().is_some()) {
        for state in HubState::ALL {
            let one = leg(1, state, side);
            assert_eq!(held(&one, after(Merged::NotYet)), 2, "{state:?} {side:?}");
            assert_eq!(held(&one, after(Merged::Counts)), 0, "{state:?} {side:?}");
            // It was taken back: the piece is the order's again, if there still is one.
            let still = if state == HubState::Requested { 2 } else { 0 };
            assert_eq!(held(&one, after(Merged::Void)), still, "{state:?} {side:?}");
        }
    }
    for side in [sides()[3], sides()[5]] {
        let mut kept = [(leg(1, HubState::Released, side), after(Merged::Void))];
        let put_back = vec![(LegId([1; 16]), WorkKind::PutBack)];
        assert_eq!(settled(&mut kept), (put_back, Vec::new()), "{side:?}");
    }
    let sold = leg(1, HubState::Requested, sides()[5]);
    for merged in [Merged::NotYet, Merged::Void] {
        assert_eq!(
            effect(&sold, after(merged)).word,
            Some(Word::Confirmed),
            "{merged:?}"
        );
    }
}

#[test]
fn a_leg_whose_piece_is_on_its_way_holds_nothing_until_it_comes() {
    let mut there = leg(2, HubState::Requested, ShopSide::None);
    travels_from(&mut there, 1);
    let comes = |has_arrived| Facts {
        has_arrived,
        ..Facts::default()
    };

    assert_eq!(held(&there, comes(false)), 0);
    assert_eq!(effect(&there, comes(false)).word, Some(Word::InTransit));
    assert_eq!(held(&there, comes(true)), 2);
    assert_eq!(effect(&there, comes(true)).word, Some(Word::Requested));
}

#[test]
fn a_no_is_taken_and_the_next_leg_opens_in_one_step() {
    for side in [sides()[1], sides()[4]] {
        let mut legs = [(leg(1, HubState::Requested, side), Facts::default())];
        let acts = settle(&known(&legs));
        let (write, next) = (
            Act::Write {
                leg: LegId([1; 16]),
                state: HubState::Ended,
            },
            Act::OpenNext {
                after: LegId([1; 16]),
            },
        );
        assert!(acts.contains(&write) && acts.contains(&next), "{acts:?}");

        settled(&mut legs);
        let again = settle(&known(&legs));
        assert!(!again.contains(&next), "once: {again:?}");
    }
}

#[test]
fn of_several_open_legs_the_confirmed_stays_then_the_smallest_id() {
    let open = |side: ShopSide, number| (leg(number, HubState::Requested, side), Facts::default());
    let stays = |mut legs: Vec<(Leg, Facts)>| {
        let (told, opens) = settled(&mut legs);
        assert_eq!(opens, [], "a leg is open");
        let open = legs.iter().filter(|(leg, _)| leg.is_requested());
        (open.map(|(leg, _)| leg.id.0[0]).collect::<Vec<_>>(), told)
    };
    let confirmed = sides()[2];

    let (open_now, _) = stays(vec![open(ShopSide::None, 1), open(confirmed, 2)]);
    assert_eq!(open_now, [2], "confirmed before none");
    let (open_now, _) = stays(vec![open(ShopSide::None, 3), open(ShopSide::None, 2)]);
    assert_eq!(open_now, [2], "then the smallest id");
    let (open_now, told) = stays(vec![open(confirmed, 3), open(confirmed, 2)]);
    assert_eq!(open_now, [2]);
    assert_eq!(told, [(LegId([3; 16]), WorkKind::PutBack)]);
    let (open_now, _) = stays(vec![open(sides()[1], 1), open(ShopSide::None, 2)]);
    assert_eq!(open_now, [2], "a no does not stay");
}

#[test]
fn who_has_the_piece_ends_all_other_legs() {
    let confirmed = leg(1, HubState::Requested, sides()[2]);
    let mut legs = [
        (confirmed.clone(), Facts::default()),
        (
            leg(2, HubState::Requested, sides()[5]),
            after(Merged::NotYet),
        ),
    ];
    let (told, _) = settled(&mut legs);
    assert_eq!(legs[0].0.hub.state, HubState::Ended);
    assert_eq!(told, [(LegId([1; 16]), WorkKind::PutBack)]);
    assert_eq!(word(&known(&legs)), Some(Word::Confirmed), "not sold yet");
    legs[1].1.movement = Merged::Counts;
    assert_eq!(word(&known(&legs)), Some(Word::Fulfilled));

    // Bought where nobody was asked any more: the leg that lives is released, and somebody looks.
    let mut legs = [
        (confirmed, Facts::default()),
        (leg(2, HubState::Ended, sides()[5]), after(Merged::Counts)),
    ];
    let (told, _) = settled(&mut legs);
    assert_eq!(legs[0].0.hub.state, HubState::Released);
    assert!(told.contains(&(LegId([2; 16]), WorkKind::BoughtAfterEnd)));
    assert_eq!(word(&known(&legs)), Some(Word::Fulfilled));
}

#[test]
fn the_hold_travels_with_its_piece() {
    let mut from = leg(1, HubState::Requested, sides()[3]);
    from.hub.expires_at = LATER;
    let moved = (from, after(Merged::Counts));
    let mut alone = [moved.clone()];
    let (_, opens) = settled(&mut alone);
    assert_eq!(
        opens,
        [Act::OpenDestination {
            from: LegId([1; 16])
        }]
    );

    let mut there = leg(2, HubState::Requested, ShopSide::None);
    travels_from(&mut there, 1);
    let mut legs = [moved, (there, Facts::default())];
    assert_eq!(settled(&mut legs), (Vec::new(), Vec::new()));
    assert_eq!(word(&known(&legs)), Some(Word::InTransit));
    // Cancelled on the way: somebody must turn it round.
    let live = release(&known(&legs)).unwrap();
    assert_eq!(live, [LegId([1; 16]), LegId([2; 16])]);

    // It has come, is kept there and bought: the leg it came from is over without a word.
    legs[1].1.has_arrived = true;
    legs[1].0.shop = sides()[2];
    assert_eq!(word(&known(&legs)), Some(Word::Confirmed));
    assert_eq!(release(&known(&legs)).unwrap(), [LegId([2; 16])]);
    legs[1].0.shop = sides()[5];
    legs[1].1.movement = Merged::Counts;
    assert_eq!(settled(&mut legs), (Vec::new(), Vec::new()));
    assert_eq!(word(&known(&legs)), Some(Word::Fulfilled));
}

#[test]
fn who_never_said_that_a_bought_piece_left_is_let_go_when_its_time_is_over() {
    let expired = |side: usize, movement| {
        let mut there = leg(2, HubState::Requested, sides()[5]);
        travels_from(&mut there, 1);
        let there = (there, after(Merged::Counts));
        let mut legs = [
            (leg(1, HubState::Requested, sides()[side]), after(movement)),
            there,
        ];
        assert_eq!(settled(&mut legs), (Vec::new(), Vec::new()), "it may come");
        assert!(expire(&known(&legs), LATER.plus(-1)).is_empty());
        let over = expire(&known(&legs), LATER);
        for leg in &over {
            let one = legs.iter_mut().find(|(one, _)| one.id == *leg).unwrap();
            one.0.hub.state = HubState::Expired;
        }
        assert!(expire(&known(&legs), LATER).is_empty(), "twice is once");
        let held: Vec<i64> = legs.iter().map(|(leg, facts)| held(leg, *facts)).collect();
        (over, settled(&mut legs).0, held)
    };

    let first = LegId([1; 16]);
    let put_back = vec![(first, WorkKind::PutBack)];
    for (side, movement) in [(2, Merged::NotYet), (3, Merged::Void)] {
        let expected = (vec![first], put_back.clone(), vec![0, 0]);
        assert_eq!(expired(side, movement), expected, "{side} {movement:?}");
    }
    assert_eq!(
        expired(0, Merged::NotYet),
        (vec![first], Vec::new(), vec![0, 0])
    );
    assert_eq!(
        expired(3, Merged::NotYet),
        (Vec::new(), Vec::new(), vec![2, 0]),
        "the transfer is on its way, and takes the piece off"
    );

    // The word comes after all: the buyer has that very piece.
    let mut there = leg(2, HubState::Requested, sides()[5]);
    travels_from(&mut there, 1);
    let late = (leg(1, HubState::Expired, sides()[3]), after(Merged::Counts));
    let mut legs = [late, (there, after(Merged::Counts))];
    assert_eq!(settled(&mut legs), (Vec::new(), Vec::new()));
}

#[test]
fn another_shop_is_asked_only_instead_of_one_that_is_silent_and_asked_still() {
    let may = |legs: &[(Leg, Facts)]| is_unanswered(&legs[0].0, &known(legs));
    let of = |state, side| (leg(1, state, side), Facts::default());
    for side in sides() {
        let is_silent = side == ShopSide::None;
        assert_eq!(may(&[of(HubState::Requested, side)]), is_silent, "{side:?}");
    }
    for over in [HubState::Ended, HubState::Expired, HubState::Released] {
        assert!(!may(&[of(over, ShopSide::None)]), "{over:?}");
    }
    let silent = of(HubState::Requested, ShopSide::None);
    let bought = (leg(2, HubState::Ended, sides()[5]), after(Merged::NotYet));
    assert!(!may(&[silent.clone(), bought]), "the buyer has it");
    let mut travels = silent;
    travels_from(&mut travels.0, 2);
    assert!(!may(&[travels]), "the piece comes here");
}

#[test]
fn a_piece_that_came_for_an_order_is_never_forgotten() {
    let told = |state, side| {
        let mut there = leg(2, state, side);
        travels_from(&mut there, 1);
        let facts = Facts {
            has_arrived: true,
            ..Facts::default()
        };
        let (told, _) = settled(&mut [(there, facts)]);
        told.into_iter().map(|(_, kind)| kind).collect::<Vec<_>>()
    };

    for over in [HubState::Ended, HubState::Expired, HubState::Released] {
        assert_eq!(told(over, ShopSide::None), [WorkKind::PutBack], "{over:?}");
    }
    assert_eq!(
        told(HubState::Requested, sides()[1]),
        [WorkKind::Broken],
        "another shop had said yes"
    );
}

#[test]
fn a_piece_on_its_way_to_nobody_is_somebodys_work() {
    let mut there = leg(2, HubState::Requested, sides()[1]);
    travels_from(&mut there, 1);
    let mut legs = [
        (
            leg(1, HubState::Requested, sides()[3]),
            after(Merged::Counts),
        ),
        (there, Facts::default()),
    ];
    let (told, opens) = settled(&mut legs);
    assert_eq!(told, [(LegId([1; 16]), WorkKind::TravelsUnwanted)]);
    assert_eq!(
        opens,
        [Act::OpenNext {
            after: LegId([2; 16])
        }]
    );
}

#[test]
fn the_loser_of_a_race_is_told() {
    let open = [(leg(1, HubState::Requested, sides()[2]), Facts::default())];
    let legs = known(&open);
    assert_eq!(extend(&legs, NOW), Ok(vec![LegId([1; 16])]));
    assert!(extend(&legs, LATER).is_err(), "its time is over");
    assert!(expire(&legs, NOW).is_empty());
    assert_eq!(expire(&legs, LATER), [LegId([1; 16])]);

    let expired = [(leg(1, HubState::Expired, sides()[2]), Facts::default())];
    assert!(release(&known(&expired)).is_err());
    assert!(extend(&known(&expired), NOW).is_err());
    let released = [(leg(1, HubState::Released, sides()[2]), Facts::default())];
    assert_eq!(release(&known(&released)), Ok(Vec::new()), "twice is once");
    assert!(expire(&known(&released), LATER).is_empty());
    let sold = [(
        leg(1, HubState::Requested, sides()[5]),
        after(Merged::NotYet),
    )];
    assert!(release(&known(&sold)).is_err(), "the buyer has it");
    assert!(expire(&known(&sold), LATER).is_empty());
}

#[test]
fn a_shop_returns_what_is_open_and_what_is_not_too_old() {
    let open = leg(1, HubState::Requested, ShopSide::None);
    let over = leg(1, HubState::Released, ShopSide::None);
    let last = over.hub.expires_at;

    assert!(open.is_returned(last.plus(10 * RETURN_MS)));
    assert!(over.is_returned(last.plus(RETURN_MS)));
    assert!(!over.is_returned(last.plus(RETURN_MS + 1)));
}

#[test]
fn one_writer_never_says_yes_after_no() {
    let may: BTreeMap<u8, Vec<u8>> = sides()
        .into_iter()
        .map(|from| {
            let next = sides().into_iter().filter(|next| from.may_become(*next));
            (from.number(), next.map(ShopSide::number).collect())
        })
        .collect();

    assert_eq!(may[&0], [1, 2, 3, 5]);
    assert_eq!(may[&1], [5], "only what happened");
    assert_eq!(may[&2], [3, 4, 5]);
    assert_eq!(may[&3], [5]);
    assert_eq!(may[&4], [5]);
    assert!(may[&5].is_empty());
}
