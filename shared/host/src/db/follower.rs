//! What follows a commit: each write's own `after`, the owner's hook, the answers; in the order of the commits.
//!
//! Of a small transaction it runs at once on the database thread. A large one is left to a thread of its own, and the
//! next transaction runs meanwhile; nobody is answered before both are done with his.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::error::DbError;
use super::queue::Job;
use super::writer::{AfterCommit, Group, refuse_all};

/// From so many changed rows on a transaction's consequences are worth another thread's waking.
const MANY_CHANGES: u64 = 256;
/// How many large transactions may wait; then the database thread does.
const BEHIND_MAX: usize = 2;

/// A committed transaction with those who wait for it.
struct Committed {
    kept: Vec<Box<dyn Job>>,
    group: Group,
}

/// Does what follows commits.
pub(super) struct Follower {
    hook: Arc<Mutex<AfterCommit>>,
    /// How many transactions the thread has before it.
    behind: Arc<AtomicUsize>,
    thread: Option<(SyncSender<Committed>, JoinHandle<()>)>,
}

impl Follower {
    /// Starts its thread, where there is a hook whose work is worth one.
    pub(super) fn start(hook: Option<AfterCommit>) -> io::Result<Self> {
        let has_work = hook.is_some();
        let hook = Arc::new(Mutex::new(hook.unwrap_or_else(|| Box::new(|_| {}))));
        let behind = Arc::new(AtomicUsize::new(0));
        let mut follower = Self {
            hook,
            behind,
            thread: None,
        };
        if has_work {
            let (sender, receiver) = sync_channel(BEHIND_MAX);
            let (hook, behind) = (Arc::clone(&follower.hook), Arc::clone(&follower.behind));
            let thread = std::thread::Builder::new()
                .name("follower".to_owned())
                .spawn(move || run(&receiver, &hook, &behind))?;
            follower.thread = Some((sender, thread));
        }
        Ok(follower)
    }

    /// What follows this commit.
    pub(super) fn follow(&self, kept: Vec<Box<dyn Job>>, group: Group) {
        let committed = Committed { kept, group };
        let is_behind = self.behind.load(Ordering::Acquire) > 0;
        match &self.thread {
            Some((sender, _)) if is_behind || group.changes >= MANY_CHANGES => {
                self.behind.fetch_add(1, Ordering::AcqRel);
                if let Err(refused) = sender.send(committed) {
                    // The thread catches every panic, so it is there; but nobody is left without an answer.
                    finish(refused.0, &self.hook);
                }
            }
            _ => finish(committed, &self.hook),
        }
    }

    /// Waits until everybody is answered.
    pub(super) fn close(self) {
        if let Some((sender, thread)) = self.thread {
            drop(sender);
            let _ = thread.join();
        }
    }
}

fn run(committed: &Receiver<Committed>, hook: &Mutex<AfterCommit>, behind: &AtomicUsize) {
    for committed in committed {
        finish(committed, hook);
        behind.fetch_sub(1, Ordering::AcqRel);
    }
}

fn finish(mut committed: Committed, hook: &Mutex<AfterCommit>) {
    let Committed { kept, group } = &mut committed;
    for job in kept.iter_mut() {
        job.after();
    }
    let mut hook = hook.lock().unwrap_or_else(PoisonError::into_inner);
    let is_done = catch_unwind(AssertUnwindSafe(|| hook(group))).is_ok();
    drop(hook);
    if is_done {
        committed.kept.into_iter().for_each(Job::answer);
    } else {
        tracing::error!("what follows a commit panicked");
        refuse_all(committed.kept, || DbError::AfterCommit);
    }
}
