//! `POST /v1/exchange`: proves who asks, takes what it brings, answers what it lacks, waits where there is nothing to
//! say. The decisions are `shared::decide`'s, the rows the store's.

mod digest;
pub(crate) mod stick;
#[cfg(test)]
mod tests;
pub(crate) mod token;
mod waiters;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::SemaphorePermit;
use vitrina_host::commands::VERSION;
use vitrina_host::sign::{self, PublicKey, Signature};
use vitrina_host::tally::TooMuch;
use vitrina_shared::movement::Kind;
use vitrina_shared::wire::frame::Opened;
use vitrina_shared::wire::v1::{
    CertificateV1, DigestV1, HelloV1, HubLegsV1, OtherLevelV1, OtherShopV1, OthersV1, ReplyV1,
    WelcomeV1,
};
use vitrina_shared::wire::{Answer, Reply, Request, WireError, frame, life};
use vitrina_shared::{HubLife, ShopId, TimeMs, planted};

use crate::core::Core;
use crate::merge::Incoming;
use crate::store::{Ask, Brought, BroughtLegs, Found, StoreError, Taken, Via};
use token::Claims;

pub(crate) use waiters::Waiters;

/// An agent never waits longer.
const MAX_WAIT: Duration = Duration::from_secs(25);
/// The most levels of other shops in one answer.
const MAX_OTHERS: usize = 5_000;
/// A request of so many bytes brings hundreds of movements.
const LARGE_BYTES: usize = 4 * 1024;
/// When an agent whose delta was answered "not now" asks again.
const NOT_NOW_MS: u32 = 1_000;

/// Why an agent's call failed. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The bytes say nothing that can be used.
    #[error("the frame cannot be used")]
    Wire(#[from] WireError),
    /// Who sends it is not proved.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The shop's credential was taken back.
    #[error("the shop's credential was revoked")]
    Revoked,
    /// Proved, and not his to do.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Proved, and too much of it within a minute.
    #[error("too much within a minute; again in {0} s")]
    TooMuch(u32),
    /// Too many others are being merged.
    #[error("too many exchanges at once")]
    Busy,
    /// The store did not take it.
    #[error("the store did not take it")]
    Store(#[source] StoreError),
}

impl From<StoreError> for ExchangeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Revoked => Self::Revoked,
            StoreError::ForeignReplica => {
                Self::Forbidden("a log of another shop was brought or shown")
            }
            StoreError::ForeignLeg => Self::Forbidden("a leg of another shop was brought"),
            other => Self::Store(other),
        }
    }
}

impl ExchangeError {
    /// Whether the sender alone made it fail.
    pub(crate) fn is_of_the_sender(&self) -> bool {
        match self {
            Self::Wire(_) | Self::Unauthorized(_) | Self::Revoked | Self::Forbidden(_) => true,
            Self::TooMuch(_) | Self::Busy | Self::Store(_) => false,
        }
    }
}

/// Answers one exchange; it may wait for up to 25 s. `prove` is called when the sender has shown who he is.
///
/// # Errors
///
/// [`ExchangeError`]; nothing was kept.
pub(crate) async fn answer(
    core: &Arc<Core>,
    body: Bytes,
    prove: impl FnOnce(),
) -> Result<Vec<u8>, ExchangeError> {
    let outcome = admit(core, &body, prove).await;
    if let Err(error) = &outcome {
        core.metrics.exchange("refused");
        tracing::debug!(
            error = error as &dyn std::error::Error,
            "an exchange was refused"
        );
    }
    outcome
}

/// Finds out who sends a request, and whether he may. A large one waits for its turn to be read: otherwise all cores
/// would read, and the database, which is the slower part, would begin when they are done.
async fn admit(
    core: &Arc<Core>,
    body: &[u8],
    prove: impl FnOnce(),
) -> Result<Vec<u8>, ExchangeError> {
    let merging = core.callers.merging().ok_or(ExchangeError::Busy)?;
    let turn = match body.len() {
        LARGE_BYTES.. => core.reading.acquire().await.ok(),
        _ => None,
    };
    let opened = frame::open(body)?;
    let certificate = Request::certificate(&opened)?;
    let shop = proved(core, &certificate, opened.signed, &opened.signature)?;
    prove();
    let device = certificate.device;
    core.callers
        .may_exchange(&device, body.len())
        .map_err(|TooMuch(seconds)| ExchangeError::TooMuch(seconds))?;
    let outcome = match read(core, opened, shop) {
        Ok(arrived) => {
            drop(turn);
            exchange(core, arrived, merging).await
        }
        Err(error) => Err(error),
    };
    if outcome.as_ref().is_err_and(ExchangeError::is_of_the_sender) {
        core.callers.refused(device);
    }
    outcome
}

