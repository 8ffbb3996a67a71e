//! The line between an agent and the hub: a TCP proxy that counts bytes, that a test cuts and mends, at any byte, and
//! that answers for the hub where it is asked to.

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
const ANSWERS: u8 = 3;
/// No byte is the last one.
const NEVER: u64 = u64::MAX;

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
    up: Count,
    down: Count,
    first: Mutex<Option<Instant>>,
    /// What is answered instead of the hub, and when it was.
    answer: Mutex<Vec<u8>>,
    answered: Mutex<Vec<Instant>>,
    dialled: AtomicU64,
    /// Each connection ends after so many bytes from the hub.
    most_down: AtomicU64,
    /// The hub's last answer behind which something else was asked.
    last_answer: Mutex<Vec<u8>>,
}

/// Bytes of one direction, and behind which of them the connection that carries it is cut, once.
#[derive(Debug)]
struct Count {
    carried: AtomicU64,
    last: AtomicU64,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the hub.
    Up,
    /// From the hub.
    Down,
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
    /// Opens a line to `http://HOST:PORT`, or `https://HOST:PORT`.
    pub fn to(url: &str) -> Self {
        let (scheme, target) = url.split_once("://").unwrap();
        let target = target.to_owned();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            mode: AtomicU8::new(UP),
            changed: Notify::new(),
            up: Count::new(),
            down: Count::new(),
            first: Mutex::new(None),
            answer: Mutex::default(),
            answered: Mutex::default(),
            dialled: AtomicU64::new(0),
            most_down: AtomicU64::new(NEVER),
            last_answer: Mutex::default(),
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

    /// Cuts the connection that carries the byte after the next `bytes`, in that direction, and no other.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        let count = self.state.count(way);
        let carried = count.carried.load(Ordering::SeqCst);
        count.last.store(carried + bytes, Ordering::SeqCst);
    }

    /// Cuts every connection after so many bytes from the hub, until the line is mended.
    pub fn cut_each_after(&self, bytes: u64) {
        self.state.most_down.store(bytes, Ordering::SeqCst);
        self.set(UP);
    }

    /// Whether that cut is still to come.
    pub fn will_cut(&self, way: Way) -> bool {
        self.state.count(way).last.load(Ordering::SeqCst) != NEVER
    }

    /// Whatever is asked is answered so, and the hub hears nothing: `503 Service Unavailable` and header lines, each
    /// with its end.
    pub fn answer(&self, status: &str, headers: &str) {
        let answer =
            format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n");
        self.answer_with(answer);
    }

    /// The same with whatever bytes a stranger may answer.
    pub fn answer_with(&self, bytes: impl Into<Vec<u8>>) {
        *self.state.answer.lock().unwrap() = bytes.into();
        self.state.answered.lock().unwrap().clear();
        self.set(ANSWERS);
    }

    /// When that was answered so far.
    pub fn answered(&self) -> Vec<Instant> {
        self.state.answered.lock().unwrap().clone()
    }

    /// The hub's last answer behind which something else was asked.
    pub fn last_answer(&self) -> Vec<u8> {
        self.state.last_answer.lock().unwrap().clone()
    }

    /// How often it was dialled.
    pub fn dialled(&self) -> u64 {
        self.state.dialled.load(Ordering::SeqCst)
    }

    /// Mends it.
    pub fn mend(&self) {
        self.state.most_down.store(NEVER, Ordering::SeqCst);
        *self.state.first.lock().unwrap() = None;
        self.set(UP);
    }

    /// Bytes that went up to the hub and down from it so far.
    pub fn carried(&self) -> (u64, u64) {
        let count = |way| self.state.count(way).carried.load(Ordering::SeqCst);
        (count(Way::Up), count(Way::Down))
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

impl Count {
    fn new() -> Self {
        Self {
            carried: AtomicU64::new(0),
            last: AtomicU64::new(NEVER),
        }
    }

    /// How many of so many bytes are carried; fewer where the cut is among them, which then has happened.
    fn take(&self, bytes: usize) -> usize {
        let carried = self.carried.load(Ordering::SeqCst);
        let room = self.last.load(Ordering::SeqCst).saturating_sub(carried);
        let taken = usize::try_from(room).map_or(bytes, |room| bytes.min(room));
        if taken < bytes {
            self.last.store(NEVER, Ordering::SeqCst);
        }
        self.carried.fetch_add(taken as u64, Ordering::SeqCst);
        taken
    }
}

impl State {
    fn count(&self, way: Way) -> &Count {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    fn took_up(&self, count: usize) -> usize {
        let taken = self.up.take(count);
        self.first.lock().unwrap().get_or_insert_with(Instant::now);
        taken
    }
}

async fn carry(mut near: TcpStream, target: String, state: Arc<State>) {
    state.dialled.fetch_add(1, Ordering::SeqCst);
    if state.mode.load(Ordering::SeqCst) == CUT {
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut answer = Answer::default();
    loop {
        // Armed before the mode is read, so that no cut slips through between.
        let changed = state.changed.notified();
        match state.mode.load(Ordering::SeqCst) {
            CUT => return,
            ANSWERS => {
                tokio::select! {
                    read = near.read(&mut up) => {
                        if read.is_ok_and(|count| count > 0) {
                            answer_for(near, &state).await;
                        }
                        return;
                    }
                    () = changed => {}
                }
            }
            mode => tokio::select! {
                read = near.read(&mut up) => match read {
                    Ok(count) if count > 0 => {
                        answer.ended(&state);
                        let taken = state.took_up(count);
                        if far.write_all(&up[..taken]).await.is_err() || taken < count {
                            return;
                        }
                    }
                    _ => return,
                },
                read = far.read(&mut down) => match read {
                    Ok(count) if count > 0 => {
                        // A lost answer ends the connection, as a proxy's time-out would.
                        if mode == DEAF {
                            return;
                        }
                        let taken = state.down.take(answer.room(count, &state));
                        answer.carry(&down[..taken]);
                        if near.write_all(&down[..taken]).await.is_err() || taken < count {
                            return;
                        }
                    }
                    _ => return,
                },
                () = changed => {}
            },
        }
    }
}

/// What the hub sent on one connection.
#[derive(Default)]
struct Answer {
    carried: u64,
    /// Since something was asked.
    bytes: Vec<u8>,
}

impl Answer {
    /// How many of so many bytes may be carried.
    fn room(&self, bytes: usize, state: &State) -> usize {
        let most = state.most_down.load(Ordering::SeqCst);
        let room = most.saturating_sub(self.carried);
        usize::try_from(room).map_or(bytes, |room| bytes.min(room))
    }

    fn carry(&mut self, bytes: &[u8]) {
        self.carried += bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
    }

    /// Something else is asked.
    fn ended(&mut self, state: &State) {
        if !self.bytes.is_empty() {
            *state.last_answer.lock().unwrap() = std::mem::take(&mut self.bytes);
        }
    }
}

/// Answers instead of the hub, and reads what else comes, so that the answer is not lost with a reset.
async fn answer_for(mut near: TcpStream, state: &State) {
    let answer = state.answer.lock().unwrap().clone();
    state.answered.lock().unwrap().push(Instant::now());
    let _ = near.write_all(&answer).await;
    let _ = near.shutdown().await;
    let mut rest = [0; 1 << 12];
    while near.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}
