//! What happens in a demo beside selling: one shop's line is pulled and given back, one shop's 1C falls silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::shop::Shop;
use super::website::Website;

/// How long a day is where nobody says.
const LONG: Duration = Duration::from_secs(40);

/// Who plays which part.
#[derive(Debug)]
pub(super) struct Day {
    pub(super) website: Arc<Website>,
    /// Loses its line.
    pub(super) cut: Arc<Shop>,
    /// Its 1C falls silent.
    pub(super) silent: Arc<Shop>,
    pub(super) is_silent: Arc<AtomicBool>,
    pub(super) stop: CancellationToken,
}

impl Day {
    /// Plays until told to stop; the line is whole then.
    pub(super) async fn play(self, length: Option<Duration>) {
        while self.one(length.unwrap_or(LONG)).await && length.is_none() {}
        self.line_is_back();
    }

    /// One day; false when it was ended.
    async fn one(&self, length: Duration) -> bool {
        let part = |percent: u32| length * percent / 100;
        if !self.pause(part(15)).await {
            return false;
        }
        self.is_silent.store(true, Ordering::SeqCst);
        let silent = (self.silent.id().to_owned(), Instant::now());
        self.website.silent(Some(silent));
        if !self.pause(part(15)).await {
            return false;
        }
        self.cut.line.cut();
        self.website.cut(self.cut.id());
        if !self.pause(part(30)).await {
            return false;
        }
        self.line_is_back();
        if !self.pause(part(30)).await {
            return false;
        }
        self.website.silent(None);
        self.is_silent.store(false, Ordering::SeqCst);
        self.pause(part(10)).await
    }

    fn line_is_back(&self) {
        self.cut.line.mend();
    }

    async fn pause(&self, how_long: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(how_long) => true,
        }
    }
}
