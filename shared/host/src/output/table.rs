//! Tables for people and for pipes.

use comfy_table::{CellAlignment, Table, presets};

/// What stands around the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Drawn,
    Plain,
}

/// The table without a line end after it.
pub(super) fn draw(headers: &[&str], rows: Vec<Vec<String>>, frame: Frame) -> String {
    let numeric: Vec<usize> = (0..headers.len())
        .filter(|column| is_numeric(&rows, *column))
        .collect();
    let mut table = Table::new();
    table.load_style(match frame {
        Frame::Drawn => presets::UTF8_FULL_CONDENSED,
        Frame::Plain => presets::NOTHING,
    });
    table.set_header(headers.iter().copied());
    table.add_rows(rows);
    for column in numeric {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if frame == Frame::Plain {
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
    }
    table.trim_fmt()
}

fn is_numeric(rows: &[Vec<String>], column: usize) -> bool {
    let mut cells = rows
        .iter()
        .filter_map(|row| row.get(column))
        .filter(|cell| !cell.is_empty())
        .peekable();
    // A barcode is no number to be compared: it stands left.
    cells.peek().is_some() && cells.all(|cell| cell.len() < 12 && cell.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_a_frame() {
        let text = draw(&["a"], vec![vec!["x".to_owned()]], Frame::Drawn);
        assert!(text.contains('│'), "{text}");
    }

    #[test]
    fn barcodes_stand_left_and_empty_tables_are_a_header() {
        let rows = vec![vec!["2000018987155".to_owned(), "-1".to_owned()]];
        assert_eq!(
            draw(&["barcode", "qty"], rows, Frame::Plain),
            "barcode        qty\n2000018987155   -1"
        );
        assert_eq!(draw(&["barcode"], Vec::new(), Frame::Plain), "barcode");
    }
}
