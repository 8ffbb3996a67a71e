//! A connection under watch: who sends no request, half a request or takes no answer is let go.
//!
//! The HTTP library's own header timer costs an allocation and a timer for every request and closes idle connections
//! as early as half-sent heads, and it has no timer for answers that nobody takes. Here a request costs a few stores,
//! and one slow tick per connection looks at them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

mod framing;

/// The longest span between two looks.
const TICK: Duration = Duration::from_secs(2);
/// A small answer is sent in one piece: copying it costs less than a second piece in a write. Of a large one nothing is
/// copied before the kernel does.
const SMALL_BYTES: usize = 4 * 1_024;
/// Who takes less than so many bytes a second of an answer takes none: a modem does better.
const SLOWEST_BYTES_PER_S: u64 = 1_024;

/// How long a connection is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the whole head of a request, from its first byte on; for the first one from the beginning.
    pub head: Duration,
    /// Between two requests.
    pub quiet: Duration,
    /// While an answer is not taken.
    pub write: Duration,
}

/// What the connection and its answers tell the watch.
#[derive(Debug)]
pub struct Pulse {
    /// A request is being answered: its own limits hold.
    busy: AtomicBool,
    /// A request's head is awaited or on its way.
    in_head: AtomicBool,
    /// The system takes no more bytes of an answer.
    is_stuck: AtomicBool,
    /// Who is there has shown who he is.
    is_proved: AtomicBool,
    /// Grows with whatever comes.
    came: AtomicU32,
    /// Grows by the bytes that go.
    went: AtomicU32,
    /// What the head that is on its way says of its body's length.
    lengths: AtomicU8,
    evicted: Notify,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            busy: AtomicBool::new(false),
            // Whoever comes has something to ask.
            in_head: AtomicBool::new(true),
            is_stuck: AtomicBool::new(false),
            is_proved: AtomicBool::new(false),
            came: AtomicU32::new(0),
            went: AtomicU32::new(0),
            lengths: AtomicU8::new(0),
            evicted: Notify::new(),
        }
    }
}

impl Pulse {
    /// A whole head was read. Whether it says its body's length in two ways: then nobody can say where the next
    /// request begins, and it must not be answered but by a refusal.
    pub fn begin(&self) -> bool {
        self.busy.store(true, Ordering::Relaxed);
        self.in_head.store(false, Ordering::Relaxed);
        self.lengths.swap(0, Ordering::Relaxed) == framing::BOTH
    }

    /// The answer's head is made.
    pub fn end(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// The caller has shown who he is.
    pub fn prove(&self) {
        self.is_proved.store(true, Ordering::Relaxed);
    }

    /// Whether he has.
    pub fn is_proved(&self) -> bool {
        self.is_proved.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Makes room for somebody else: the connection ends at once.
    pub fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Comes back when the connection is no longer waited for.
    pub async fn run_out(&self, patience: Patience) {
        let mut watch = Watch::new(patience);
        let first = tokio::time::Instant::now() + watch.tick;
        let mut looks = tokio::time::interval_at(first, watch.tick);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.evicted.notified() => return,
                _ = looks.tick() => if !watch.lasts(self) {
                    return;
                }
            }
        }
    }

    fn came(&self, bytes: &[u8]) {
        self.came.fetch_add(1, Ordering::Relaxed);
        if !self.busy.load(Ordering::Relaxed) {
            self.in_head.store(true, Ordering::Relaxed);
            let seen = framing::lengths(bytes);
            if seen != 0 {
                self.lengths.fetch_or(seen, Ordering::Relaxed);
            }
        }
    }

    fn went(&self, done: &Poll<io::Result<usize>>) {
        match done {
            Poll::Ready(Ok(bytes)) => {
                let bytes = u32::try_from(*bytes).unwrap_or(u32::MAX);
                self.went.fetch_add(bytes, Ordering::Relaxed);
                self.is_stuck.store(false, Ordering::Relaxed);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.is_stuck.store(true, Ordering::Relaxed),
        }
    }
}

/// What the looks have found so far.
#[derive(Debug)]
struct Watch {
    patience: Patience,
    tick: Duration,
    came: u32,
    went: u32,
    quiet: Duration,
    in_head: Duration,
    /// Bytes of an answer that should have been taken by now.
    owed: u64,
}

impl Watch {
    fn new(patience: Patience) -> Self {
        let shortest = patience.head.min(patience.quiet).min(patience.write);
        Self {
            patience,
            // Fine enough that nobody is waited for much longer than was said.
            tick: (shortest / 5).clamp(Duration::from_millis(1), TICK),
            came: 0,
            went: 0,
            quiet: Duration::ZERO,
            in_head: Duration::ZERO,
            owed: 0,
        }
    }

    /// One look: whether the connection is still waited for.
    fn lasts(&mut self, pulse: &Pulse) -> bool {
        let came = pulse.came.load(Ordering::Relaxed);
        let went = pulse.went.load(Ordering::Relaxed);
        let is_still = came == self.came && went == self.went;
        let taken = went.wrapping_sub(self.went);
        (self.came, self.went) = (came, went);
        if pulse.is_stuck.load(Ordering::Relaxed) {
            let due = bytes_in(self.tick);
            self.owed = (self.owed + due).saturating_sub(taken.into());
        } else {
            self.owed = 0;
        }
        if pulse.is_busy() {
            (self.quiet, self.in_head) = (Duration::ZERO, Duration::ZERO);
        } else {
            let longer =
                |span: Duration, is: bool| if is { span + self.tick } else { Duration::ZERO };
            self.quiet = longer(self.quiet, is_still);
            self.in_head = longer(self.in_head, pulse.in_head.load(Ordering::Relaxed));
        }
        self.in_head < self.patience.head
            && self.quiet <= self.patience.quiet
            && self.owed < bytes_in(self.patience.write)
    }
}

/// What even the slowest takes in so long a time.
fn bytes_in(span: Duration) -> u64 {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    ms.saturating_mul(SLOWEST_BYTES_PER_S) / 1_000
}

/// A stream that tells its pulse.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    /// Puts a stream under watch.
    pub fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(done, Poll::Ready(Ok(()))) {
            self.pulse
                .came(buffer.filled().get(before..).unwrap_or_default());
        }
        done
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.pulse.went(&done);
        done
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut small = [0; SMALL_BYTES];
        let done = match gather(parts, &mut small) {
            Some(bytes) => Pin::new(&mut self.stream).poll_write(cx, bytes),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, parts),
        };
        self.pulse.went(&done);
        done
    }
}

/// The parts in one piece, where they fit.
fn gather<'b>(parts: &[io::IoSlice<'_>], into: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        into.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    into.get(..length)
}

#[cfg(test)]
mod tests;
