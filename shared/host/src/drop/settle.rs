//! Which files are whole. Pure: it is given the time and the listing.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant, SystemTime};

use super::list::{Class, Item, MARKER, Print};
use super::order::natural_order;

/// The first pause before a file is tried again; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MOST: Duration = Duration::from_mins(1);
/// How long a marker without its file stays.
const ORPHAN_MARKER: Duration = Duration::from_mins(10);

/// What the consumer has said to a file that could not be moved since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    Rejected { report: String },
}

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) item: Item,
    /// The consumer has it already: it only has to move.
    pub(super) verdict: Option<Verdict>,
    /// Whether its marker lies beside it.
    pub(super) is_marked: bool,
}

/// What a look showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// In the order of handing over.
    pub(super) ready: Vec<Ready>,
    /// When something more is due.
    pub(super) next: Option<Instant>,
}

/// What is known about the files of a folder.
pub(super) struct Shelf {
    settle: Duration,
    known: HashMap<OsString, Known>,
    looks: u64,
}

struct Known {
    print: Print,
    phase: Phase,
    /// The look at which it was last there.
    look: u64,
}

enum Phase {
    /// Unchanged since then, as far as we have seen.
    Settling { since: Instant, first_look: u64 },
    /// To be tried again.
    Waiting {
        until: Instant,
        tries: u32,
        verdict: Option<Verdict>,
    },
    /// It stays and nothing more is to be done until it changes.
    Finished,
}

impl Shelf {
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            settle,
            known: HashMap::new(),
            looks: 0,
        }
    }

    /// Compares the folder with the last look. `renamed` are the names that are known to have been renamed into place.
    pub(super) fn look(
        &mut self,
        now: Instant,
        items: Vec<Item>,
        renamed: &HashSet<OsString>,
    ) -> Round {
        self.looks += 1;
        let markers = markers_of(&items);
        let marked = marked_among(&items, &markers);
        let mut round = Round::default();
        let mut is_more_to_come = false;
        for item in items {
            if item.class == Class::Marker
                && marked_name(&item.name).is_some_and(|name| marked.contains(&name))
            {
                continue;
            }
            let is_marked = is_marked(&item, &markers);
            let is_whole = is_marked || renamed.contains(&item.name);
            let known = self.known_of(&item, now);
            let Some(due) = known.due(&item, is_whole, now) else {
                continue;
            };
            if due <= now {
                let verdict = known.verdict();
                round.ready.push(Ready {
                    item,
                    verdict,
                    is_marked,
                });
            } else {
                is_more_to_come |= item.class == Class::File;
                round.next = Some(round.next.map_or(due, |next| next.min(due)));
            }
        }
        let look = self.looks;
        self.known.retain(|_, known| known.look == look);
        if is_more_to_come {
            // The source's word that all is said is kept until all is in.
            round
                .ready
                .retain(|ready| ready.item.class != Class::Heartbeat);
        }
        round.ready.sort_by(|a, b| order(&a.item, &b.item));
        round
    }

    /// The file stays and is done with until it changes.
    pub(super) fn finish(&mut self, name: &OsStr) {
        if let Some(known) = self.known.get_mut(name) {
            known.phase = Phase::Finished;
        }
    }

    /// The file is gone.
    pub(super) fn forget(&mut self, name: &OsStr) {
        self.known.remove(name);
    }

    /// The file is to be tried again; with a verdict only its move. Returns whether this is the first time.
    pub(super) fn retry(&mut self, name: &OsStr, now: Instant, verdict: Option<Verdict>) -> bool {
        let Some(known) = self.known.get_mut(name) else {
            return true;
        };
        let tries = match known.phase {
            Phase::Waiting { tries, .. } => tries.saturating_add(1),
            Phase::Settling { .. } | Phase::Finished => 0,
        };
        let pause = RETRY_FIRST.saturating_mul(1 << tries.min(10));
        known.phase = Phase::Waiting {
            until: now + pause.min(RETRY_MOST),
            tries,
            verdict,
        };
        tries == 0
    }

    fn known_of(&mut self, item: &Item, now: Instant) -> KnownWith<'_> {
        let look = self.looks;
        let anew = || Known {
            print: item.print,
            phase: Phase::Settling {
                since: now,
                first_look: look,
            },
            look,
        };
        let known = self.known.entry(item.name.clone()).or_insert_with(anew);
        if known.print != item.print {
            *known = anew();
        }
        known.look = look;
        KnownWith {
            known,
            settle: self.settle,
        }
    }
}

/// A known file and how long files of its folder settle.
struct KnownWith<'a> {
    known: &'a Known,
    settle: Duration,
}

impl KnownWith<'_> {
    /// When it is due; `None` when nothing is to be done with it.
    fn due(&self, item: &Item, is_whole: bool, now: Instant) -> Option<Instant> {
        match self.known.phase {
            Phase::Finished => None,
            Phase::Waiting { until, .. } => Some(until),
            Phase::Settling { since, first_look } => Some(match item.class {
                Class::Marker => since + ORPHAN_MARKER,
                Class::Subfolder => since,
                Class::File | Class::Heartbeat | Class::Refused(_) if is_whole => since,
                // One look shows nothing: it takes a second one.
                _ if first_look == self.known.look => {
                    let a_moment = now + Duration::from_millis(1);
                    (since + self.settle).max(a_moment)
                }
                _ => since + self.settle,
            }),
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        match &self.known.phase {
            Phase::Waiting { verdict, .. } => verdict.clone(),
            Phase::Settling { .. } | Phase::Finished => None,
        }
    }
}

/// The markers and when they were written, by the name they mark.
fn markers_of(items: &[Item]) -> HashMap<OsString, Option<SystemTime>> {
    items
        .iter()
        .filter(|item| item.class == Class::Marker)
        .filter_map(|item| Some((marked_name(&item.name)?, item.print.modified)))
        .collect()
}

/// The names that have both a file and a marker.
fn marked_among(
    items: &[Item],
    markers: &HashMap<OsString, Option<SystemTime>>,
) -> HashSet<OsString> {
    if markers.is_empty() {
        return HashSet::new();
    }
    let names = items.iter().map(|item| &item.name);
    names
        .filter(|name| markers.contains_key(*name))
        .cloned()
        .collect()
}

fn marked_name(marker: &OsStr) -> Option<OsString> {
    let name = marker.to_str()?;
    let end = name.len().checked_sub(MARKER.len())?;
    name.get(..end).map(OsString::from)
}

/// A marker that is older than the file was made for an earlier file of that name.
fn is_marked(item: &Item, markers: &HashMap<OsString, Option<SystemTime>>) -> bool {
    markers
        .get(&item.name)
        .is_some_and(|marker| *marker >= item.print.modified)
}

fn order(left: &Item, right: &Item) -> std::cmp::Ordering {
    let rank = |item: &Item| item.class == Class::Heartbeat;
    rank(left)
        .cmp(&rank(right))
        .then_with(|| natural_order(&left.name.to_string_lossy(), &right.name.to_string_lossy()))
}

#[cfg(test)]
mod tests;
