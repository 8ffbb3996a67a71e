//! One barcode over all shops: what the website asks for, kept ready as bytes.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use vitrina_shared::registers::Item as CatalogueItem;
use vitrina_shared::stock::Level as Numbers;
use vitrina_shared::{Barcode, Money, TimeMs};

use crate::board::ShopCell;
use crate::change::{LevelRow, Words};
use crate::view::json;

/// A body under so many bytes does not get smaller by packing.
const GZIP_FROM_BYTES: usize = 400;

/// One barcode.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its key.
    pub(crate) barcode: Barcode,
    inside: Mutex<Inside>,
}

/// What stands in one shop.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// The shop.
    pub(crate) shop: Arc<ShopCell>,
    /// The numbers.
    pub(crate) numbers: Numbers,
    /// Units on their way.
    pub(crate) in_transit: i64,
    /// When it last changed.
    pub(crate) updated_at: TimeMs,
    /// Its feed position.
    pub(crate) pos: u64,
    own_price: Option<Money>,
    words: Option<Arc<Words>>,
}

/// What the item is called, whoever says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Face {
    /// The model.
    pub(crate) article: Option<Box<str>>,
    /// The name.
    pub(crate) name: Option<Box<str>>,
    /// Size, stone and so on, by name.
    pub(crate) attributes: BTreeMap<Box<str>, Box<str>>,
    /// The ERP's id.
    pub(crate) external_id: Option<Box<str>>,
}

#[derive(Debug, Default)]
struct Inside {
    catalogue: Option<CatalogueItem>,
    face: Arc<Face>,
    /// By the shops' numbers.
    levels: Vec<Level>,
    /// The feed position of the last change.
    changed: u64,
    kept: Option<Kept>,
}

/// A ready answer.
#[derive(Debug)]
struct Kept {
    /// Made when it is first asked for: a caller that has it needs the tag only.
    body: Option<Bytes>,
    gzip: Option<Bytes>,
    tag: Tag,
    /// Somebody asked since the last tidying.
    asked: bool,
    /// The board's epoch, the hub's life and the sum of the shops' versions for which it stands.
    epoch: u64,
    life: u64,
    looks: u64,
    news: u64,
}

/// What changes whenever the item says something new.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    /// As a number, to make one tag of several.
    pub(crate) hash: u64,
    /// As a weak entity tag.
    pub(crate) etag: HeaderValue,
}

impl Tag {
    pub(crate) fn of(hash: u64) -> Self {
        let text = format!("W/\"{hash:016x}\"");
        let etag = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("W/\"0\""));
        Self { hash, etag }
    }
}

/// For what an answer is made.
pub(crate) struct Occasion<'a> {
    /// The board's epoch, read before anything of its shops is.
    pub(crate) epoch: u64,
    /// The ordinal of the hub's life.
    pub(crate) life: u64,
    /// The cursor of a feed position.
    pub(crate) cursor: &'a dyn Fn(u64) -> String,
}

/// The item as an answer.
pub(crate) struct Answer {
    /// What says whether it is news.
    pub(crate) tag: Tag,
    /// The earliest moment up to which one of its shops is known.
    pub(crate) as_of: Option<TimeMs>,
    /// The bytes; nothing when the caller has them.
    pub(crate) body: Option<Bytes>,
    /// Whether they are packed.
    pub(crate) is_gzip: bool,
}

/// How the caller wants the answer.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// `If-None-Match`.
    pub(crate) none_match: Option<&'a [u8]>,
    /// The caller takes gzip.
    pub(crate) gzip: bool,
}

