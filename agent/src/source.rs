//! The rules of balances files: what opens, what verifies, what states, and what is held back. Pure.

use vitrina_shared::TimeMs;

/// Clocks of the shop's 1C and of its tills may differ by so much.
pub(crate) const CLOCK_TOLERANCE_MS: i64 = 120_000;

/// A file that speaks of a time further ahead is held back.
pub(crate) const AHEAD_MS: i64 = 600_000;

/// A file that takes away or adds fewer units than this is never held back for it.
const FEW_UNITS: i64 = 10;

/// What a file would do to the shop's units, row by row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Units in the shop now.
    pub(crate) units: i64,
    /// Units that the file takes away.
    pub(crate) takes_away: i64,
    /// Units that it adds.
    pub(crate) adds: i64,
}

/// Why a file is held back until a person confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It would take away more than a fifth of the shop's units.
    TakesAway {
        /// So many units.
        units: i64,
        /// Of so many.
        of: i64,
    },
    /// It would more than double the shop's units.
    Doubles {
        /// So many units more.
        units: i64,
        /// Than so many.
        of: i64,
    },
    /// It speaks of another shop's warehouse.
    ForeignWarehouse(String),
    /// It speaks of a time ahead.
    Ahead {
        /// By so many milliseconds.
        ms: i64,
    },
    /// It states more units of a barcode than one movement may carry.
    TooMany {
        /// The barcode.
        barcode: String,
    },
}

/// Whether a file is suspicious by its weight alone.
pub(crate) fn weigh(weight: Weight) -> Option<Hold> {
    let Weight {
        units,
        takes_away,
        adds,
    } = weight;
    if takes_away >= FEW_UNITS && takes_away.saturating_mul(5) > units {
        return Some(Hold::TakesAway {
            units: takes_away,
            of: units,
        });
    }
    if adds >= FEW_UNITS && adds > units {
        return Some(Hold::Doubles {
            units: adds,
            of: units,
        });
    }
    None
}

/// Whether a file's time is too far ahead.
pub(crate) fn ahead(at: TimeMs, now: TimeMs) -> Option<Hold> {
    let ms = at.since(now);
    (ms > AHEAD_MS).then_some(Hold::Ahead { ms })
}

/// How a file speaks of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// It lists it.
    Listed,
    /// It is the whole of the shop and does not list it: 0.
    Silent,
}

/// What was said of a row before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// The time of which the last file spoke, and how.
    pub(crate) spoken: Option<(TimeMs, Speech)>,
    /// The statement that counts: its time and quantity.
    pub(crate) counts: Option<(TimeMs, i64)>,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// Something later is known, or this time has spoken for the row.
    Nothing,
    /// It is what counts already.
    Agrees,
    /// It is written, of this time.
    Write(TimeMs),
}

/// What a file of the time `at` does to a row of a shop whose 1C keeps the books.
///
/// What a file is silent about stands one millisecond before what it lists: a further part of the same package, which
/// does list it, is later.
pub(crate) fn say(at: TimeMs, speech: Speech, qty: i64, before: &Before) -> Say {
    let has_spoken = match before.spoken {
        Some((spoken, _)) if spoken > at => true,
        Some((spoken, how)) => spoken == at && (how == Speech::Listed || speech == Speech::Silent),
        None => false,
    };
    if has_spoken {
        return Say::Nothing;
    }
    let own_time = match speech {
        Speech::Listed => at,
        Speech::Silent => at.plus(-1),
    };
    match before.counts {
        Some((_, known)) if known == qty => Say::Agrees,
        Some((counts, _)) if counts >= own_time => Say::Nothing,
        None if qty == 0 => Say::Agrees,
        _ => Say::Write(own_time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TimeMs = TimeMs(1_000_000);

    fn weight(units: i64, takes_away: i64, adds: i64) -> Weight {
        Weight {
            units,
            takes_away,
            adds,
        }
    }

    #[test]
    fn more_than_a_fifth_and_at_least_ten_is_held() {
        assert_eq!(weigh(weight(50, 10, 0)), None, "exactly a fifth");
        assert_eq!(weigh(weight(40, 9, 0)), None, "fewer than ten");
        assert_eq!(
            weigh(weight(49, 10, 0)),
            Some(Hold::TakesAway { units: 10, of: 49 })
        );
        assert_eq!(weigh(weight(10, 0, 10)), None, "exactly doubled");
        assert_eq!(
            weigh(weight(10, 0, 11)),
            Some(Hold::Doubles { units: 11, of: 10 })
        );
    }

    #[test]
    fn a_time_more_than_ten_minutes_ahead_is_held() {
        assert_eq!(ahead(T.plus(600_000), T), None);
        assert_eq!(ahead(T.plus(600_001), T), Some(Hold::Ahead { ms: 600_001 }));
    }

    #[test]
    fn a_statement_is_written_only_where_it_differs() {
        let nothing = Before {
            spoken: None,
            counts: None,
        };
        assert_eq!(say(T, Speech::Listed, 5, &nothing), Say::Write(T));
        assert_eq!(say(T, Speech::Listed, 0, &nothing), Say::Agrees);

        let known = Before {
            spoken: Some((T, Speech::Listed)),
            counts: Some((T, 5)),
        };
        assert_eq!(say(T.plus(60_000), Speech::Listed, 5, &known), Say::Agrees);
        assert_eq!(
            say(T.plus(60_000), Speech::Listed, 4, &known),
            Say::Write(T.plus(60_000))
        );
        assert_eq!(say(T.plus(-1), Speech::Listed, 4, &known), Say::Nothing);
    }

    #[test]
    fn a_second_part_of_one_time_speaks_only_for_what_the_first_did_not_list() {
        let listed = Before {
            spoken: Some((T, Speech::Listed)),
            counts: Some((T, 5)),
        };
        assert_eq!(say(T, Speech::Listed, 4, &listed), Say::Nothing);
        assert_eq!(say(T, Speech::Silent, 0, &listed), Say::Nothing);

        let silent = Before {
            spoken: Some((T, Speech::Silent)),
            counts: Some((T.plus(-1), 0)),
        };
        assert_eq!(say(T, Speech::Listed, 4, &silent), Say::Write(T));
    }
}
