//! Balances on their way into the ledger: put down line by line, judged as a whole, applied in short jobs.

use vitrina_host::sign;
use vitrina_shared::registers::{Settings, Warehouse};
use vitrina_shared::{Barcode, Condition, TimeMs};

use super::held;
use super::report::{BadLine, WrongDigits};
use super::{Context, IngestError, Pace, Report, Taken, Unusable};
use crate::core::{Core, now};
use crate::ledger::LedgerError;
use crate::ledger::balances::{self, Progress, Verdict, Wish};
use crate::ledger::quarantine::{self, New, Origin};
use crate::ledger::stage::{self, BalancesFile, Begun, Scope, StageNo, Stated};
use crate::receipt::Invalid;

/// How many codes are looked at together.
const CODES: usize = 5_000;
/// The most warehouses of which a file is remembered to speak.
const MAX_WAREHOUSES: usize = 1_000;

/// Which of a source's warehouses are this shop, and which a file named.
pub(super) struct Warehouses {
    own: Vec<Warehouse>,
    named: Vec<String>,
    is_nameless: bool,
    foreign: Option<String>,
}

/// What a line's warehouse means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This shop.
    Here(Condition),
    /// Another shop's.
    Elsewhere,
}

impl Warehouses {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            own: settings.warehouses.clone(),
            named: Vec::new(),
            is_nameless: false,
            foreign: None,
        }
    }

    /// Where a line lies; what the file names is remembered.
    pub(super) fn place(&mut self, warehouse: Option<&str>) -> Place {
        let Some(id) = warehouse else {
            self.is_nameless = true;
            return Place::Here(Condition::Sellable);
        };
        if !self.named.iter().any(|named| named == id) && self.named.len() < MAX_WAREHOUSES {
            self.named.push(id.to_owned());
        }
        if self.own.is_empty() {
            // Without a map the file's only warehouse is the shop; a second one means that the file is of several.
            if self.named.first().is_some_and(|first| first != id) {
                self.foreign.get_or_insert_with(|| id.to_owned());
            }
            return Place::Here(Condition::Sellable);
        }
        if let Some(own) = self.own.iter().find(|own| own.id == id) {
            return Place::Here(own.condition());
        }
        self.foreign.get_or_insert_with(|| id.to_owned());
        Place::Elsewhere
    }

    /// The first warehouse of another shop that the file spoke of.
    pub(super) fn foreign(&self) -> Option<&str> {
        self.foreign.as_deref()
    }

    /// The conditions that a whole file speaks of: those of the warehouses it names, or all.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let all = vec![Condition::Sellable, Condition::Unavailable];
        if self.own.is_empty() || self.is_nameless && self.named.is_empty() {
            return all;
        }
        let named = |condition: &Condition| {
            self.own
                .iter()
                .any(|own| own.condition() == *condition && self.named.contains(&own.id))
                || (self.is_nameless && *condition == Condition::Sellable)
        };
        all.into_iter().filter(named).collect()
    }
}

/// A balances file that is being put down.
pub(super) struct Staging<'a> {
    context: &'a Context<'a>,
    file: BalancesFile,
    /// Where its lines are put down.
    no: StageNo,
    lines: Vec<Stated>,
    /// Of the next job.
    pace: Pace,
    /// What became of its lines.
    pub(super) report: Report,
}

/// How a file begins.
pub(super) enum Start<'a> {
    /// Its lines are to be read.
    Lines(Staging<'a>),
    /// There is nothing to read: it was taken before, or was read to its end before.
    Ended(Taken),
}

/// The name of a balances file: the same bytes of another time are another file.
fn key(hash: &[u8; 32], at: TimeMs) -> [u8; 32] {
    let mut bytes = hash.to_vec();
    bytes.extend_from_slice(&at.0.to_le_bytes());
    sign::sha256(&bytes)
}

/// The name of its rehearsal, whose lines must not be taken for the file's own.
fn rehearsal_of(key: [u8; 32]) -> [u8; 32] {
    sign::sha256(&[b"rehearsal".as_slice(), &key].concat())
}

