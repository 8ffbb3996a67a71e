//! The line between one agent and the hub: a TCP proxy that can be pulled and given back.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A line to one address.
#[derive(Debug)]
pub(super) struct Line {
    /// The address to dial instead.
    pub(super) url: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    is_cut: AtomicBool,
    changed: Notify,
    mended: Mutex<Option<Instant>>,
    dialled: Mutex<Option<Instant>>,
}

impl Line {
    /// Opens a line to `http://HOST:PORT`.
    pub(super) async fn to(url: &str) -> io::Result<Self> {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target.clone(), Arc::clone(&shared)));
            }
        });
        Ok(Self { url, state })
    }

    /// Every connection ends, new ones end at once.
    pub(super) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        self.state.changed.notify_waiters();
    }

    /// Gives it back.
    pub(super) fn mend(&self) {
        if self.is_cut() {
            *lock(&self.state.dialled) = None;
            *lock(&self.state.mended) = Some(Instant::now());
            self.state.is_cut.store(false, Ordering::SeqCst);
        }
    }

    /// Whether it is cut.
    pub(super) fn is_cut(&self) -> bool {
        self.state.is_cut.load(Ordering::SeqCst)
    }

    /// Whether the agent is without the hub: the line is cut, or it has not dialled since the line is back.
    pub(super) fn is_down(&self) -> bool {
        self.is_cut() || (lock(&self.state.mended).is_some() && lock(&self.state.dialled).is_none())
    }

    /// When it was given back, and when the agent dialled first after that.
    pub(super) fn back(&self) -> Option<(Instant, Instant)> {
        Some(((*lock(&self.state.mended))?, (*lock(&self.state.dialled))?))
    }
}

fn lock(at: &Mutex<Option<Instant>>) -> std::sync::MutexGuard<'_, Option<Instant>> {
    at.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn carry(mut near: TcpStream, target: String, state: Arc<State>) {
    // Armed before the state is read, so that no cut slips through between.
    let changed = state.changed.notified();
    if state.is_cut.load(Ordering::SeqCst) {
        return;
    }
    lock(&state.dialled).get_or_insert_with(Instant::now);
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        () = changed => {}
    }
}
