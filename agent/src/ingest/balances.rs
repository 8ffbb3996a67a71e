//! Balances as CSV: `barcode;qty` and whatever else the file says of a piece.

use vitrina_host::csv::{Column, CsvReader, Line, Row};
use vitrina_host::when;
use vitrina_shared::TimeMs;
use vitrina_shared::movement::Words;

use super::line::{self, barcode, quantity};
use super::staging::{Place, Staging, Start, Warehouses};
use super::{Context, IngestError, Taken};
use crate::ledger::stage::{Scope, Stated};
use crate::ledger::state;
use crate::receipt::Invalid;

/// Takes a checked file.
pub(super) fn take(context: &Context<'_>) -> Result<Taken, IngestError> {
    let at = stamp(context)?;
    let mut staging = match Staging::begin(context, at)? {
        Start::Lines(staging) => staging,
        Start::Ended(taken) => return Ok(taken),
    };
    let settings = context.core.read(state::settings)?;
    let mut warehouses = Warehouses::of(&settings);
    let incoming = context.incoming;
    let mut reader =
        CsvReader::open(incoming.rewound()?).map_err(|error| incoming.failed(error))?;
    while let Some(line) = reader.next_line().map_err(|error| incoming.failed(error))? {
        match line {
            Line::Row(row) => {
                let read = read(&row, &mut warehouses);
                if let Some(invalid) = read.wrong {
                    staging.set_aside(row.line(), &invalid, row.raw())?;
                }
                if let Some(stated) = read.stated {
                    staging.state(stated)?;
                }
            }
            Line::Bad(bad) => {
                let invalid = Invalid::new(bad.reason.code(), "line", bad.reason.to_string());
                staging.set_aside(bad.line, &invalid, bad.raw)?;
            }
        }
    }
    let scope = if speaks_of_changes(&incoming.name) {
        Scope::Listed
    } else {
        Scope::Whole(warehouses.conditions())
    };
    staging.end(&scope, warehouses.foreign())
}

/// A file of this name speaks only of what it lists.
pub(super) fn speaks_of_changes(name: &str) -> bool {
    name.to_lowercase().contains("changes")
}

/// The time of which the file speaks: the latest of its column, else its own.
fn stamp(context: &Context<'_>) -> Result<TimeMs, IngestError> {
    let incoming = context.incoming;
    let mut reader =
        CsvReader::open(incoming.rewound()?).map_err(|error| incoming.failed(error))?;
    if !reader.header().has(Column::At) {
        return Ok(incoming.modified);
    }
    let mut latest = None;
    while let Some(line) = reader.next_line().map_err(|error| incoming.failed(error))? {
        if let Line::Row(row) = line
            && let Some(at) = row.get(Column::At)
        {
            latest = latest.max(when::parse_ms(at, &context.zone).ok());
        }
    }
    Ok(latest.map_or(incoming.modified, TimeMs))
}

/// What a line came to.
#[derive(Default)]
struct Read {
    /// What it states; a code whose quantity cannot be read is listed all the same, so that it is not taken for gone.
    stated: Option<Stated>,
    wrong: Option<Invalid>,
}

/// Reads a line; nothing where it is another shop's.
fn read(row: &Row<'_>, warehouses: &mut Warehouses) -> Read {
    let wrong = |invalid| Read {
        stated: None,
        wrong: Some(invalid),
    };
    let code = match barcode(row.get(Column::Barcode).unwrap_or_default()) {
        Ok(code) => code,
        Err(invalid) => return wrong(invalid),
    };
    let Place::Here(place) = warehouses.place(row.get(Column::Warehouse)) else {
        return Read::default();
    };
    let condition = match row
        .get(Column::Condition)
        .map_or(Ok(place), line::condition)
    {
        Ok(condition) => condition,
        Err(invalid) => return wrong(invalid),
    };
    let qty = quantity(row.get(Column::Qty).unwrap_or_default());
    let text = |column| row.get(column).map(Into::into);
    let words = Words {
        article: text(Column::Article),
        name: text(Column::Name),
        size: text(Column::Size),
        stone: text(Column::Stone),
        metal: text(Column::Metal),
        fineness: text(Column::Fineness),
        weight: text(Column::Weight),
        external_id: text(Column::ExternalId),
    };
    // A price that cannot be read is no reason to lose the quantity.
    let price = row
        .get(Column::Price)
        .and_then(|text| line::price(text, row.get(Column::Currency)).ok());
    let stated = Stated {
        code,
        condition,
        qty: qty.as_ref().ok().copied(),
        price,
        words,
    };
    Read {
        stated: Some(stated),
        wrong: qty.err(),
    }
}
