//! `DIR/drop/` of the hub: whatever the ERP puts there is imported.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::runtime::Handle;
use vitrina_host::drop::{
    Answer, Arrived, Consumer, DropError, DropFolder, Heartbeat, Notice, Own, Places, Watching,
};

use super::{ImportError, Mode, recorded, with_causes};
use crate::audit::By;
use crate::core::Core;
use crate::store::ImportEnd;

/// Begins to watch `DIR/drop/` and the folders of the configuration.
///
/// # Errors
///
/// [`DropError`].
pub(crate) fn watch(core: &Arc<Core>) -> Result<Vec<Watching>, DropError> {
    let own = DropFolder::new(core.data.join("drop"));
    let mut folders = vec![(own, Own::Ours)];
    folders.extend(
        core.config
            .drop
            .iter()
            .cloned()
            .map(|folder| (folder, Own::Theirs)),
    );
    folders
        .into_iter()
        .map(|(folder, own)| {
            let places = Places {
                done: core.data.join("done"),
                rejected: core.data.join("rejected"),
                own,
            };
            let inbox = Inbox {
                core: Arc::clone(core),
                runtime: Handle::current(),
            };
            Watching::start(folder, places, Box::new(inbox))
        })
        .collect()
}

struct Inbox {
    core: Arc<Core>,
    runtime: Handle,
}

impl Consumer for Inbox {
    fn arrived(&mut self, arrived: Arrived) -> Answer {
        let _entered = self.runtime.enter();
        match recorded(
            &self.core,
            By::DropFolder,
            (&arrived.name, arrived.file),
            Mode::Write,
        ) {
            Ok(end) => {
                tracing::info!(
                    file.name = arrived.name,
                    rows = end.rows,
                    changed = end.changed,
                    "a file was imported"
                );
                warn(&arrived.name, &end);
                Answer::Taken
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    file.name = arrived.name,
                    "a file was not imported; it is tried again"
                );
                Answer::Retry
            }
            Err(error) => Answer::Rejected {
                report: report(&error),
            },
        }
    }

    fn heartbeat(&mut self, _: &Heartbeat) -> Answer {
        Answer::Taken
    }

    fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Placed { path, to } => {
                tracing::debug!(file.path = %path.display(), to = %to.display(), "a file was moved");
            }
            other => tracing::warn!(notice = ?other, "a drop folder needs a look"),
        }
    }

    fn day(&mut self) -> String {
        let now = Timestamp::from_millisecond(self.core.now().0).unwrap_or(Timestamp::UNIX_EPOCH);
        now.to_zoned(TimeZone::system()).date().to_string()
    }
}

fn warn(name: &str, end: &ImportEnd) {
    if !end.warnings.is_empty() || !end.unknown.is_empty() {
        tracing::warn!(
            file.name = name,
            warnings = end.warnings.len(),
            unknown = end.unknown.len(),
            first = end
                .warnings
                .first()
                .or(end.unknown.first())
                .map(String::as_str),
            "parts of a file were left out"
        );
    }
}

fn report(error: &ImportError) -> String {
    let mut report = with_causes(error);
    let _ = writeln!(report, "\nNothing of this file was taken.");
    report
}
