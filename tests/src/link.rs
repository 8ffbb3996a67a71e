//! The line between an agent and the hub: a TCP proxy that counts bytes, and that a test cuts and mends.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

const UP: u8 = 0;
const CUT: u8 = 1;
const DEAF: u8 = 2;

/// A line to one address.
#[derive(Debug)]
pub struct Link {
    /// The address to dial instead.
    pub url: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    mode: AtomicU8,
    changed: Notify,
    up: AtomicU64,
    down: AtomicU64,
    first: Mutex<Option<Instant>>,
}

/// The lines' own runtime: they carry on while a test waits for a command.
fn lines() -> &'static Runtime {
    static LINES: OnceLock<Runtime> = OnceLock::new();
    LINES.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    })
}

impl Link {
    /// Opens a line to `http://HOST:PORT`.
    pub fn to(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().to_owned();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            mode: AtomicU8::new(UP),
            changed: Notify::new(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            first: Mutex::new(None),
        });
        let shared = Arc::clone(&state);
        lines().spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target.clone(), Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// Cuts it: every connection ends, new ones end at once.
    pub fn cut(&self) {
        self.set(CUT);
    }

    /// Requests arrive, answers are lost.
    pub fn lose_answers(&self) {
        self.set(DEAF);
    }

    /// Mends it.
    pub fn mend(&self) {
        *self.state.first.lock().unwrap() = None;
        self.set(UP);
    }

    /// Bytes that went up to the hub and down from it so far.
    pub fn carried(&self) -> (u64, u64) {
        let count = |bytes: &AtomicU64| bytes.load(Ordering::SeqCst);
        (count(&self.state.up), count(&self.state.down))
    }

    /// When the first byte went up since the line was mended last.
    pub fn first_byte(&self) -> Option<Instant> {
        *self.state.first.lock().unwrap()
    }

    fn set(&self, mode: u8) {
        self.state.mode.store(mode, Ordering::SeqCst);
        self.state.changed.notify_waiters();
    }
}

impl State {
    fn count_up(&self, count: usize) {
        self.up.fetch_add(count as u64, Ordering::SeqCst);
        self.first.lock().unwrap().get_or_insert_with(Instant::now);
    }

    fn count_down(&self, count: usize) {
        self.down.fetch_add(count as u64, Ordering::SeqCst);
    }
}

async fn carry(mut near: TcpStream, target: String, state: Arc<State>) {
    if state.mode.load(Ordering::SeqCst) == CUT {
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        // Armed before the mode is read, so that no cut slips through between.
        let changed = state.changed.notified();
        match state.mode.load(Ordering::SeqCst) {
            CUT => return,
            mode => tokio::select! {
                read = near.read(&mut up) => match read {
                    Ok(count) if count > 0 => {
                        state.count_up(count);
                        if far.write_all(&up[..count]).await.is_err() {
                            return;
                        }
                    }
                    _ => return,
                },
                read = far.read(&mut down) => match read {
                    Ok(count) if count > 0 => {
                        // A lost answer ends the connection, as a proxy's time-out would.
                        if mode == DEAF || near.write_all(&down[..count]).await.is_err() {
                            return;
                        }
                        state.count_down(count);
                    }
                    _ => return,
                },
                () = changed => {}
            },
        }
    }
}
