//! What may be promised, what a shop answers, what becomes of a sale over a hold, and which shop is the best.

use std::sync::Arc;

use crate::common::{barcode, shop};
use vitrina_shared::freshness::Confidence;
use vitrina_shared::hold::{
    Candidate, Caps, DeclineReason, Facts, GRACE_MS, Holding, HubSide, HubState, Leg, Merged,
    Offer, OwnStock, Policy, Promise, Promised, Purpose, Refusal, Response, Sale, ShopSide, Terms,
    Verdict, Wanted, Way, Why, answer, choose, confirmed, declined, grant, is_second, promisable,
    promised, sale, sold_over, uncovered,
};
use vitrina_shared::registers::HoldPolicy;
use vitrina_shared::stock::Level;
use vitrina_shared::{HoldId, LegId, MovementId, Qty, TimeMs};

const NOW: TimeMs = TimeMs(1_790_000_000_000);
const LATER: TimeMs = TimeMs(NOW.0 + 3_600_000);
const YES: ShopSide = ShopSide::Confirmed { at: NOW };
const NO: ShopSide = ShopSide::Declined {
    reason: DeclineReason::NotFound,
    at: NOW,
};
const SOLD: ShopSide = ShopSide::Fulfilled {
    movement: MovementId([9; 16]),
    at: NOW,
};

/// A leg of one piece; greater numbers came later. Each is of a hold of its own.
fn leg(number: u8, side: ShopSide) -> Leg {
    Leg {
        id: LegId([number; 16]),
        terms: Arc::new(Terms {
            hold: HoldId([number; 16]),
            shop: shop(),
            barcode: barcode(1),
            ordered: None,
            qty: Qty::new(1).unwrap(),
            order: "1024".into(),
            caller: "site".into(),
            purpose: Purpose::Order,
            created_at: NOW.plus(i64::from(number)),
            allow_variant: false,
            comes_from: None,
        }),
        hub: HubSide {
            state: HubState::Requested,
            expires_at: LATER,
        },
        shop: side,
    }
}

fn over(number: u8, state: HubState, side: ShopSide) -> Leg {
    let mut leg = leg(number, side);
    leg.hub.state = state;
    leg
}

fn offer(on_hand: i64, confidence: Confidence) -> Offer {
    Offer {
        level: Level {
            on_hand,
            ..Level::default()
        },
        confidence,
        policy: Policy::default(),
        has_returned: true,
        is_published: true,
    }
}

#[test]
fn only_what_is_available_is_promised() {
    let caps = Caps::default();
    let of = |offer: &Offer, units| grant(offer, units, Holding::default(), &caps);
    let mut two = offer(5, Confidence::Live);
    two.level = Level {
        on_hand: 5,
        held: 1,
        unavailable: 1,
        safety_stock: 1,
    };

    assert_eq!(of(&two, 2), Ok(()));
    assert_eq!(of(&two, 3), Err(Refusal::Insufficient { available: 2 }));
    two.is_published = false;
    assert_eq!(of(&two, 1), Err(Refusal::NotPublished));
    let forgotten = Offer {
        has_returned: false,
        ..offer(5, Confidence::Live)
    };
    assert_eq!(of(&forgotten, 1), Err(Refusal::NotReturned));
}

#[test]
fn how_much_is_promised_follows_how_fresh_the_shop_is() {
    for sure in [Confidence::Live, Confidence::Closed, Confidence::Stale] {
        assert_eq!(promisable(&offer(3, sure)), Ok(3), "{sure:?}");
    }
    let unknown = Confidence::Unknown;
    assert_eq!(
        promisable(&offer(3, unknown)),
        Err(Refusal::NotPromised(unknown))
    );
    let careful = |stale| Offer {
        policy: Policy {
            stale,
            ..Policy::default()
        },
        ..offer(3, Confidence::Stale)
    };
    assert_eq!(promisable(&careful(Promise::AllBut(2))), Ok(1));
    assert_eq!(promisable(&careful(Promise::AllBut(7))), Ok(0));
    assert_eq!(
        promisable(&careful(Promise::Nothing)),
        Err(Refusal::NotPromised(Confidence::Stale))
    );
}

