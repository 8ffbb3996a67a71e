//! How things stand right now: what the running agent knows and no ledger keeps.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use vitrina_host::clock::now_ms;
use vitrina_host::when;

use crate::inbox;

/// So long a look at `rejected/` is good.
const REJECTED_FOR_MS: i64 = 5_000;

/// The line to the hub, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HubState {
    /// `stopped`, `connecting`, `connected`, `offline` or `refused`.
    state: &'static str,
    /// Why not connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The hub's address, once it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Since when.
    since: Option<String>,
}

impl HubState {
    fn new(state: &'static str) -> Self {
        Self {
            state,
            code: None,
            detail: None,
            url: None,
            since: None,
        }
    }

    /// No daemon runs.
    pub(crate) fn stopped() -> Self {
        Self::new("stopped")
    }

    /// The daemon has just begun.
    pub(crate) fn connecting() -> Self {
        Self::new("connecting")
    }

    /// The hub answered.
    pub(crate) fn connected(url: &str) -> Self {
        Self {
            url: Some(url.to_owned()),
            ..Self::new("connected")
        }
    }

    /// The hub did not answer, or not so that it can be used.
    pub(crate) fn failed(code: &str, error: &(dyn Error + 'static)) -> Self {
        Self {
            code: Some(code.to_owned()),
            detail: Some(in_words(error)),
            ..Self::new("offline")
        }
    }

    /// The hub does not know this device any more; the shop sells on.
    pub(crate) fn refused(code: &str, error: &(dyn Error + 'static)) -> Self {
        Self {
            state: "refused",
            ..Self::failed(code, error)
        }
    }

    /// Whether the hub answers.
    pub(crate) fn is_connected(&self) -> bool {
        self.state == "connected"
    }

    /// `connected`, or why not.
    pub(crate) fn word(&self) -> &str {
        self.code.as_deref().unwrap_or(self.state)
    }

    /// The reason in words, where there is one.
    pub(crate) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    fn is_news(&self, before: &Self) -> bool {
        (self.state, &self.code) != (before.state, &before.code)
    }
}

/// A file that lies in its drop folder and waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Waiting {
    /// Where it lies.
    pub(crate) file: PathBuf,
    /// A stable code: `hub_positions`, `source_change`.
    pub(crate) code: &'static str,
    /// What it waits for, in words.
    pub(crate) message: String,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Situation {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    hub: HubState,
    waiting: BTreeMap<PathBuf, Waiting>,
    folders: BTreeMap<PathBuf, String>,
    /// Until when it is known whether files were rejected whole, and what is said of that.
    rejected: (i64, Option<String>),
}

impl Default for Situation {
    fn default() -> Self {
        let inner = Inner {
            hub: HubState::stopped(),
            waiting: BTreeMap::new(),
            folders: BTreeMap::new(),
            rejected: (0, None),
        };
        Self {
            inner: Mutex::new(inner),
        }
    }
}

impl Situation {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line to the hub is so now; a change is logged once.
    pub(crate) fn hub(&self, mut state: HubState) {
        let mut inner = self.lock();
        if !state.is_news(&inner.hub) {
            return;
        }
        match (&state.code, &state.detail) {
            (None, _) => tracing::info!("the hub is {}", state.state),
            (Some(code), detail) => {
                tracing::warn!(
                    code,
                    "the hub is {}: {}",
                    state.state,
                    detail.as_deref().unwrap_or_default()
                );
            }
        }
        state.since = Some(when::rfc3339_ms(now_ms()));
        inner.hub = state;
    }

    /// The line to the hub.
    pub(crate) fn hub_state(&self) -> HubState {
        self.lock().hub.clone()
    }

    /// Whether the hub answers.
    pub(crate) fn is_connected(&self) -> bool {
        self.lock().hub.is_connected()
    }

    /// A file waits in its folder.
    pub(crate) fn waits(&self, waiting: Waiting) {
        if self.lock().waiting.get(&waiting.file) == Some(&waiting) {
            return;
        }
        tracing::warn!(file.path = %waiting.file.display(), code = waiting.code, "a file waits: {}", waiting.message);
        self.lock().waiting.insert(waiting.file.clone(), waiting);
    }

    /// It does not wait any more.
    pub(crate) fn waits_no_more(&self, file: &Path) {
        self.lock().waiting.remove(file);
    }

    /// The files that wait.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        self.lock().waiting.values().cloned().collect()
    }

    /// A drop folder cannot be read, or can again.
    pub(crate) fn folder(&self, folder: &Path, problem: Option<String>) {
        let mut inner = self.lock();
        match problem {
            Some(problem) => inner.folders.insert(folder.to_path_buf(), problem),
            None => inner.folders.remove(folder),
        };
    }

    /// The drop folders that cannot be read, with why.
    pub(crate) fn folders(&self) -> Vec<(PathBuf, String)> {
        self.lock()
            .folders
            .iter()
            .map(|(path, problem)| (path.clone(), problem.clone()))
            .collect()
    }

    /// What is said of files that were rejected whole: looked at anew after a while, because there may be many reports.
    pub(crate) fn rejected(&self, folder: &Path) -> Option<String> {
        let mut inner = self.lock();
        let now = now_ms();
        if now > inner.rejected.0 || now + REJECTED_FOR_MS < inner.rejected.0 {
            let last = inbox::rejected_whole(folder).pop();
            inner.rejected = (
                now + REJECTED_FOR_MS,
                last.map(|last| format!("files_rejected: {last}")),
            );
        }
        inner.rejected.1.clone()
    }

    /// What a person at the shop or at head office should know, as codes with words behind a colon; at most 16.
    pub(crate) fn problems(&self) -> Vec<String> {
        let inner = self.lock();
        let waiting = inner
            .waiting
            .values()
            .map(|waiting| format!("file_waits: {}", waiting.message));
        let folders = inner
            .folders
            .iter()
            .map(|(path, why)| format!("folder_unreachable: {}: {why}", path.display()));
        waiting.chain(folders).take(16).collect()
    }
}

/// An error with its causes, in one line.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
