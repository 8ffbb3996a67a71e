//! One barcode over all shops: what the website asks for, kept ready as bytes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use vitrina_shared::registers::Item as CatalogueItem;
use vitrina_shared::safety::SafetyStock;
use vitrina_shared::stock::Channel;
use vitrina_shared::{Barcode, Money};

use crate::board::ShopCell;
use crate::change::{LevelRow, Words};
use crate::view::face::Face;
use crate::view::json;
use crate::view::level::Level;
use crate::view::ready::{
    Answer, Body, GZIP_FROM_BYTES, Kept, Least, Occasion, Tag, Wanted, gzip, matches,
};

/// What an item is called of which nobody said anything: one for all of them.
static NAMELESS: LazyLock<Arc<Face>> = LazyLock::new(Arc::default);

/// Below so many levels room is made for one at a time.
const MANY_LEVELS: usize = 4;

/// One barcode.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its key.
    pub(crate) barcode: Barcode,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    /// In a box of its own, as the ready answers: most items have neither, and there are millions.
    catalogue: Option<Box<CatalogueItem>>,
    face: Arc<Face>,
    /// By the shops' numbers.
    levels: Vec<Level>,
    /// The feed position of the last change.
    changed: u64,
    kept: Option<Box<Kept>>,
    /// The same for readers of the other channel.
    kept_gross: Option<Box<Kept>>,
}

