//! Opening hours as people and map services write them: `Mo-Fr 10:00-22:00; Sa,Su 11:00-20:00`.
//!
//! The subset of OpenStreetMap's `opening_hours` that shops need: days and ranges of days, one or more ranges of
//! times, `off`, `24/7`; a later rule replaces an earlier one for its days; a range may run past midnight.

use std::fmt;
use std::str::FromStr;

use crate::TimeMs;

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;
const WEEK_MINUTES: i64 = 7 * DAY_MINUTES;
const DAYS: [&str; 7] = ["mo", "tu", "we", "th", "fr", "sa", "su"];

/// When a shop is open; the default is always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// For each day from Monday, the open ranges in minutes from its midnight; `None`: always open.
    week: Option<[Vec<(i64, i64)>; 7]>,
}

/// The text is not of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursError {
    /// The part that was not understood.
    pub part: String,
}

impl fmt::Display for HoursError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not understood; hours look like \"Mo-Fr 10:00-22:00; Sa,Su 11:00-20:00\"",
            self.part
        )
    }
}

impl std::error::Error for HoursError {}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        if matches!(text.trim(), "" | "24/7") {
            return Ok(Self::default());
        }
        let mut week: [Vec<(i64, i64)>; 7] = Default::default();
        for rule in text
            .split(';')
            .map(str::trim)
            .filter(|rule| !rule.is_empty())
        {
            let error = || HoursError { part: rule.into() };
            let (days, times) = match rule.split_once(char::is_whitespace) {
                Some((days, times)) if !days.contains(':') => {
                    (parse_days(days).ok_or_else(error)?, times)
                }
                _ => ([true; 7], rule),
            };
            let ranges = match times.trim() {
                "off" | "closed" => Vec::new(),
                times => times
                    .split(',')
                    .map(|range| parse_range(range.trim()))
                    .collect::<Option<_>>()
                    .ok_or_else(error)?,
            };
            for (day, _) in week.iter_mut().zip(days).filter(|(_, meant)| *meant) {
                day.clone_from(&ranges);
            }
        }
        Ok(Self { week: Some(week) })
    }
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let number = |day: &str| {
        DAYS.iter()
            .position(|known| known.eq_ignore_ascii_case(day.trim()))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        let length = (last + 7 - first) % 7;
        for step in 0..=length {
            *days.get_mut((first + step) % 7)? = true;
        }
    }
    Some(days)
}

fn parse_range(text: &str) -> Option<(i64, i64)> {
    let (from, to) = text.split_once('-')?;
    let minutes = |time: &str| -> Option<i64> {
        let (hour, minute) = time.trim().split_once(':')?;
        let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
        ((0..=24).contains(&hour) && (0..60).contains(&minute) && hour * 60 + minute <= DAY_MINUTES)
            .then_some(hour * 60 + minute)
    };
    let (from, to) = (minutes(from)?, minutes(to)?);
    Some((from, if to <= from { to + DAY_MINUTES } else { to }))
}

impl Hours {
    /// Every open range of one week, in minutes from Monday's midnight; the last may run into the next week.
    fn ranges(week: &[Vec<(i64, i64)>; 7]) -> impl Iterator<Item = (i64, i64)> {
        week.iter().zip(0_i64..).flat_map(|(day, number)| {
            day.iter()
                .map(move |(from, to)| (number * DAY_MINUTES + from, number * DAY_MINUTES + to))
        })
    }

    /// Whether the shop is open at a local time (UTC milliseconds plus the shop's offset).
    pub fn is_open(&self, local: TimeMs) -> bool {
        let Some(week) = &self.week else { return true };
        let minute = minute_of_week(local);
        Self::ranges(week).any(|(from, to)| {
            (from..to).contains(&minute) || (from..to).contains(&(minute + WEEK_MINUTES))
        })
    }

