//! What the tests of the model share: random movements.

use proptest::prelude::*;
use vitrina_shared::delta::Entry;
use vitrina_shared::memory::Logs;
use vitrina_shared::movement::{Details, Words};
use vitrina_shared::time::Day;
use vitrina_shared::{
    Barcode, Condition, Key, Kind, Money, Movement, MovementId, Qty, ReplicaId, ShopId, TimeMs,
};

pub(crate) fn shop() -> ShopId {
    "S017".parse().unwrap()
}

pub(crate) fn barcode(number: u8) -> Barcode {
    format!("20000000000{number:02}").parse().unwrap()
}

/// A plain sale of one piece under an idempotency key.
pub(crate) fn sale(key: &str, number: u8) -> Movement {
    Movement {
        kind: Kind::Sale,
        condition: Condition::Sellable,
        key: Key::call(key),
        barcode: barcode(number),
        scanned: None,
        qty: Qty::new(-1).unwrap(),
        at: TimeMs(1_763_812_800_000),
        target: None,
        rest: Details::default().to_bytes(),
    }
}

/// Movements of few keys and barcodes, so that twins, voids and rival statements really meet.
pub(crate) fn movement() -> impl Strategy<Value = Movement> {
    (
        0_u8..6,
        0_u8..4,
        0_u8..3,
        -3_i64..4,
        0_i64..4,
        any::<bool>(),
    )
        .prop_map(|(form, key, code, qty, at, damaged)| {
            let condition = if damaged {
                Condition::Unavailable
            } else {
                Condition::Sellable
            };
            let mut movement = Movement {
                condition,
                qty: Qty::new(qty).unwrap(),
                ..sale(&format!("k{key}"), code)
            };
            movement.at = TimeMs(movement.at.0 + at * 1_000);
            match form {
                0 => {
                    movement.kind = Kind::Balance;
                    movement.key = Key::Statement;
                    movement.qty = Qty::new(qty.abs()).unwrap();
                }
                1 => {
                    let target = sale(&format!("k{key}"), code).id(&shop());
                    return Movement::void(
                        barcode(code),
                        condition,
                        target,
                        movement.at,
                        &Details::default(),
                    );
                }
                2 => movement.key = Key::Opening,
                3 => movement.qty = Qty::new(-1).unwrap(),
                4 => {
                    let day = Day(20_251_122 + u32::from(key % 2));
                    movement.key = Key::Receipt {
                        till: "1".into(),
                        receipt: "1001".into(),
                        line: u32::from(key),
                        day,
                    };
                }
                _ => {}
            }
            movement
        })
}

/// Movements of every form a frame must carry, with odd texts.
#[expect(clippy::too_many_lines, reason = "one strategy")]
pub(crate) fn any_movement() -> impl Strategy<Value = Movement> {
    let key = prop_oneof![
        (
            "[0-9A-Z]{0,3}",
            "[0-9]{1,7}|\\PC{1,5}",
            any::<u32>(),
            20_000_101_u32..20_991_231
        )
            .prop_map(|(till, receipt, line, day)| Key::Receipt {
                till: till.into(),
                receipt: receipt.into(),
                line,
                day: Day(day)
            }),
        "[a-z0-9-]{1,40}".prop_map(|text| Key::call(&text)),
        any::<[u8; 16]>().prop_map(Key::CallUuid),
        (any::<[u8; 16]>(), any::<u64>()).prop_map(|(file, line)| Key::FileLine { file, line }),
        Just(Key::Opening),
        Just(Key::Adopted),
        any::<[u8; 16]>().prop_map(Key::Counted),
        (
            any::<u8>(),
            11_u8..,
            prop::collection::vec(any::<u8>(), 0..20)
        )
            .prop_map(|(flags, tag, body)| Key::Unknown {
                flags,
                tag,
                body: body.into()
            }),
    ];
    let code = "[0-9]{1,18}|[0-9]{13}|[A-Za-z0-9]{1,12}|0{3}[0-9]{4}";
    let details = (
        prop::option::of(0_i64..10_000_000),
        prop::option::of("\\PC{0,40}"),
        prop::option::of("[0-9.,]{1,4}"),
    );
    (
        key,
        code,
        prop::option::of(code),
        -1_000_000_i64..=1_000_000,
        0_i64..4_000_000_000_000,
        0_u8..20,
        details,
        any::<bool>(),
    )
        .prop_map(
            |(key, code, scanned, qty, at, kind, (price, cashier, size), damaged)| {
                let kind = Kind::of_number(kind);
                let barcode: Barcode = code.parse().unwrap();
                let details = Details {
                    price: price.map(Money::rub),
                    cashier: cashier.map(Into::into),
                    words: Words {
                        size: size.map(Into::into),
                        ..Words::default()
                    },
                    ..Details::default()
                };
                Movement {
                    kind,
                    condition: if damaged {
                        Condition::Unavailable
                    } else {
                        Condition::Sellable
                    },
                    key,
                    scanned: scanned
                        .and_then(|text| text.parse().ok())
                        .filter(|scanned| *scanned != barcode),
                    barcode,
                    qty: if kind == Kind::Void {
                        Qty::ZERO
                    } else {
                        Qty::new(qty).unwrap()
                    },
                    at: TimeMs(at),
                    target: (kind == Kind::Void).then_some(MovementId([7; 16])),
                    rest: details.to_bytes(),
                }
            },
        )
}

/// No log of the shop.
pub(crate) fn logs() -> Logs {
    Logs::new(shop())
}

/// One more movement in a log.
pub(crate) fn append(logs: &mut Logs, replica: ReplicaId, movement: Movement) {
    logs.append(replica, Entry::new(movement)).unwrap();
}