#[test]
fn one_order_and_one_key_have_only_so_many_open_legs() {
    let many = offer(1_000, Confidence::Live);
    let of = |of_order, of_caller, caps: &Caps| {
        grant(
            &many,
            1,
            Holding {
                of_order,
                of_caller,
            },
            caps,
        )
    };
    let caps = Caps::default();

    assert_eq!(of(49, 100_000, &caps), Ok(()));
    assert_eq!(of(50, 0, &caps), Err(Refusal::TooManyOfOrder));
    let caps = Caps {
        caller: Some(3),
        ..caps
    };
    assert_eq!(of(0, 3, &caps), Err(Refusal::TooManyOfCaller));
}

#[test]
fn a_shop_answers_by_its_own_stock_less_what_it_has_promised() {
    let asked = leg(1, ShopSide::None);
    let of = |policy, sellable, promised| {
        let stock = OwnStock { sellable, promised };
        answer(&asked, Facts::default(), policy, stock)
    };

    assert_eq!(of(HoldPolicy::Auto, 1, 0), Response::Confirm);
    assert_eq!(of(HoldPolicy::Scan, 1, 0), Response::AwaitScan);
    for policy in [HoldPolicy::Auto, HoldPolicy::Scan] {
        let no = Response::Decline(DeclineReason::Sold);
        assert_eq!(of(policy, 1, 1), no);
        assert_eq!(of(policy, -3, 0), no);
    }
}

#[test]
fn what_is_answered_over_or_on_its_way_is_not_answered() {
    let stock = OwnStock {
        sellable: 9,
        promised: 0,
    };
    let of = |leg: &Leg, facts| answer(leg, facts, HoldPolicy::Auto, stock);
    for side in [YES, NO, SOLD] {
        assert_eq!(of(&leg(1, side), Facts::default()), Response::Nothing);
    }
    for state in [HubState::Ended, HubState::Expired, HubState::Released] {
        let over = over(1, state, ShopSide::None);
        assert_eq!(of(&over, Facts::default()), Response::Nothing);
        assert_eq!(confirmed(&over, NOW), None);
    }
    let mut comes = leg(2, ShopSide::None);
    comes.terms = Arc::new(Terms {
        comes_from: Some(LegId([1; 16])),
        ..(*comes.terms).clone()
    });
    assert_eq!(of(&comes, Facts::default()), Response::Nothing);
    let has_come = Facts {
        has_arrived: true,
        ..Facts::default()
    };
    assert_eq!(of(&comes, has_come), Response::Confirm);
}

#[test]
fn a_no_after_a_yes_is_a_broken_word_and_a_yes_after_a_no_is_none() {
    let reason = DeclineReason::Damaged;

    assert_eq!(
        declined(&leg(1, ShopSide::None), reason, LATER),
        Some(ShopSide::Declined { reason, at: LATER })
    );
    assert_eq!(
        declined(&leg(1, YES), reason, LATER),
        Some(ShopSide::Broken { at: LATER })
    );
    assert_eq!(declined(&leg(1, SOLD), reason, LATER), None);
    assert_eq!(confirmed(&leg(1, NO), LATER), None);
    assert_eq!(
        confirmed(&leg(1, ShopSide::None), LATER),
        Some(ShopSide::Confirmed { at: LATER })
    );
}

#[test]
fn what_the_shop_cannot_keep_breaks_the_last_first_and_what_nobody_heard_of_before_all() {
    let legs = [leg(1, YES), leg(2, YES), leg(3, YES)];
    let promises = |acknowledged: [bool; 3]| {
        let each = legs.iter().zip(acknowledged);
        let one = |(leg, is_acknowledged)| Promised {
            leg,
            facts: Facts::default(),
            is_acknowledged,
        };
        each.map(one).collect::<Vec<_>>()
    };
    let lost = |sellable, questioned, acknowledged| {
        let lost = uncovered(sellable, questioned, &promises(acknowledged), NOW);
        lost.iter().map(|leg| leg.0[0]).collect::<Vec<_>>()
    };
    let all = [true; 3];

    assert!(lost(3, 0, all).is_empty());
    assert_eq!(lost(2, 0, all), [3]);
    assert_eq!(lost(-5, 0, all), [3, 2, 1], "never more than there are");
    assert_eq!(lost(2, 0, [false, true, true]), [1]);
    assert!(
        lost(2, 1, all).is_empty(),
        "a question breaks nothing until it is answered"
    );
}

