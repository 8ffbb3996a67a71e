//! How old an answer is, and what may be promised on it.

use serde::{Deserialize, Serialize};

use crate::TimeMs;
use crate::hours::Hours;

/// A shop without a finished exchange for so long is stale.
pub const SILENCE_MS: i64 = 90_000;

/// A clock is wrong from so much on: no line and no two clocks that are set differ by as much.
pub const WRONG_CLOCK_MS: i64 = 10 * 60_000;

/// Fewer shops do not tell whose clock is the wrong one.
const WITNESSES: usize = 3;

/// How far a level can be relied on. Ordered: more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Never heard from in this life of the hub: not promised.
    Unknown,
    /// Silent, or its 1C is; the number still stands.
    Stale,
    /// Outside opening hours and complete up to closing: as good as live.
    Closed,
    /// Complete a moment ago.
    Live,
}

impl Confidence {
    /// The word of the public interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Stale => "stale",
            Self::Closed => "closed",
            Self::Live => "live",
        }
    }

    /// 0 to 3, as on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The confidence of a number; an unknown one is [`Confidence::Unknown`].
    pub fn of_number(number: u8) -> Self {
        match number {
            3 => Self::Live,
            2 => Self::Closed,
            1 => Self::Stale,
            _ => Self::Unknown,
        }
    }
}

/// What the hub knows of a shop's freshness. All times by the hub's clock, or corrected to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The last finished exchange in this life of the hub.
    pub exchange: Option<TimeMs>,
    /// The agent's log is complete at the hub up to here: the last exchange that left nothing pending.
    pub complete: Option<TimeMs>,
    /// The shop's 1C last proved itself.
    pub source: Option<TimeMs>,
    /// How often it should; none: never overdue.
    pub source_every_ms: Option<i64>,
}

/// How far the shop's levels can be relied on at `now`.
///
/// `tz_offset_ms` is the shop's offset from UTC at `now`.
pub fn confidence(heard: &Heard, hours: &Hours, now: TimeMs, tz_offset_ms: i64) -> Confidence {
    let Some(exchange) = heard.exchange else {
        return Confidence::Unknown;
    };
    let local = now.plus(tz_offset_ms);
    if let Some(closing) = hours.last_closing(local) {
        // Outside the hours nothing is sold: complete up to closing is complete.
        let closing = closing.plus(-tz_offset_ms);
        let source_done = heard.source_every_ms.is_none_or(|every| {
            heard
                .source
                .is_some_and(|source| source >= closing.plus(-(every + every / 2)))
        });
        if heard.complete.is_some_and(|complete| complete >= closing) && source_done {
            return Confidence::Closed;
        }
        return if is_recent(exchange, now) && source_done {
            Confidence::Live
        } else {
            Confidence::Stale
        };
    }
    let silent = !is_recent(exchange, now);
    let overdue = heard.source_every_ms.is_some_and(|every| {
        heard
            .source
            .is_none_or(|source| now.since(source) > every + every / 2)
    });
    if silent || overdue {
        Confidence::Stale
    } else {
        Confidence::Live
    }
}

/// Whether an exchange was a moment ago. One of the future was heard by a hub's clock that has been set back since: when
/// that was nobody knows.
fn is_recent(exchange: TimeMs, now: TimeMs) -> bool {
    (-SILENCE_MS..=SILENCE_MS).contains(&now.since(exchange))
}

/// How long ago something was, in milliseconds; none where the hub's clock has been set back since and nobody knows.
pub fn age_ms(at: TimeMs, now: TimeMs) -> Option<i64> {
    Some(now.since(at))
        .filter(|age| *age >= -SILENCE_MS)
        .map(|age| age.max(0))
}

/// The moment up to which the shop is known: the earlier of what its log and its 1C prove. None where either never
/// did.
pub fn as_of(heard: &Heard) -> Option<TimeMs> {
    Some(heard.complete?.min(heard.source?))
}