/// A request that is read and proved.
struct Arrived {
    /// Without its deltas.
    request: Request,
    brought: Brought,
    arrival: waiters::Arrival,
    has_deltas: bool,
    newest_sale: Option<TimeMs>,
}

/// Reads a request of a shop that has proved itself.
fn read(core: &Core, opened: Opened<'_>, shop: ShopId) -> Result<Arrived, ExchangeError> {
    let mut request = Request::read(&opened)?;
    drop(opened);
    let shop = if planted::is("hub_believes_the_body") {
        request.hello.shop.parse().unwrap_or(shop)
    } else {
        shop
    };
    if request.hello.shop != shop.as_str() {
        return Err(ExchangeError::Forbidden(
            "the certificate is another shop's",
        ));
    }
    // Before anything is read, so that nothing that happens from now on is missed.
    let arrival = core
        .waiters
        .arrive(request.certificate.device, request.hello.boot, &shop);
    let has_deltas = !request.deltas.is_empty();
    let newest_sale = newest_sale(&request);
    let brought = brought(core, &mut request, shop, arrival.has_twin)?;
    Ok(Arrived {
        request,
        brought,
        arrival,
        has_deltas,
        newest_sale,
    })
}

/// Keeps what was brought and answers what lacks. Whoever only waits for news is not merging.
async fn exchange(
    core: &Arc<Core>,
    arrived: Arrived,
    merging: SemaphorePermit<'_>,
) -> Result<Vec<u8>, ExchangeError> {
    let Arrived {
        request,
        brought,
        mut arrival,
        has_deltas,
        newest_sale,
    } = arrived;
    let started = Instant::now();
    let taken = core.store.receive(brought).await?;
    if has_deltas {
        core.metrics.merge_took(started.elapsed());
    }
    after_commit(core, &taken, newest_sale, request.hello.sent_at);
    let ask = ask(core, &request, &taken);
    let mut found = core.store.answer(ask.clone()).await?;
    let digest = match (request.digest, found.digest) {
        (Some(theirs), Some(ours)) => Some(digest::settle(core, &taken.shop, theirs, ours).await?),
        _ => None,
    };
    let mut others = others(core, &taken, &request.hello, found.life)?;
    let known_life = request.hello.life.map(life);
    let has_legs = { request.legs.as_ref() }.is_some_and(|legs| !legs.list.is_empty());
    let may_wait = request.hello.wait_ms > 0
        && !has_deltas
        && !has_legs
        && digest.is_none()
        && !found.is_worth_telling()
        && found.registers.is_none()
        && !others.is_backlog
        && known_life == Some(found.life);
    drop(merging);
    if may_wait {
        let wait = Duration::from_millis(request.hello.wait_ms.into()).min(MAX_WAIT);
        if arrival.wait(wait).await == waiters::Ended::Superseded {
            core.metrics.exchange("superseded");
            return Ok(superseded(core, &found).seal()?);
        }
        found = core
            .store
            .answer(Ask {
                now: core.now(),
                ..ask
            })
            .await?;
        others = self::others(core, &taken, &request.hello, found.life)?;
    }
    if !found.decisions.is_empty() {
        core.store.decisions_sent(taken.shop.index).await?;
    }
    core.metrics.exchange(outcome_word(&taken));
    seal(core, taken, (found, digest), others)
}

/// The shop of a certificate that is this hub's word, when the sender holds its device's key.
fn proved(
    core: &Core,
    certificate: &CertificateV1,
    signed: &[u8],
    signature: &[u8; 64],
) -> Result<ShopId, ExchangeError> {
    let given: [u8; 64] = certificate
        .signature
        .as_slice()
        .try_into()
        .map_err(|_| ExchangeError::Unauthorized("the certificate has no signature"))?;
    if !sign::verify(
        &core.hub_key.public(),
        &certificate.signed_bytes(),
        &Signature(given),
    ) {
        return Err(ExchangeError::Unauthorized(
            "the certificate is not this hub's",
        ));
    }
    if !sign::verify(
        &PublicKey(certificate.device),
        signed,
        &Signature(*signature),
    ) {
        return Err(ExchangeError::Unauthorized(
            "the frame is not signed with the certificate's key",
        ));
    }
    certificate
        .shop
        .parse()
        .map_err(|_| ExchangeError::Unauthorized("the certificate names no shop"))
}

