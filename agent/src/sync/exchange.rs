//! One exchange: read what to show and bring, sign, send, wait, apply.

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use vitrina_host::os;
use vitrina_shared::wire::v1::{DecisionV1, HealthV1, HelloV1};
use vitrina_shared::wire::{Answer, Request, WireError, frame};

use super::{Road, SyncError};
use crate::core::{Core, now};
use crate::hub_client::HubError;
use crate::identity::Identity;
use crate::ledger::{Ask, Asked, Heard, LedgerError, Show, Taken, Via, answer, ask};

/// The most movements that one frame brings.
pub(super) const MOVEMENTS: usize = 5_000;
/// About how many bytes of movements one frame brings, before packing.
const BYTES: usize = 600_000;
/// How long the hub may wait for news.
const WAIT_MS: u32 = 25_000;

/// Whether the hub may wait when there is nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It answers at once.
    No,
    /// It waits for news, unless we bring some.
    ForNews,
}

/// What the exchange is for.
pub(super) struct Errand {
    pub(super) show: Show,
    pub(super) wait: Wait,
    pub(super) goodbye: bool,
}

/// How an exchange ended.
pub(super) enum Ended {
    /// The answer is applied.
    Answered {
        /// What it brought.
        taken: Taken,
        /// How many movements the request brought.
        brought: usize,
        /// Whether more of them were waiting already.
        has_more: bool,
        /// What people decided at the hub; not yet carried out.
        decisions: Vec<DecisionV1>,
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
    let (asked, frame, wait_ms) = loop {
        let (asked, health) = read(core, errand, movements).await?;
        let wait_ms = if errand.wait == Wait::ForNews && is_quiet(&asked) {
            WAIT_MS
        } else {
            0
        };
        let request = request(&road.identity, road.boot, &asked, (health, wait_ms));
        match seal(&request, &road.identity) {
            Ok(frame) => break (asked, frame, wait_ms),
            Err(SyncError::Hub(HubError::Frame(WireError::TooLarge))) if movements > 1 => {
                movements /= 2;
            }
            Err(error) => return Err(error),
        }
    };
    let brought = asked.deltas.iter().map(|delta| delta.entries.len()).sum();
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

fn is_quiet(asked: &Asked) -> bool {
    asked.deltas.is_empty()
        && asked.quarantine.is_empty()
        && asked.disagreements.is_none()
        && !asked.more
}

pub(super) async fn read(
    core: &Core,
    errand: &Errand,
    movements: usize,
) -> Result<(Asked, HealthV1), LedgerError> {
    let show = errand.show;
    let disk_free = os::disk_space(core.folder().path()).map(|space| space.free_bytes);
    let goodbye = errand.goodbye;
    let problems = core.situation().problems();
    let read = move |conn: &rusqlite::Connection| {
        let asked = ask::ask(
            conn,
            &Ask {
                show,
                movements,
                bytes: BYTES,
            },
        )?;
        let health = HealthV1 {
            pending: asked.pending,
            quarantined: crate::ledger::quarantine::count_open(conn)?,
            disagreements: crate::ledger::disagreement::count(conn)?,
            source_as_of: crate::ledger::state::source(conn)?.as_of.map(|at| at.0),
            disk_free,
            goodbye,
            problems,
        };
        Ok((asked, health))
    };
    core.ledger().db().read(read).await
}

pub(super) fn request(
    identity: &Identity,
    boot: [u8; 16],
    asked: &Asked,
    (health, wait_ms): (HealthV1, u32),
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
    }
}

pub(super) fn seal(request: &Request, identity: &Identity) -> Result<Vec<u8>, SyncError> {
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