/// How far the hub's own clock is ahead (negative: behind) by the word of its shops: more than half of them differ from it by
/// [`WRONG_CLOCK_MS`] in the same direction. `skews` are the shops' clocks less the hub's.
pub fn hub_clock_ahead_ms(skews: impl IntoIterator<Item = i64>) -> Option<i64> {
    let mut skews: Vec<i64> = skews.into_iter().collect();
    if skews.len() < WITNESSES {
        return None;
    }
    skews.sort_unstable();
    // Of an even number the one nearer to right: an alarm is to be sure.
    let middle = [skews.len() / 2, (skews.len() - 1) / 2];
    let median = middle
        .iter()
        .filter_map(|place| skews.get(*place))
        .copied()
        .min_by_key(|skew| skew.unsigned_abs())?;
    (median.unsigned_abs() >= WRONG_CLOCK_MS.unsigned_abs()).then(|| median.saturating_neg())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: TimeMs = TimeMs(1_763_812_800_000); // Saturday 2025-11-22 12:00 UTC

    fn heard(exchange_ago: i64, source_ago: Option<i64>) -> Heard {
        Heard {
            exchange: Some(NOON.plus(-exchange_ago)),
            complete: Some(NOON.plus(-exchange_ago)),
            source: source_ago.map(|ago| NOON.plus(-ago)),
            source_every_ms: None,
        }
    }

    #[test]
    fn a_shop_never_heard_from_is_unknown_and_a_silent_one_stale() {
        let always = Hours::default();

        assert_eq!(
            confidence(&Heard::default(), &always, NOON, 0),
            Confidence::Unknown
        );
        assert_eq!(
            confidence(&heard(90_000, None), &always, NOON, 0),
            Confidence::Live
        );
        assert_eq!(
            confidence(&heard(90_001, None), &always, NOON, 0),
            Confidence::Stale
        );
    }

    #[test]
    fn what_was_heard_by_a_clock_that_was_set_back_since_is_not_live() {
        let always = Hours::default();

        assert_eq!(
            confidence(&heard(-90_001, None), &always, NOON, 0),
            Confidence::Stale
        );
        assert_eq!(
            confidence(&heard(-5_000, None), &always, NOON, 0),
            Confidence::Live
        );
        assert_eq!(age_ms(NOON.plus(-5), NOON), Some(5));
        assert_eq!(age_ms(NOON.plus(5), NOON), Some(0));
        assert_eq!(age_ms(NOON.plus(90_001), NOON), None);
    }

    #[test]
    fn a_source_is_overdue_only_where_its_rhythm_is_set() {
        let always = Hours::default();
        let silent_source = heard(0, None);

        assert_eq!(
            confidence(&silent_source, &always, NOON, 0),
            Confidence::Live
        );
        assert_eq!(
            confidence(
                &Heard {
                    source_every_ms: Some(60_000),
                    ..silent_source
                },
                &always,
                NOON,
                0
            ),
            Confidence::Stale
        );
        let half_late = Heard {
            source_every_ms: Some(60_000),
            ..heard(0, Some(90_000))
        };
        assert_eq!(confidence(&half_late, &always, NOON, 0), Confidence::Live);
        assert_eq!(as_of(&silent_source), None);
    }

    #[test]
    fn a_shut_shop_that_was_complete_at_closing_is_as_good_as_live() {
        let hours: Hours = "Mo-Fr 10:00-20:00; Sa 09:00-11:00".parse().unwrap();
        let closed_at = 3_600_000;

        assert_eq!(
            confidence(&heard(closed_at - 1, Some(0)), &hours, NOON, 0),
            Confidence::Closed
        );
        assert_eq!(
            confidence(&heard(closed_at + 1, Some(0)), &hours, NOON, 0),
            Confidence::Stale
        );
    }

    #[test]
    fn most_shops_know_better_than_the_hub_and_a_few_do_not() {
        const DAY: i64 = 86_400_000;

        assert_eq!(hub_clock_ahead_ms([-DAY, -DAY + 5, -DAY - 5]), Some(DAY));
        assert_eq!(hub_clock_ahead_ms([DAY, DAY, DAY, 0]), Some(-DAY));
        assert_eq!(hub_clock_ahead_ms([DAY, DAY, 0, 0]), None);
        assert_eq!(hub_clock_ahead_ms([DAY, 0, -DAY]), None);
        assert_eq!(hub_clock_ahead_ms([DAY, DAY]), None);
        assert_eq!(hub_clock_ahead_ms([i64::MIN; 3]), Some(i64::MAX));
        assert_eq!(hub_clock_ahead_ms([]), None);
    }
}