impl Item {
    pub(crate) fn new(barcode: Barcode) -> Self {
        Self {
            barcode,
            inside: Mutex::new(Inside {
                catalogue: None,
                face: Arc::clone(&NAMELESS),
                levels: Vec::new(),
                changed: 0,
                kept: None,
                kept_gross: None,
            }),
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is called.
    pub(crate) fn face(&self) -> Arc<Face> {
        Arc::clone(&self.inside().face)
    }

    /// Whether the catalogue or a shop knows it.
    pub(crate) fn is_known(&self) -> bool {
        let inside = self.inside();
        inside.catalogue.is_some() || !inside.levels.is_empty()
    }

    /// Whether so many of it could be promised in some shop, as far as its numbers go.
    pub(crate) fn has_available(&self, units: i64) -> bool {
        let inside = self.inside();
        let mut levels = inside.levels.iter();
        levels.any(|level| level.numbers.available() >= units)
    }

    /// Whether the catalogue says that there is one piece only.
    pub(crate) fn is_unique(&self) -> bool {
        let inside = self.inside();
        inside.catalogue.as_ref().is_some_and(|item| item.unique)
    }

    /// Takes what the catalogue says. The faces before and after.
    pub(crate) fn set_catalogue(
        &self,
        catalogue: Option<CatalogueItem>,
        pos: u64,
        rules: &SafetyStock,
    ) -> (Arc<Face>, Arc<Face>) {
        let mut inside = self.inside();
        let before = Arc::clone(&inside.face);
        inside.catalogue = catalogue.map(Box::new);
        if inside.levels.is_empty() {
            // Else its levels follow, with positions of their own.
            inside.changed = inside.changed.max(pos);
        }
        inside.refresh_face();
        let after = Arc::clone(&inside.face);
        if before.article != after.article {
            inside.keep_back(&self.barcode, rules, None);
        }
        (before, after)
    }

    /// Takes a level's new state. The faces before and after, and the shops of which another number is kept back now
    /// because this one says another article.
    pub(crate) fn set_level(
        &self,
        shop: Arc<ShopCell>,
        row: LevelRow,
        rules: &SafetyStock,
    ) -> (Arc<Face>, Arc<Face>, Vec<u32>) {
        let index = shop.index;
        let mut inside = self.inside();
        let before = Arc::clone(&inside.face);
        inside.changed = inside.changed.max(row.pos);
        inside.forget();
        // Most shops say the same words: one copy is kept of them.
        let words = row
            .words
            .map(|words| inside.same_words(&words).unwrap_or(words));
        let level = Level::of(shop, LevelRow { words, ..row });
        let spoken = match inside
            .levels
            .binary_search_by_key(&level.shop.index, |level| level.shop.index)
        {
            Ok(at) => inside.levels.get_mut(at).is_some_and(|place| {
                let spoken = place.words != level.words;
                *place = level;
                spoken
            }),
            Err(at) => {
                let spoken = level.words.is_some();
                if inside.levels.len() < MANY_LEVELS {
                    // Not four at once: most pieces are in one shop.
                    inside.levels.reserve_exact(1);
                }
                inside.levels.insert(at, level);
                spoken
            }
        };
        if spoken {
            inside.refresh_face();
        }
        let after = Arc::clone(&inside.face);
        let only = (before.article == after.article).then_some(index);
        let mut moved = inside.keep_back(&self.barcode, rules, only);
        moved.retain(|shop| *shop != index);
        (before, after, moved)
    }

    /// Whether the shop ever had it.
    pub(crate) fn has_level(&self, shop: u32) -> bool {
        self.inside().level(shop).is_some()
    }

    /// Whether the item's level at `shop` stands at feed position `pos`.
    pub(crate) fn is_at(&self, shop: u32, pos: u64) -> bool {
        self.inside()
            .level(shop)
            .is_some_and(|level| level.pos == pos)
    }

    /// Gives the levels to `take`, with the face, what the item has available to a channel in the shops the website sees, and
    /// the price of each.
    pub(crate) fn with_levels(
        &self,
        channel: Channel,
        mut take: impl FnMut(&Level, &Face, i64, Option<Money>),
    ) {
        let inside = self.inside();
        let available = inside.available(channel);
        for level in &inside.levels {
            take(level, &inside.face, available, inside.price(level));
        }
    }

    /// Gives the level at `shop` to `take`, with the face, and nothing that all the other levels would have to be added up for.
    pub(crate) fn with_level_alone(&self, shop: u32, take: impl FnOnce(&Level, &Face)) {
        let inside = self.inside();
        if let Some(level) = inside.level(shop) {
            take(level, &inside.face);
        }
    }

    /// The same as [`Self::with_levels`] for the one level at `shop`.
    pub(crate) fn with_level(
        &self,
        (shop, channel): (u32, Channel),
        take: impl FnOnce(&Level, &Face, i64, Option<Money>),
    ) {
        let inside = self.inside();
        if let Some(level) = inside.level(shop) {
            let available = inside.available(channel);
            take(level, &inside.face, available, inside.price(level));
        }
    }

    /// The answer, ready-made where it still stands.
    pub(crate) fn answer(&self, wanted: Wanted<'_>, occasion: &Occasion<'_>) -> Answer {
        let mut inside = self.inside();
        let kept = inside.kept_for(wanted.channel).take();
        let least = match &kept {
            Some(kept) if kept.least.beats == occasion.beats => kept.least,
            // While the epoch stands no shop's moment goes back: another one is the least only where this one has moved.
            Some(kept) if kept.epoch == occasion.epoch && inside.is_still(kept.least) => Least {
                beats: occasion.beats,
                ..kept.least
            },
            _ => inside.least(occasion.beats),
        };
        let (looks, news) = match &kept {
            Some(kept) if kept.epoch == occasion.epoch => (kept.looks, kept.news),
            _ => inside.versions(),
        };
        let mut kept = match kept {
            Some(kept) if kept.life == occasion.life && kept.news == news => kept,
            _ => {
                let tag = Tag::of(inside.hash(occasion.life, wanted.channel));
                Box::new(Kept::new(tag, least, occasion, looks, news))
            }
        };
        (kept.looks, kept.epoch, kept.asked) = (looks, occasion.epoch, true);
        kept.least = least;
        let mut answer = Answer {
            tag: kept.tag.clone(),
            as_of: least.as_of,
            body: None,
            is_gzip: false,
        };
        if !wanted
            .none_match
            .is_some_and(|theirs| matches(theirs, &kept.tag.etag))
        {
            if kept.body.as_ref().is_some_and(|body| body.looks != looks) {
                // Only time has passed: the rest of the bytes still stands.
                kept.body = kept
                    .body
                    .take()
                    .and_then(|body| inside.restamp(body, looks));
                kept.gzip = None;
            }
            let make = || {
                let cursor = (occasion.cursor)(inside.changed);
                inside.body(&self.barcode, (&cursor, wanted.channel), looks)
            };
            let body = kept.body.get_or_insert_with(make);
            answer.is_gzip = wanted.gzip && body.bytes.len() >= GZIP_FROM_BYTES;
            let packed = || gzip(&body.bytes);
            let ready = if answer.is_gzip {
                kept.gzip.get_or_insert_with(packed)
            } else {
                &body.bytes
            };
            answer.body = Some(ready.clone());
        }
        *inside.kept_for(wanted.channel) = Some(kept);
        answer
    }

    /// Gives back the room that was made for more levels.
    pub(crate) fn shrink(&self) {
        self.inside().levels.shrink_to_fit();
    }

    /// Gives back the memory of a ready answer that nobody asked for since the last call.
    pub(crate) fn tidy(&self) {
        let mut inside = self.inside();
        match &mut inside.kept {
            Some(kept) if kept.asked => kept.asked = false,
            _ => inside.kept = None,
        }
        match &mut inside.kept_gross {
            Some(kept) if kept.asked => kept.asked = false,
            _ => inside.kept_gross = None,
        }
    }
}

impl Inside {
    fn kept_for(&mut self, channel: Channel) -> &mut Option<Box<Kept>> {
        match channel {
            Channel::NetOfHolds => &mut self.kept,
            Channel::Gross => &mut self.kept_gross,
        }
    }

    /// Drops the ready answers: something of them changed.
    fn forget(&mut self) {
        (self.kept, self.kept_gross) = (None, None);
    }

    fn level(&self, shop: u32) -> Option<&Level> {
        let at = self
            .levels
            .binary_search_by_key(&shop, |level| level.shop.index)
            .ok()?;
        self.levels.get(at)
    }

    /// Works out what is kept back, of all levels or of the one of a shop; the shops where that is another number now.
    fn keep_back(&mut self, barcode: &Barcode, rules: &SafetyStock, only: Option<u32>) -> Vec<u32> {
        let article = self.face.article.as_deref();
        let mut moved = Vec::new();
        for level in &mut self.levels {
            if only.is_some_and(|only| only != level.shop.index) {
                continue;
            }
            let units = rules.units(&level.shop.shop, barcode, article);
            if level.numbers.safety_stock != units {
                level.numbers.safety_stock = units;
                moved.push(level.shop.index);
            }
        }
        moved
    }

    fn shown(&self) -> impl Iterator<Item = &Level> {
        self.levels.iter().filter(|level| level.shop.is_shown())
    }

    /// Up to when the shops that are shown are known at these beats.
    fn least(&self, beats: u64) -> Least {
        let numbered = self.levels.iter().enumerate();
        let shown = numbered.filter(|(_, level)| level.shop.is_shown());
        let known = shown.filter_map(|(place, level)| Some((level.shop.as_of()?, place)));
        let least = known.min();
        Least {
            beats,
            as_of: least.map(|(as_of, _)| as_of),
            place: least.map_or(0, |(_, place)| place),
        }
    }

    /// Whether the shop that was known least far has not moved.
    fn is_still(&self, least: Least) -> bool {
        let level = self.levels.get(least.place);
        least.as_of.is_none() || level.is_some_and(|level| level.shop.as_of() == least.as_of)
    }

    fn available(&self, channel: Channel) -> i64 {
        let available = |level: &Level| level.numbers.available_to(channel);
        self.shown().map(available).sum()
    }

    fn price(&self, level: &Level) -> Option<Money> {
        self.catalogue
            .as_ref()
            .and_then(|item| item.price)
            .or(level.own_price)
    }

    fn versions(&self) -> (u64, u64) {
        self.levels
            .iter()
            .fold((0_u64, 0_u64), |(looks, news), level| {
                let (more_looks, more_news) = level.shop.versions();
                (looks.wrapping_add(more_looks), news.wrapping_add(more_news))
            })
    }

    fn same_words(&self, words: &Arc<Words>) -> Option<Arc<Words>> {
        self.levels
            .iter()
            .take(4)
            .filter_map(|level| level.words.as_ref())
            .find(|known| *known == words)
            .cloned()
    }

    /// The catalogue's words, and where it is silent those of the shop that changed last.
    fn refresh_face(&mut self) {
        self.forget();
        let mut face = Face::default();
        let mut speaking: Vec<(u64, &Words)> = self
            .levels
            .iter()
            .filter_map(|level| Some((level.pos, level.words.as_deref()?)))
            .collect();
        speaking.sort_unstable_by_key(|(pos, _)| *pos);
        for (_, words) in speaking {
            face.hear(words);
        }
        if let Some(item) = &self.catalogue {
            face.obey(item);
        }
        if *self.face != face {
            self.face = Arc::new(face);
        }
    }

    /// Everything a body says to a channel, but `as_of` and the cursor's tag.
    fn hash(&self, life: u64, channel: Channel) -> u64 {
        let mut hash = DefaultHasher::new();
        (life, channel, self.changed, &self.face).hash(&mut hash);
        for level in self.shown() {
            (
                &level.shop.shop,
                level.numbers,
                level.in_transit,
                self.price(level),
                level.updated_at,
            )
                .hash(&mut hash);
            (level.shop.confidence(), level.shop.promise()).hash(&mut hash);
        }
        hash.finish()
    }

    /// The same bytes with the levels' `as_of` of now; nothing where one of them came or went.
    fn restamp(&self, body: Body, looks: u64) -> Option<Body> {
        if self.shown().count() != body.stamps.len() {
            return None;
        }
        // Copied only where a caller is still being sent them.
        let mut bytes = body
            .bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&*shared));
        let mut stamp = json::Stamp::default();
        for (level, at) in self.shown().zip(&body.stamps) {
            let was_null = bytes.get(*at) == Some(&b'n');
            match level.shop.as_of_minute() {
                None if was_null => {}
                Some(minute) if !was_null => {
                    let place = bytes.get_mut(*at..*at + json::STAMP_BYTES)?;
                    place.copy_from_slice(stamp.of(minute));
                }
                _ => return None,
            }
        }
        Some(Body {
            bytes: bytes.freeze(),
            stamps: body.stamps,
            looks,
        })
    }