impl Item {
    pub(crate) fn new(barcode: Barcode) -> Self {
        Self { barcode, inside: Mutex::default() }
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

    /// Takes what the catalogue says. The faces before and after.
    pub(crate) fn set_catalogue(&self, catalogue: Option<CatalogueItem>, pos: u64) -> (Arc<Face>, Arc<Face>) {
        let mut inside = self.inside();
        let before = Arc::clone(&inside.face);
        inside.catalogue = catalogue;
        if inside.levels.is_empty() {
            // Else its levels follow, with positions of their own.
            inside.changed = inside.changed.max(pos);
        }
        inside.refresh_face();
        (before, Arc::clone(&inside.face))
    }

    /// Takes a level's new state. The faces before and after.
    pub(crate) fn set_level(&self, shop: Arc<ShopCell>, row: LevelRow) -> (Arc<Face>, Arc<Face>) {
        let mut inside = self.inside();
        let before = Arc::clone(&inside.face);
        inside.changed = inside.changed.max(row.pos);
        inside.kept = None;
        // Most shops say the same words: one copy is kept of them.
        let words = row.words.map(|words| inside.same_words(&words).unwrap_or(words));
        let level = Level {
            numbers: Numbers {
                on_hand: row.on_hand,
                held: row.held,
                unavailable: row.unavailable,
                safety_stock: row.safety,
            },
            in_transit: row.in_transit,
            updated_at: row.updated_at,
            pos: row.pos,
            own_price: row.price,
            words,
            shop,
        };
        let spoken = match inside.levels.binary_search_by_key(&level.shop.index, |level| level.shop.index) {
            Ok(at) => inside.levels.get_mut(at).is_some_and(|place| {
                let spoken = place.words != level.words;
                *place = level;
                spoken
            }),
            Err(at) => {
                let spoken = level.words.is_some();
                inside.levels.insert(at, level);
                spoken
            }
        };
        if spoken {
            inside.refresh_face();
        }
        (before, Arc::clone(&inside.face))
    }

    /// Whether the shop ever had it.
    pub(crate) fn has_level(&self, shop: u32) -> bool {
        self.inside().level(shop).is_some()
    }

    /// Whether the item's level at `shop` stands at feed position `pos`.
    pub(crate) fn is_at(&self, shop: u32, pos: u64) -> bool {
        self.inside().level(shop).is_some_and(|level| level.pos == pos)
    }

    /// Gives the levels to `take`, with the face, what the item has available in the shops the website sees, and the
    /// price of each.
    pub(crate) fn with_levels(&self, mut take: impl FnMut(&Level, &Face, i64, Option<Money>)) {
        let inside = self.inside();
        let available = inside.available();
        for level in &inside.levels {
            take(level, &inside.face, available, inside.price(level));
        }
    }

    /// The same for the one level at `shop`.
    pub(crate) fn with_level(&self, shop: u32, take: impl FnOnce(&Level, &Face, i64, Option<Money>)) {
        let inside = self.inside();
        if let Some(level) = inside.level(shop) {
            take(level, &inside.face, inside.available(), inside.price(level));
        }
    }

    /// The answer, ready-made where it still stands.
    pub(crate) fn answer(&self, wanted: Wanted<'_>, occasion: &Occasion<'_>) -> Answer {
        let mut inside = self.inside();
        let as_of = inside.shown().filter_map(|level| level.shop.as_of()).min();
        let (looks, news) = match &inside.kept {
            Some(kept) if kept.epoch == occasion.epoch => (kept.looks, kept.news),
            _ => inside.versions(),
        };
        let mut kept = match inside.kept.take() {
            Some(kept) if kept.life == occasion.life && kept.news == news => kept,
            _ => Kept::new(Tag::of(inside.hash(occasion.life)), occasion, looks, news),
        };
        if kept.looks != looks {
            (kept.body, kept.gzip, kept.looks) = (None, None, looks);
        }
        (kept.epoch, kept.asked) = (occasion.epoch, true);
        let mut answer = Answer { tag: kept.tag.clone(), as_of, body: None, is_gzip: false };
        if !wanted.none_match.is_some_and(|theirs| matches(theirs, &kept.tag.etag)) {
            let body = kept.body.get_or_insert_with(|| inside.body(&self.barcode, &(occasion.cursor)(inside.changed)));
            answer.is_gzip = wanted.gzip && body.len() >= GZIP_FROM_BYTES;
            let ready = if answer.is_gzip { kept.gzip.get_or_insert_with(|| gzip(body)) } else { body };
            answer.body = Some(ready.clone());
        }
        inside.kept = Some(kept);
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
    }
}

impl Kept {
    fn new(tag: Tag, occasion: &Occasion<'_>, looks: u64, news: u64) -> Self {
        Self { body: None, gzip: None, tag, asked: true, epoch: occasion.epoch, life: occasion.life, looks, news }
    }
}

impl Inside {
    fn level(&self, shop: u32) -> Option<&Level> {
        let at = self.levels.binary_search_by_key(&shop, |level| level.shop.index).ok()?;
        self.levels.get(at)
    }

    fn shown(&self) -> impl Iterator<Item = &Level> {
        self.levels.iter().filter(|level| level.shop.is_shown())
    }

    fn available(&self) -> i64 {
        self.shown().map(|level| level.numbers.available()).sum()
    }

    fn price(&self, level: &Level) -> Option<Money> {
        self.catalogue.as_ref().and_then(|item| item.price).or(level.own_price)
    }

    fn versions(&self) -> (u64, u64) {
        self.levels.iter().fold((0_u64, 0_u64), |(looks, news), level| {
            let (more_looks, more_news) = level.shop.versions();
            (looks.wrapping_add(more_looks), news.wrapping_add(more_news))
        })
    }

    fn same_words(&self, words: &Arc<Words>) -> Option<Arc<Words>> {
        self.levels.iter().take(4).filter_map(|level| level.words.as_ref()).find(|known| *known == words).cloned()
    }

