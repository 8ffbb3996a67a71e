//! One exchange: read what to show and bring, sign, send, wait, apply.

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use vitrina_host::os;
use vitrina_shared::wire::v1::{DecisionV1, DigestV1, HealthV1, HelloV1};
use vitrina_shared::wire::{Answer, Request, WireError, frame};

use super::{Road, SyncError};
use crate::core::{Core, now};
use crate::hub_client::HubError;
use crate::identity::Identity;
use crate::ledger::{Ask, Asked, Heard, LedgerError, Show, Taken, Via, answer, ask};

/// The most movements that one frame brings.
pub(crate) const MOVEMENTS: usize = 5_000;
/// About how many bytes of movements one frame brings, before packing.
pub(crate) const BYTES: usize = 600_000;
/// How long the hub may wait for news.
const WAIT_MS: u32 = 25_000;

/// Whether the hub may wait when there is nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It answers at once.
    No,
    /// It waits for news, unless we bring some, but not longer than that.
    ForNews(Duration),
}

/// What the exchange is for.
pub(super) struct Errand {
    pub(super) show: Show,
    pub(super) wait: Wait,
    pub(super) goodbye: bool,
    /// Whether the hub is to compare what the rows add up to.
    pub(super) digest: bool,
    /// Whether the hub is known to keep no holds, so that what is said of them need not be brought at once.
    pub(super) without_holds: bool,
}

/// How an exchange ended.
pub(super) enum Ended {
    /// The answer is applied.
    Answered {
        /// What it brought.
        taken: Taken,
        /// How many movements and legs the request brought.
        brought: usize,
        /// Whether more of them were waiting already.
        has_more: bool,
        /// What people decided at the hub; not yet carried out.
        decisions: Vec<DecisionV1>,
        /// Whether the hub's rows add up to the same; none where it did not compare.
        is_equal: Option<bool>,
    },
    /// A commit came while the hub was waiting: its answer is nobody's.
    CutShort,
    /// The agent stops.
    Stopped,
}

/// Goes to the hub and back.
///
/// # Errors
///
/// [`SyncError`]; nothing of an answer is applied.
pub(super) async fn go(
    core: &Core,
    road: &Road,
    errand: &Errand,
    stop: &CancellationToken,
) -> Result<Ended, SyncError> {
    forget_old_news(core).await;
    let mut movements = MOVEMENTS;
    let (asked, frame, wait_ms, digest) = loop {
        let (asked, health, digest) = read(core, errand, movements).await?;
        let wait_ms = match errand.wait {
            Wait::ForNews(most) if is_quiet(&asked, errand) => {
                u32::try_from(most.as_millis()).map_or(WAIT_MS, |most| most.min(WAIT_MS))
            }
            Wait::ForNews(_) | Wait::No => 0,
        };
        let mut request = request(&road.identity, road.boot, &asked, health, wait_ms);
        request.digest = digest;
        match seal(&request, &road.identity) {
            Ok(frame) => break (asked, frame, wait_ms, digest),
            Err(SyncError::Hub(HubError::Frame(WireError::TooLarge))) if movements > 1 => {
                movements /= 2;
            }
            Err(error) => return Err(error),
        }
    };
    let movements: usize = asked.deltas.iter().map(|delta| delta.entries.len()).sum();
    let brought = movements + asked.legs.legs.len();
    let has_more = asked.more;
    let client = road.client.clone();
    let sent_at = now();
    let mut waiting = tokio::spawn(async move { client.exchange(frame).await });
    let answered = tokio::select! {
        answered = &mut waiting => answered,
        () = core.committed().notified(), if wait_ms > 0 => return Ok(Ended::CutShort),
        () = core.imported().notified(), if wait_ms > 0 => return Ok(Ended::CutShort),
        () = stop.cancelled() => return Ok(Ended::Stopped),
    };
    let bytes = answered.unwrap_or(Err(HubError::Frame(WireError::Short)))?;
    let answer = open(&bytes)?;
    let heard_at = now();
    // Only an answer that came at once says what the hub's clock shows now.
    let middle = sent_at.0.midpoint(heard_at.0);
    let skew_ms = (wait_ms == 0).then(|| answer.welcome.now - middle);
    let heard = Heard {
        now: heard_at,
        skew_ms,
    };
    let sent = asked.sent;
    let is_equal = digest.zip(answer.digest).map(|(own, hub)| own == hub);
    let decisions = answer.decisions.clone();
    // After the tills: nobody waits for it, and it may bring thousands of movements.
    let taken = core
        .ledger()
        .db()
        .write_background(move |conn| answer::apply(conn, &answer, &sent, Via::Line, heard))
        .await?;
    Ok(Ended::Answered {
        taken,
        brought,
        has_more,
        decisions,
        is_equal,
    })
}

/// What an answer says.
pub(super) fn open(bytes: &[u8]) -> Result<Answer, HubError> {
    Ok(Answer::read(&frame::open(bytes)?)?)
}

