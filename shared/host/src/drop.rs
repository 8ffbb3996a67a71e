//! Drop folders: a POS or 1C writes files there, and each whole file is handed over once.
//!
//! Every folder has a thread of its own, so that a share that hangs stops nobody else. The operating system's events
//! are a hint only: they may be lost, and from another machine none come. Looking again is the truth. What is in the
//! files is the consumer's business.

mod bell;
mod folder;
mod list;
mod order;
mod settle;

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::config::Period;
use crate::os::OsError;

pub use order::natural_order;

use bell::{Bell, Woken};
use folder::Folder;

/// A folder to watch, as `[[drop]]` in the configuration says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropFolder {
    /// Where it is.
    pub path: PathBuf,
    /// What becomes of a file that was taken.
    #[serde(default)]
    pub take: Take,
    /// How long a file must stay as it is before it counts as whole.
    #[serde(default = "default_settle")]
    pub settle: Period,
    /// How changes are noticed.
    #[serde(default)]
    pub watch: Watch,
}

fn default_settle() -> Period {
    Period::from_secs(2)
}

impl DropFolder {
    /// The folder with the usual settings: files are moved, two seconds, native events.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            take: Take::Move,
            settle: default_settle(),
            watch: Watch::Native,
        }
    }
}

/// What becomes of a file that was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// It moves to `done/` or `rejected/`.
    #[default]
    Move,
    /// It stays, because 1C overwrites it or we may not write there. After a restart it is handed over again: the
    /// consumer remembers its hash.
    Copy,
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// By the operating system's events, and by looking now and then.
    #[default]
    Native,
    /// By looking every two seconds only: network shares raise no events for what others write.
    Poll,
}

/// Where files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Gets a folder for each day.
    pub done: PathBuf,
    /// Gets the refused ones, each with `NAME.report.txt` beside it.
    pub rejected: PathBuf,
    /// Whether the drop folder is ours to make when it is missing.
    pub own: Own,
}

/// Whose the drop folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// `drop/` in the data folder: made again when it is missing.
    Ours,
    /// A folder of 1C or a share: when it is missing, a person must know.
    Theirs,
}

/// A whole file.
#[derive(Debug)]
pub struct Arrived {
    /// The file, opened for reading from its beginning: a plain file, not reached through a link.
    pub file: File,
    /// Where it lies, for messages.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// The drop folder.
    pub folder: PathBuf,
    /// What will become of it.
    pub take: Take,
    /// How long it is, in bytes.
    pub size_bytes: u64,
    /// When it was last written, by the clock of who wrote it.
    pub modified: Option<SystemTime>,
}

/// A file `*.ok`: the source is alive and all it has to say has been said. It is handed over after all other files,
/// and not while one of them is still being written or waits for its next try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its name.
    pub name: String,
    /// The drop folder.
    pub folder: PathBuf,
    /// When it was last written, by the clock of who wrote it.
    pub modified: Option<SystemTime>,
}

/// What the consumer says to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is in, or was in before: to `done/`.
    Taken,
    /// It is not in: to `rejected/` with this report.
    Rejected {
        /// What is wrong and where, for the person who wrote the file.
        report: String,
    },
    /// Not now: it stays and comes again, after two seconds, then four, at most a minute.
    Retry,
}

