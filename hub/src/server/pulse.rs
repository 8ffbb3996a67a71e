//! A connection under watch: who sends no request, half a request or takes no answer is let go.
//!
//! hyper's own header timer costs an allocation and a timer for every request and closes idle connections as early
//! as half-sent heads. Here a request costs two stores, and one slow tick per connection looks at them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How often a connection is looked at.
pub(crate) const TICK_MS: u64 = 2_000;

/// A head that has not come whole after so many looks is not waited for: under ten seconds.
const HEAD_TICKS: u32 = 5;

/// A connection on which nothing moved for so many looks is closed: 76 seconds, one more than browsers and pools keep.
const QUIET_TICKS: u32 = 38;

/// A small answer is sent in one piece: copying it costs less than a second piece in a write. Of a large one nothing is
/// copied before the kernel does.
const SMALL_BYTES: usize = 4 * 1_024;

/// What the connection and its answers tell the watch.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// A request is being answered: its own limits hold.
    busy: AtomicBool,
    /// Bytes of a request came, and not yet its whole head.
    in_head: AtomicBool,
    /// Grows with whatever moves, either way.
    moved: AtomicU32,
}

impl Pulse {
    /// A whole head was read.
    pub(crate) fn begin(&self) {
        self.busy.store(true, Ordering::Relaxed);
        self.in_head.store(false, Ordering::Relaxed);
    }

    /// The answer's head is made.
    pub(crate) fn end(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    fn came(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
        if !self.busy.load(Ordering::Relaxed) {
            self.in_head.store(true, Ordering::Relaxed);
        }
    }

    fn went(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the looks have found so far.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    moved: u32,
    quiet: u32,
    in_head: u32,
}

impl Patience {
    /// One look: whether the connection is still waited for.
    pub(crate) fn lasts(&mut self, pulse: &Pulse) -> bool {
        if pulse.busy.load(Ordering::Relaxed) {
            (self.quiet, self.in_head) = (0, 0);
            return true;
        }
        let moved = pulse.moved.load(Ordering::Relaxed);
        self.quiet = if moved == self.moved {
            self.quiet + 1
        } else {
            0
        };
        self.moved = moved;
        self.in_head = if pulse.in_head.load(Ordering::Relaxed) {
            self.in_head + 1
        } else {
            0
        };
        self.in_head < HEAD_TICKS && self.quiet < QUIET_TICKS
    }
}

/// A socket that tells its pulse.
pub(crate) struct Watched {
    stream: TokioIo<TcpStream>,
    pulse: Arc<Pulse>,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream, pulse: Arc<Pulse>) -> Self {
        Self {
            stream: TokioIo::new(stream),
            pulse,
        }
    }
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(done, Poll::Ready(Ok(()))) {
            self.pulse.came();
        }
        done
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if matches!(done, Poll::Ready(Ok(_))) {
            self.pulse.went();
        }
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
        if matches!(done, Poll::Ready(Ok(_))) {
            self.pulse.went();
        }
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
mod tests {
    use super::*;

    fn looks(pulse: &Pulse, patience: &mut Patience) -> usize {
        (1..1_000).find(|_| !patience.lasts(pulse)).unwrap()
    }

    #[test]
    fn a_small_answer_is_one_piece_and_a_large_one_stays_as_it_is() {
        let (head, body) = (io::IoSlice::new(b"head"), io::IoSlice::new(b"body"));
        let mut room = [0; 8];

        assert_eq!(gather(&[head, body], &mut room), Some(&b"headbody"[..]));
        assert_eq!(gather(&[head, body, head], &mut room), None);
        assert_eq!(gather(&[], &mut room), Some(&b""[..]));
    }

    #[test]
    fn half_a_head_is_waited_for_ten_seconds_and_a_pooled_connection_for_more_than_a_minute() {
        let (half, idle) = (Pulse::default(), Pulse::default());
        half.came();
        idle.came();
        idle.begin();
        idle.end();

        assert!(looks(&half, &mut Patience::default()) as u64 * TICK_MS <= 10_000);
        assert!(looks(&idle, &mut Patience::default()) as u64 * TICK_MS > 75_000);
    }

    #[test]
    fn a_request_being_answered_has_its_own_limits_and_dripping_bytes_buy_no_time() {
        let (busy, dripping) = (Pulse::default(), Pulse::default());
        busy.came();
        busy.begin();
        let mut patience = Patience::default();

        assert!((0..1_000).all(|_| patience.lasts(&busy)));
        let mut patience = Patience::default();
        let lasted = (0..1_000)
            .take_while(|_| {
                dripping.came();
                patience.lasts(&dripping)
            })
            .count();
        assert!(lasted < 5);
    }
}
