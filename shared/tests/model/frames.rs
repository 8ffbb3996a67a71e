//! Frames: everything reads back as written; golden frames open for ever; strangers' bytes never panic.

use std::sync::Arc;

use crate::common::{any_movement, append, barcode, logs as no_logs, sale, shop};
use proptest::prelude::*;
use vitrina_shared::hold::{DeclineReason, HubSide, HubState, Leg, Purpose, ShopSide, Terms};
use vitrina_shared::memory::Logs;
use vitrina_shared::movement::Details;
use vitrina_shared::wire::frame::{self, HEADER_BYTES};
use vitrina_shared::wire::v1::{
    CertificateV1, DigestV1, HealthV1, HelloV1, HubLegsV1, LegV1, LegsV1, MAX_LEGS, ShopSideV1,
    StickV1, WelcomeV1, kind,
};
use vitrina_shared::wire::{Answer, Positions, Request, StickAnswer, WireError};
use vitrina_shared::{Barcode, HoldId, LegId, Movement, MovementId, Qty, ReplicaId, Seq, TimeMs};

pub(crate) fn request(logs: &Logs) -> Request {
    let replicas: Vec<ReplicaId> = logs.replicas().collect();
    Request {
        hello: HelloV1 {
            version: "0.1.0".into(),
            shop: "S017".into(),
            ..HelloV1::default()
        },
        certificate: CertificateV1 {
            shop: "S017".into(),
            signature: vec![9; 64],
            ..CertificateV1::default()
        },
        positions: Positions {
            own: ReplicaId([1; 16]),
            hash: logs.hash(),
            all: true,
            list: Vec::new(),
        },
        deltas: replicas
            .iter()
            .map(|replica| logs.delta(*replica, Seq(0), 5_000))
            .collect(),
        token: Some(vec![1, 2, 3]),
        health: Some(HealthV1 {
            pending: 7,
            ..HealthV1::default()
        }),
        quarantine: Vec::new(),
        disagreements: None,
        digest: None,
        legs: None,
        transfers: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_movement_reads_back_as_written(movement in any_movement()) {
        let bytes = movement.to_bytes();
        prop_assert_eq!(Movement::from_bytes(&bytes).unwrap(), movement);
    }

    #[test]
    fn a_movement_of_strange_bytes_is_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(movement) = Movement::from_bytes(&bytes) {
            prop_assert_eq!(&movement.to_bytes(), &bytes);
        }
        let _ = Details::read(&bytes);
    }

    #[test]
    fn a_request_reads_back_as_written(movements in prop::collection::vec(any_movement(), 1..60)) {
        let mut logs = no_logs();
        for (number, movement) in movements.into_iter().enumerate() {
            append(&mut logs, ReplicaId([u8::from(number % 3 == 0); 16]), movement);
        }
        let request = request(&logs);

        let bytes = request.seal(|_| [5; 64]).unwrap();
        let opened = frame::open(&bytes).unwrap();

        prop_assert_eq!(opened.signature, [5; 64]);
        prop_assert_eq!(Request::read(&opened).unwrap(), request);
    }

    #[test]
    fn one_flipped_bit_is_noticed(byte in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut logs = no_logs();
        append(&mut logs, ReplicaId([1; 16]), sale("k", 1));
        let mut bytes = request(&logs).seal(|_| [5; 64]).unwrap();
        let signature = 44..HEADER_BYTES;
        let at = byte.index(bytes.len());
        bytes[at] ^= 1 << bit;

        let opened = frame::open(&bytes);

        prop_assert!(signature.contains(&at) || opened.is_err(), "bit {} of byte {}", bit, at);
    }

    #[test]
    fn the_bytes_of_a_stranger_never_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        use sha2::Digest;
        let _ = frame::open(&body);
        let mut bytes = b"VTRN\x01\x01\0\0".to_vec();
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&sha2::Sha256::digest(&body));
        bytes.extend_from_slice(&[0; 64]);
        bytes.extend_from_slice(&body);
        if let Ok(opened) = frame::open(&bytes) {
            let _ = (Request::read(&opened), Answer::read(&opened));
        }
    }
}

#[test]
fn a_bomb_is_refused_before_room_is_made_for_it() {
    use sha2::Digest;
    let body = zstd::bulk::compress(&vec![0_u8; 64 << 20], 3).unwrap();
    let mut bytes = b"VTRN\x01\x02\0\0".to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(&sha2::Sha256::digest(&body));
    bytes.extend_from_slice(&[0; 64]);
    bytes.extend_from_slice(&body);

    assert!(bytes.len() < 10_000);
    assert_eq!(frame::open(&bytes).unwrap_err(), WireError::Unpack);
}

