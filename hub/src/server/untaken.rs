//! Answers that are not taken yet: how much memory those of one key may hold, and that they end when the key does.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{ApiError, Code};
use crate::keys::Principal;
use crate::server::body::PIECE_BYTES;
use crate::server::{Hub, Peer};

/// A shorter answer is free: it costs less than its connection.
const FREE_BYTES: usize = 16 << 10;
/// What a body that is made while it is taken holds: one piece that is not written and one that is being.
const MADE_BYTES: usize = 3 * PIECE_BYTES;
/// Room is counted in such units.
const UNIT_BYTES: usize = 4 << 10;

/// Room for answers, by the names of the keys.
#[derive(Debug)]
pub(crate) struct Untaken {
    units: usize,
    keys: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

impl Untaken {
    /// Room for so many MiB a key, 1 at least.
    pub(crate) fn new(mib: u32) -> Self {
        Self {
            units: ((mib.max(1) as usize) << 20) / UNIT_BYTES,
            keys: Mutex::default(),
        }
    }

    /// Room for so many bytes, given back when it is dropped; nothing while the key's callers leave too much lying.
    /// Whatever has the room for itself fits.
    fn room(&self, key: &Arc<str>, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let room = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(self.units));
            Arc::clone(keys.entry(Arc::clone(key)).or_insert_with(new))
        };
        let units = bytes.div_ceil(UNIT_BYTES).min(self.units);
        room.try_acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX))
            .ok()
    }
}

/// Counts an answer until it is taken, and ends its connection when the key is ended meanwhile.
///
/// # Errors
///
/// 429 `rate_limited`: answers to this key lie untaken that hold all its room.
pub(crate) fn hold(
    hub: &Arc<Hub>,
    caller: &Principal,
    peer: Option<&Peer>,
    response: Response,
) -> Result<Response, ApiError> {
    let bytes = response.body().size_hint().exact();
    let bytes = bytes.map_or(MADE_BYTES, |bytes| {
        usize::try_from(bytes).unwrap_or(usize::MAX)
    });
    if bytes <= FREE_BYTES {
        return Ok(response);
    }
    let Some(room) = hub.core.callers.untaken.room(&caller.name, bytes) else {
        let words = "answers to this key are not taken; take them, or ask for less at once";
        return Err(ApiError::new(Code::RateLimited, words).retry_after(1));
    };
    let ending = peer.map(|peer| {
        let (hub, caller, pulse) = (Arc::clone(hub), caller.clone(), Arc::clone(&peer.pulse));
        AbortOnDropHandle::new(tokio::spawn(async move {
            hub.core.keys.ended(&caller).await;
            // Its rest may lie in a buffer already, where nothing but the connection's end reaches it.
            pulse.evict();
        }))
    });
    let hold = Arc::new(Hold {
        _room: room,
        _ending: ending,
    });
    Ok(response.map(|body| Body::new(Held { body, hold })))
}

/// What an answer holds until its last byte was given to the system.
#[derive(Debug)]
struct Hold {
    _room: OwnedSemaphorePermit,
    _ending: Option<AbortOnDropHandle<()>>,
}

/// A body whose bytes hold the room, wherever they lie.
struct Held {
    body: Body,
    hold: Arc<Hold>,
}

struct HeldBytes {
    bytes: Bytes,
    _hold: Arc<Hold>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let held = |bytes| {
            Bytes::from_owner(HeldBytes {
                bytes,
                _hold: Arc::clone(&self.hold),
            })
        };
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_room_and_gets_back_what_is_taken() {
        let untaken = Untaken::new(1);
        let (site, other) = ("site".into(), "other".into());
        let first = untaken.room(&site, 600 << 10);
        assert!(first.is_some());

        assert!(untaken.room(&site, 500 << 10).is_none());
        assert!(untaken.room(&other, 500 << 10).is_some());

        drop(first);
        assert!(untaken.room(&site, usize::MAX).is_some());
    }
}