#[test]
fn who_is_late_breaks_before_who_is_not() {
    let (mut late, young) = (leg(1, YES), leg(2, YES));
    late.hub.expires_at = NOW;
    let promises = [&late, &young].map(|leg| Promised {
        leg,
        facts: Facts::default(),
        is_acknowledged: true,
    });

    let breaks = |now| uncovered(1, 0, &promises, now);
    assert_eq!(breaks(NOW.plus(GRACE_MS)), [young.id]);
    assert_eq!(breaks(NOW.plus(GRACE_MS + 1)), [late.id]);
}

#[test]
fn a_sale_that_asks_nobody_breaks_no_promise() {
    // The first order's sale was taken back, and then its time was over: a till may sell one of two pieces.
    let (mut back, kept) = (leg(1, SOLD), leg(2, YES));
    back.hub.expires_at = NOW;
    let taken_back = Facts {
        movement: Merged::Void,
        ..Facts::default()
    };
    let legs = [(&back, taken_back), (&kept, Facts::default())];
    let late = NOW.plus(GRACE_MS + 1);
    assert_eq!(sale(2, &legs, CALL, late), Verdict::Free);

    let promises = legs.map(|(leg, facts)| Promised {
        leg,
        facts,
        is_acknowledged: true,
    });

    assert!(uncovered(1, 0, &promises, late).is_empty());
    assert_eq!(uncovered(1, 0, &promises, NOW), [kept.id]);
}

#[test]
fn a_sale_on_its_way_is_promised_and_cannot_break() {
    let (kept, gone) = (leg(1, YES), leg(2, SOLD));
    let of = |leg| (leg, Facts::default());
    let asked = leg(3, ShopSide::None);

    assert_eq!(promised([of(&kept), of(&gone), of(&asked)]), 2);
    let promises = [&kept, &gone].map(|leg| Promised {
        leg,
        facts: Facts::default(),
        is_acknowledged: true,
    });
    assert_eq!(uncovered(1, 0, &promises, NOW), [kept.id]);
    assert_eq!(uncovered(0, 0, &promises, NOW), [kept.id]);
}

#[test]
fn a_piece_on_its_way_to_the_shop_is_no_promise_of_what_is_there() {
    // The shop's disk went back behind the arrival, and behind the sale of another order: that one's piece is missing.
    let (mut comes, gone) = (leg(1, YES), leg(2, SOLD));
    Arc::make_mut(&mut comes.terms).comes_from = Some(LegId([9; 16]));
    let promises = [&comes, &gone].map(|leg| Promised {
        leg,
        facts: Facts::default(),
        is_acknowledged: true,
    });

    assert_eq!(uncovered(0, 0, &promises, NOW), []);
}

#[test]
fn of_every_promise_that_tills_sold_over_a_person_is_asked() {
    let (first, second, last) = (leg(1, YES), leg(2, YES), leg(3, YES));
    let asked_of = |sellable, legs: &[&Leg]| {
        let of = |leg| (leg, Facts::default());
        let legs: Vec<_> = legs.iter().copied().map(of).collect();
        sold_over(sellable, &legs)
    };
    let all = [&first, &second, &last];

    assert_eq!(asked_of(3, &all), []);
    assert_eq!(asked_of(2, &all), [last.id]);
    assert_eq!(asked_of(1, &all), [last.id, second.id]);
    assert_eq!(asked_of(-4, &all), [last.id, second.id, first.id]);
    // The sale of the last was one of the two: its order has its piece, and of the other two one has none.
    let gone = leg(3, SOLD);
    assert_eq!(asked_of(2, &[&first, &second, &gone]), [second.id]);
    // What has not come holds nothing, and is not asked about.
    let mut comes = last.clone();
    Arc::make_mut(&mut comes.terms).comes_from = Some(LegId([9; 16]));
    assert_eq!(asked_of(1, &[&first, &second, &comes]), [second.id]);
}