    fn body(&self, barcode: &Barcode, (cursor, channel): (&str, Channel), looks: u64) -> Body {
        let mut out = Vec::with_capacity(320 + 250 * self.levels.len());
        let (mut stamp, mut stamps) = (
            json::Stamp::default(),
            Vec::with_capacity(self.levels.len()),
        );
        out.extend_from_slice(br#"{"barcode":"#);
        json::text(&mut out, barcode.as_str());
        out.extend_from_slice(br#","external_id":"#);
        json::text_or_null(&mut out, self.face.external_id.as_deref());
        out.extend_from_slice(br#","article":"#);
        json::text_or_null(&mut out, self.face.article.as_deref());
        out.extend_from_slice(br#","name":"#);
        json::text_or_null(&mut out, self.face.name.as_deref());
        out.extend_from_slice(br#","attributes":{"#);
        for (at, (name, value)) in self.face.attributes.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::text(&mut out, name);
            out.push(b':');
            json::text(&mut out, value);
        }
        out.extend_from_slice(b"},");
        self.sums(&mut out, channel);
        out.extend_from_slice(br#","levels":["#);
        for (at, level) in self.shown().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.push(b'{');
            let price = self.price(level);
            stamps.push(level.write(&mut out, (price, channel), &mut stamp));
            out.push(b'}');
        }
        out.extend_from_slice(br#"],"cursor":"#);
        json::text(&mut out, cursor);
        out.push(b'}');
        Body {
            bytes: out.into(),
            stamps: stamps.into(),
            looks,
        }
    }

    fn sums(&self, out: &mut Vec<u8>, channel: Channel) {
        let sum_of = |of: fn(&Level, Channel) -> i64| {
            self.shown()
                .map(|level| of(level, channel))
                .fold(0, i64::saturating_add)
        };
        json::members(
            out,
            &[
                ("on_hand", sum_of(|level, _| level.numbers.on_hand)),
                ("held", sum_of(|level, _| level.numbers.held)),
                ("unavailable", sum_of(|level, _| level.numbers.unavailable)),
                (
                    "safety_stock",
                    sum_of(|level, _| level.numbers.safety_stock),
                ),
                (
                    "available",
                    sum_of(|level, channel| level.numbers.available_to(channel)),
                ),
                ("promised", sum_of(Level::promised)),
            ],
        );
    }
}
