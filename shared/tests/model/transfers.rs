//! What the movements of a transfer say together: the same in whatever order they come, and no unit more or less than
//! was booked.

use crate::common::{barcode, sale};
use proptest::prelude::*;
use vitrina_shared::movement::Details;
use vitrina_shared::transfer::{
    Name, Part, Receiving, State, Transfer, Way, id_of_document, name, receiving, text_of,
};
use vitrina_shared::{Condition, HoldId, Key, Kind, Movement, Qty, ShopId, TimeMs, TransferId};

fn shop(number: u8) -> ShopId {
    format!("S{number:03}").parse().unwrap()
}

/// So many units of a barcode leave the first shop for another.
fn out(to: u8, code: u8, units: i64) -> Part {
    Part {
        shop: shop(1),
        way: Way::Out,
        barcode: barcode(code),
        condition: Condition::Sellable,
        units,
        at: TimeMs(1_000),
        to: Some(shop(to)),
        hold: None,
        counts: true,
    }
}

/// So many units of a barcode come to a shop.
fn came(at: u8, code: u8, units: i64) -> Part {
    Part {
        shop: shop(at),
        way: Way::In,
        at: TimeMs(2_000),
        to: None,
        ..out(0, code, units)
    }
}

fn state(parts: &[Part]) -> State {
    Transfer::of(parts).state
}

