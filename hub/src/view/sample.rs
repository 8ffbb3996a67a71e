//! Small shops and levels for tests.

use vitrina_shared::hold::Policy;
use vitrina_shared::registers::{Item, Settings};
use vitrina_shared::{HubLife, Money, TimeMs};

use crate::change::{Change, FeedHead, LevelRow, ShopRow};
use crate::view::View;

/// A place in the feed of life 3; each position has a tag of its own.
pub(crate) fn head(pos: u64) -> FeedHead {
    FeedHead {
        life: HubLife {
            ordinal: 3,
            random: [7; 16],
        },
        pos,
        tag: pos.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
    }
}

/// A published shop in Moscow at feed position 1 + its number.
pub(crate) fn shop(index: u32, name: &str) -> ShopRow {
    ShopRow {
        index,
        shop: name.parse().unwrap(),
        settings: Settings {
            name: format!("Shop {name}"),
            city: Some("Москва".into()),
            ..Settings::default()
        },
        address: None,
        lat: Some(55.75),
        lon: Some(37.61 + f64::from(index)),
        external_id: None,
        publish: true,
        revoked: false,
        enrolled: true,
        pos: 1 + u64::from(index),
    }
}

/// So many pieces of a barcode at a shop.
pub(crate) fn level(shop: u32, barcode: &str, on_hand: i64, pos: u64) -> LevelRow {
    LevelRow {
        shop,
        barcode: barcode.parse().unwrap(),
        on_hand,
        unavailable: 0,
        held: 0,
        in_transit: 0,
        price: None,
        words: None,
        updated_at: TimeMs(1_763_812_800_000 + i64::try_from(pos).unwrap()),
        pos,
    }
}

/// What the catalogue says of a ring.
pub(crate) fn ring(article: &str, size: &str) -> Item {
    Item {
        article: Some(article.into()),
        name: Some("Кольцо".into()),
        attributes: [("size".to_owned(), size.to_owned())].into(),
        price: Some(Money::rub(4_590_000)),
        external_id: None,
        unique: false,
    }
}

/// A view with shops S000, S001, … at the feed positions 1, 2, …
pub(crate) fn view(shops: u32) -> View {
    let view = View::new(Policy::default());
    (0..shops).for_each(|index| view.load_one(Change::Shop(shop(index, &format!("S{index:03}")))));
    view.loaded(
        head(u64::from(shops)),
        vec![(u64::from(shops), head(u64::from(shops)).tag)],
    );
    view
}

/// Applies levels as one commit that ends at the last one's position.
pub(crate) fn commit(view: &View, rows: Vec<LevelRow>) {
    let pos = rows.iter().map(|row| row.pos).max().unwrap();
    view.apply(&head(pos), rows.into_iter().map(Change::Level).collect());
}
