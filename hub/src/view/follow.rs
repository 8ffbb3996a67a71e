//! What changed since a position: for the website, and for the other shops.

use vitrina_shared::stock::Channel;
use vitrina_shared::{Barcode, planted};

use crate::feed::Subject;
use crate::view::{View, flat};

/// A level as other shops are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LevelSince {
    /// The shop's number in the store.
    pub(crate) shop: u32,
    /// The barcode.
    pub(crate) barcode: Barcode,
    /// Units in the shop.
    pub(crate) on_hand: i64,
    /// Units it can promise.
    pub(crate) available: i64,
    /// The feed position.
    pub(crate) pos: u64,
}

/// Levels after a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OthersPage {
    /// In the order of their positions.
    pub(crate) rows: Vec<LevelSince>,
    /// Up to here there are no others.
    pub(crate) upto: u64,
}

/// A page of the feed.
#[derive(Debug)]
pub(crate) struct FeedPage {
    /// The items as JSON, with commas between.
    pub(crate) items: Vec<u8>,
    /// How many.
    pub(crate) count: usize,
    /// The page ends here.
    pub(crate) upto: u64,
    /// Whether there may be more already.
    pub(crate) more: bool,
}

impl View {
    /// At most `limit` changes after `since`, as a website of this channel sees them.
    pub(crate) fn changes(&self, since: u64, limit: usize, channel: Channel) -> FeedPage {
        let mut page = FeedPage {
            items: Vec::new(),
            count: 0,
            upto: since,
            more: false,
        };
        loop {
            let (entries, head) = self.entries(page.upto);
            if entries.is_empty() {
                page.upto = head.max(page.upto);
                return page;
            }
            for entry in entries {
                if page.count == limit {
                    page.more = true;
                    return page;
                }
                page.upto = entry.pos;
                let before = page.items.len();
                if page.count > 0 {
                    page.items.push(b',');
                }
                let shown = match &entry.subject {
                    Subject::Level(item, shop) => {
                        flat::level_at(&mut page.items, item, (*shop, channel), entry.pos)
                    }
                    Subject::Shop(index) => {
                        flat::shop_at(&mut page.items, &self.board, *index, entry.pos)
                    }
                };
                if shown {
                    page.count += 1;
                } else {
                    page.items.truncate(before);
                }
            }
        }
    }

    /// Levels of all shops after `pos`, each once, at most `limit`.
    pub(crate) fn levels_since(&self, pos: u64, limit: usize) -> OthersPage {
        let mut page = OthersPage {
            rows: Vec::new(),
            upto: pos,
        };
        loop {
            let (entries, head) = self.entries(page.upto);
            if entries.is_empty() {
                page.upto = head.max(page.upto);
                return page;
            }
            for entry in entries {
                if page.rows.len() >= limit {
                    if planted::is("hub_skips_what_does_not_fit_a_page") {
                        page.upto = head;
                    }
                    return page;
                }
                page.upto = entry.pos;
                let Subject::Level(item, shop) = &entry.subject else {
                    continue;
                };
                item.with_level_alone(*shop, |level, _| {
                    if level.pos == entry.pos {
                        page.rows.push(LevelSince {
                            shop: *shop,
                            barcode: item.barcode.clone(),
                            on_hand: level.numbers.on_hand,
                            available: level.numbers.available(),
                            pos: entry.pos,
                        });
                    }
                });
            }
        }
    }
}
