//! One receipt line with two contents, or under two names, booked apart: by a restored agent and before it was restored, or
//! by two machines of one shop. Both happened for all anybody knows, so both count, and a person is shown both.

use rusqlite::Connection;
use vitrina_host::when;
use vitrina_shared::{Key, Movement, TimeMs};

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
        let [undo_first, undo_second] = sides.map(|side| cure(side, sides));
        let [first, second] = sides.map(in_words);
        let new = New {
            origin: Origin::Movement(id),
            reason: REASON,
            message: format!(
                "booked twice, and both count: {first}; {second}. If the first never happened: {undo_first}; if the second \
                 never happened: {undo_second}; then drop this"
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

/// The command that takes one of two sides back. What has no receipt is never void: the opposite is booked.
fn cure(side: &Movement, sides: [&Movement; 2]) -> String {
    let barcode = typed(side.scanned_text().as_str());
    let Key::Receipt { receipt, line, .. } = &side.key else {
        let back = -side.qty.units();
        return format!("vitrina-agent move adjustment {barcode} --qty {back}");
    };
    let (receipt, at) = (typed(receipt), when::rfc3339_ms(side.at.0));
    // The unnamed till cannot be said: it stands for the other side's.
    let tills = sides.map(|side| match &side.key {
        Key::Receipt { till, .. } if !till.is_empty() => format!(" --till {}", typed(till)),
        _ => String::new(),
    });
    let till = tills.iter().max().map_or("", String::as_str);
    format!("vitrina-agent move cancel {barcode} --receipt {receipt} --line {line}{till} --at {at}")
}

/// A text as a shell takes it for one word.
fn typed(text: &str) -> String {
    let is_plain = |mark: char| mark.is_alphanumeric() || "-_./".contains(mark);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use vitrina_shared::MovementId;

    #[test]
    fn the_hub_finds_the_record_by_the_movement() {
        let id = MovementId([7; 16]);
        let named = quarantine::id_of(&Origin::Movement(id), REASON);
        assert_eq!(named, id.conflict_record());
    }
}
