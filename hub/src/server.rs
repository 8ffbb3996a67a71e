//! The server: connections in, answers out, and the clock of the view.

pub(crate) mod body;
mod connection;
pub(crate) mod tls;
pub(crate) mod untaken;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vitrina_host::doorman::Doorman;
use vitrina_host::pulse::Pulse;
use vitrina_host::room;

use crate::audit::{By, What};
use crate::auth::Refusals;
use crate::core::Core;
use crate::holds;
use crate::routes;
use crate::safety;
use crate::store::StoreError;
use crate::view::View;
use crate::webhook::send::deliver;
use crate::work::watch::watch;
use connection::Front;
use tls::Tls;

/// What is being answered at a stop is answered within this.
const STOP_TIME: Duration = Duration::from_secs(4);
/// How often the shops' freshness is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So much of each look is for levels of which readers are yet to be told.
const TELL_TIME: Duration = Duration::from_millis(500);

/// So many looks lie between two at the disk's room: a minute.
const LOOK_AT_DISK_EVERY: usize = 60;
/// So many looks lie between two records of those who failed to prove who they are: an hour.
const WRITE_FAILURES_EVERY: usize = 3_600;

/// What every answer is made of.
pub(crate) struct Hub {
    /// The data folder, opened.
    pub(crate) core: Arc<Core>,
    /// The merged stock in memory.
    pub(crate) view: Arc<View>,
    /// The hub stops: nobody waits any longer.
    pub(crate) stop: CancellationToken,
    /// Who failed to show who he is.
    pub(crate) refusals: Refusals,
    /// The description of every route.
    pub(crate) openapi: Bytes,
}

/// Whose call it is.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// From where; a proxy's address where there is one.
    pub(crate) address: IpAddr,
    /// The connection's; told when the caller shows who he is.
    pub(crate) pulse: Arc<Pulse>,
}

impl Hub {
    /// What answers are made of; `view` is filled.
    pub(crate) fn new(core: Arc<Core>, view: Arc<View>) -> Self {
        let openapi = routes::describe(&routes::table()).to_string().into();
        Self {
            core,
            view,
            stop: CancellationToken::new(),
            refusals: Refusals::default(),
            openapi,
        }
    }

    /// Waits until the view is beyond `pos`: whether it is, before the time is over or the hub stops.
    pub(crate) async fn wait_beyond(&self, pos: u64, time: Duration) -> bool {
        let mut changed = self.view.changed();
        let beyond = changed.wait_for(|head| head.pos > pos);
        tokio::select! {
            done = tokio::time::timeout(time, beyond) => matches!(done, Ok(Ok(_))),
            () = self.stop.cancelled() => self.view.head().pos > pos,
        }
    }
}

/// Where it is listened, and how.
pub(crate) struct Listeners {
    /// The API's address.
    pub(crate) api: TcpListener,
    /// TLS there.
    pub(crate) tls: Option<Tls>,
    /// Where the metrics are free to read.
    pub(crate) metrics: Option<TcpListener>,
}

/// Serves until `shutdown`, then finishes what is being answered, for at most four seconds.
///
/// # Errors
///
/// When the view cannot be filled.
pub(crate) async fn run(
    core: Arc<Core>,
    listeners: Listeners,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let filling = Arc::clone(&core);
    let view = tokio::task::spawn_blocking(move || filling.view()).await;
    let view = view.map_err(io::Error::other)?.map_err(io::Error::other)?;
    let hub = Arc::new(Hub::new(core, view));
    hub.view.look(hub.core.now());
    let clock = tokio::spawn(keep_looking(Arc::clone(&hub)));
    let expiry = tokio::spawn(holds::keep_time(Arc::clone(&hub.core)));
    let limits = &hub.core.config.limits;
    let doorman = Doorman::new(limits.connections, limits.connections_per_address);
    let Listeners { api, tls, metrics } = listeners;
    let mut beside = vec![
        clock,
        expiry,
        tokio::spawn(watch(Arc::clone(&hub))),
        tokio::spawn(deliver(Arc::clone(&hub.core))),
    ];
    if let Some(listener) = metrics {
        let (doorman, front) = (Doorman::new(64, 64), Arc::new(metrics_front(&hub)));
        beside.push(tokio::spawn(async move {
            connection::accept(&listener, &front, &doorman).await;
        }));
    }
    beside.extend(tls.clone().map(|tls| tokio::spawn(tls.keep_fresh())));
    let front = Arc::new(Front {
        router: routes::router(&hub),
        hub: Arc::clone(&hub),
        tls,
    });
    tokio::select! {
        () = connection::accept(&api, &front, &doorman) => {}
        () = shutdown => {}
    }
    drop(api);
    hub.stop.cancel();
    hub.core.waiters.stop();
    if tokio::time::timeout(STOP_TIME, doorman.all_gone())
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time and were cut off");
    }
    for task in beside {
        task.abort();
    }
    write_failures(&hub).await;
    Ok(())
}

