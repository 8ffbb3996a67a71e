//! A website that keeps a copy of the stock by the feed.

use std::collections::BTreeMap;

use vitrina_shared::{Barcode, ShopId};

use super::hub::Mark;
use super::world::{Broken, World};

/// The most changes of one page: small, so that a reader is often in the middle.
const CHANGES: usize = 3;

/// A reader with its copy.
#[derive(Clone, Default)]
pub(super) struct Reader {
    cursor: Option<Mark>,
    copy: BTreeMap<(ShopId, Barcode), i64>,
}

impl World {
    /// Reads a page, or begins with everything.
    pub(super) fn follow(&mut self, reader: usize) -> Result<(), Broken> {
        let known = self.readers[reader].cursor.clone();
        let page = known
            .as_ref()
            .and_then(|cursor| self.hub.changes(cursor, CHANGES));
        let Some((levels, cursor)) = page else {
            if known.is_some() {
                self.note("expired", format_args!("{reader}"));
            }
            let (levels, cursor) = self.hub.snapshot();
            let at = &mut self.readers[reader];
            at.copy = levels;
            at.cursor = Some(cursor);
            return self.check_reader(reader);
        };
        self.note("followed", format_args!("{reader} {}", levels.len()));
        let at = &mut self.readers[reader];
        at.copy.extend(levels);
        at.cursor = Some(cursor);
        self.check_reader(reader)
    }

    /// Who has read to the end has what the hub has.
    fn check_reader(&self, reader: usize) -> Result<(), Broken> {
        let at = &self.readers[reader];
        let (levels, end) = self.hub.snapshot();
        if at.cursor != Some(end) || levels == at.copy {
            Ok(())
        } else {
            Err(format!(
                "I16 reader {reader} read to the end and has another stock than the hub"
            ))
        }
    }

    /// In peace every reader comes to the end.
    pub(super) fn readers_come_to_the_end(&mut self) -> Result<(), Broken> {
        for reader in 0..self.readers.len() {
            let mut rounds = 0;
            while self.readers[reader].cursor != Some(self.hub.snapshot().1) {
                self.follow(reader)?;
                rounds += 1;
                if rounds > 1_000 {
                    return Err(format!("I16 reader {reader} never comes to the end"));
                }
            }
            self.check_reader(reader)?;
        }
        Ok(())
    }
}