#[test]
fn of_two_that_confirmed_one_piece_the_one_merged_later_breaks() {
    let second = leg(2, YES);

    assert!(is_second(&second, Facts::default(), 1, 1));
    assert!(!is_second(&second, Facts::default(), 2, 1));
    assert!(
        !is_second(&second, Facts::default(), 0, 0),
        "the only one: a till sold over it, and people are asked"
    );
    let over = over(2, HubState::Released, YES);
    assert!(!is_second(&over, Facts::default(), 1, 1));
    assert!(!is_second(&leg(2, SOLD), Facts::default(), 0, 1));
}

/// A sale of one piece by a call.
const CALL: Sale = Sale {
    units: 1,
    names: None,
    way: Way::Call,
};

fn at_the_till(sellable: i64, legs: &[Leg], of: Sale, now: TimeMs) -> Verdict {
    let known: Vec<(&Leg, Facts)> = legs.iter().map(|leg| (leg, Facts::default())).collect();
    sale(sellable, &known, of, now)
}

#[test]
fn a_held_piece_is_refused_unless_forced_and_a_file_is_a_question() {
    let kept = [leg(1, YES)];
    let touched = vec![LegId([1; 16])];

    assert_eq!(at_the_till(2, &kept, CALL, NOW), Verdict::Free);
    assert_eq!(
        at_the_till(1, &kept, CALL, NOW),
        Verdict::Refused(touched.clone())
    );
    let forced = Sale {
        way: Way::Forced,
        ..CALL
    };
    assert_eq!(
        at_the_till(1, &kept, forced, NOW),
        Verdict::Takes(touched.clone())
    );
    let file = Sale {
        way: Way::File,
        ..CALL
    };
    assert_eq!(at_the_till(1, &kept, file, NOW), Verdict::Question(touched));
    assert_eq!(
        at_the_till(-4, &[leg(1, NO)], CALL, NOW),
        Verdict::Free,
        "a negative number refuses nothing"
    );
}

#[test]
fn what_another_machine_sold_cannot_be_sold_again() {
    let legs = [leg(1, YES), leg(2, SOLD)];

    assert_eq!(at_the_till(3, &legs, CALL, NOW), Verdict::Free);
    assert_eq!(
        at_the_till(2, &legs, CALL, NOW),
        Verdict::Refused(vec![LegId([1; 16])])
    );
    // Its sale was taken back: the piece is the order's again.
    let back = leg(2, SOLD);
    let facts = Facts {
        movement: Merged::Void,
        ..Facts::default()
    };
    assert_eq!(
        sale(1, &[(&back, facts)], CALL, NOW),
        Verdict::Refused(vec![back.id])
    );
}

#[test]
fn who_was_promised_nothing_loses_first() {
    let legs = [leg(1, YES), leg(2, YES), leg(3, ShopSide::None)];
    let forced = |units| Sale {
        units,
        names: None,
        way: Way::Forced,
    };
    let takes = |units| match at_the_till(3, &legs, forced(units), NOW) {
        Verdict::Takes(legs) => legs.iter().map(|leg| leg.0[0]).collect(),
        other => panic!("{other:?}"),
    };
    let lost: Vec<Vec<u8>> = (1..=4).map(takes).collect();
    assert_eq!(lost, [vec![3], vec![3, 2], vec![3, 2, 1], vec![3, 2, 1]]);
}

#[test]
fn a_sale_that_names_its_order_fulfils_it() {
    let legs = [leg(1, YES), leg(2, ShopSide::None)];
    let names = |hold: u8, way| Sale {
        units: 1,
        names: Some(HoldId([hold; 16])),
        way,
    };

    for way in [Way::Call, Way::Forced, Way::File] {
        for hold in [1, 2] {
            assert_eq!(
                at_the_till(0, &legs, names(hold, way), NOW),
                Verdict::Fulfils(LegId([hold; 16]))
            );
        }
    }
    assert_eq!(
        at_the_till(2, &legs, names(7, Way::Call), NOW),
        Verdict::Refused(vec![LegId([2; 16])]),
        "an order that nobody knows here names nothing"
    );
    let cancelled = [over(1, HubState::Released, YES)];
    assert_eq!(
        at_the_till(1, &cancelled, names(1, Way::Call), NOW),
        Verdict::NotOpen(LegId([1; 16]))
    );
    for way in [Way::Forced, Way::File] {
        assert_eq!(
            at_the_till(1, &cancelled, names(1, way), NOW),
            Verdict::Fulfils(LegId([1; 16]))
        );
    }
    let expired = [over(1, HubState::Expired, YES)];
    assert_eq!(
        at_the_till(1, &expired, names(1, Way::Call), NOW),
        Verdict::Fulfils(LegId([1; 16])),
        "late, and served"
    );
}

