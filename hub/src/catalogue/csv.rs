//! CSV: catalogue, prices, other codes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Seek;

use vitrina_host::csv::{self, Column, CsvReader, Line, Row, Table};
use vitrina_host::number;
use vitrina_shared::registers::Item;
use vitrina_shared::{Barcode, Money};

use super::cml::{add, money, yes_or_no};
use super::{ImportError, Sink};
use crate::store::CatalogueRow;

/// Takes a file that is whole.
pub(super) fn import(sink: &mut Sink<'_>, file: &mut File) -> Result<(), ImportError> {
    let name = sink.name.clone();
    let wrong = |source| ImportError::Csv {
        name: name.clone(),
        source,
    };
    csv::check(&mut *file).map_err(wrong)?;
    file.rewind().map_err(|source| ImportError::Read {
        name: name.clone(),
        source,
    })?;
    let mut reader = CsvReader::open(file).map_err(wrong)?;
    let header = reader.header().clone();
    if !matches!(header.table(), Table::Catalogue | Table::Aliases) {
        return Err(ImportError::Kind {
            name: name.clone(),
            found: header.table().to_string(),
        });
    }
    if !header.unknown().is_empty() {
        sink.warn(
            1,
            &format!("columns that nobody reads: {}", header.unknown().join(", ")),
        );
    }
    while let Some(line) = reader.next_line().map_err(wrong)? {
        match line {
            Line::Bad(bad) => {
                sink.warn(bad.line, &format!("{}: {}", bad.reason.code(), bad.reason));
            }
            Line::Row(row) => take(sink, &row)?,
        }
    }
    Ok(())
}

fn take(sink: &mut Sink<'_>, row: &Row<'_>) -> Result<(), ImportError> {
    let line = row.line();
    let external_id = row.get(Column::ExternalId).map(str::to_owned);
    let barcode = match row.get(Column::Barcode) {
        None => None,
        Some(text) if number::is_excel_damaged(text) => {
            sink.warn(
                line,
                &format!("\"{text}\": a spreadsheet has cut this barcode"),
            );
            return Ok(());
        }
        Some(text) => match sink.barcode(line, text) {
            Some(barcode) => Some(barcode),
            None => return Ok(()),
        },
    };
    for column in [Column::Alias, Column::Uin] {
        if let (Some(code), Some(barcode)) = (row.get(column), &barcode)
            && let Some(code) = sink.barcode(line, code)
        {
            sink.push(CatalogueRow::Alias {
                code: code.into(),
                barcode: barcode.clone(),
            })?;
        }
    }
    let attributes = attributes(row);
    let price = price(sink, row);
    let unique = unique(sink, row, barcode.as_ref())?;
    let text = |column| row.get(column).map(str::to_owned);
    let says = Item {
        article: text(Column::Article),
        name: text(Column::Name),
        attributes,
        price,
        external_id,
        unique,
    };
    if barcode.is_none() && says.external_id.is_none() {
        sink.warn(line, "neither a barcode nor an external_id");
        return Ok(());
    }
    if says == Item::default() {
        return Ok(());
    }
    let is_price_only = barcode.is_none()
        && says.name.is_none()
        && says.article.is_none()
        && says.attributes.is_empty()
        && !says.unique;
    match (says.price, &says.external_id) {
        (Some(price), Some(code)) if is_price_only => {
            let code = code.clone();
            sink.push(CatalogueRow::Price { code, price })
        }
        _ => sink.push(CatalogueRow::Item {
            barcodes: barcode.into_iter().collect(),
            says,
        }),
    }
}

fn attributes(row: &Row<'_>) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for column in csv::ATTRIBUTES {
        if let Some(value) = row.get(column) {
            add(&mut attributes, column.name(), value);
        }
    }
    attributes
}

fn price(sink: &mut Sink<'_>, row: &Row<'_>) -> Option<Money> {
    match number::price(row.get(Column::Price)?) {
        Ok(hundredths) => Some(money(hundredths, row.get(Column::Currency).unwrap_or(""))),
        Err(error) => {
            sink.warn(row.line(), &format!("price: {error}"));
            None
        }
    }
}

/// Whether the row says that there is one piece only; where it says that there are more, that is written at once.
fn unique(
    sink: &mut Sink<'_>,
    row: &Row<'_>,
    barcode: Option<&Barcode>,
) -> Result<bool, ImportError> {
    let Some(text) = row.get(Column::Unique) else {
        return Ok(false);
    };
    match (yes_or_no(text), barcode) {
        (Some(true), _) => return Ok(true),
        (Some(false), Some(barcode)) => sink.push(CatalogueRow::NotUnique {
            barcode: barcode.clone(),
        })?,
        (Some(false), None) => {}
        (None, _) => {
            let words = format!("unique: \"{text}\" is neither yes nor no");
            sink.warn(row.line(), &words);
        }
    }
    Ok(false)
}
