//! What waits for the database thread: two bounded queues of closures.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::error::DbError;

/// How long a background write waits behind urgent ones before it has its turn.
const BACKGROUND_PATIENCE: Duration = Duration::from_millis(500);

/// The longest that background writes have no turn while the write-ahead log is copied.
const BACKGROUND_HOLD: Duration = Duration::from_secs(2);
/// How recent a background write is that another one follows.
const BACKGROUND_LATELY: Duration = Duration::from_secs(1);

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Urgent,
    Background,
}

/// A closure with its caller, its types forgotten.
pub(super) trait Job: Send {
    /// Runs it in the open transaction; false when it is to be rolled back.
    fn run(&mut self, conn: &Connection) -> bool;
    /// Runs what follows a commit.
    fn after(&mut self);
    /// Gives the caller what came of it.
    fn answer(self: Box<Self>);
    /// Gives the caller an error instead.
    fn refuse(self: Box<Self>, error: DbError);
}

struct Call<T, E, F, A> {
    work: Option<F>,
    after: Option<A>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F, A> Job for Call<T, E, F, A>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    A: FnOnce(&T) + Send,
    T: Send,
    E: From<DbError> + Send,
{
    fn run(&mut self, conn: &Connection) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        // The closure is gone afterwards and its savepoint rolled back: nothing half done is seen.
        let result = catch_unwind(AssertUnwindSafe(|| work(conn)))
            .unwrap_or_else(|_| Err(DbError::Panicked.into()));
        let is_kept = result.is_ok();
        self.result = Some(result);
        is_kept
    }

    fn after(&mut self) {
        let (Some(after), Some(Ok(value))) = (self.after.take(), &self.result) else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| after(value))).is_err() {
            self.result = Some(Err(DbError::AfterCommit.into()));
        }
    }

    fn answer(self: Box<Self>) {
        let result = self.result.unwrap_or_else(|| Err(DbError::Closed.into()));
        // The caller may have gone; the write stands.
        let _ = self.reply.send(result);
    }

    fn refuse(self: Box<Self>, error: DbError) {
        let _ = self.reply.send(Err(error.into()));
    }
}

/// What the callers and the thread share.
pub(super) struct Shared {
    queues: Mutex<Queues>,
    wake: Condvar,
    urgent_room: Arc<Semaphore>,
    background_room: Arc<Semaphore>,
}

struct Queues {
    urgent: VecDeque<Waiting>,
    background: VecDeque<Waiting>,
    /// When the background has its turn although urgent writes wait.
    background_turn: Option<Instant>,
    /// Until when the background has no turn at all.
    background_held: Option<Instant>,
    /// When the last urgent write came.
    last_urgent: Option<Instant>,
    /// When the last background write came.
    last_background: Option<Instant>,
    is_open: bool,
}

struct Waiting {
    job: Box<dyn Job>,
    /// Given back when the job leaves the queue.
    _room: OwnedSemaphorePermit,
}

/// What the thread does next.
pub(super) enum Next {
    Run(Box<dyn Job>),
    Tidy,
    Stop,
}

impl Shared {
    pub(super) fn new(urgent_max: usize, background_max: usize) -> Self {
        Self {
            queues: Mutex::new(Queues {
                urgent: VecDeque::new(),
                background: VecDeque::new(),
                background_turn: None,
                background_held: None,
                last_urgent: None,
                last_background: None,
                is_open: true,
            }),
            wake: Condvar::new(),
            urgent_room: Arc::new(Semaphore::new(urgent_max.max(1))),
            background_room: Arc::new(Semaphore::new(background_max.max(1))),
        }
    }