/// The metrics alone, for everybody who reaches the address.
fn metrics_front(hub: &Arc<Hub>) -> Front {
    let router = Router::new()
        .route("/metrics", axum::routing::get(routes::metrics))
        .with_state(Arc::clone(hub));
    Front {
        hub: Arc::clone(hub),
        router,
        tls: None,
    }
}

/// What most shops say of the hub's clock, and what to do.
pub(crate) fn wrong_clock(ahead_ms: i64) -> String {
    let minutes = ahead_ms.unsigned_abs() / 60_000;
    let side = if ahead_ms < 0 { "behind" } else { "ahead" };
    format!(
        "most shops say that the hub's own clock is {minutes} minutes {side}: set it; lags, ages and deadlines are wrong until then, \
        stock is not"
    )
}

/// Time alone makes a shop stale: looks once a second, and tells the feed's readers by a new position of the shop.
async fn keep_looking(hub: Arc<Hub>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut clock_is_right = true;
    for turn in 0.. {
        ticks.tick().await;
        let ahead = hub.view.board.hub_clock_ahead_ms();
        if ahead.is_none() != clock_is_right {
            clock_is_right = ahead.is_none();
            if let Some(ahead) = ahead {
                tracing::error!("{}", wrong_clock(ahead));
            } else {
                tracing::info!("most shops say that the hub's clock is right again");
            }
        }
        let untold = hub.view.look(hub.core.now());
        if !untold.is_empty()
            && let Err(error) = hub.core.store.bump_shops(untold).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the feed was not told of shops; trying again"
            );
        }
        if let Err(error) = tell_of_safety(&hub).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the feed was not told of what is kept back; trying again"
            );
        }
        hub.view.tidy(turn);
        if turn.is_multiple_of(LOOK_AT_DISK_EVERY) {
            let data = hub.core.data.path().to_path_buf();
            tokio::task::spawn_blocking(move || room::make_and_say(&data));
        }
        if turn.is_multiple_of(WRITE_FAILURES_EVERY) {
            write_failures(&hub).await;
        }
    }
}

/// Gives levels of which another number is kept back their new places in the feed: those that a stop left, or that a shop
/// says are of another article.
async fn tell_of_safety(hub: &Hub) -> Result<(), StoreError> {
    let untold = hub.view.take_untold();
    if !untold.is_empty()
        && let Err(error) = hub.core.store.retouch(untold.clone()).await
    {
        hub.view.leave_untold(untold);
        return Err(error);
    }
    safety::tell(&hub.core, TELL_TIME).await?;
    Ok(())
}

/// Writes down how many failed to prove who they are. An hour's make one record: a till that was revoked knocks on.
async fn write_failures(hub: &Hub) {
    let refusals = hub.refusals.take();
    if refusals.is_empty() {
        return;
    }
    let detail = serde_json::json!(refusals);
    let written = hub.core.store.note(By::Hub, What::LoginFailures, detail);
    if let Err(error) = written.await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            ?refusals,
            "how many failed to prove who they are was not written down"
        );
    }
}

/// Runs an answer to its end; nothing when it panicked, which was printed.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        // An answer shares nothing that it could leave half-changed: the view's locks recover, the store rolls back.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Some(done)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_own_answer_only() {
        async fn faulty() -> u8 {
            tokio::task::yield_now().await;
            panic!("a fault of ours")
        }

        assert_eq!(caught(faulty()).await, None);
        assert_eq!(caught(async { 1 }).await, Some(1));
    }
}
