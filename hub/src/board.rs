//! The shops as readers see them: settings, freshness, health; and how far each one's numbers can be relied on.
//!
//! A shop's cell is read by every answer without a lock: the few words that answers need are atomics, each change of
//! which is counted, so that a ready-made body knows whether it still stands.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::tz::TimeZone;
use vitrina_shared::freshness::{self, Confidence, Heard};
use vitrina_shared::hold::{Policy, Promise};
use vitrina_shared::hours::Hours;
use vitrina_shared::{ShopId, TimeMs};

use crate::change::{ShopHealth, ShopRow, offset_ms};

/// `as_of` of a shop that never proved itself, in an atomic.
const NEVER: i64 = i64::MIN;
/// Of a shop of which nothing is promised, in an atomic; otherwise the units that are kept back.
const NOTHING: u64 = u64::MAX;
/// No confidence was told to the readers of the feed yet.
const UNTOLD: u8 = u8::MAX;
const MINUTE_MS: i64 = 60_000;

/// One shop.
#[derive(Debug)]
pub(crate) struct ShopCell {
    /// Its number in the store.
    pub(crate) index: u32,
    /// Its name in the interface.
    pub(crate) shop: ShopId,
    shown: AtomicBool,
    confidence: AtomicU8,
    /// What is promised at this confidence.
    promise: AtomicU64,
    as_of: AtomicI64,
    /// Counts the changes of whatever a body shows of the shop.
    looks: AtomicU64,
    /// Counts those of them that are news: all but the passing of time in `as_of`.
    news: AtomicU64,
    /// The confidence that the feed's last item of the shop carries.
    told: AtomicU8,
    known: RwLock<Arc<Known>>,
}

/// What is known of a shop beyond its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// As head office set it.
    pub(crate) row: ShopRow,
    /// When it was heard from.
    pub(crate) heard: Heard,
    /// How it is.
    pub(crate) health: ShopHealth,
    /// The city in small letters.
    pub(crate) city: String,
    hours: Hours,
    tz: TimeZone,
}

impl Known {
    fn of(row: ShopRow, heard: Heard, health: ShopHealth) -> Self {
        let (hours, tz) = row.hours();
        let city = row
            .settings
            .city
            .as_deref()
            .unwrap_or_default()
            .to_lowercase();
        Self {
            row,
            heard,
            health,
            city,
            hours,
            tz,
        }
    }

    fn confidence(&self, now: TimeMs) -> Confidence {
        if self.row.revoked {
            return Confidence::Unknown;
        }
        freshness::confidence(&self.heard, &self.hours, now, offset_ms(&self.tz, now))
    }

    fn as_of(&self) -> Option<TimeMs> {
        freshness::as_of(&self.heard)
    }

    fn local(&self, at: TimeMs) -> TimeMs {
        at.plus(offset_ms(&self.tz, at))
    }

    /// Whether the shop is open at a moment.
    pub(crate) fn is_open(&self, at: TimeMs) -> bool {
        self.hours.is_open(self.local(at))
    }

    /// How long it was open between two moments: what deadlines and silences are measured in.
    pub(crate) fn open_ms(&self, from: TimeMs, to: TimeMs) -> i64 {
        self.hours.open_ms(self.local(from), self.local(to))
    }
}

impl ShopCell {
    fn new(row: ShopRow) -> Self {
        Self {
            index: row.index,
            shop: row.shop.clone(),
            shown: AtomicBool::new(row.is_published()),
            confidence: AtomicU8::new(Confidence::Unknown.number()),
            promise: AtomicU64::new(NOTHING),
            as_of: AtomicI64::new(NEVER),
            looks: AtomicU64::new(0),
            news: AtomicU64::new(0),
            told: AtomicU8::new(UNTOLD),
            known: RwLock::new(Arc::new(Known::of(
                row,
                Heard::default(),
                ShopHealth::default(),
            ))),
        }
    }

