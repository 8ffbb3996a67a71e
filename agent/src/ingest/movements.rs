//! Movements files: each line is booked, or is here already, or is set aside.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use vitrina_host::csv::{BadReason, CsvReader, Line};
use vitrina_host::say;

use super::line::LineText;
use super::report::{self, BadLine, WrongDigits};
use super::{Context, IngestError, Pace, Report, half};
use crate::core::now;
use crate::ledger::file::{self, Counts};
use crate::ledger::quarantine::{self, New, Origin};
use crate::ledger::{self, Desk, Force, LedgerError, Outcome, Refusal, state};
use crate::receipt::{Act, Invalid, Otherwise, Shop};

/// The most lines that are read ahead of the ledger.
const CHUNK: usize = 400;
/// The same, when nothing is kept: the larger the chunk, the more repeats are seen.
const CHUNK_DRY: usize = 5_000;
/// Said once in the life of a ledger.
const NO_RECEIPT: &str = "file_lines_without_receipt";

/// A line as it was read.
struct ReadLine {
    line: u64,
    raw: String,
    text: Result<LineText, BadReason>,
}

/// What became of some lines.
#[derive(Default)]
struct Applied {
    counts: Counts,
    bad: Vec<BadLine>,
    /// Lines for which the job had no more time.
    rest: Vec<ReadLine>,
    has_no_receipt: bool,
    wrong_digits: WrongDigits,
}

/// What each job needs to know of the file.
#[derive(Clone)]
struct OfFile {
    hash: [u8; 32],
    name: String,
    dry_run: bool,
}

/// Takes a checked file.
pub(super) fn take(context: &Context<'_>) -> Result<Report, IngestError> {
    let known = context.known(context.hash)?;
    if let Some(state) = known.as_ref().filter(|state| state.done) {
        return Ok(context.seen(state)?);
    }
    let position = known.as_ref().map_or(0, |state| state.position);
    let mut report = context.report();
    if position > 0 {
        context.recall(&mut report)?;
    }
    report::add(
        &mut report.counts,
        known.map(|state| state.counts).unwrap_or_default(),
    );
    let incoming = context.incoming;
    let of_file = OfFile {
        hash: context.hash,
        name: incoming.name.clone(),
        dry_run: context.wishes.dry_run,
    };
    // The same for all lines: a till that is first heard of meanwhile must not change what the others mean.
    let tills = context.core.read(Shop::of)?.tills;
    let mut reader =
        CsvReader::open(incoming.rewound()?).map_err(|error| incoming.failed(error))?;
    loop {
        let mut lines = read_chunk(
            &mut reader,
            position,
            if of_file.dry_run { CHUNK_DRY } else { CHUNK },
        )
        .map_err(|error| incoming.failed(error))?;
        if lines.is_empty() {
            break;
        }
        while !lines.is_empty() {
            let applied = apply(context, &of_file, &tills, lines)?;
            note(context, &mut report, &applied)?;
            report.add_wrong_digits(applied.wrong_digits);
            report::add(&mut report.counts, applied.counts);
            applied.bad.into_iter().for_each(|bad| report.bad(bad));
            lines = applied.rest;
        }
    }
    context.finish(context.hash, Counts::default(), incoming.modified)?;
    Ok(report)
}

fn read_chunk<R: std::io::Read>(
    reader: &mut CsvReader<R>,
    position: u64,
    most: usize,
) -> Result<Vec<ReadLine>, vitrina_host::csv::CsvError> {
    let mut lines = Vec::new();
    while lines.len() < most
        && let Some(line) = reader.next_line()?
    {
        let read = match line {
            Line::Row(row) => ReadLine {
                line: row.line(),
                raw: row.raw().to_owned(),
                text: Ok(LineText::of(&row)),
            },
            Line::Bad(bad) => ReadLine {
                line: bad.line,
                raw: bad.raw.to_owned(),
                text: Err(bad.reason),
            },
        };
        if read.line > position {
            lines.push(read);
        }
    }
    Ok(lines)
}

fn apply(
    context: &Context<'_>,
    of_file: &OfFile,
    tills: &[String],
    lines: Vec<ReadLine>,
) -> Result<Applied, LedgerError> {
    let (of_file, zone, tills) = (of_file.clone(), context.zone.clone(), tills.to_vec());
    let time = Pace::of(context.core).time;
    context.core.write_background(move |conn| {
        let own = state::shop(conn)?;
        let shop = Shop { zone, tills, own };
        if of_file.dry_run {
            return ledger::rehearse(conn, |conn| {
                run(conn, &of_file, &shop, (lines, Duration::MAX))
            });
        }
        run(conn, &of_file, &shop, (lines, time))
    })
}