impl<'a> Staging<'a> {
    /// Begins a file of the time `at`.
    pub(super) fn begin(context: &'a Context<'a>, at: TimeMs) -> Result<Start<'a>, IngestError> {
        let key = key(&context.hash, at);
        if let Some(state) = context.known(key)?.filter(|state| state.done) {
            return Ok(Start::Ended(Taken::In(context.seen(&state)?)));
        }
        let is_rehearsal = context.wishes.dry_run;
        let file = BalancesFile {
            key: if is_rehearsal { rehearsal_of(key) } else { key },
            name: context.incoming.name.clone(),
            at,
            scope: Scope::Listed,
        };
        loop {
            let begin = file.clone();
            match context
                .core
                .write_background(move |conn| stage::begin(conn, &begin))?
            {
                Begun::Fresh(no) => {
                    return Ok(Start::Lines(Self {
                        context,
                        file,
                        no,
                        lines: Vec::new(),
                        pace: Pace::of(context.core),
                        report: context.report(),
                    }));
                }
                Begun::Ready(no) if !is_rehearsal => {
                    let mut report = context.report();
                    context.recall(&mut report)?;
                    report.counts.quarantined = report.named();
                    return conclude(context, &file, no, report).map(Start::Ended);
                }
                Begun::Ready(no) | Begun::Stale(no) => forget(context.core, no)?,
            }
        }
    }

    /// One line of the file.
    pub(super) fn state(&mut self, stated: Stated) -> Result<(), IngestError> {
        self.lines.push(stated);
        if self.lines.len() >= self.pace.rows {
            self.put_down()
        } else {
            Ok(())
        }
    }

    fn put_down(&mut self) -> Result<(), IngestError> {
        let (no, lines) = (self.no, std::mem::take(&mut self.lines));
        self.context
            .core
            .write_background(move |conn| stage::add(conn, no, &lines, now()))?;
        self.pace = Pace::of(self.context.core);
        Ok(())
    }

    /// A line that cannot be used is set aside.
    pub(super) fn set_aside(
        &mut self,
        line: u64,
        invalid: &Invalid,
        record: &str,
    ) -> Result<(), IngestError> {
        self.report.counts.quarantined += 1;
        self.report.bad(BadLine::new(line, invalid, record));
        if self.context.wishes.dry_run {
            return Ok(());
        }
        let new = New {
            origin: Origin::Line {
                file: self.context.hash,
                line,
            },
            reason: invalid.code,
            message: format!("{}: {}", invalid.field, invalid.message),
            file: Some(self.file.name.clone()),
            line: Some(line),
            record: record.to_owned(),
            retry: String::new(),
        };
        self.context
            .core
            .write_background(move |conn| quarantine::put(conn, &new, now()))?;
        Ok(())
    }

    /// The file was read to its end: it is judged and applied.
    pub(super) fn end(
        mut self,
        scope: &Scope,
        foreign: Option<&str>,
    ) -> Result<Taken, IngestError> {
        self.put_down()?;
        let Self {
            context,
            file,
            no,
            report,
            ..
        } = self;
        let (scope, foreign) = (scope.clone(), foreign.map(str::to_owned));
        context
            .core
            .write_background(move |conn| stage::finish(conn, no, &scope, foreign.as_deref()))?;
        conclude(context, &file, no, report)
    }
}

/// Judges a file that is put down, and does what the verdict says.
fn conclude(
    context: &Context<'_>,
    file: &BalancesFile,
    no: StageNo,
    mut report: Report,
) -> Result<Taken, IngestError> {
    report.add_wrong_digits(wrong_digits(context.core, no)?);
    let wish = Wish {
        opening: context.wishes.opening,
        force: false,
        now: now(),
    };
    if context.wishes.dry_run {
        return rehearse(context, (file, no), wish, report);
    }
    match context.core.ledger().judge_blocking(no, wish)? {
        Verdict::Open | Verdict::Verify | Verdict::State => {
            apply(context.core, no, &mut report)?;
            context.finish(file.key, report.counts, file.at)?;
            Ok(Taken::In(report))
        }
        Verdict::WaitForHub => Ok(Taken::WaitsForHub),
        Verdict::Hold(hold) => {
            held::set_aside(context, file, &hold, &mut report)?;
            Ok(Taken::In(report))
        }
        Verdict::OpenedBefore => {
            forget(context.core, no)?;
            Err(context.incoming.failed(Unusable::OpenedBefore))
        }
        Verdict::Incomplete => Err(incomplete().into()),
    }
}

