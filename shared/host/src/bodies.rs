//! Bodies of requests, in one piece, within so much memory for all of them together.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody};
use tokio::sync::Semaphore;

/// Every body has so many bytes without asking, so that a sale comes through whoever sends what else.
const FREE_BYTES: usize = 16 << 10;
/// Room is counted in such pieces.
const PIECE_BYTES: usize = 4 << 10;

/// Room for bodies that are on their way.
#[derive(Debug)]
pub struct Bodies(Semaphore);

impl Bodies {
    /// Room for so many MiB, 1 at least: one body must fit.
    pub fn new(mib: u32) -> Self {
        Self(Semaphore::new(((mib.max(1) as usize) << 20) / PIECE_BYTES))
    }

    /// A body of at most `most` bytes, as soon as there is room for it; nothing when it is longer. It waits for all of
    /// its room at once: two bodies that each wait for the other's would wait for ever.
    ///
    /// # Errors
    ///
    /// The body ended early.
    pub async fn gather(&self, mut body: Body, most: usize) -> Result<Option<Bytes>, axum::Error> {
        // Who announces too much need not send it first.
        if body.size_hint().lower() > most as u64 {
            return Ok(None);
        }
        let announced = body.size_hint().exact();
        let announced = announced.map_or(most, |bytes| usize::try_from(bytes).unwrap_or(most));
        let (mut whole, mut room) = (Vec::new(), None);
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            // Trailers are nobody's.
            let Ok(piece) = frame?.into_data() else {
                continue;
            };
            let length = whole.len() + piece.len();
            if length > most {
                return Ok(None);
            }
            if length > FREE_BYTES && room.is_none() {
                let pieces = u32::try_from(announced.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
                // It is never closed.
                room = self.0.acquire_many(pieces).await.ok();
                // Once: a buffer that grows by doubling leaves as much again behind.
                whole.reserve_exact(announced.saturating_sub(whole.len()));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    #[tokio::test]
    async fn a_body_comes_whole_and_one_that_is_too_long_does_not() {
        let bodies = Bodies::new(1);
        let gather = async |bytes: usize| {
            let whole = bodies.gather(vec![7; bytes].into(), MOST).await;
            whole.unwrap().map(|body| body.len())
        };

        assert_eq!(gather(0).await, Some(0));
        assert_eq!(gather(MOST).await, Some(MOST));
        assert_eq!(gather(MOST + 1).await, None);
    }

    #[tokio::test]
    async fn large_bodies_wait_for_room_and_small_ones_do_not() {
        let bodies = Bodies::new(1);
        let held = bodies.0.acquire_many(256).await.unwrap();
        let small = bodies.gather(vec![7; FREE_BYTES].into(), MOST).await;
        assert_eq!(small.unwrap().unwrap().len(), FREE_BYTES);

        let large = bodies.gather(vec![7; FREE_BYTES + 1].into(), MOST);
        let mut large = std::pin::pin!(large);
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), &mut large);
        assert!(early.await.is_err());

        drop(held);
        assert_eq!(large.await.unwrap().unwrap().len(), FREE_BYTES + 1);
    }
}
