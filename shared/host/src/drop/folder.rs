//! One drop folder: looks, hands over, and moves what was answered.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::bell::Bell;
use super::list::{Class, Item, Print, list};
use super::settle::{Ready, Shelf, Verdict};
use super::{Answer, Arrived, Consumer, DropFolder, Heartbeat, Notice, Own, Places, Take, Watch};
use crate::os::{self, FileId, OsError};

/// How often a folder is looked at when nothing is said to happen. Events may be lost or never come, and a look at a
/// small folder costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How soon at the earliest after something was handed over.
const SOON: Duration = Duration::from_millis(200);
/// The same for a folder with many files that stay.
const LOOK_EVERY_LARGE: Duration = Duration::from_secs(30);
/// What is large.
const LARGE: usize = 256;

pub(super) struct Folder {
    config: DropFolder,
    places: Places,
    consumer: Box<dyn Consumer>,
    bell: Weak<Bell>,
    shelf: Shelf,
    /// The events, and of which folder they are: a folder made anew raises none for the old watch.
    watch: Option<(RecommendedWatcher, FileId)>,
    events: Events,
    /// Why it cannot be read, when it was last tried.
    trouble: Option<io::ErrorKind>,
    /// Whether a file of this round is to come again.
    has_put_off: bool,
}

/// Whether the operating system tells us of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Events {
    Wanted,
    Unwanted,
    /// They were refused, and that was said.
    Refused,
}

impl Folder {
    pub(super) fn new(
        config: DropFolder,
        places: Places,
        consumer: Box<dyn Consumer>,
        bell: &Arc<Bell>,
    ) -> Self {
        let events = match config.watch {
            Watch::Native => Events::Wanted,
            Watch::Poll => Events::Unwanted,
        };
        Self {
            shelf: Shelf::new(config.settle.duration()),
            config,
            places,
            consumer,
            bell: Arc::downgrade(bell),
            watch: None,
            events,
            trouble: None,
            has_put_off: false,
        }
    }

    /// One look: hands over what is whole. Returns when to look again.
    pub(super) fn round(
        &mut self,
        renamed: &HashSet<OsString>,
        is_stopped: impl Fn() -> bool,
    ) -> Instant {
        let items = match self.items() {
            Ok(items) => items,
            Err(error) => {
                self.unreachable(error);
                return Instant::now() + LOOK_EVERY;
            }
        };
        self.reachable();
        let idle = if items.len() > LARGE && self.watch.is_some() {
            LOOK_EVERY_LARGE
        } else {
            LOOK_EVERY
        };
        let round = self.shelf.look(Instant::now(), items, renamed);
        let mut soonest = idle;
        self.has_put_off = false;
        for ready in round.ready {
            if is_stopped() {
                break;
            }
            // What was put off, or came while we were busy.
            soonest = self.config.settle.duration().clamp(SOON, LOOK_EVERY);
            // A sign of life says that all is in.
            if ready.item.class != Class::Heartbeat || !self.has_put_off {
                self.hand_over(&ready);
            }
        }
        let latest = Instant::now() + soonest;
        round.next.map_or(latest, |next| next.min(latest))
    }

    fn items(&mut self) -> io::Result<Vec<Item>> {
        self.arm()?;
        list(&self.config.path)
    }

    /// Sees to it that events come from the folder that is there now.
    fn arm(&mut self) -> io::Result<()> {
        let path = &self.config.path;
        let found = match std::fs::metadata(path) {
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.places.own == Own::Ours =>
            {
                std::fs::create_dir_all(path)?;
                std::fs::metadata(path)?
            }
            found => found?,
        };
        let id = FileId::of(&found);
        if self.events != Events::Wanted || self.watch.as_ref().is_some_and(|(_, of)| *of == id) {
            return Ok(());
        }
        self.watch = None;
        if !os::is_local(path) {
            self.events = Events::Unwanted;
            return Ok(());
        }
        match self.watcher() {
            Ok(watcher) => self.watch = Some((watcher, id)),
            Err(error) => {
                self.events = Events::Refused;
                self.consumer.notice(&Notice::NoEvents {
                    folder: path.clone(),
                    error,
                });
            }
        }
        Ok(())
    }