    /// The catalogue's words, and where it is silent those of the shop that changed last.
    fn refresh_face(&mut self) {
        self.kept = None;
        let mut face = Face::default();
        let mut speaking: Vec<(u64, &Words)> =
            self.levels.iter().filter_map(|level| Some((level.pos, level.words.as_deref()?))).collect();
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

    /// Everything a body says, but `as_of` and the cursor's tag.
    fn hash(&self, life: u64) -> u64 {
        let mut hash = DefaultHasher::new();
        (life, self.changed, &self.face).hash(&mut hash);
        for level in self.shown() {
            (&level.shop.shop, level.numbers, level.in_transit, self.price(level), level.updated_at).hash(&mut hash);
            level.shop.confidence().hash(&mut hash);
        }
        hash.finish()
    }

    fn body(&self, barcode: &Barcode, cursor: &str) -> Bytes {
        let mut out = Vec::with_capacity(320 + 250 * self.levels.len());
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
        self.sums(&mut out);
        out.extend_from_slice(br#","levels":["#);
        for (at, level) in self.shown().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.push(b'{');
            level.write(&mut out, self.price(level));
            out.push(b'}');
        }
        out.extend_from_slice(br#"],"cursor":"#);
        json::text(&mut out, cursor);
        out.push(b'}');
        out.into()
    }

    fn sums(&self, out: &mut Vec<u8>) {
        let sum = |of: fn(&Numbers) -> i64| self.shown().map(|level| of(&level.numbers)).fold(0, i64::saturating_add);
        json::members(out, &[
            ("on_hand", sum(|numbers| numbers.on_hand)),
            ("held", sum(|numbers| numbers.held)),
            ("unavailable", sum(|numbers| numbers.unavailable)),
            ("safety_stock", sum(|numbers| numbers.safety_stock)),
            ("available", sum(|numbers| numbers.available())),
        ]);
    }
}

impl Level {
    /// Appends the members of the level's object, from `shop` to `confidence`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, price: Option<Money>) {
        out.extend_from_slice(br#""shop":"#);
        json::text(out, self.shop.shop.as_str());
        out.push(b',');
        json::members(out, &[
            ("on_hand", self.numbers.on_hand),
            ("held", self.numbers.held),
            ("unavailable", self.numbers.unavailable),
            ("safety_stock", self.numbers.safety_stock),
            ("available", self.numbers.available()),
            ("in_transit", self.in_transit),
        ]);
        out.extend_from_slice(br#","price":"#);
        json::price(out, price);
        out.extend_from_slice(br#","updated_at":"#);
        json::time_or_null(out, Some(self.updated_at));
        out.extend_from_slice(br#","as_of":"#);
        json::time_or_null(out, self.shop.as_of_minute());
        out.extend_from_slice(br#","confidence":"#);
        json::text(out, self.shop.confidence().word());
    }
}

impl Face {
    fn hear(&mut self, words: &Words) {
        let say = |place: &mut Option<Box<str>>, word: &Option<Box<str>>| {
            if word.is_some() {
                place.clone_from(word);
            }
        };
        say(&mut self.article, &words.article);
        say(&mut self.name, &words.name);
        say(&mut self.external_id, &words.external_id);
        let attributes = [
            ("size", &words.size),
            ("stone", &words.stone),
            ("metal", &words.metal),
            ("fineness", &words.fineness),
            ("weight", &words.weight),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                self.attributes.insert(name.into(), value.clone());
            }
        }
    }

    fn obey(&mut self, item: &CatalogueItem) {
        let say = |place: &mut Option<Box<str>>, word: &Option<String>| {
            if let Some(word) = word {
                *place = Some(word.as_str().into());
            }
        };
        say(&mut self.article, &item.article);
        say(&mut self.name, &item.name);
        say(&mut self.external_id, &item.external_id);
        for (name, value) in &item.attributes {
            self.attributes.insert(name.as_str().into(), value.as_str().into());
        }
    }
}

/// Whether `If-None-Match` names the tag; weakly, as the tags are weak.
pub(crate) fn matches(none_match: &[u8], etag: &HeaderValue) -> bool {
    let ours = etag.as_bytes();
    if none_match == ours {
        return true;
    }
    let bare = |tag: &[u8]| tag.trim_ascii().strip_prefix(b"W/").unwrap_or(tag.trim_ascii()).to_vec();
    let ours = bare(ours);
    none_match.split(|byte| *byte == b',').any(|theirs| theirs.trim_ascii() == b"*" || bare(theirs) == ours)
}

/// Packs a body. Writing into memory cannot fail.
pub(crate) fn gzip(body: &[u8]) -> Bytes {
    let mut packer = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(4));
    let done = packer.write_all(body).and_then(|()| packer.finish());
    done.map(Bytes::from).unwrap_or_default()
}
