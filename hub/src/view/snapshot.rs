//! The whole stock at once: every level that the website sees, each once, piece by piece.

use std::io;
use std::sync::Arc;

use crate::feed::Cursor;
use crate::view::View;
use crate::view::flat::{self, Format};

/// A snapshot under way. The feed goes on at its cursor: what changes while it is written comes there again.
#[derive(Debug)]
pub(crate) struct Snapshot {
    view: Arc<View>,
    format: Format,
    shard: usize,
}

impl Snapshot {
    /// Begins one. The cursor is taken first, so that nothing falls between the two.
    pub(crate) fn begin(view: &Arc<View>, format: Format) -> (Cursor, Self) {
        (
            view.cursor(view.head().pos),
            Self {
                view: Arc::clone(view),
                format,
                shard: 0,
            },
        )
    }

    /// The next piece; nothing when it is complete.
    pub(crate) fn next_piece(&mut self) -> Option<Vec<u8>> {
        let mut out = if self.shard == 0 && self.format == Format::Csv {
            flat::csv_header()
        } else {
            Vec::new()
        };
        loop {
            let Some(items) = self.view.shard_items(self.shard) else {
                return (!out.is_empty()).then_some(out);
            };
            self.shard += 1;
            flat::lines(&mut out, &items, self.format);
            if !out.is_empty() {
                return Some(out);
            }
        }
    }
}

/// Writes a whole snapshot.
///
/// # Errors
///
/// What `out` says.
pub(crate) fn snapshot_to(
    view: &Arc<View>,
    format: Format,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let (_, mut snapshot) = Snapshot::begin(view, format);
    while let Some(piece) = snapshot.next_piece() {
        out.write_all(&piece)?;
    }
    Ok(())
}