    /// The local time at which the shop will have been open for `open_ms` since a local time. Where it never opens, nobody
    /// can be waited for: the time counts as if it did.
    #[must_use]
    pub fn after(&self, local: TimeMs, open_ms: i64) -> TimeMs {
        let Some(week) = &self.week else {
            return local.plus(open_ms);
        };
        if Self::ranges(week).next().is_none() {
            return local.plus(open_ms);
        }
        let (mut at, mut left) = (local, open_ms);
        while left > 0 {
            if self.is_open(at) {
                let step = left.min(MINUTE_MS - at.0.rem_euclid(MINUTE_MS));
                (at, left) = (at.plus(step), left - step);
            } else {
                at = at.plus(Self::until_opening_ms(week, at));
            }
        }
        at
    }

    /// How long a shop that is shut at a local time stays so.
    fn until_opening_ms(week: &[Vec<(i64, i64)>; 7], local: TimeMs) -> i64 {
        let minute = minute_of_week(local);
        let ahead = Self::ranges(week)
            .map(|(from, _)| (from - minute).rem_euclid(WEEK_MINUTES))
            .filter(|ahead| *ahead > 0)
            .min();
        ahead.unwrap_or(1) * MINUTE_MS - local.0.rem_euclid(MINUTE_MS)
    }

    /// How long it was open between two local times, in milliseconds: what a deadline in opening hours is measured in.
    /// Nothing where the second is not after the first.
    pub fn open_ms(&self, from: TimeMs, to: TimeMs) -> i64 {
        if to <= from {
            return 0;
        }
        let Some(week) = &self.week else {
            return to.since(from);
        };
        // Ranges may overlap, and one past midnight lies partly in the next week.
        let mut ranges: Vec<(i64, i64)> = Self::ranges(week)
            .flat_map(|(from, to)| [(from - WEEK_MINUTES, to - WEEK_MINUTES), (from, to)])
            .map(|(from, to)| (from.max(0), to.min(WEEK_MINUTES)))
            .filter(|(from, to)| from < to)
            .collect();
        ranges.sort_unstable();
        let mut end = 0;
        for range in &mut ranges {
            range.0 = range.0.max(end);
            end = end.max(range.1);
        }
        let upto = |at: TimeMs| {
            let since_monday = at.0 + 3 * DAY_MINUTES * MINUTE_MS;
            let week_ms = WEEK_MINUTES * MINUTE_MS;
            let (weeks, rest) = (
                since_monday.div_euclid(week_ms),
                since_monday.rem_euclid(week_ms),
            );
            let open = |limit: i64| -> i64 {
                ranges
                    .iter()
                    .map(|(from, to)| ((to * MINUTE_MS).min(limit) - from * MINUTE_MS).max(0))
                    .sum()
            };
            weeks * open(week_ms) + open(rest)
        };
        upto(to) - upto(from)
    }

    /// When it is shut at a local time: the local time of the last closing. `None` while it is open, and where it
    /// never opens or never closes.
    pub fn last_closing(&self, local: TimeMs) -> Option<TimeMs> {
        let week = self.week.as_ref()?;
        if self.is_open(local) {
            return None;
        }
        let minute = minute_of_week(local);
        let ago = Self::ranges(week)
            .map(|(_, to)| (minute - to).rem_euclid(WEEK_MINUTES))
            .min()?;
        Some(TimeMs((local.0.div_euclid(MINUTE_MS) - ago) * MINUTE_MS))
    }
}

