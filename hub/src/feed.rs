//! The feed: who changed when, in the order of the positions that the store gave out, and the cursors that name a
//! place in it.
//!
//! An entry says only *that* something changed: its state is read when it is shown, so an entry that was overtaken by
//! a later one is skipped, and each thing stands in the feed once, at its last position.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use vitrina_shared::planted;

use crate::change::FeedHead;
use crate::error::{ApiError, Code};
use crate::view::item::Item;

/// Of so many latest commits the tags are kept; a cursor of an older one has expired.
const MAX_COMMITS: usize = 100_000;

/// A place in the feed, as readers carry it: `ordinal-position-tag`, and `-behind` where the feed went on behind it when
/// it was read.
///
/// What was overtaken by then is not among what was read. So the cursor names the end that the reader saw: where a hub
/// that was put back does not know it, the reader begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The ordinal of the hub's life.
    pub(crate) ordinal: u64,
    /// The position.
    pub(crate) pos: u64,
    /// The tag of the commit that the end belongs to.
    pub(crate) tag: u64,
    /// How far the end, when it was read, was behind the position.
    pub(crate) behind: u64,
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor")]
pub(crate) struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:x}", self.ordinal, self.pos, self.tag)?;
        if self.behind > 0 {
            write!(f, "-{}", self.behind)?;
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let parts: Vec<&str> = text.split('-').collect();
        let (ordinal, pos, tag, behind) = match parts.as_slice() {
            [ordinal, pos, tag] => (*ordinal, *pos, *tag, "0"),
            [ordinal, pos, tag, behind] => (*ordinal, *pos, *tag, *behind),
            _ => return Err(CursorError),
        };
        let decimal = |part: &str| {
            if !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(CursorError);
            }
            part.parse().map_err(|_| CursorError)
        };
        if !tag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(CursorError);
        }
        let tag = u64::from_str_radix(tag, 16).map_err(|_| CursorError)?;
        Ok(Self {
            ordinal: decimal(ordinal)?,
            pos: decimal(pos)?,
            tag,
            behind: decimal(behind)?,
        })
    }
}

/// What changed.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// An item's level at the shop of this number.
    Level(Arc<Item>, u32),
    /// The shop of this number.
    Shop(u32),
}

/// One change, at its position.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where.
    pub(crate) pos: u64,
    /// What.
    pub(crate) subject: Subject,
}

/// All changes by position, and the commits that made them.
#[derive(Debug)]
pub(crate) struct Feed {
    head: FeedHead,
    entries: Vec<Entry>,
    /// How many entries were overtaken.
    overtaken: usize,
    /// The last position and the tag of each commit, ascending.
    commits: VecDeque<(u64, u64)>,
}

impl Feed {
    pub(crate) fn new(head: FeedHead) -> Self {
        Self {
            head,
            entries: Vec::new(),
            overtaken: 0,
            commits: VecDeque::new(),
        }
    }

    /// Where it stands.
    pub(crate) fn head(&self) -> FeedHead {
        self.head
    }

    /// Takes what was loaded.
    pub(crate) fn load(
        &mut self,
        mut entries: Vec<Entry>,
        commits: Vec<(u64, u64)>,
        head: FeedHead,
    ) {
        entries.sort_by_key(|entry| entry.pos);
        entries.shrink_to_fit();
        (self.entries, self.overtaken, self.commits, self.head) =
            (entries, 0, commits.into(), head);
    }

    /// Takes a commit's changes; `overtaken` of them replace an earlier entry of the same thing.
    pub(crate) fn push(&mut self, mut entries: Vec<Entry>, overtaken: usize, head: FeedHead) {
        entries.sort_by_key(|entry| entry.pos);
        self.entries.append(&mut entries);
        self.overtaken += overtaken;
        if self.commits.back().is_none_or(|(pos, _)| *pos < head.pos) {
            self.commits.push_back((head.pos, head.tag));
        }
        if self.commits.len() > MAX_COMMITS {
            self.commits.pop_front();
        }
        self.head = head;
    }

    /// Whether most entries were overtaken.
    pub(crate) fn is_mostly_overtaken(&self) -> bool {
        self.overtaken > 1_000 && self.overtaken > self.entries.len() / 2
    }

