//! The drop folders: what arrives is taken into the ledger, and what became of it is said.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vitrina_host::drop::{
    Answer, Arrived, Consumer, DropError, DropFolder, Heartbeat, Notice, Own, Places, Watching,
};
use vitrina_host::output::Lang;
use vitrina_host::{say, when};
use vitrina_shared::TimeMs;

use crate::core::{self, Core, now};
use crate::ingest::{self, Incoming, IngestError, Taken, Wishes};
use crate::ledger::{LedgerError, state};
use crate::situation::{Waiting, in_words};
use crate::words;

/// The last line of a report of which nothing was taken, in both languages.
const NOTHING: [&str; 2] = [
    "Nothing of the file was taken.",
    "Из файла ничего не принято.",
];
/// More of a report is not read to see how it ends.
const REPORT_END: u64 = 200;
/// How long a folder may take to stop.
const PATIENCE: Duration = Duration::from_secs(3);

/// All drop folders, watched until this is stopped.
pub(crate) struct Inbox {
    watched: Vec<Watching>,
}

impl Inbox {
    /// Watches `DIR/drop` and every folder of `agent.toml`.
    ///
    /// # Errors
    ///
    /// [`DropError`] when a thread cannot be started.
    pub(crate) fn open(core: &Core, lang: Lang) -> Result<Self, DropError> {
        let folder = core.folder();
        let mut own = DropFolder::new(folder.join("drop"));
        own.settle = core.config().settle.unwrap_or(own.settle);
        let mut watched = vec![watch(core, lang, own, Own::Ours)?];
        for theirs in &core.config().drop {
            let mut theirs = theirs.clone();
            theirs.path = folder.join(&theirs.path);
            watched.push(watch(core, lang, theirs, Own::Theirs)?);
        }
        Ok(Self { watched })
    }

    /// Stops after the files that are being taken.
    pub(crate) fn stop(self) {
        for folder in self.watched {
            let path = folder.path().to_path_buf();
            if !folder.stop(PATIENCE) {
                tracing::warn!(folder.path = %path.display(), "a drop folder did not stop in time");
            }
        }
    }
}

fn watch(core: &Core, lang: Lang, folder: DropFolder, own: Own) -> Result<Watching, DropError> {
    let places = Places {
        done: core.folder().join("done"),
        rejected: core.folder().join("rejected"),
        own,
    };
    Watching::start(
        folder,
        places,
        Box::new(Taker {
            core: core.clone(),
            lang,
        }),
    )
}

/// Files in `rejected/` of which nothing was taken, by name: what they say is in no list.
pub(crate) fn rejected_whole(rejected: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(rejected) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|report| report.strip_suffix(".report.txt").map(str::to_owned))
        .filter(|name| ends_with_nothing(&rejected.join(format!("{name}.report.txt"))))
        .collect();
    names.sort_unstable();
    names
}

fn ends_with_nothing(report: &Path) -> bool {
    let read_end = || {
        let mut file = std::fs::File::open(report)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(REPORT_END)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok::<_, std::io::Error>(end)
    };
    read_end().is_ok_and(|end| {
        let end = String::from_utf8_lossy(&end);
        NOTHING.iter().any(|last| end.trim_end().ends_with(last))
    })
}

/// Takes what arrives in one folder.
struct Taker {
    core: Core,
    lang: Lang,
}

impl Taker {
    fn wait(&self, path: &Path, code: &'static str, message: String) -> Answer {
        self.core.situation().waits(Waiting {
            file: path.to_path_buf(),
            code,
            message,
        });
        Answer::Retry
    }

    fn failed(&self, path: &Path, error: &IngestError) -> Answer {
        if let IngestError::Ledger(LedgerError::NotEnrolled) = error {
            let message = say!(
                self.lang,
                "this agent is not enrolled yet",
                "агент ещё не подключён к хабу"
            );
            return self.wait(path, "not_enrolled", message);
        }
        if error.is_transient() {
            return self.wait(path, "not_readable", in_words(error));
        }
        let message = in_words(error);
        tracing::warn!(file.path = %path.display(), "a dropped file was rejected: {message}");
        let mut report = words::said(self.lang, &message).into_owned();
        if let IngestError::Unusable { source, .. } = error {
            let cure = words::cure_of_file(self.lang, source);
            report.push('\n');
            report.push_str(&words::cure_in_words(self.lang, cure));
        }
        let [en, ru] = NOTHING;
        let report = say!(self.lang, "{report}\n{en}\n", "{report}\n{ru}\n");
        Answer::Rejected { report }
    }
}

impl Consumer for Taker {
    fn arrived(&mut self, arrived: Arrived) -> Answer {
        let path = arrived.path.clone();
        let incoming = Incoming::new(
            arrived.file,
            arrived.name,
            arrived.modified.and_then(millis),
        );
        let wishes = Wishes {
            opening: false,
            dry_run: false,
            lang: self.lang,
        };
        let taken = ingest::ingest(&self.core, &incoming, wishes);
        if !matches!(taken, Ok(Taken::WaitsForHub)) {
            self.core.situation().waits_no_more(&path);
        }
        match taken {
            Ok(Taken::In(report)) => {
                let counts = report.counts;
                tracing::info!(
                    file.path = %path.display(),
                    imported = counts.imported,
                    duplicates = counts.duplicates,
                    quarantined = counts.quarantined,
                    disagreements = report.disagreements,
                    "a dropped file was taken"
                );
                if let Some(note) = report.wrong_digits_note() {
                    tracing::warn!(file.path = %path.display(), "{note}");
                }
                if report.is_clean() {
                    Answer::Taken
                } else {
                    Answer::Rejected {
                        report: report.text(),
                    }
                }
            }
            Ok(Taken::WaitsForHub) => {
                let message = say!(
                    self.lang,
                    "the opening waits until the hub has shown what it holds of this shop",
                    "ввод остатков ждёт, пока хаб не покажет, что он знает об этом магазине"
                );
                self.wait(&path, "hub_positions", message)
            }
            Err(error) => self.failed(&path, &error),
        }
    }

    fn heartbeat(&mut self, beat: &Heartbeat) -> Answer {
        let at = TimeMs(beat.modified.and_then(millis).unwrap_or(i64::MAX)).min(now());
        match self
            .core
            .write_blocking(move |conn| state::heartbeat(conn, at))
        {
            Ok(()) => Answer::Taken,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a heartbeat was not written down"
                );
                Answer::Retry
            }
        }
    }

    fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Unreachable { folder, error } => {
                tracing::warn!(folder.path = %folder.display(), %error, "a drop folder cannot be read");
                self.core
                    .situation()
                    .folder(folder, Some(error.to_string()));
            }
            Notice::Reachable { folder } => {
                tracing::info!(folder.path = %folder.display(), "a drop folder can be read again");
                self.core.situation().folder(folder, None);
            }
            Notice::Placed { path, to } => {
                tracing::debug!(file.path = %path.display(), to = %to.display(), "a dropped file was put away");
            }
            other => tracing::warn!("a drop folder needs a look: {other:?}"),
        }
    }

    fn day(&mut self) -> String {
        let zone = self
            .core
            .read(core::shop_zone)
            .unwrap_or_else(|_| core::zone("Europe/Moscow"));
        let day = when::local_day(now().0, &zone);
        format!(
            "{:04}-{:02}-{:02}",
            day / 10_000,
            day / 100 % 100,
            day % 100
        )
    }
}

/// A file's time in milliseconds; none before 1970.
pub(crate) fn millis(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}