    fn watcher(&self) -> notify::Result<RecommendedWatcher> {
        let bell = self.bell.clone();
        let mut watcher = notify::recommended_watcher(move |event| {
            if let Some(bell) = bell.upgrade() {
                bell.hear(event);
            }
        })?;
        watcher.watch(&self.config.path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    fn unreachable(&mut self, error: io::Error) {
        self.watch = None;
        if self.trouble.replace(error.kind()) != Some(error.kind()) {
            self.consumer.notice(&Notice::Unreachable {
                folder: self.config.path.clone(),
                error,
            });
        }
    }

    fn reachable(&mut self) {
        if self.trouble.take().is_some() {
            self.consumer.notice(&Notice::Reachable {
                folder: self.config.path.clone(),
            });
        }
    }

    fn hand_over(&mut self, ready: &Ready) {
        if let Some(verdict) = ready.verdict.clone() {
            return self.place(ready, verdict);
        }
        match ready.item.class {
            Class::File => self.hand_over_file(ready),
            Class::Heartbeat => {
                let beat = Heartbeat {
                    name: name_of(&ready.item),
                    folder: self.config.path.clone(),
                    modified: ready.item.print.modified,
                };
                let answer = self.consumer.heartbeat(&beat);
                self.answered(ready, answer);
            }
            Class::Marker => {
                if self.config.take == Take::Move {
                    let _ = std::fs::remove_file(self.path_of(&ready.item));
                }
                self.shelf.finish(&ready.item.name);
            }
            Class::Subfolder => {
                let path = self.path_of(&ready.item);
                self.consumer.notice(&Notice::Subfolder { path });
                self.shelf.finish(&ready.item.name);
            }
            Class::Refused(reason) => self.refuse(ready, reason),
        }
    }

    fn hand_over_file(&mut self, ready: &Ready) {
        let path = self.path_of(&ready.item);
        let opened = os::open_dropped(&path).and_then(|file| {
            let found = file.metadata().map_err(|source| OsError::Io {
                doing: "look at",
                path: path.clone(),
                source,
            })?;
            Ok((file, Print::of(&found)))
        });
        match opened {
            // Changed or replaced since we looked: the next look sees it.
            Ok((_, print)) if print != ready.item.print => {}
            Ok((file, print)) => {
                let arrived = Arrived {
                    file,
                    path: path.clone(),
                    name: name_of(&ready.item),
                    folder: self.config.path.clone(),
                    take: self.config.take,
                    size_bytes: print.size_bytes,
                    modified: print.modified,
                };
                // The other files must go on, and this one is not lost.
                let called = AssertUnwindSafe(|| self.consumer.arrived(arrived));
                let answer = catch_unwind(called).unwrap_or_else(|_| {
                    self.consumer.notice(&Notice::Panicked { path });
                    Answer::Retry
                });
                self.answered(ready, answer);
            }
            Err(OsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.shelf.forget(&ready.item.name);
            }
            Err(error) => {
                let is_first = self.put_off(ready);
                // That its writer still holds it is nothing to talk about.
                if is_first && !matches!(error, OsError::InUse { .. }) {
                    self.consumer.notice(&Notice::Unreadable { path, error });
                }
            }
        }
    }

    fn answered(&mut self, ready: &Ready, answer: Answer) {
        let verdict = match answer {
            Answer::Taken => Verdict::Done,
            Answer::Rejected { report } => Verdict::Rejected { report },
            Answer::Retry => {
                self.put_off(ready);
                return;
            }
        };
        self.place(ready, verdict);
    }

    /// The file comes again later. Returns whether this is the first time.
    fn put_off(&mut self, ready: &Ready) -> bool {
        self.has_put_off = true;
        self.shelf.retry(&ready.item.name, Instant::now(), None)
    }

    /// Moves the file to where the verdict says, or leaves it where files stay.
    fn place(&mut self, ready: &Ready, verdict: Verdict) {
        let path = self.path_of(&ready.item);
        if self.has_changed(&ready.item) {
            // Somebody went on writing: what was taken is in, and the rest comes with the next look.
            return;
        }
        match self.try_to_place(ready, &path, &verdict) {
            Ok(to) => {
                match self.config.take {
                    Take::Move => self.shelf.forget(&ready.item.name),
                    Take::Copy => self.shelf.finish(&ready.item.name),
                }
                if let Some(to) = to {
                    self.consumer.notice(&Notice::Placed { path, to });
                }
            }
            Err(error) => {
                let now = Instant::now();
                let is_first = self.shelf.retry(&ready.item.name, now, Some(verdict));
                if is_first {
                    self.consumer.notice(&Notice::Stuck { path, error });
                }
            }
        }
    }

    fn try_to_place(
        &mut self,
        ready: &Ready,
        path: &Path,
        verdict: &Verdict,
    ) -> Result<Option<PathBuf>, OsError> {
        let name = name_of(&ready.item);
        let rejected = &self.places.rejected;
        let to = match (verdict, self.config.take) {
            (Verdict::Done, Take::Copy) => return Ok(None),
            (Verdict::Done, Take::Move) if ready.item.class == Class::Heartbeat => {
                // Nobody wants a thousand empty files a day.
                std::fs::remove_file(path).map_err(|source| OsError::Io {
                    doing: "remove",
                    path: path.to_path_buf(),
                    source,
                })?;
                return Ok(None);
            }
            (Verdict::Done, Take::Move) => {
                let day = self.places.done.join(self.consumer.day());
                os::move_into(path, &day, &name)?
            }
            (Verdict::Rejected { report }, take) => {
                // The report first: whatever happens in between, no rejected file is without one.
                let first = |to: &Path| write_report(to, report);
                match take {
                    Take::Move => os::move_into_after(path, rejected, &name, first)?,
                    Take::Copy => os::place_copy_after(path, rejected, &name, first)?,
                }
            }
        };
        if ready.is_marked && self.config.take == Take::Move {
            let mut marker = path.as_os_str().to_owned();
            marker.push(super::list::MARKER);
            let _ = std::fs::remove_file(marker);
        }
        Ok(Some(to))
    }

    /// Puts what is no file of ours out of the way, with a report; leaves it where it cannot be moved.
    fn refuse(&mut self, ready: &Ready, reason: &'static str) {
        let path = self.path_of(&ready.item);
        let name = name_of(&ready.item);
        let rejected = &self.places.rejected;
        let report = format!("{name} is {reason}. Only plain files are read.\n");
        let first = |to: &Path| write_report(to, &report);
        let is_moved = match self.config.take {
            Take::Move => os::move_into_after(&path, rejected, &name, first).is_ok(),
            Take::Copy => {
                let _ = std::fs::create_dir_all(rejected);
                let _ = first(&rejected.join(&name));
                false
            }
        };
        self.consumer.notice(&Notice::Refused { path, reason });
        if !is_moved {
            self.shelf.finish(&ready.item.name);
        }
    }

    fn has_changed(&self, item: &Item) -> bool {
        std::fs::symlink_metadata(self.path_of(item))
            .is_ok_and(|found| Print::of(&found) != item.print)
    }

    fn path_of(&self, item: &Item) -> PathBuf {
        self.config.path.join(&item.name)
    }
}

fn name_of(item: &Item) -> String {
    item.name.to_string_lossy().into_owned()
}

/// `NAME.report.txt` beside the refused file.
fn write_report(refused: &Path, report: &str) -> Result<(), OsError> {
    let mut name = refused.as_os_str().to_owned();
    name.push(".report.txt");
    os::replace_file(&PathBuf::from(name), report.as_bytes())
}