    /// Whether the website sees it.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown.load(Ordering::Acquire)
    }

    /// How far its numbers can be relied on.
    pub(crate) fn confidence(&self) -> Confidence {
        Confidence::of_number(self.confidence.load(Ordering::Acquire))
    }

    /// How much of what it has available is promised now.
    pub(crate) fn promise(&self) -> Promise {
        match self.promise.load(Ordering::Acquire) {
            0 => Promise::All,
            units => u32::try_from(units).map_or(Promise::Nothing, Promise::AllBut),
        }
    }

    /// The moment up to which it is known.
    pub(crate) fn as_of(&self) -> Option<TimeMs> {
        Some(self.as_of.load(Ordering::Acquire))
            .filter(|at| *at != NEVER)
            .map(TimeMs)
    }

    /// The same, rounded down to the minute, as bodies show it.
    pub(crate) fn as_of_minute(&self) -> Option<TimeMs> {
        self.as_of()
            .map(|at| TimeMs(at.0.div_euclid(MINUTE_MS) * MINUTE_MS))
    }

    /// How often what a body shows of it has changed, and how often that was news.
    pub(crate) fn versions(&self) -> (u64, u64) {
        (
            self.looks.load(Ordering::Acquire),
            self.news.load(Ordering::Acquire),
        )
    }

    /// What else is known.
    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn learn(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    /// Works the words out anew, where the chain promises so much; whether one of them changed.
    fn look(&self, known: &Known, now: TimeMs, chain: Policy) -> bool {
        let confidence = known.confidence(now);
        let promise = match known.row.settings.policy(chain).at(confidence) {
            Promise::All => 0,
            Promise::AllBut(units) => units.into(),
            Promise::Nothing => NOTHING,
        };
        let confidence = confidence.number();
        let as_of = known.as_of().map_or(NEVER, |at| at.0);
        let shown = known.row.is_published();
        let was_minute = self.as_of_minute();
        let went_back = self.as_of.swap(as_of, Ordering::AcqRel) > as_of;
        let was_confidence = self.confidence.swap(confidence, Ordering::AcqRel);
        let was_promise = self.promise.swap(promise, Ordering::AcqRel);
        let was_shown = self.shown.swap(shown, Ordering::AcqRel);
        let news = was_confidence != confidence || was_promise != promise || was_shown != shown;
        // Ready answers rely on it that while nothing is new here no moment goes back.
        let looks = news || went_back || was_minute != self.as_of_minute();
        if news {
            self.news.fetch_add(1, Ordering::AcqRel);
        }
        if looks {
            self.looks.fetch_add(1, Ordering::AcqRel);
        }
        looks
    }
}

/// All shops.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// By index; a number without a shop is a gap.
    cells: RwLock<Vec<Option<Arc<ShopCell>>>>,
    /// Grows after any cell's words changed.
    epoch: AtomicU64,
    /// Grows whenever a shop was looked at: `as_of` moves with every heartbeat, and mostly only that.
    beats: AtomicU64,
    /// The latest moment that was heard of: the view has no clock.
    now: AtomicI64,
    /// What the chain promises of a shop that is not heard from.
    policy: Policy,
}

