//! Tables that name barcodes: `external_id;barcode`, and a shop's own catalogue with both.

use vitrina_host::csv::{Column, CsvReader, Line};
use vitrina_host::say;
use vitrina_shared::Barcode;

use super::line::barcode;
use super::report::BadLine;
use super::{Context, IngestError, Report};
use crate::ledger::file::Counts;
use crate::ledger::register;
use crate::receipt::Invalid;

/// How many lines go into one job.
const CHUNK: usize = 500;

/// Takes a checked file: what it says of ids is learnt, the rest is the hub's.
pub(super) fn take(context: &Context<'_>) -> Result<Report, IngestError> {
    let incoming = context.incoming;
    let mut report = context.report();
    let mut reader =
        CsvReader::open(incoming.rewound()?).map_err(|error| incoming.failed(error))?;
    let mut learnt: Vec<(String, Barcode)> = Vec::with_capacity(CHUNK);
    while let Some(line) = reader.next_line().map_err(|error| incoming.failed(error))? {
        match line {
            Line::Row(row) => match row.get(Column::ExternalId).zip(row.get(Column::Barcode)) {
                Some((id, code)) => match barcode(code) {
                    Ok(code) => learnt.push((id.to_owned(), code)),
                    Err(invalid) => bad(&mut report, row.line(), &invalid, row.raw()),
                },
                None => report.counts.duplicates += 1,
            },
            Line::Bad(row) => {
                let invalid = Invalid::new(row.reason.code(), "line", row.reason.to_string());
                bad(&mut report, row.line, &invalid, row.raw);
            }
        }
        if learnt.len() >= CHUNK {
            learn(context, &mut report, std::mem::take(&mut learnt))?;
        }
    }
    learn(context, &mut report, learnt)?;
    let lang = report.lang();
    report.note(say!(
        lang,
        "a shop learns only which id names which barcode; the catalogue is the hub's",
        "магазин запоминает только, какой Ид у какого штрихкода; каталог ведёт хаб"
    ));
    context.finish(context.hash, Counts::default(), incoming.modified)?;
    Ok(report)
}

fn bad(report: &mut Report, line: u64, invalid: &Invalid, record: &str) {
    report.counts.quarantined += 1;
    report.bad(BadLine::new(line, invalid, record));
}

fn learn(
    context: &Context<'_>,
    report: &mut Report,
    learnt: Vec<(String, Barcode)>,
) -> Result<(), IngestError> {
    report.counts.imported += learnt.len() as u64;
    if context.wishes.dry_run || learnt.is_empty() {
        return Ok(());
    }
    context.core.write_background(move |conn| {
        learnt
            .iter()
            .try_for_each(|(id, code)| register::learn_external_id(conn, id, code))
    })?;
    Ok(())
}
