//! A record in quarantine, tried again or dropped.

use serde::{Deserialize, Serialize};
use vitrina_host::sign;
use vitrina_shared::TimeMs;

use super::line::LineText;
use super::movements::in_words;
use super::staging;
use super::{Report, half, held};
use crate::core::{Core, now};
use crate::ledger::balances::{Verdict, Wish};
use crate::ledger::quarantine::{self, Entry, Origin, State};
use crate::ledger::stage::{self, BalancesFile, Begun, Scope, StageNo};
use crate::ledger::{Desk, Force, LedgerError, Outcome, file, state};
use crate::receipt::{Otherwise, Shop};
use vitrina_host::output::Lang;

/// What is needed to try again.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Again {
    /// A line of a movements file.
    Line {
        file: String,
        line: u64,
        text: Box<LineText>,
    },
    /// A balances file whose lines are put down.
    File {
        key: String,
        name: String,
        at: i64,
        opening: bool,
    },
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Retried {
    /// It is in the ledger.
    Booked,
    /// It is still set aside, for this reason.
    Still(String),
    /// There is no open entry of this name.
    NotOpen,
}

/// The line as its entry keeps it.
pub(super) fn of_line(file: [u8; 32], line: u64, text: &LineText) -> String {
    let again = Again::Line {
        file: sign::hex(&file),
        line,
        text: Box::new(text.clone()),
    };
    serde_json::to_string(&again).unwrap_or_default()
}

/// Whether an entry is a line of the file with this hash.
pub(super) fn is_line_of(entry: &Entry, hash: &[u8; 32]) -> bool {
    let is_by_place = entry.line.is_some_and(|line| {
        let origin = Origin::Line { file: *hash, line };
        quarantine::id_of(&origin, &entry.reason) == entry.id
    });
    is_by_place
        || matches!(serde_json::from_str(&entry.retry), Ok(Again::Line { file, .. }) if file == sign::hex(hash))
}

/// The file as its entry keeps it.
pub(super) fn of_file(file: &BalancesFile, opening: bool) -> String {
    let again = Again::File {
        key: sign::hex(&file.key),
        name: file.name.clone(),
        at: file.at.0,
        opening,
    };
    serde_json::to_string(&again).unwrap_or_default()
}

/// Tries an entry again; with `force` even though a rule holds it back.
///
/// # Errors
///
/// [`LedgerError`]; the entry is as it was.
pub(crate) fn retry(core: &Core, id: [u8; 16], force: Force) -> Result<Retried, LedgerError> {
    let Some(entry) = open_entry(core, id)? else {
        return Ok(Retried::NotOpen);
    };
    match serde_json::from_str(&entry.retry) {
        Ok(Again::Line { file, line, text }) => {
            let hash = sign::from_hex(&file).unwrap_or_default();
            core.write_blocking(move |conn| {
                let retried = line_again(conn, &entry, (hash, line, &text), force)?;
                settle(conn, id, &retried)?;
                Ok(retried)
            })
        }
        Ok(Again::File {
            key,
            name,
            at,
            opening,
        }) => {
            let key = sign::from_hex(&key).unwrap_or_default();
            let balances = BalancesFile {
                key,
                name,
                at: TimeMs(at),
                scope: Scope::Listed,
            };
            let wish = Wish {
                opening,
                force: force == Force::Anyway,
                now: now(),
            };
            let retried = file_again(core, &balances, wish)?;
            let settled = retried.clone();
            core.write_blocking(move |conn| settle(conn, id, &settled))?;
            Ok(retried)
        }
        // Both sides of it are booked: there is nothing to try.
        Err(_) if entry.retry.is_empty() && entry.file.is_none() => {
            Ok(Retried::Still(entry.message))
        }
        Err(_) => Ok(Retried::Still(format!(
            "{}: it cannot be read as it is; set it right at its source and send it again, or drop it",
            entry.reason
        ))),
    }
}