impl Board {
    /// No shop yet, in a chain that promises so much of one that is not heard from.
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// The shop of a number.
    pub(crate) fn cell(&self, index: u32) -> Option<Arc<ShopCell>> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells.get(usize::try_from(index).ok()?)?.clone()
    }

    /// The shop of a name.
    pub(crate) fn find(&self, shop: &ShopId) -> Option<Arc<ShopCell>> {
        self.all().into_iter().find(|cell| cell.shop == *shop)
    }

    /// Every shop, by number.
    pub(crate) fn all(&self) -> Vec<Arc<ShopCell>> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells.iter().flatten().cloned().collect()
    }

    /// A number that is the same only while no shop's words have changed.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// While this stays no shop's `as_of` has moved.
    pub(crate) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Acquire)
    }

    /// Takes a shop's settings. Its feed item was given out with them.
    pub(crate) fn set(&self, row: ShopRow) -> Arc<ShopCell> {
        let cell = self.place(&row);
        let before = cell.known();
        cell.learn(Known::of(row, before.heard, before.health.clone()));
        self.look_at(&cell);
        cell.told
            .store(cell.confidence.load(Ordering::Acquire), Ordering::Release);
        cell
    }

    /// Shows a shop as it was loaded: readers were told nothing of it in this run.
    pub(crate) fn load(&self, row: ShopRow) {
        self.set(row).told.store(UNTOLD, Ordering::Release);
    }

    /// Takes that a shop was heard from.
    pub(crate) fn heard(&self, index: u32, heard: Heard, health: ShopHealth) {
        let Some(cell) = self.cell(index) else { return };
        if let Some(exchange) = heard.exchange {
            self.now.fetch_max(exchange.0, Ordering::AcqRel);
        }
        let before = cell.known();
        cell.learn(Known {
            heard,
            health,
            ..Known::clone(&before)
        });
        self.look_at(&cell);
    }

    /// Looks at every shop at `now`; those whose confidence the feed's readers have not been told.
    pub(crate) fn look(&self, now: TimeMs) -> Vec<u32> {
        self.now.store(now.0, Ordering::Release);
        let cells = self.all();
        let changed = cells
            .iter()
            .filter(|cell| cell.look(&cell.known(), now, self.policy))
            .count();
        self.beats.fetch_add(1, Ordering::AcqRel);
        if changed > 0 {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        let untold = |cell: &&Arc<ShopCell>| {
            cell.told.load(Ordering::Acquire) != cell.confidence.load(Ordering::Acquire)
                && cell.is_shown()
        };
        cells.iter().filter(untold).map(|cell| cell.index).collect()
    }

    /// How fresh a shop is at `now`: `as_of` and how far it can be relied on.
    pub(crate) fn freshness(&self, index: u32, now: TimeMs) -> (Option<TimeMs>, Confidence) {
        self.cell(index)
            .map_or((None, Confidence::Unknown), |cell| {
                let known = cell.known();
                (known.as_of(), known.confidence(now))
            })
    }

    /// How far the hub's own clock is ahead, by the word of the shops that are live; `None` where it is not known to be
    /// wrong.
    pub(crate) fn hub_clock_ahead_ms(&self) -> Option<i64> {
        let cells = self.all().into_iter();
        let live = cells.filter(|cell| cell.confidence() == Confidence::Live);
        freshness::hub_clock_ahead_ms(live.map(|cell| cell.known().health.skew_ms))
    }

    fn look_at(&self, cell: &ShopCell) {
        let now = TimeMs(self.now.load(Ordering::Acquire));
        let looks = cell.look(&cell.known(), now, self.policy);
        self.beats.fetch_add(1, Ordering::AcqRel);
        if looks {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn place(&self, row: &ShopRow) -> Arc<ShopCell> {
        if let Some(cell) = self.cell(row.index) {
            return cell;
        }
        let index = usize::try_from(row.index).unwrap_or(0);
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        if cells.len() <= index {
            cells.resize(index + 1, None);
        }
        let cell = Arc::new(ShopCell::new(row.clone()));
        if let Some(place) = cells.get_mut(index) {
            *place = Some(Arc::clone(&cell));
        }
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    const NOON: TimeMs = TimeMs(1_763_812_800_000);

    fn heard(at: TimeMs) -> Heard {
        Heard {
            exchange: Some(at),
            complete: Some(at),
            source: Some(at),
            source_every_ms: None,
        }
    }

    #[test]
    fn a_silent_shop_turns_stale_by_time_alone_and_its_readers_are_to_be_told_once() {
        let board = Board::default();
        board.load(sample::shop(3, "S003"));
        board.heard(3, heard(NOON), ShopHealth::default());
        assert_eq!(board.look(NOON), [3]);
        board.set(sample::shop(3, "S003"));
        assert_eq!(board.look(NOON.plus(90_000)), [0_u32; 0]);

        let untold = board.look(NOON.plus(90_001));

        assert_eq!(untold, [3]);
        assert_eq!(board.cell(3).unwrap().confidence(), Confidence::Stale);
        assert_eq!(
            board.freshness(3, NOON.plus(90_001)),
            (Some(NOON), Confidence::Stale)
        );
    }

    #[test]
    fn what_is_promised_of_a_silent_shop_is_its_own_word_before_the_chains_and_news() {
        let board = Board::new(Policy {
            stale: Promise::AllBut(2),
            unknown: Promise::Nothing,
        });
        let mut own = sample::shop(1, "S001");
        own.settings.promise_stale = Some(Promise::Nothing);
        let cells = [board.set(sample::shop(0, "S000")), board.set(own)];
        let promised = || [0, 1].map(|at: usize| cells[at].promise());
        assert_eq!(promised(), [Promise::Nothing; 2]);

        board.heard(0, heard(NOON), ShopHealth::default());
        board.heard(1, heard(NOON), ShopHealth::default());
        assert_eq!(promised(), [Promise::All; 2]);
        board.look(NOON.plus(90_001));
        assert_eq!(promised(), [Promise::AllBut(2), Promise::Nothing]);

        let ((_, news), epoch) = (cells[1].versions(), board.epoch());
        board.set(sample::shop(1, "S001"));
        assert_eq!(promised(), [Promise::AllBut(2); 2]);
        assert_eq!(cells[1].versions().1, news + 1);
        assert!(board.epoch() > epoch);
    }

    #[test]
    fn passing_time_changes_the_look_but_is_no_news() {
        let board = Board::default();
        let cell = board.set(sample::shop(0, "S000"));
        board.heard(0, heard(NOON), ShopHealth::default());
        let (looks, news) = cell.versions();
        let epoch = board.epoch();

        board.heard(0, heard(NOON.plus(59_999)), ShopHealth::default());
        assert_eq!((cell.versions(), board.epoch()), ((looks, news), epoch));
        board.heard(0, heard(NOON.plus(60_000)), ShopHealth::default());

        assert_eq!(cell.versions(), (looks + 1, news));
        assert!(board.epoch() > epoch);
        assert_eq!(cell.as_of(), Some(NOON.plus(60_000)));
    }

    #[test]
    fn a_revoked_shop_is_unknown_and_an_unpublished_one_is_not_shown() {
        let board = Board::default();
        let cell = board.set(sample::shop(0, "S000"));
        board.heard(0, heard(NOON), ShopHealth::default());
        assert_eq!(cell.confidence(), Confidence::Live);

        board.set(ShopRow {
            revoked: true,
            publish: false,
            ..sample::shop(0, "S000")
        });

        assert_eq!(
            (cell.confidence(), cell.is_shown()),
            (Confidence::Unknown, false)
        );
    }
}
