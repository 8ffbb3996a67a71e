//! What the hub tells a shop of transfers: its frames for ever, and its limits.

use vitrina_shared::transfer::State;
use vitrina_shared::wire::frame::{self, HEADER_BYTES};
use vitrina_shared::wire::v1::{
    HubTransfersV1, MAX_TRANSFER_LINES, MAX_TRANSFERS, ShipV1, TransferLineV1, TransferV1,
    TransfersV1, kind,
};
use vitrina_shared::wire::{Answer, Request, WireError};
use vitrina_shared::{LegId, TransferId};

use crate::common::{barcode, logs as no_logs};
use crate::frames::{empty_answer, golden, request};

fn transfer(number: u8) -> TransferV1 {
    TransferV1 {
        id: [number; 16],
        document: number.is_multiple_of(2).then(|| format!("П-{number}")),
        from: Some("S001".into()),
        to: Some("S017".into()),
        state: number % 7,
        since: 1_763_812_800_000 + i64::from(number),
        hold: number.is_multiple_of(3).then_some([8; 16]),
        lines: vec![TransferLineV1 {
            barcode: barcode(number % 9).as_str().to_owned(),
            sent: 3,
            received: 2,
            here: 1,
            awaited: 1,
        }],
        is_cut: number == 5,
    }
}

fn told(list: Vec<TransferV1>) -> Answer {
    Answer {
        transfers: Some(HubTransfersV1 {
            list,
            ship: vec![ShipV1 {
                leg: [4; 16],
                to: "W001".into(),
            }],
            upto: 77,
        }),
        ..empty_answer()
    }
}

fn read(answer: &Answer) -> Result<HubTransfersV1, WireError> {
    let bytes = answer.seal().unwrap();
    assert!(bytes.len() > HEADER_BYTES);
    Answer::read(&frame::open(&bytes)?).map(|read| read.transfers.unwrap())
}

#[test]
fn the_golden_frames_of_transfers_still_open() {
    let asks = Request {
        transfers: Some(TransfersV1 { held: 12 }),
        ..request(&no_logs())
    };
    let bytes = golden("v1-transfers.frame", &asks.seal(|_| [5; 64]).unwrap());
    assert_eq!(Request::read(&frame::open(&bytes).unwrap()), Ok(asks));

    let answer = told((0..14).map(transfer).collect());
    let bytes = golden("v1-hub-transfers.frame", &answer.seal().unwrap());
    let opened = Answer::read(&frame::open(&bytes).unwrap()).unwrap();
    assert_eq!(opened, answer);
    let transfers = opened.transfers.unwrap();
    let first = transfers.list[0].read().unwrap().unwrap();
    assert_eq!(
        (first.id, first.state, first.document.as_deref()),
        (TransferId([0; 16]), State::InTransit, Some("П-0"))
    );
    let ship = transfers.ship[0].read().unwrap();
    assert_eq!(ship, (LegId([4; 16]), "W001".parse().unwrap()));
    for number in [kind::TRANSFERS, kind::HUB_TRANSFERS] {
        assert_eq!(number & frame::MUST_UNDERSTAND, 0, "an older peer skips it");
    }
}

#[test]
fn more_transfers_than_allowed_are_refused() {
    let many = |count: usize| read(&told(vec![transfer(1); count]));
    assert_eq!(
        many(MAX_TRANSFERS).map(|told| told.list.len()),
        Ok(MAX_TRANSFERS)
    );
    assert_eq!(many(MAX_TRANSFERS + 1), Err(WireError::TooMany));
    let lines = |count: usize| {
        let line = transfer(1).lines[0].clone();
        let long = TransferV1 {
            lines: vec![line; count],
            ..transfer(1)
        };
        read(&told(vec![long]))
    };
    assert!(lines(MAX_TRANSFER_LINES).is_ok());
    assert_eq!(lines(MAX_TRANSFER_LINES + 1), Err(WireError::TooMany));
    let endless = TransferV1 {
        document: Some("9".repeat(900_000)),
        ..transfer(1)
    };
    assert_eq!(read(&told(vec![endless])), Err(WireError::TooMany));
}

#[test]
fn a_transfer_that_is_out_of_its_range_is_malformed_and_a_later_state_is_skipped() {
    let of = |transfer: TransferV1| transfer.read();
    let good = transfer(2);
    assert!(of(good.clone()).unwrap().is_some());
    let later = TransferV1 {
        state: 7,
        ..good.clone()
    };
    assert_eq!(of(later), Ok(None));
    let long = Some("9".repeat(201));
    let bad = [
        TransferV1 {
            document: long.clone(),
            ..good.clone()
        },
        TransferV1 {
            from: long,
            ..good.clone()
        },
        TransferV1 {
            since: i64::MAX,
            ..good.clone()
        },
        TransferV1 {
            lines: vec![TransferLineV1::default()],
            ..good
        },
    ];
    for bad in bad {
        assert_eq!(of(bad.clone()), Err(WireError::Malformed), "{bad:?}");
    }
    let nowhere = ShipV1 {
        leg: [1; 16],
        to: "S 1".into(),
    };
    assert_eq!(nowhere.read(), Err(WireError::Malformed));
}