    /// Queues a closure and waits for its answer.
    pub(super) async fn call<T, E, F, A>(&self, lane: Lane, work: F, after: A) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let room = match lane {
            Lane::Urgent => &self.urgent_room,
            Lane::Background => &self.background_room,
        };
        let room = Arc::clone(room).acquire_owned().await;
        let room = room.map_err(|_| DbError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Call {
            work: Some(work),
            after: Some(after),
            result: None,
            reply,
        });
        self.push(lane, Waiting { job, _room: room })?;
        answer.await.unwrap_or_else(|_| Err(DbError::Closed.into()))
    }

    fn push(&self, lane: Lane, waiting: Waiting) -> Result<(), DbError> {
        let mut queues = self.lock();
        if !queues.is_open {
            return Err(DbError::Closed);
        }
        match lane {
            Lane::Urgent => {
                queues.urgent.push_back(waiting);
                queues.last_urgent = Some(Instant::now());
            }
            Lane::Background => {
                queues.background.push_back(waiting);
                let now = Instant::now();
                queues.last_background = Some(now);
                queues
                    .background_turn
                    .get_or_insert(now + BACKGROUND_PATIENCE);
            }
        }
        drop(queues);
        self.wake.notify_one();
        Ok(())
    }

    /// The first job of the next transaction, or `Tidy` when none came until `tidy_at`.
    pub(super) fn next(&self, tidy_at: Option<Instant>) -> Next {
        let mut queues = self.lock();
        loop {
            if let Some(job) = queues.first() {
                return Next::Run(job);
            }
            if !queues.is_open {
                return Next::Stop;
            }
            let wake_at = tidy_at.into_iter().chain(queues.background_held).min();
            let Some(wake_at) = wake_at else {
                queues = self
                    .wake
                    .wait(queues)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let now = Instant::now();
            if tidy_at.is_some_and(|tidy_at| tidy_at <= now) {
                return Next::Tidy;
            }
            let left = wake_at.saturating_duration_since(now);
            queues = self
                .wake
                .wait_timeout(queues, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// A further urgent job for the open transaction.
    pub(super) fn also_urgent(&self) -> Option<Box<dyn Job>> {
        self.lock().urgent.pop_front().map(|waiting| waiting.job)
    }

    /// Gives background writes no turn until [`Self::release_background`], for [`BACKGROUND_HOLD`] at most. False, and
    /// nothing is held, where none came lately.
    pub(super) fn hold_background(&self) -> bool {
        let mut queues = self.lock();
        let now = Instant::now();
        let is_used = queues
            .last_background
            .is_some_and(|last| now.duration_since(last) < BACKGROUND_LATELY);
        if is_used {
            queues.background_held.get_or_insert(now + BACKGROUND_HOLD);
        }
        is_used
    }

    /// Background writes have their turns again.
    pub(super) fn release_background(&self) {
        if self.lock().background_held.take().is_some() {
            self.wake.notify_one();
        }
    }

    pub(super) fn waiting(&self) -> (usize, usize) {
        let queues = self.lock();
        (queues.urgent.len(), queues.background.len())
    }

    /// Whether no urgent write came for so long.
    pub(super) fn is_calm(&self, span: Duration) -> bool {
        let last = self.lock().last_urgent;
        last.is_none_or(|last| last.elapsed() >= span)
    }

    /// Takes no more; what is queued is still run.
    pub(super) fn close(&self) {
        self.lock().is_open = false;
        self.urgent_room.close();
        self.background_room.close();
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        // No code that can panic runs under the lock.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn first(&mut self) -> Option<Box<dyn Job>> {
        if let Some(until) = self.background_held {
            // Who closes the database does not wait.
            if self.is_open && Instant::now() < until {
                return self.urgent.pop_front().map(|waiting| waiting.job);
            }
            self.background_held = None;
        }
        let is_background_turn = self
            .background_turn
            .is_some_and(|turn| self.urgent.is_empty() || turn <= Instant::now());
        if !is_background_turn {
            return self.urgent.pop_front().map(|waiting| waiting.job);
        }
        let first = self.background.pop_front().map(|waiting| waiting.job);
        self.background_turn =
            (!self.background.is_empty()).then(|| Instant::now() + BACKGROUND_PATIENCE);
        first
    }
}
