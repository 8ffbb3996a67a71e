//! A meter between the text and the XML reader, which has no limits of its own: one huge text would be buffered whole.

use std::io::{self, BufRead, Read};

use super::MAX_TEXT_BYTES;
use crate::text::{SourceEncoding, Utf8Reader};

/// One event took more than [`MAX_TEXT_BYTES`].
#[derive(Debug, thiserror::Error)]
#[error("a text or tag is longer than {MAX_TEXT_BYTES} bytes")]
pub(super) struct TooLong;

/// Counts what one event consumes.
pub(super) struct Guarded<R> {
    inner: Utf8Reader<R>,
    used: usize,
}

impl<R: Read> Guarded<R> {
    pub(super) fn new(inner: Utf8Reader<R>) -> Self {
        Self { inner, used: 0 }
    }

    pub(super) fn begin_event(&mut self) {
        self.used = 0;
    }

    pub(super) fn line(&mut self) -> u64 {
        self.inner.line()
    }

    pub(super) fn encoding(&self) -> SourceEncoding {
        self.inner.encoding()
    }
}

impl<R: Read> BufRead for Guarded<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used > MAX_TEXT_BYTES {
            return Err(io::Error::other(TooLong));
        }
        self.inner.fill_buf()
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.used += amount;
        self.inner.consume(amount);
    }
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.used += count;
        Ok(count)
    }
}