/// One job: as many lines as it has time for, and the file's position with them.
fn run(
    conn: &Connection,
    of_file: &OfFile,
    shop: &Shop,
    (lines, time): (Vec<ReadLine>, Duration),
) -> Result<Applied, LedgerError> {
    let started = Instant::now();
    let mut desk = Desk::open(conn, now())?;
    let mut applied = Applied::default();
    let mut position = None;
    let mut lines = lines.into_iter();
    for line in lines.by_ref() {
        position = Some(line.line);
        one(&mut desk, of_file, shop, &line, &mut applied)?;
        if started.elapsed() >= time {
            break;
        }
    }
    applied.rest = lines.collect();
    if let Some(position) = position {
        file::advance(
            conn,
            &of_file.hash,
            &of_file.name,
            (position, &applied.counts),
            now(),
        )?;
    }
    Ok(applied)
}

fn one(
    desk: &mut Desk<'_>,
    of_file: &OfFile,
    shop: &Shop,
    line: &ReadLine,
    applied: &mut Applied,
) -> Result<(), LedgerError> {
    let act = match &line.text {
        Ok(text) => act(text, of_file, shop, line.line, applied),
        Err(reason) => Err(Invalid::new(reason.code(), "line", reason.to_string())),
    };
    let act = match act {
        Ok(act) => act,
        Err(invalid) => return set_aside(desk, of_file, line, (&invalid, None), applied),
    };
    match act.perform(desk)? {
        Outcome::Booked(_) => applied.counts.imported += 1,
        Outcome::Duplicate(_) => applied.counts.duplicates += 1,
        Outcome::Refused(refusal) => {
            let invalid = Invalid::new(refusal.code(), "line", in_words(&refusal));
            set_aside(desk, of_file, line, (&invalid, Some(&act)), applied)?;
        }
    }
    Ok(())
}

fn act(
    text: &LineText,
    of_file: &OfFile,
    shop: &Shop,
    line: u64,
    applied: &mut Applied,
) -> Result<Act, Invalid> {
    let said = text.said(shop, &of_file.name, Force::Rules)?;
    applied.has_no_receipt |= said.receipt.is_none();
    if let Some(code) = &said.code {
        applied.wrong_digits.look_at(Some(line), code);
    }
    said.act(
        shop,
        now(),
        Otherwise::FileLine {
            file: half(&of_file.hash),
            line,
        },
    )
}

fn set_aside(
    desk: &mut Desk<'_>,
    of_file: &OfFile,
    line: &ReadLine,
    (invalid, act): (&Invalid, Option<&Act>),
    applied: &mut Applied,
) -> Result<(), LedgerError> {
    let of_movement = match act {
        Some(Act::Book(booking)) => desk.movement_id(booking)?.map(Origin::Movement),
        _ => None,
    };
    let retry = line
        .text
        .as_ref()
        .ok()
        .map(|text| super::retry::of_line(of_file.hash, line.line, text));
    let new = New {
        origin: of_movement.unwrap_or(Origin::Line {
            file: of_file.hash,
            line: line.line,
        }),
        reason: invalid.code,
        message: format!("{}: {}", invalid.field, invalid.message),
        file: Some(of_file.name.clone()),
        line: Some(line.line),
        record: line.raw.clone(),
        retry: retry.unwrap_or_default(),
    };
    quarantine::put(desk.conn(), &new, now())?;
    applied.counts.quarantined += 1;
    applied
        .bad
        .push(BadLine::new(line.line, invalid, &line.raw));
    Ok(())
}

/// A refusal for people.
pub(super) fn in_words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Conflict(existing) => existing.to_string(),
        Refusal::VoidedBefore { .. } => "this very movement was cancelled".to_owned(),
        Refusal::BeforeOpening { opened } => format!(
            "it lies before the opening of {} and is inside it; quarantine retry --force books it all the same",
            vitrina_host::when::rfc3339_ms(opened.0)
        ),
        Refusal::SourceIsBalances => {
            "the shop's 1C keeps the books of this shop; movements are not taken".to_owned()
        }
        Refusal::Qty => "no quantity that this type can have".to_owned(),
        Refusal::Internal(kind) => format!("{kind} is not accepted from outside"),
        Refusal::NothingToCancel => "there is no such receipt line to cancel".to_owned(),
        Refusal::Time => "the time is outside the years 1 to 9999".to_owned(),
        Refusal::TooLong => "the texts are too long".to_owned(),
        // Never of a file: what it says has happened.
        Refusal::Held(_)
        | Refusal::HoldNotOpen(_)
        | Refusal::OtherPiece(_)
        | Refusal::UnknownHold => "it is held for a web order".to_owned(),
    }
}

/// What is said beside the counts, once each.
fn note(context: &Context<'_>, report: &mut Report, applied: &Applied) -> Result<(), LedgerError> {
    let lang = report.lang();
    if !applied.has_no_receipt
        || context.wishes.dry_run
        || context.core.read(|conn| state::flag(conn, NO_RECEIPT))?
    {
        return Ok(());
    }
    context
        .core
        .write_background(|conn| state::set_flag(conn, NO_RECEIPT))?;
    report.note(say!(
        lang,
        "lines without a receipt are protected from counting twice by their file only: give receipt and line",
        "строки без номера чека защищены от повторного учёта только своим файлом: укажите чек и строку"
    ));
    Ok(())
}
