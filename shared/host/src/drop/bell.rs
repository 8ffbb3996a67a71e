//! What wakes a folder's thread.

use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind, RenameMode};

/// More hints than this are not kept: the files then settle by time.
const RENAMED_MAX: usize = 10_000;

/// Why the thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    Stopped,
    Rung,
    Silent,
}

#[derive(Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_rung: bool,
    is_stopped: bool,
    has_ended: bool,
    /// Names that were renamed into the folder: such a file is whole.
    renamed: HashSet<OsString>,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.lock().is_rung = true;
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// Takes an event of the operating system, on its thread.
    pub(super) fn hear(&self, event: notify::Result<notify::Event>) {
        let mut state = self.lock();
        if let Ok(event) = event {
            // Our own reading raises these.
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            if matches!(
                event.kind,
                EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both))
            ) && state.renamed.len() < RENAMED_MAX
            {
                // Of "both" the new name is the last one.
                let name = event.paths.last().and_then(|path| path.file_name());
                state.renamed.extend(name.map(OsString::from));
            }
        }
        // An error may mean lost events: look.
        state.is_rung = true;
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn take_renamed(&self) -> HashSet<OsString> {
        std::mem::take(&mut self.lock().renamed)
    }

    /// Waits until it is rung, at most until `until`.
    pub(super) fn wait(&self, until: Instant) -> Woken {
        let mut state = self.lock();
        loop {
            if state.is_stopped {
                return Woken::Stopped;
            }
            if state.is_rung {
                return Woken::Rung;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::Silent;
            }
            state = self.wait_at_most(state, left);
        }
    }

    /// Rests while the events of a swarm come, then forgets them; true when it was stopped meanwhile.
    pub(super) fn pause(&self, rest: Duration) -> bool {
        let until = Instant::now() + rest;
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.is_stopped || left.is_zero() {
                state.is_rung = false;
                return state.is_stopped;
            }
            state = self.wait_at_most(state, left);
        }
    }

    /// Waits until the thread has ended; false when it has not within `patience`.
    pub(super) fn wait_for_end(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.has_ended || left.is_zero() {
                return state.has_ended;
            }
            state = self.wait_at_most(state, left);
        }
    }

    fn wait_at_most<'a>(
        &self,
        state: MutexGuard<'a, State>,
        left: Duration,
    ) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the thread has ended, however it ends.
pub(super) struct EndGuard(Arc<Bell>);

impl EndGuard {
    pub(super) fn of(bell: &Arc<Bell>) -> Self {
        Self(Arc::clone(bell))
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.lock().has_ended = true;
        self.0.changed.notify_all();
    }
}