fn part() -> impl Strategy<Value = Part> {
    (
        any::<bool>(),
        2_u8..5,
        0_u8..3,
        1_i64..4,
        any::<bool>(),
        0_u8..5,
        0_i64..4,
    )
        .prop_map(|(leaves, place, code, units, damaged, rare, at)| {
            let mut part = if leaves {
                out(place, code, units)
            } else {
                came(place, code, units)
            };
            if damaged {
                part.condition = Condition::Unavailable;
            }
            if leaves && rare == 0 {
                part.to = None;
            }
            part.counts = rare != 1;
            part.at = TimeMs(part.at.0 + at);
            part
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn a_transfer_is_the_same_in_whatever_order_it_was_merged(
        (parts, shuffled) in prop::collection::vec(part(), 0..8)
            .prop_flat_map(|parts| (Just(parts.clone()), Just(parts).prop_shuffle()))
    ) {
        prop_assert_eq!(Transfer::of(&parts), Transfer::of(&shuffled));
    }

    #[test]
    fn no_unit_comes_or_goes_between_the_two_ends(parts in prop::collection::vec(part(), 0..8)) {
        let transfer = Transfer::of(&parts);
        let sum = |way, code: u8| -> i64 {
            let those = parts.iter().filter(|part| {
                part.counts && part.way == way && part.barcode == barcode(code)
            });
            those.map(|part| part.units).sum()
        };
        let goes_anywhere = parts.iter().any(|part| part.counts && part.way == Way::Out && part.to.is_none());
        let mut is_over = false;
        for code in 0..3 {
            let line = transfer.lines.get(&barcode(code)).cloned().unwrap_or_default();
            prop_assert_eq!((line.sent, line.received), (sum(Way::Out, code), sum(Way::In, code)));
            prop_assert_eq!(line.sent - line.outstanding, line.received - line.over);
            prop_assert!(line.outstanding == 0 || line.over == 0);
            prop_assert!(line.outstanding >= 0 && line.over >= 0 && line.damaged <= line.received);
            let awaited: i64 = transfer.incoming.iter().filter(|((_, code_of), _)| *code_of == barcode(code)).map(|(_, units)| units).sum();
            prop_assert!(awaited <= line.outstanding);
            if !goes_anywhere {
                prop_assert_eq!(awaited, line.outstanding);
            }
            is_over |= line.over > 0;
        }
        // What came more often than it left is always said.
        if is_over {
            prop_assert!(matches!(transfer.state, State::OtherThanSent | State::NotSent), "{:?}", transfer.state);
        }
        let is_settled = transfer.lines.values().all(|line| line.outstanding == 0 && line.over == 0 && line.astray == 0);
        prop_assert_eq!(transfer.state.is_open(), !is_settled, "{:?}", &transfer);
    }

    #[test]
    fn what_is_void_says_nothing(parts in prop::collection::vec(part(), 0..8)) {
        let counting: Vec<Part> = parts.iter().filter(|part| part.counts).cloned().collect();

        prop_assert_eq!(Transfer::of(&parts), Transfer::of(&counting));
    }
}

#[test]
fn every_state_has_its_movements() {
    let sent = out(2, 0, 2);
    let void = Part {
        counts: false,
        ..sent.clone()
    };
    let unfit = Part {
        condition: Condition::Unavailable,
        ..came(2, 0, 2)
    };

    assert_eq!(state(&[]), State::Cancelled);
    assert_eq!(state(&[void]), State::Cancelled);
    assert_eq!(state(std::slice::from_ref(&sent)), State::InTransit);
    assert_eq!(state(&[sent.clone(), came(2, 0, 1)]), State::Partial);
    assert_eq!(
        state(&[sent.clone(), came(2, 0, 1), came(2, 0, 1)]),
        State::Received
    );
    assert_eq!(state(&[sent.clone(), unfit]), State::Damaged);
    assert_eq!(state(&[came(2, 0, 1)]), State::NotSent);
    assert_eq!(state(&[sent.clone(), came(2, 1, 1)]), State::OtherThanSent);
    assert_eq!(state(&[sent.clone(), came(3, 0, 2)]), State::OtherThanSent);
    for word in State::ALL.map(State::word) {
        assert_eq!(State::of_word(word).map(State::word), Some(word));
    }
}

#[test]
fn a_parcel_that_two_shops_scan_is_a_conflict_and_not_two_pieces() {
    let transfer = Transfer::of(&[out(2, 0, 1), came(2, 0, 1), came(3, 0, 1)]);

    assert_eq!(transfer.state, State::OtherThanSent);
    let line = &transfer.lines[&barcode(0)];
    assert_eq!((line.sent, line.received, line.over), (1, 2, 1));
    assert!(transfer.incoming.is_empty());
    assert_eq!(
        transfer.received_by.into_iter().collect::<Vec<_>>(),
        [shop(2), shop(3)]
    );
}

#[test]
fn what_was_sent_unfit_for_sale_is_not_damaged_on_its_way() {
    let unfit = |part: Part| Part {
        condition: Condition::Unavailable,
        ..part
    };

    assert_eq!(
        state(&[unfit(out(2, 0, 1)), unfit(came(2, 0, 1))]),
        State::Received
    );
}

/// A movement of a transfer.
fn moves(kind: Kind, key: &str, details: &Details) -> Movement {
    Movement {
        kind,
        qty: Qty::new(if kind == Kind::TransferIn { 1 } else { -1 }).unwrap(),
        rest: details.to_bytes(),
        ..sale(key, 0)
    }
}

fn named(at: u8, kind: Kind, key: &str, details: &Details) -> Name {
    name(&shop(at), &moves(kind, key, details)).unwrap()
}

#[test]
fn both_ends_name_one_transfer_by_its_document_or_its_order() {
    let hold = HoldId([7; 16]);
    let texts = [
        (Some("T-1"), Some(hold), Some("77")),
        (None, Some(hold), Some("77")),
        (None, None, Some("T-1")),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for (transfer, hold, document) in texts {
        let details = Details {
            transfer: transfer.map(Into::into),
            hold,
            document: document.map(Into::into),
            from: Some(shop(1).as_str().into()),
            ..Details::default()
        };
        let left = named(1, Kind::TransferOut, "a", &details);

        assert_eq!(left, named(2, Kind::TransferIn, "b", &details));
        assert_eq!(left, named(3, Kind::TransferIn, "c", &details));
        assert_eq!(left.from.as_deref(), Some("S001"));
        assert_ne!(left.id, named(2, Kind::TransferOut, "a", &details).id);
        ids.insert(left.id);
    }
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&id_of_document(&shop(1), "T-1")));
    assert_eq!(
        id_of_document(&shop(1), "T-1").to_string(),
        "827a2be2948f684291cba4ade756de81",
        "for ever"
    );
}

#[test]
fn a_transfer_is_received_by_what_its_sender_calls_it_or_by_its_id() {
    let by = |text: &str| Details {
        transfer: Some(text.into()),
        from: Some("S001".into()),
        ..Details::default()
    };
    for details in [Details::default(), by("T-1")] {
        let left = named(1, Kind::TransferOut, "a", &details);
        let text = text_of(left.id, left.from.as_deref(), left.document.as_deref());

        assert_eq!(left.id, named(2, Kind::TransferIn, "b", &by(&text)).id);
    }
    assert_eq!(
        text_of(id_of_document(&shop(1), "T-1"), Some("S001"), Some("T-1")),
        "T-1"
    );
}

#[test]
fn a_movement_that_names_nothing_pairs_with_nothing() {
    let nothing = Details::default();
    let left = named(1, Kind::TransferOut, "a", &nothing);

    assert_eq!(left.document, None);
    assert_ne!(left.id, named(1, Kind::TransferOut, "b", &nothing).id);
    assert_ne!(left.id, named(2, Kind::TransferIn, "a", &nothing).id);
    let no_sender = Details {
        transfer: Some("T-1".into()),
        ..Details::default()
    };
    let came = named(2, Kind::TransferIn, "b", &no_sender);
    assert_ne!(came.id, id_of_document(&shop(1), "T-1"));
    assert_eq!(name(&shop(1), &sale("s", 0)), None);
    assert!(matches!(sale("s", 0).key, Key::Call(_)));
}

#[test]
fn a_piece_that_comes_in_belongs_to_the_transfer_that_waits_for_it() {
    let (one, other) = (TransferId([1; 16]), TransferId([2; 16]));

    assert_eq!(receiving(&[(one, 2), (other, 0)], 2), Receiving::Of(one));
    assert_eq!(
        receiving(&[(one, 1)], 2),
        Receiving::TooMany {
            of: one,
            awaited: 1
        }
    );
    assert_eq!(receiving(&[(one, 0)], 1), Receiving::NotAwaited);
    assert_eq!(receiving(&[], 1), Receiving::NotAwaited);
    assert_eq!(
        receiving(&[(one, 1), (other, 1)], 1),
        Receiving::Which(vec![one, other])
    );
}