/// The codes of a file that is put down, whenever it was read.
fn wrong_digits(core: &Core, no: StageNo) -> Result<WrongDigits, LedgerError> {
    let mut wrong = WrongDigits::default();
    let mut after = String::new();
    loop {
        let from = std::mem::take(&mut after);
        let (codes, last) = core.read(move |conn| stage::codes(conn, no, &from, CODES))?;
        for code in &codes {
            wrong.look_at(None, code);
        }
        match last {
            Some(last) => after = last,
            None => return Ok(wrong),
        }
    }
}

/// Says what would become of a file that is put down; nothing of it stays.
fn rehearse(
    context: &Context<'_>,
    (file, no): (&BalancesFile, StageNo),
    wish: Wish,
    mut report: Report,
) -> Result<Taken, IngestError> {
    let rehearsed = context
        .core
        .write_background(move |conn| balances::rehearse(conn, no, wish));
    forget(context.core, no)?;
    let (verdict, progress) = rehearsed?;
    match verdict {
        Verdict::Open | Verdict::Verify | Verdict::State => {
            count(&mut report, &progress);
            Ok(Taken::In(report))
        }
        Verdict::WaitForHub => Ok(Taken::WaitsForHub),
        Verdict::Hold(hold) => {
            held::set_aside(context, file, &hold, &mut report)?;
            Ok(Taken::In(report))
        }
        Verdict::OpenedBefore => Err(context.incoming.failed(Unusable::OpenedBefore)),
        Verdict::Incomplete => Err(incomplete().into()),
    }
}

fn incomplete() -> LedgerError {
    LedgerError::Damaged {
        what: "a balances file that was not put down whole",
    }
}

/// Applies a judged file to its end and takes its lines away.
pub(super) fn apply(core: &Core, no: StageNo, report: &mut Report) -> Result<(), LedgerError> {
    let progress = loop {
        let rows = Pace::of(core).rows;
        let progress = core.write_background(move |conn| balances::apply(conn, no, rows, now()))?;
        if progress.done {
            break progress;
        }
    };
    count(report, &progress);
    forget(core, no)
}

fn count(report: &mut Report, progress: &Progress) {
    report.counts.imported += progress.written;
    report.counts.duplicates += progress.agreed;
    report.disagreements += progress.disagreements;
}

/// Takes a file's lines away, in short jobs.
pub(super) fn forget(core: &Core, no: StageNo) -> Result<(), LedgerError> {
    while !core.write_background(move |conn| stage::forget(conn, no))? {}
    Ok(())
}

/// The first code of several that names a piece: the one whose name is known already, else the first.
pub(super) fn prefer(known: &[Barcode], codes: &[Barcode]) -> Option<Barcode> {
    codes
        .iter()
        .find(|code| known.contains(code))
        .or_else(|| codes.first())
        .or_else(|| known.first())
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warehouses(own: &[(&str, bool)]) -> Warehouses {
        let own = own.iter().map(|(id, unavailable)| Warehouse {
            id: (*id).into(),
            unavailable: *unavailable,
        });
        Warehouses::of(&Settings {
            warehouses: own.collect(),
            ..Settings::default()
        })
    }

    #[test]
    fn without_a_map_the_only_warehouse_is_the_shop() {
        let mut one = warehouses(&[]);
        assert_eq!(one.place(Some("A")), Place::Here(Condition::Sellable));
        assert_eq!(one.foreign(), None);

        one.place(Some("B"));
        assert_eq!(one.foreign(), Some("B"));
    }

    #[test]
    fn a_map_tells_own_from_foreign_and_sellable_from_not() {
        let mut mapped = warehouses(&[("A", false), ("R", true)]);

        assert_eq!(mapped.place(Some("A")), Place::Here(Condition::Sellable));
        assert_eq!(mapped.conditions(), [Condition::Sellable]);
        assert_eq!(mapped.place(Some("R")), Place::Here(Condition::Unavailable));
        assert_eq!(
            mapped.conditions(),
            [Condition::Sellable, Condition::Unavailable]
        );
        assert_eq!(mapped.place(Some("X")), Place::Elsewhere);
        assert_eq!(mapped.foreign(), Some("X"));
    }

    #[test]
    fn a_known_code_is_kept_when_a_piece_has_several() {
        let codes: Vec<Barcode> = ["1", "2"]
            .iter()
            .map(|code| code.parse().unwrap())
            .collect();
        assert_eq!(prefer(&[], &codes), Some(codes[0].clone()));
        assert_eq!(prefer(&codes[1..], &codes), Some(codes[1].clone()));
        assert_eq!(prefer(&codes[1..], &[]), Some(codes[1].clone()));
    }
}