#[test]
fn an_unknown_section_is_skipped_and_one_that_must_be_understood_is_not() {
    let request = request(&no_logs());
    let bytes = request.seal(|_| [0; 64]).unwrap();
    let with = |kind: u16| {
        let mut sections = frame::open(&bytes).unwrap().sections;
        sections.push(frame::Section {
            kind,
            bytes: vec![1, 2, 3],
        });
        frame::seal(&sections, |_| [0; 64]).unwrap()
    };

    let optional = with(900);
    assert_eq!(Request::read(&frame::open(&optional).unwrap()), Ok(request));
    let demanded = with(0x384 | frame::MUST_UNDERSTAND);
    assert_eq!(
        Request::read(&frame::open(&demanded).unwrap()),
        Err(WireError::UnknownSection(0x384))
    );
}

/// A frame of `fixtures/wire/`; made where it is not there and that is asked for.
pub(crate) fn golden(name: &str, made: &[u8]) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/wire")
        .join(name);
    if !path.exists() && std::env::var_os("VITRINA_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The golden frames: written once by the version that released them, read by every later one.
#[test]
fn the_golden_frames_of_version_1_still_open() {
    let mut logs = no_logs();
    for number in 0..40 {
        append(
            &mut logs,
            ReplicaId([3; 16]),
            sale(
                &format!("0189fd6e-0000-7000-8000-0000000000{number:02}"),
                number % 7,
            ),
        );
    }
    let request = request(&logs);
    let bytes = golden("v1-request.frame", &request.seal(|_| [5; 64]).unwrap());
    assert_eq!(Request::read(&frame::open(&bytes).unwrap()), Ok(request));

    let answer = Answer {
        welcome: WelcomeV1 {
            life: (2, [4; 16]),
            now: 1_763_812_800_000,
            ..WelcomeV1::default()
        },
        hash: logs.hash(),
        positions: vec![(ReplicaId([3; 16]), logs.head(ReplicaId([3; 16])))],
        replies: Vec::new(),
        deltas: vec![logs.delta(ReplicaId([3; 16]), Seq(10), 20)],
        token: Some(vec![8; 40]),
        registers: None,
        others: None,
        decisions: Vec::new(),
        digest: None,
        legs: None,
        transfers: None,
    };
    let bytes = golden("v1-answer.frame", &answer.seal().unwrap());
    assert_eq!(Answer::read(&frame::open(&bytes).unwrap()), Ok(answer));
}

#[test]
fn the_golden_frames_of_a_stick_and_a_digest_still_open() {
    let mut logs = no_logs();
    for number in 0..5 {
        let movement = sale(&format!("key {number}"), number);
        append(&mut logs, ReplicaId([3; 16]), movement);
    }
    let digest = DigestV1 {
        rows: 3,
        sum: [7; 16],
    };
    let request = Request {
        digest: Some(digest),
        ..request(&logs)
    };
    let bytes = golden("v1-digest.frame", &request.seal(|_| [5; 64]).unwrap());
    assert_eq!(Request::read(&frame::open(&bytes).unwrap()), Ok(request));

    let stick = StickAnswer {
        about: StickV1 {
            shop: "S017".into(),
            hub: [2; 32],
            pos: 77,
            made_at: 1_763_812_800_000,
        },
        answer: Answer {
            welcome: WelcomeV1 {
                life: (2, [4; 16]),
                more: true,
                ..WelcomeV1::default()
            },
            hash: logs.hash(),
            positions: vec![(ReplicaId([3; 16]), logs.head(ReplicaId([3; 16])))],
            replies: Vec::new(),
            deltas: vec![logs.delta(ReplicaId([3; 16]), Seq(0), 5)],
            token: None,
            registers: None,
            others: None,
            decisions: Vec::new(),
            digest: Some(digest),
            legs: None,
            transfers: None,
        },
    };
    let bytes = golden("v1-stick.frame", &stick.seal(|_| [6; 64]).unwrap());
    let opened = frame::open(&bytes).unwrap();
    assert_eq!(StickAnswer::read(&opened), Ok(stick.clone()));
    // Who does not know what a stick is reads the answer in it.
    assert_eq!(Answer::read(&opened), Ok(stick.answer));
}

fn leg(number: u8) -> Leg {
    let at = TimeMs(1_763_812_800_000 + i64::from(number));
    let movement = MovementId([7; 16]);
    let sides = [
        ShopSide::None,
        ShopSide::Declined {
            reason: DeclineReason::Showcase,
            at,
        },
        ShopSide::Confirmed { at },
        ShopSide::Moved { movement, at },
        ShopSide::Broken { at },
        ShopSide::Fulfilled { movement, at },
    ];
    let hubs = HubState::ALL;
    Leg {
        id: LegId([number; 16]),
        terms: Arc::new(Terms {
            hold: HoldId::of("site", &format!("order {number}")),
            shop: shop(),
            barcode: barcode(number % 3),
            ordered: number.is_multiple_of(2).then(|| barcode(9)),
            qty: Qty::new(1 + i64::from(number)).unwrap(),
            order: format!("заказ {number}").into(),
            caller: "site".into(),
            purpose: Purpose::of_number(number % 2),
            created_at: at.plus(-60_000),
            allow_variant: number % 3 == 1,
            comes_from: (number % 4 == 3).then_some(LegId([77; 16])),
        }),
        hub: HubSide {
            state: hubs[usize::from(number) % 4],
            expires_at: at.plus(86_400_000),
        },
        shop: sides[usize::from(number) % 6],
    }
}

pub(crate) fn empty_answer() -> Answer {
    Answer {
        welcome: WelcomeV1 {
            life: (2, [4; 16]),
            ..WelcomeV1::default()
        },
        hash: [0; 32],
        positions: Vec::new(),
        replies: Vec::new(),
        deltas: Vec::new(),
        token: None,
        registers: None,
        others: None,
        decisions: Vec::new(),
        digest: None,
        legs: None,
        transfers: None,
    }
}

#[test]
fn the_golden_frames_of_legs_still_open() {
    let list: Vec<LegV1> = (0..24).map(|number| LegV1::of(&leg(number))).collect();
    let request = Request {
        legs: Some(LegsV1 {
            held: 12,
            list: list.clone(),
            all: true,
        }),
        ..request(&no_logs())
    };
    let bytes = golden("v1-legs.frame", &request.seal(|_| [5; 64]).unwrap());
    let read = Request::read(&frame::open(&bytes).unwrap()).unwrap();
    assert_eq!(read, request);
    for (number, sent) in (0..24).zip(&read.legs.unwrap().list) {
        assert_eq!(sent.read(&shop()), Ok(leg(number)));
    }

    let answer = Answer {
        legs: Some(HubLegsV1 {
            list,
            upto: 36,
            taken: true,
        }),
        ..empty_answer()
    };
    let bytes = golden("v1-hub-legs.frame", &answer.seal().unwrap());
    assert_eq!(Answer::read(&frame::open(&bytes).unwrap()), Ok(answer));
}

/// Sections of legs are optional: whoever does not know them reads the rest.
#[test]
fn a_peer_that_knows_no_legs_reads_the_rest() {
    for kind in [kind::LEGS, kind::HUB_LEGS] {
        assert_eq!(kind & frame::MUST_UNDERSTAND, 0);
    }
}

#[test]
fn more_legs_than_allowed_are_refused_before_they_are_decoded() {
    let with = |list: Vec<LegV1>| {
        let request = Request {
            legs: Some(LegsV1 {
                list,
                ..LegsV1::default()
            }),
            ..request(&no_logs())
        };
        let bytes = request.seal(|_| [5; 64]).unwrap();
        Request::read(&frame::open(&bytes).unwrap()).map(|read| read.legs.unwrap().list.len())
    };
    let one = LegV1::of(&leg(1));
    assert_eq!(with(vec![one.clone(); MAX_LEGS]), Ok(MAX_LEGS));
    assert_eq!(with(vec![one; MAX_LEGS + 1]), Err(WireError::TooMany));
    let endless = LegV1 {
        order: "9".repeat(1_000_000),
        ..LegV1::of(&leg(1))
    };
    assert_eq!(with(vec![endless]), Err(WireError::TooMany));

    let sections = [frame::Section {
        kind: kind::LEGS,
        bytes: vec![0xff; 600_000],
    }];
    let mut all = frame::open(&request(&no_logs()).seal(|_| [0; 64]).unwrap())
        .unwrap()
        .sections;
    all.extend(sections);
    let bytes = frame::seal(&all, |_| [0; 64]).unwrap();
    assert_eq!(
        Request::read(&frame::open(&bytes).unwrap()),
        Err(WireError::TooMany),
        "looked at, not decoded"
    );
}

/// The largest leg that may be: as many of them as allowed must pass the limit on bytes.
#[test]
fn the_largest_legs_fit_the_limit() {
    let mut large = leg(3);
    let code = "\u{10000}".repeat(64);
    let local: Barcode = code.parse::<Barcode>().unwrap();
    let local = local.local_to(&"S".repeat(32).parse().unwrap());
    large.terms = Arc::new(Terms {
        barcode: local.clone(),
        ordered: Some(local),
        order: "9".repeat(128).into(),
        caller: "9".repeat(64).into(),
        qty: Qty::new(1_000_000).unwrap(),
        ..(*large.terms).clone()
    });
    let legs = LegsV1 {
        held: u64::MAX,
        list: vec![LegV1::of(&large); MAX_LEGS],
        all: true,
    };
    let request = Request {
        legs: Some(legs),
        ..request(&no_logs())
    };
    let bytes = request.seal(|_| [5; 64]).unwrap();
    let read = Request::read(&frame::open(&bytes).unwrap()).unwrap();
    assert_eq!(read.legs.unwrap().list[0].read(&shop()), Ok(large));
}

#[test]
fn a_leg_that_is_out_of_its_range_is_malformed() {
    let good = LegV1::of(&leg(2));
    assert!(good.read(&shop()).is_ok());
    let state = |state, movement| ShopSideV1 {
        state,
        movement,
        ..ShopSideV1::default()
    };
    let bad: [&dyn Fn(&mut LegV1); 12] = [
        &|leg| leg.barcode = String::new(),
        &|leg| leg.barcode = "1 2".into(),
        &|leg| leg.ordered = Some("\n".into()),
        &|leg| leg.qty = 0,
        &|leg| leg.qty = 1_000_001,
        &|leg| leg.order = "9".repeat(129),
        &|leg| leg.caller = "9".repeat(65),
        &|leg| leg.hub = 4,
        &|leg| leg.created_at = i64::MAX,
        &|leg| leg.expires_at = i64::MIN,
        &|leg| leg.shop = state(6, None),
        &|leg| leg.shop = state(5, None),
    ];
    for (number, change) in bad.iter().enumerate() {
        let mut leg = good.clone();
        change(&mut leg);
        assert_eq!(
            leg.read(&shop()),
            Err(WireError::Malformed),
            "change {number}"
        );
    }
    let mut later = good;
    later.shop = ShopSideV1 {
        state: 1,
        reason: 200,
        ..ShopSideV1::default()
    };
    let reason = later.read(&shop()).unwrap().shop.reason();
    assert_eq!(reason, Some(DeclineReason::Other), "a later version's");
}

/// What released programs sent, recorded on their line.
#[test]
fn the_frames_of_every_released_version_are_read() {
    let old = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/old");
    let mut read = 0;
    for version in std::fs::read_dir(old).unwrap().flatten() {
        let frames = version.path().join("frames");
        let bytes = |name: &str| std::fs::read(frames.join(name)).unwrap();

        let request = Request::read(&frame::open(&bytes("request.frame")).unwrap()).unwrap();
        assert_eq!(request.hello.shop, "S001");
        assert!(request.deltas.iter().any(|delta| !delta.entries.is_empty()));
        let answer = Answer::read(&frame::open(&bytes("answer.frame")).unwrap()).unwrap();
        assert!(answer.token.is_some() && answer.life().ordinal > 0);
        read += 1;
    }
    assert!(read > 0);
}

#[test]
fn a_thousand_sales_take_few_bytes() {
    let mut state = 7_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 20
    };
    let codes: Vec<u64> = (0..2_000)
        .map(|_| 2_000_000_000_000 + random() % 1_000_000_000_000)
        .collect();
    let per_sale = |keys: &mut dyn FnMut(u64, &mut dyn FnMut() -> u64) -> vitrina_shared::Key,
                    random: &mut dyn FnMut() -> u64| {
        let mut logs = no_logs();
        let mut at = 1_763_812_800_000_i64;
        for number in 0..1_000 {
            at += i64::try_from(random() % 60_000).unwrap();
            let mut movement = sale("k", 0);
            movement.key = keys(number, random);
            movement.barcode = codes[usize::try_from(random() % 2_000).unwrap()]
                .to_string()
                .parse()
                .unwrap();
            movement.at = vitrina_shared::TimeMs(at);
            append(&mut logs, ReplicaId([3; 16]), movement);
        }
        request(&logs).seal(|_| [5; 64]).unwrap().len()
    };
    let receipts = per_sale(
        &mut |number, _| vitrina_shared::Key::Receipt {
            till: "1".into(),
            receipt: (1_000 + number).to_string().into(),
            line: 1,
            day: vitrina_shared::time::Day(20_251_122),
        },
        &mut random,
    );
    let keys = per_sale(
        &mut |_, random| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&(random() << 22 ^ random()).to_le_bytes());
            bytes[8..].copy_from_slice(&(random() << 22 ^ random()).to_le_bytes());
            vitrina_shared::Key::CallUuid(bytes)
        },
        &mut random,
    );
    println!("{receipts} bytes as receipts, {keys} with random keys");
    assert!(receipts <= 12_000, "{receipts} bytes for 1,000 receipts");
    assert!(keys <= 25_000, "{keys} bytes for 1,000 random keys");
}