/// A commit that is about to be read needs no further hint.
async fn forget_old_news(core: &Core) {
    has_come(core.committed()).await;
    has_come(core.imported()).await;
}

/// Whether there were news since they were last waited for; they are forgotten.
pub(super) async fn has_come(news: &Notify) -> bool {
    tokio::select! {
        biased;
        () = news.notified() => true,
        () = std::future::ready(()) => false,
    }
}

fn is_quiet(asked: &Asked, errand: &Errand) -> bool {
    asked.deltas.is_empty()
        && (asked.legs.legs.is_empty() || errand.without_holds)
        && asked.quarantine.is_empty()
        && asked.disagreements.is_none()
        && !asked.more
}

pub(super) async fn read(
    core: &Core,
    errand: &Errand,
    movements: usize,
) -> Result<(Asked, HealthV1, Option<DigestV1>), LedgerError> {
    let show = errand.show;
    let wants_digest = errand.digest;
    let surroundings = Surroundings::of(core, errand.goodbye);
    let at = now();
    let read = move |conn: &rusqlite::Connection| {
        let asked = ask::ask(
            conn,
            &Ask {
                show,
                movements,
                bytes: BYTES,
                now: at,
            },
        )?;
        let health = surroundings.health(conn, asked.pending)?;
        let digest = if wants_digest && !asked.more {
            digest(conn)
        } else {
            None
        };
        Ok((asked, health, digest))
    };
    core.ledger().db().read(read).await
}

/// What the rows add up to. Rows that cannot even be read are for `verify` to name: sales go to the hub all the same.
fn digest(conn: &rusqlite::Connection) -> Option<DigestV1> {
    match crate::ledger::digest::digest(conn) {
        Ok(digest) => Some(digest.to_wire()),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the ledger's rows were not added up"
            );
            None
        }
    }
}

/// What of the health no ledger knows.
pub(crate) struct Surroundings {
    disk_free: Option<u64>,
    goodbye: bool,
    problems: Vec<String>,
}

impl Surroundings {
    /// As they are now.
    pub(crate) fn of(core: &Core, goodbye: bool) -> Self {
        let folder = core.folder();
        let mut problems = core.situation().problems();
        problems.splice(0..0, core.situation().rejected(&folder.join("rejected")));
        problems.truncate(15);
        Self {
            disk_free: os::disk_space(folder.path()).map(|space| space.free_bytes),
            goodbye,
            problems,
        }
    }

    /// With what the ledger knows.
    ///
    /// # Errors
    ///
    /// [`LedgerError`].
    pub(crate) fn health(
        self,
        conn: &rusqlite::Connection,
        pending: u64,
    ) -> Result<HealthV1, LedgerError> {
        let mut problems = self.problems;
        if let Some(alert) = crate::ledger::digest::alert(conn)? {
            problems.insert(0, format!("books: {alert}"));
        }
        for lost in crate::ledger::lost::lost(conn)? {
            if lost.certain && !lost.counted {
                problems.insert(0, lost.problem());
            }
        }
        Ok(HealthV1 {
            pending,
            quarantined: crate::ledger::quarantine::count_open(conn)?,
            disagreements: crate::ledger::disagreement::count(conn)?,
            source_as_of: crate::ledger::state::source(conn)?.as_of.map(|at| at.0),
            disk_free: self.disk_free,
            goodbye: self.goodbye,
            problems,
        })
    }
}

/// The request that says what was asked for.
pub(crate) fn request(
    identity: &Identity,
    boot: [u8; 16],
    asked: &Asked,
    health: HealthV1,
    wait_ms: u32,
) -> Request {
    let certificate = identity.enrolment.certificate.clone();
    Request {
        hello: HelloV1 {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            shop: certificate.shop.clone(),
            life: asked.life.map(|life| (life.ordinal, life.random)),
            registers: asked.registers,
            feed: asked.feed,
            wait_ms,
            sent_at: now().0,
            boot,
        },
        certificate,
        positions: asked.positions.clone(),
        deltas: asked.deltas.clone(),
        token: asked.token.clone(),
        health: Some(health),
        quarantine: asked.quarantine.clone(),
        disagreements: asked.disagreements.clone(),
        digest: None,
        legs: Some(asked.legs.section.clone()),
        transfers: Some(asked.transfers.clone()),
    }
}

/// Signs it with the device key.
///
/// # Errors
///
/// [`SyncError::Sign`]; [`SyncError::Hub`] when it is too large for a frame.
pub(crate) fn seal(request: &Request, identity: &Identity) -> Result<Vec<u8>, SyncError> {
    let mut failed = None;
    let sealed = request.seal(|bytes| match identity.sign(bytes) {
        Ok(signature) => signature,
        Err(error) => {
            failed = Some(error);
            [0; 64]
        }
    });
    match failed {
        Some(error) => Err(error.into()),
        None => sealed.map_err(|error| SyncError::Hub(error.into())),
    }
}