#[test]
fn ten_minutes_after_the_time_a_sale_needs_no_force() {
    let kept = [leg(1, YES)];
    let refused = Verdict::Refused(vec![LegId([1; 16])]);

    assert_eq!(at_the_till(1, &kept, CALL, LATER.plus(GRACE_MS)), refused);
    assert_eq!(
        at_the_till(1, &kept, CALL, LATER.plus(GRACE_MS + 1)),
        Verdict::Free
    );
}

fn candidate(name: &str, number: u8, offer: Offer, distance_m: Option<u32>) -> Candidate {
    Candidate {
        shop: name.parse().unwrap(),
        barcode: barcode(number),
        article: Some("K-1".into()),
        size: Some("17.5".into()),
        offer,
        distance_m,
        was_asked: false,
    }
}

fn chosen(candidates: &[Candidate], allow_variant: bool) -> (Option<&str>, Vec<(&str, Why)>) {
    let ordered = barcode(1);
    let wanted = Wanted {
        barcode: &ordered,
        article: Some("K-1"),
        size: Some("17.5"),
        units: 1,
        allow_variant,
    };
    let choice = choose(&wanted, candidates);
    let name = |one: &Candidate| {
        let found = candidates.iter().find(|other| std::ptr::eq(*other, one));
        found.map(|one| one.shop.as_str())
    };
    let rejected = choice.rejected.into_iter();
    (
        choice.best.and_then(name),
        rejected
            .map(|(one, why)| (name(one).unwrap(), why))
            .collect(),
    )
}

#[test]
fn the_best_shop_is_the_surest_then_the_nearest_and_every_other_is_told_why_not() {
    let (live, stale) = (Confidence::Live, Confidence::Stale);
    let mut asked = candidate("S4", 1, offer(1, live), Some(1));
    asked.was_asked = true;
    let candidates = [
        candidate("S1", 1, offer(1, stale), Some(10)),
        candidate("S2", 1, offer(1, live), Some(900)),
        candidate("S3", 1, offer(1, live), Some(800)),
        asked,
        candidate("S5", 1, offer(0, live), Some(1)),
        candidate("S6", 1, offer(1, Confidence::Unknown), Some(1)),
        candidate("S7", 2, offer(1, live), Some(1)),
        candidate("S8", 1, offer(1, live), None),
    ];

    let (best, rejected) = chosen(&candidates, false);

    assert_eq!(best, Some("S3"));
    assert_eq!(
        rejected,
        [
            ("S1", Why::LessSure(stale)),
            ("S2", Why::Farther),
            ("S4", Why::AskedBefore),
            ("S5", Why::Refused(Refusal::Insufficient { available: 0 })),
            (
                "S6",
                Why::Refused(Refusal::NotPromised(Confidence::Unknown))
            ),
            ("S7", Why::VariantNotAllowed),
            ("S8", Why::LaterInOrder),
        ]
    );
}

#[test]
fn a_variant_is_of_the_same_article_and_size_and_comes_after_the_very_barcode() {
    let live = Confidence::Live;
    let variant = candidate("S1", 2, offer(1, live), Some(1));
    let exact = candidate("S2", 1, offer(1, Confidence::Stale), Some(9));
    let mut large = candidate("S3", 2, offer(1, live), None);
    large.size = Some("18".into());
    let mut nameless = candidate("S4", 2, offer(1, live), None);
    nameless.article = None;

    let both = [variant.clone(), exact];
    assert_eq!(
        chosen(&both, true),
        (Some("S2"), vec![("S1", Why::ExactElsewhere)])
    );
    let others = [large, nameless, variant];
    assert_eq!(
        chosen(&others, true),
        (
            Some("S1"),
            vec![("S3", Why::OtherSize), ("S4", Why::OtherArticle)]
        )
    );
    assert_eq!(chosen(&[], true), (None, Vec::new()));
}