    /// Every entry, by position.
    pub(crate) fn all(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes the entries that are left when those that do not stand are dropped.
    pub(crate) fn compact(&mut self, mut standing: Vec<Entry>) {
        standing.shrink_to_fit();
        (self.entries, self.overtaken) = (standing, 0);
    }

    /// At most `limit` entries after `pos`, overtaken ones among them.
    pub(crate) fn after(&self, pos: u64, limit: usize) -> Vec<Entry> {
        let from = self.entries.partition_point(|entry| entry.pos <= pos);
        self.entries
            .iter()
            .skip(from)
            .take(limit)
            .cloned()
            .collect()
    }

    /// The cursor of a position.
    pub(crate) fn cursor(&self, pos: u64) -> Cursor {
        Cursor {
            ordinal: self.head.life.ordinal,
            pos,
            tag: self.tag(pos),
            behind: 0,
        }
    }

    /// The cursor of the end of a page that was just read.
    pub(crate) fn page_cursor(&self, pos: u64) -> Cursor {
        Cursor {
            pos,
            behind: self.head.pos.saturating_sub(pos),
            ..self.cursor(self.head.pos.max(pos))
        }
    }

    /// The tag of the commit that a position belongs to: the first that ends at or after it.
    fn tag(&self, pos: u64) -> u64 {
        let at = self.commits.partition_point(|(end, _)| *end < pos);
        self.commits.get(at).map_or(self.head.tag, |(_, tag)| *tag)
    }

    /// The position of a cursor of this history.
    ///
    /// # Errors
    ///
    /// 410 `cursor_expired` for one of another life, of a history that was rolled back, or too old to be told apart.
    pub(crate) fn check(&self, cursor: Cursor) -> Result<u64, ApiError> {
        let end = cursor.pos.checked_add(cursor.behind);
        let is_known = |end: u64| end <= self.head.pos && self.tag(end) == cursor.tag;
        let is_ours = cursor.ordinal == self.head.life.ordinal && end.is_some_and(is_known);
        if is_ours || planted::is("hub_reads_any_cursor") {
            Ok(cursor.pos)
        } else {
            Err(expired())
        }
    }
}

/// 410: the reader begins again with a snapshot.
pub(crate) fn expired() -> ApiError {
    ApiError::new(
        Code::CursorExpired,
        "take GET /v1/snapshot; its Vitrina-Cursor header is where the feed goes on",
    )
    .with("snapshot", "/v1/snapshot")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    fn feed() -> Feed {
        let mut feed = Feed::new(sample::head(0));
        for pos in [3, 7, 9] {
            feed.push(Vec::new(), 0, sample::head(pos));
        }
        feed
    }

    #[test]
    fn a_cursor_reads_back_and_fits_the_interface() {
        let cursor = Cursor {
            ordinal: u64::MAX,
            pos: u64::MAX,
            tag: u64::MAX,
            behind: 0,
        };
        let text = cursor.to_string();

        assert_eq!(text.parse(), Ok(cursor));
        assert!(
            text.len() <= 64
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b".-_~".contains(&b))
        );
        for bad in [
            "",
            "1-2",
            "1-2-3-4-5",
            "1-2-3-x",
            "+1-2-3",
            "1-2-xyz",
            "1--3",
            "1-2-+3",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }

    #[test]
    fn a_position_inside_a_commit_has_the_commits_tag() {
        let feed = feed();
        let inside = feed.cursor(5);

        assert_eq!(feed.check(inside).unwrap(), 5);
        assert_eq!(inside.tag, sample::head(7).tag);
    }

    #[test]
    fn a_reader_in_the_middle_learns_that_the_hub_went_back() {
        // It read up to 3 while the feed stood at 9: what changed again after 7 was not among what it read.
        let cursor = feed().page_cursor(3);

        let mut put_back = Feed::new(sample::head(0));
        for pos in [3, 7] {
            put_back.push(Vec::new(), 0, sample::head(pos));
        }

        assert_eq!(feed().check(cursor).unwrap(), 3);
        assert_eq!(
            put_back.check(cursor).unwrap_err().code(),
            Code::CursorExpired
        );
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(feed().page_cursor(9), feed().cursor(9));
    }

    #[test]
    fn a_cursor_of_another_history_has_expired() {
        let feed = feed();
        let good = feed.cursor(9);
        let wrong = [
            Cursor {
                ordinal: good.ordinal + 1,
                ..good
            },
            Cursor { pos: 10, ..good },
            Cursor {
                tag: good.tag ^ 1,
                ..good
            },
            Cursor { pos: 3, ..good },
        ];

        assert!(feed.check(good).is_ok());
        for cursor in wrong {
            assert_eq!(
                feed.check(cursor).unwrap_err().code(),
                Code::CursorExpired,
                "{cursor}"
            );
        }
    }
}