/// The time of the newest sale brought.
fn newest_sale(request: &Request) -> Option<TimeMs> {
    let entries = request.deltas.iter().flat_map(|delta| &delta.entries);
    entries
        .filter(|entry| entry.movement.kind == Kind::Sale)
        .map(|entry| entry.movement.at)
        .max()
}

/// Everything that can be worked out before the database thread has its turn.
fn brought(
    core: &Core,
    request: &mut Request,
    shop: ShopId,
    has_twin: bool,
) -> Result<Brought, ExchangeError> {
    let movements = request
        .deltas
        .iter()
        .map(|delta| delta.entries.len() as u64)
        .sum();
    let deltas = std::mem::take(&mut request.deltas)
        .into_iter()
        .map(Incoming::of)
        .collect::<Result<_, _>>()
        .map_err(|error| ExchangeError::Wire(error.into()))?;
    let legs = brought_legs(request, &shop)?;
    let claims = request
        .token
        .as_ref()
        .filter(|_| !planted::is("hub_looks_at_no_token"))
        .and_then(|token| Claims::open(token, &core.token_key, &shop));
    Ok(Brought {
        via: Via::Line,
        shop,
        device: request.certificate.device,
        issued_at: request.certificate.issued_at,
        own: request.positions.own,
        version: request.hello.version.clone(),
        sent_at: request.hello.sent_at,
        shown: request.positions.list.clone(),
        deltas,
        movements,
        claims,
        health: request.health.take(),
        problems: if has_twin {
            vec!["two_machines".to_owned()]
        } else {
            Vec::new()
        },
        quarantine: std::mem::take(&mut request.quarantine),
        disagreements: request.disagreements.take(),
        legs,
    })
}

/// The legs of a request, which are its shop's.
fn brought_legs(request: &Request, shop: &ShopId) -> Result<Option<BroughtLegs>, WireError> {
    let Some(legs) = &request.legs else {
        return Ok(None);
    };
    let list = legs.list.iter().map(|leg| leg.read(shop));
    Ok(Some(BroughtLegs {
        list: list.collect::<Result<_, _>>()?,
        all: legs.all,
        life: request.hello.life,
        hash: request.positions.hash,
    }))
}

/// What follows a commit: counts, wakes, and an index of ids that must be built.
fn after_commit(core: &Arc<Core>, taken: &Taken, newest_sale: Option<TimeMs>, sent_at: i64) {
    let shop = &taken.shop.shop;
    if taken.merged > 0 {
        core.waiters.wake(shop);
        if let Some(at) = newest_sale {
            // Both moments by the shop's clock, but for the way here.
            let took = sent_at.saturating_sub(at.0).max(0);
            core.metrics
                .sale_visible(Duration::from_millis(took.cast_unsigned()));
        }
    }
    if taken.repairs > 0 {
        core.metrics.repairs(taken.repairs);
        tracing::error!(shop.id = %shop, rows = taken.repairs, "a shop's totals are not what its movements add up to; the movements are taken");
    }
    for reply in &taken.replies {
        if let Reply::Forked { common, .. } = reply {
            core.metrics.fork();
            tracing::warn!(shop.id = %shop, common, "a shop's history forked; both parts are kept");
        }
    }
    if taken.begun.is_some() {
        if let Err(error) = core.leave_trace() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the trace of the new life was not written"
            );
        }
        core.waiters.wake_all();
    }
    if taken.must_index {
        tokio::spawn(build_index(Arc::clone(core), taken.shop.index));
    }
}

/// Builds a shop's index of ids in bounded steps, after everything urgent.
pub(crate) async fn build_index(core: Arc<Core>, shop: u32) {
    loop {
        match core.store.index_step(shop).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an index of ids was not built; it goes on with the shop's next exchange"
                );
                return;
            }
        }
    }
}

fn ask(core: &Core, request: &Request, taken: &Taken) -> Ask {
    Ask {
        shop: taken.shop.clone(),
        issued_at: request.certificate.issued_at,
        life: request.hello.life.map(life),
        registers: request.hello.registers,
        shown: request.positions.list.clone(),
        all: request.positions.all,
        outcomes: taken.outcomes.clone(),
        hash: request.positions.hash,
        digest: request.digest.is_some(),
        legs: request.legs.as_ref().map(|legs| legs.held),
        transfers: request.transfers.as_ref().map(|transfers| transfers.held),
        now: core.now(),
    }
}

