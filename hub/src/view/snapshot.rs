//! The whole stock at once: every level that the website sees, each once, piece by piece.

use std::io;
use std::sync::Arc;

use vitrina_shared::stock::Channel;

use crate::feed::Cursor;
use crate::view::View;
use crate::view::flat::{self, Format};
use crate::view::item::Item;

/// A snapshot under way. The feed goes on at its cursor: what changes while it is written comes there again.
#[derive(Debug)]
pub(crate) struct Snapshot {
    view: Arc<View>,
    format: (Format, Channel),
    /// The next shard.
    shard: usize,
    /// The items of the one before, and how many of them were written.
    items: Vec<Arc<Item>>,
    written: usize,
}

impl Snapshot {
    /// Begins one. The cursor is taken first, so that nothing falls between the two.
    pub(crate) fn begin(view: &Arc<View>, format: (Format, Channel)) -> (Cursor, Self) {
        (
            view.cursor(view.head().pos),
            Self {
                view: Arc::clone(view),
                format,
                shard: 0,
                items: Vec::new(),
                written: 0,
            },
        )
    }

    /// The next rows; nothing when it is complete.
    pub(crate) fn next_piece(&mut self) -> Option<Vec<u8>> {
        let mut out = if self.shard == 0 && self.format.0 == Format::Csv {
            flat::csv_header()
        } else {
            Vec::new()
        };
        // A header goes alone.
        while out.is_empty() || self.shard == 0 {
            let rest = self.items.get(self.written..).unwrap_or_default();
            if !rest.is_empty() {
                self.written += flat::lines(&mut out, rest, self.format);
                continue;
            }
            let Some(items) = self.view.shard_items(self.shard) else {
                break;
            };
            self.shard += 1;
            (self.items, self.written) = (items, 0);
        }
        (!out.is_empty()).then_some(out)
    }
}

impl Iterator for Snapshot {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.next_piece()
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
    let (_, mut snapshot) = Snapshot::begin(view, (format, Channel::NetOfHolds));
    while let Some(piece) = snapshot.next_piece() {
        out.write_all(&piece)?;
    }
    Ok(())
}