/// What a person may want to know about a drop folder. Each is said once, not at every look.
#[derive(Debug)]
pub enum Notice {
    /// The folder cannot be read: missing, a share that is gone, other rights. Said again when the reason changes.
    Unreachable {
        /// The drop folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It can be read again.
    Reachable {
        /// The drop folder.
        folder: PathBuf,
    },
    /// There are no events for it; it is looked at every two seconds instead.
    NoEvents {
        /// The drop folder.
        folder: PathBuf,
        /// Why not.
        error: notify::Error,
    },
    /// A folder lies in it; it is left alone.
    Subfolder {
        /// Where.
        path: PathBuf,
    },
    /// Something that is no file of ours was put to `rejected/` (or stays, when it cannot be moved).
    Refused {
        /// Where it was.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A file cannot be opened; it is tried again.
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: OsError,
    },
    /// The consumer panicked over a file, which comes again; the log says more.
    Panicked {
        /// Where it is.
        path: PathBuf,
    },
    /// A file was taken or rejected but cannot be moved; that is tried again.
    Stuck {
        /// Where it still is.
        path: PathBuf,
        /// Why.
        error: OsError,
    },
    /// A file was moved.
    Placed {
        /// Where it was.
        path: PathBuf,
        /// Where it is.
        to: PathBuf,
    },
}

/// Who takes the files. All calls come from the folder's own thread, one at a time.
pub trait Consumer: Send {
    /// Takes a file. Called in natural order of the names: `import0_2.xml` before `import0_10.xml` before `offers…`.
    fn arrived(&mut self, file: Arrived) -> Answer;
    /// Takes a sign of life; after [`Answer::Taken`] the file is removed (where files are moved).
    fn heartbeat(&mut self, beat: &Heartbeat) -> Answer;
    /// Hears what a person may want to know.
    fn notice(&mut self, notice: &Notice);
    /// Today, as the folder in `done/` is called: `2026-11-22`.
    fn day(&mut self) -> String;
}

/// Why a folder is not watched.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// Its thread cannot be started.
    #[error("cannot start the thread of the drop folder {}", path.display())]
    Thread {
        /// The drop folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A drop folder that is being watched, until this is stopped or dropped.
pub struct Watching {
    bell: Arc<Bell>,
    path: PathBuf,
}

/// Events come in swarms: one look for all of them.
const COALESCE: Duration = Duration::from_millis(200);
/// The longest time that events are not answered by a look.
const REST_MAX: Duration = Duration::from_secs(2);
/// How long a folder is left alone whose consumer panicked.
const AFTER_PANIC: Duration = Duration::from_secs(10);

impl Watching {
    /// Starts the folder's thread. A missing folder is no error: the consumer hears of it.
    ///
    /// # Errors
    ///
    /// [`DropError::Thread`].
    pub fn start(
        folder: DropFolder,
        places: Places,
        consumer: Box<dyn Consumer>,
    ) -> Result<Self, DropError> {
        let path = folder.path.clone();
        let bell = Arc::new(Bell::default());
        let of_thread = Arc::clone(&bell);
        thread::Builder::new()
            .name("drop folder".to_owned())
            .spawn(move || {
                // Says that it ended even after a panic.
                let _end = bell::EndGuard::of(&of_thread);
                watch(
                    Folder::new(folder, places, consumer, &of_thread),
                    &of_thread,
                );
            })
            .map_err(|source| DropError::Thread {
                path: path.clone(),
                source,
            })?;
        Ok(Self { bell, path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the folder now.
    pub fn look(&self) {
        self.bell.ring();
    }

    /// Stops after the file that is being taken; returns whether it stopped within `patience`. A share that hangs may
    /// hold its thread for longer, which hurts nobody.
    pub fn stop(self, patience: Duration) -> bool {
        self.bell.stop();
        self.bell.wait_for_end(patience)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.bell.stop();
    }
}

fn watch(mut folder: Folder, bell: &Bell) {
    loop {
        let started = Instant::now();
        let round = AssertUnwindSafe(|| folder.round(&bell.take_renamed(), || bell.is_stopped()));
        // A panic of the consumer must not end the watching: the next look finds the same files.
        let next = catch_unwind(round).unwrap_or_else(|_| {
            tracing::error!("a look at a drop folder panicked");
            started + AFTER_PANIC
        });
        // A folder of twenty thousand files takes a while to look at: then it is not looked at five times a second.
        let rest = COALESCE.max(started.elapsed() * 10).min(REST_MAX);
        match bell.wait(next) {
            Woken::Stopped => return,
            Woken::Rung if bell.pause(rest) => return,
            Woken::Rung | Woken::Silent => {}
        }
    }
}

#[cfg(test)]
mod tests;