/// Levels of other shops that the agent lacks.
#[derive(Default)]
struct Others {
    section: Option<OthersV1>,
    /// More than one page, or the first one: no need to wait.
    is_backlog: bool,
}

fn others(
    core: &Core,
    taken: &Taken,
    hello: &HelloV1,
    own: HubLife,
) -> Result<Others, ExchangeError> {
    let view = core.view()?;
    let cursor = if hello.life.map(life) == Some(own) {
        hello.feed
    } else {
        0
    };
    let page = view.levels_since(cursor, MAX_OTHERS);
    if page.upto <= cursor {
        return Ok(Others::default());
    }
    let is_full = page.rows.len() >= MAX_OTHERS;
    let now = core.now();
    let mut places: HashMap<u32, u32> = HashMap::new();
    let mut section = OthersV1 {
        upto: page.upto,
        ..OthersV1::default()
    };
    for row in page
        .rows
        .into_iter()
        .filter(|row| row.shop != taken.shop.index)
    {
        let Some(shop) = view.board.cell(row.shop) else {
            continue;
        };
        let place = *places.entry(row.shop).or_insert_with(|| {
            let (as_of, confidence) = view.freshness(row.shop, now);
            section.shops.push(OtherShopV1 {
                shop: shop.shop.to_string(),
                as_of: as_of.map(|at| at.0),
                confidence: confidence.number(),
            });
            u32::try_from(section.shops.len() - 1).unwrap_or(u32::MAX)
        });
        section.rows.push(OtherLevelV1 {
            shop: place,
            barcode: row.barcode.into(),
            on_hand: row.on_hand,
            available: row.available,
        });
    }
    let is_backlog = is_full || (cursor == 0 && !section.rows.is_empty());
    Ok(Others {
        section: Some(section),
        is_backlog,
    })
}

fn welcome(core: &Core, own: HubLife) -> WelcomeV1 {
    WelcomeV1 {
        life: (own.ordinal, own.random),
        now: core.now().0,
        version: VERSION.to_owned(),
        ..WelcomeV1::default()
    }
}

/// A newer exchange of the same device ended this wait.
fn superseded(core: &Core, found: &Found) -> Answer {
    Answer {
        welcome: WelcomeV1 {
            superseded: true,
            ..welcome(core, found.life)
        },
        hash: found.hash,
        positions: Vec::new(),
        replies: Vec::new(),
        deltas: Vec::new(),
        token: None,
        registers: None,
        others: None,
        decisions: Vec::new(),
        digest: None,
        legs: None,
        transfers: None,
    }
}

fn seal(
    core: &Core,
    taken: Taken,
    (found, digest): (Found, Option<DigestV1>),
    others: Others,
) -> Result<Vec<u8>, ExchangeError> {
    let head = core.store.head();
    let is_put_off = taken
        .replies
        .iter()
        .any(|reply| matches!(reply, ReplyV1::NotNow { .. }));
    let claims = Claims::new(found.life, (head.pos, head.tag), &found.every);
    let legs = found.legs.map(|legs| HubLegsV1 {
        taken: taken.legs,
        ..legs
    });
    let answer = Answer {
        welcome: WelcomeV1 {
            show_all: found.show_all,
            more: found.more || others.is_backlog,
            retry_ms: if is_put_off { NOT_NOW_MS } else { 0 },
            ..welcome(core, found.life)
        },
        hash: found.hash,
        positions: found.positions,
        replies: taken.replies,
        deltas: found.deltas,
        // A head of another life would be a lie.
        token: (head.life == found.life).then(|| claims.seal(&core.token_key, &taken.shop.shop)),
        registers: found.registers,
        others: others.section,
        decisions: found.decisions,
        digest,
        legs,
        transfers: found.transfers,
    };
    Ok(answer.seal()?)
}

/// The word for the counter of exchanges.
fn outcome_word(taken: &Taken) -> &'static str {
    if taken.begun.is_some() {
        return "hub_behind";
    }
    let word = |reply: &Reply| match reply {
        Reply::Merged { .. } => "merged",
        Reply::Duplicate { .. } => "duplicate",
        Reply::Gap { .. } => "gap",
        Reply::Take { .. } => "take",
        Reply::Forked { .. } => "fork",
        Reply::NotNow { .. } => "not_now",
    };
    taken
        .replies
        .iter()
        .map(word)
        .max_by_key(|word| *word != "duplicate")
        .unwrap_or("idle")
}
