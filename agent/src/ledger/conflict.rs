//! One receipt line with two contents, or under two names, booked apart: by a restored agent and before it was restored, or
//! by two machines of one shop. Both happened for all anybody knows, so both count, and a person is shown both.

use rusqlite::Connection;
use vitrina_host::when;
use vitrina_shared::{Movement, TimeMs};

use super::booking::is_same_count;
use super::log::Names;
use super::quarantine::{self, New, Origin};
use super::{LedgerError, found, other_name, state};

/// The code of such an entry; a line that is refused at the entry has it too.
const REASON: &str = "receipt_conflict";

/// A movement came from elsewhere: says so where it contradicts one that is here.
pub(super) fn note(
    conn: &Connection,
    movement: &Movement,
    names: &Names,
    now: TimeMs,
) -> Result<(), LedgerError> {
    let Some(key) = names.key else {
        return Ok(());
    };
    let mut others = found::by_key(conn, key)?;
    if let Some(shop) = state::shop(conn)? {
        let is_like = |held: &Movement| other_name::is_like(held, movement);
        others.extend(other_name::find(conn, &shop, movement, is_like)?);
    }
    for other in others {
        if other.id == names.id || !other.counts || is_same_count(&other.movement, movement) {
            continue;
        }
        // The same entry whichever of the two came last.
        let (id, sides) = if other.id < names.id {
            (names.id, [&other.movement, movement])
        } else {
            (other.id, [movement, &other.movement])
        };
        let [first, second] = sides.map(in_words);
        let new = New {
            origin: Origin::Movement(id),
            reason: REASON,
            message: format!(
                "booked twice, and both count: {first}; {second}. Where one never happened, take it \
                 back (vitrina-agent move cancel --receipt R --line N --at T takes back the later one); then drop this"
            ),
            file: None,
            line: None,
            record: format!("{first}\n{second}"),
            retry: String::new(),
        };
        quarantine::put(conn, &new, now)?;
    }
    Ok(())
}

fn in_words(movement: &Movement) -> String {
    format!(
        "{} of {}, {} units at {}",
        movement.kind,
        movement.scanned_text(),
        movement.qty.units(),
        when::rfc3339_ms(movement.at.0)
    )
}