/// Drops an entry. Whether it was open.
///
/// # Errors
///
/// [`LedgerError`]; the entry is as it was.
pub(crate) fn drop_entry(core: &Core, id: [u8; 16]) -> Result<bool, LedgerError> {
    let Some(entry) = open_entry(core, id)? else {
        return Ok(false);
    };
    if let Ok(Again::File { key, name, at, .. }) = serde_json::from_str(&entry.retry) {
        let key = sign::from_hex(&key).unwrap_or_default();
        if let Some(no) = staged(
            core,
            &BalancesFile {
                key,
                name,
                at: TimeMs(at),
                scope: Scope::Listed,
            },
        )? {
            staging::forget(core, no)?;
        }
    }
    core.write_blocking(move |conn| quarantine::set_state(conn, &id, State::Dropped))
}

fn open_entry(core: &Core, id: [u8; 16]) -> Result<Option<Entry>, LedgerError> {
    let entry = core.read(move |conn| quarantine::get(conn, &id))?;
    Ok(entry.filter(|entry| entry.state == State::Open))
}

fn settle(conn: &rusqlite::Connection, id: [u8; 16], retried: &Retried) -> Result<(), LedgerError> {
    match retried {
        Retried::Booked => quarantine::set_state(conn, &id, State::Booked).map(drop),
        Retried::Still(message) => quarantine::set_message(conn, &id, message),
        Retried::NotOpen => Ok(()),
    }
}

fn line_again(
    conn: &rusqlite::Connection,
    entry: &Entry,
    (hash, line, text): ([u8; 32], u64, &LineText),
    force: Force,
) -> Result<Retried, LedgerError> {
    let shop = Shop::of(conn)?;
    let name = entry.file.as_deref().unwrap_or_default();
    let otherwise = Otherwise::FileLine {
        file: half(&hash),
        line,
    };
    let act = match text
        .said(&shop, name, force)
        .and_then(|said| said.act(&shop, now(), otherwise))
    {
        Ok(act) => act,
        Err(invalid) => {
            return Ok(Retried::Still(format!(
                "{}: {}",
                invalid.field, invalid.message
            )));
        }
    };
    Ok(match act.perform(&mut Desk::open(conn, now())?)? {
        Outcome::Booked(_) | Outcome::Duplicate(_) => Retried::Booked,
        Outcome::Refused(refusal) => Retried::Still(in_words(&refusal)),
    })
}

/// Where the file's lines are put down, if they still are.
fn staged(core: &Core, balances: &BalancesFile) -> Result<Option<StageNo>, LedgerError> {
    let find = balances.clone();
    match core.write_background(move |conn| stage::begin(conn, &find))? {
        Begun::Ready(no) => Ok(Some(no)),
        Begun::Fresh(no) | Begun::Stale(no) => {
            staging::forget(core, no)?;
            Ok(None)
        }
    }
}

fn file_again(core: &Core, balances: &BalancesFile, wish: Wish) -> Result<Retried, LedgerError> {
    let gone = || Retried::Still("its lines are not here any more: drop the file again".to_owned());
    let Some(no) = staged(core, balances)? else {
        return Ok(gone());
    };
    match core.ledger().judge_blocking(no, wish)? {
        Verdict::Open | Verdict::Verify | Verdict::State => {
            let mut report = Report::new(&balances.name, Lang::En);
            staging::apply(core, no, &mut report)?;
            let BalancesFile { key, name, at, .. } = balances.clone();
            core.write_background(move |conn| {
                file::advance(conn, &key, &name, (0, &report.counts), now())?;
                file::finish(conn, &key, now())?;
                state::heartbeat(conn, at.min(now()))
            })?;
            Ok(Retried::Booked)
        }
        Verdict::Hold(hold) => Ok(Retried::Still(format!(
            "{}; quarantine retry --force takes it all the same",
            held::in_words(&hold, Lang::En)
        ))),
        Verdict::WaitForHub => Ok(Retried::Still(
            "it waits until the hub has shown what it holds of the shop".to_owned(),
        )),
        Verdict::OpenedBefore => Ok(Retried::Still(
            "the log is opened already; only one opening counts".to_owned(),
        )),
        Verdict::Incomplete => Ok(gone()),
    }
}