/// Minutes since Monday's midnight. 1970-01-01 was a Thursday.
fn minute_of_week(local: TimeMs) -> i64 {
    (local.0.div_euclid(MINUTE_MS) + 3 * DAY_MINUTES).rem_euclid(WEEK_MINUTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes after Monday 2025-11-17 00:00, as a local time.
    fn monday(days: i64, hour: i64, minute: i64) -> TimeMs {
        TimeMs(1_763_337_600_000 + ((days * 24 + hour) * 60 + minute) * MINUTE_MS)
    }

    #[test]
    fn days_and_times_are_read_as_written() {
        let hours: Hours = "Mo-Fr 10:00-14:00,15:00-20:00; Sa,Su 11:00-18:00; We off"
            .parse()
            .unwrap();

        assert!(hours.is_open(monday(0, 10, 0)));
        assert!(!hours.is_open(monday(0, 14, 30)));
        assert!(!hours.is_open(monday(2, 12, 0)));
        assert!(hours.is_open(monday(6, 17, 59)));
        assert_eq!(
            hours.last_closing(monday(0, 14, 30)),
            Some(monday(0, 14, 0))
        );
        assert_eq!(hours.last_closing(monday(0, 9, 0)), Some(monday(-1, 18, 0)));
        assert_eq!(hours.last_closing(monday(0, 12, 0)), None);
    }

    #[test]
    fn what_is_waited_for_is_waited_for_while_the_shop_is_open() {
        let hours: Hours = "Mo-Fr 10:00-20:00".parse().unwrap();
        let half_an_hour = 30 * MINUTE_MS;

        let after = |at| hours.after(at, half_an_hour);
        assert_eq!(after(monday(0, 12, 0)), monday(0, 12, 30));
        assert_eq!(after(monday(0, 19, 50)), monday(1, 10, 20));
        assert_eq!(
            after(monday(4, 19, 45).plus(17)),
            monday(7, 10, 15).plus(17)
        );
        assert_eq!(after(monday(5, 23, 59).plus(59_999)), monday(7, 10, 30));
        let at = monday(3, 3, 3);
        assert_eq!(
            Hours::default().after(at, half_an_hour),
            at.plus(half_an_hour)
        );
        let shut: Hours = "Mo-Su off".parse().unwrap();
        assert_eq!(shut.after(at, half_an_hour), at.plus(half_an_hour));
    }

    #[test]
    fn a_range_past_midnight_belongs_to_its_day() {
        let hours: Hours = "Su 20:00-02:00".parse().unwrap();

        assert!(hours.is_open(monday(6, 23, 0)));
        assert!(hours.is_open(monday(7, 1, 59)));
        assert_eq!(hours.last_closing(monday(7, 3, 0)), Some(monday(7, 2, 0)));
    }

    #[test]
    fn only_the_opening_hours_between_two_moments_are_counted() {
        let hours: Hours = "Mo-Fr 10:00-14:00,13:00-20:00; Sa 20:00-02:00; Su off"
            .parse()
            .unwrap();
        let hour = 60 * MINUTE_MS;

        let open = |from, to| hours.open_ms(from, to);
        assert_eq!(open(monday(0, 9, 0), monday(0, 10, 30)), hour / 2);
        assert_eq!(open(monday(0, 19, 0), monday(1, 11, 0)), 2 * hour);
        assert_eq!(open(monday(0, 0, 0), monday(7, 0, 0)), 56 * hour);
        assert_eq!(open(monday(-7, 3, 0), monday(14, 3, 0)), 168 * hour);
        assert_eq!(open(monday(6, 1, 0), monday(6, 5, 0)), hour);
        assert_eq!(open(monday(1, 12, 0), monday(0, 12, 0)), 0);
        let always = Hours::default();
        assert_eq!(always.open_ms(monday(0, 1, 0), monday(0, 3, 0)), 2 * hour);
    }

    #[test]
    fn a_range_past_the_end_of_the_week_is_counted_in_the_next() {
        let hours: Hours = "Su 22:00-04:00".parse().unwrap();

        let open = hours.open_ms(monday(7, 1, 0), monday(7, 9, 0));

        assert_eq!(open, 3 * 60 * MINUTE_MS);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for bad in ["Xx 10:00-12:00", "10-12", "Mo 25:00-26:00", "Mo"] {
            assert!(bad.parse::<Hours>().is_err(), "{bad}");
        }
        assert_eq!("24/7".parse::<Hours>(), Ok(Hours::default()));
    }
}
