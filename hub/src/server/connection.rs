//! Connections: how many, for how long, and what answers them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use crate::auth::LastShown;
use crate::routes;
use crate::server::pulse::{Patience, Pulse, TICK_MS, Watched};
use crate::server::{Hub, Peer};

/// The head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// What is read at once. More than a head, so that who sends too long a one is told so before the line breaks.
const MAX_BUFFER_BYTES: usize = 128 << 10;
/// When the system has no more sockets, this is how long we wait for one.
const NO_SOCKET_WAIT: Duration = Duration::from_millis(50);

/// Counts who is in.
#[derive(Clone)]
pub(crate) struct Doorman {
    room: Arc<Semaphore>,
    size: u32,
    per_address: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place, given back when it ends.
struct Place {
    _room: OwnedSemaphorePermit,
    counted: Option<(IpAddr, Doorman)>,
}

impl Doorman {
    pub(crate) fn new(most: usize, per_address: usize) -> Self {
        let size = u32::try_from(most).unwrap_or(u32::MAX);
        Self {
            room: Arc::new(Semaphore::new(most)),
            size,
            per_address,
            addresses: Arc::default(),
        }
    }

    /// A place for this address; nothing when it has too many.
    fn let_in(&self, address: IpAddr, room: OwnedSemaphorePermit) -> Option<Place> {
        if address.is_loopback() {
            return Some(Place {
                _room: room,
                counted: None,
            });
        }
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Place {
            _room: room,
            counted: Some((address, self.clone())),
        })
    }

    /// Waits until every connection has ended.
    pub(crate) async fn all_gone(&self) {
        let _ = self.room.acquire_many(self.size).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((address, doorman)) = self.counted.take() else {
            return;
        };
        let mut addresses = doorman
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
        }
    }
}

/// Takes connections for ever.
pub(crate) async fn accept(
    listener: &TcpListener,
    hub: &Arc<Hub>,
    router: &Router,
    doorman: &Doorman,
) {
    loop {
        let Ok(room) = Arc::clone(&doorman.room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                let Some(place) = doorman.let_in(from.ip().to_canonical(), room) else {
                    continue;
                };
                let (hub, router) = (Arc::clone(hub), router.clone());
                tokio::spawn(serve(stream, from, hub, router, place));
            }
            Err(error) if is_of_the_caller(&error) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no connection can be taken"
                );
                tokio::time::sleep(NO_SOCKET_WAIT).await;
            }
        }
    }
}

/// The caller was gone before we took him in.
fn is_of_the_caller(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

async fn serve(stream: TcpStream, from: SocketAddr, hub: Arc<Hub>, router: Router, _place: Place) {
    // An answer is one write: waiting for more to send only delays it.
    let _ = stream.set_nodelay(true);
    let pulse = Arc::new(Pulse::default());
    let stop = hub.stop.clone();
    let desk = Desk {
        hub,
        router,
        peer: Peer(from.ip().to_canonical()),
        pulse: Arc::clone(&pulse),
        last_shown: LastShown::default(),
    };
    let connection = http1::Builder::new()
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        .header_read_timeout(None)
        .serve_connection(Watched::new(stream, Arc::clone(&pulse)), desk);
    let mut connection = pin!(connection);
    let mut patience = Patience::default();
    let mut looks = tokio::time::interval(Duration::from_millis(TICK_MS));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
                }
                return;
            }
            _ = looks.tick() => {
                if !patience.lasts(&pulse) {
                    return;
                }
            }
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Answers the requests of one connection.
struct Desk {
    hub: Arc<Hub>,
    router: Router,
    peer: Peer,
    pulse: Arc<Pulse>,
    last_shown: LastShown,
}

impl Service<Request<Incoming>> for Desk {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        if let Some(response) = routes::stock::fast(&self.hub, &self.last_shown, &request) {
            self.pulse.begin();
            self.pulse.end();
            return Answering::Ready(Some(response.map(Reply::Whole)));
        }
        self.pulse.begin();
        request.extensions_mut().insert(self.peer);
        let (router, pulse) = (self.router.clone(), Arc::clone(&self.pulse));
        Answering::Later(Box::pin(async move {
            let response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            pulse.end();
            response.map(Reply::Parts)
        }))
    }
}

/// An answer that is there, or one that is being made.
enum Answering {
    Ready(Option<Response<Reply>>),
    Later(Pin<Box<dyn Future<Output = Response<Reply>> + Send>>),
}

impl Future for Answering {
    type Output = Result<Response<Reply>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
            Self::Later(work) => work.as_mut().poll(cx).map(Ok),
        }
    }
}

/// The body of an answer.
enum Reply {
    Whole(Full<Bytes>),
    Parts(Body),
}

impl hyper::body::Body for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Parts(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Parts(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Parts(body) => body.size_hint(),
        }
    }
}
