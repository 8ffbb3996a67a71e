//! Connections: how many, for how long, and what answers them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;
use vitrina_host::doorman::{Doorman, Place};
use vitrina_host::pulse::{Pulse, Watched};

use crate::auth::LastShown;
use crate::error::ApiError;
use crate::routes;
use crate::server::tls::Tls;
use crate::server::{Hub, Peer};

/// The head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// What is read at once. More than a head, so that who sends too long a one is told so before the line breaks.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// When the system has no more sockets, this is how long we wait for one.
const NO_SOCKET_WAIT: Duration = Duration::from_millis(50);

/// What answers at an address.
pub(crate) struct Front {
    pub(crate) hub: Arc<Hub>,
    pub(crate) router: Router,
    /// Where nobody else may read what is said.
    pub(crate) tls: Option<Tls>,
}

/// Takes connections for ever.
pub(crate) async fn accept(listener: &TcpListener, front: &Arc<Front>, doorman: &Doorman) {
    loop {
        let Some(room) = doorman.room().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                let (address, pulse) = (from.ip().to_canonical(), Arc::new(Pulse::default()));
                let place = if front.hub.core.config.limits.is_proxy(address) {
                    Doorman::let_in_uncounted(room)
                } else {
                    let Some(place) = doorman.let_in(address, &pulse, room) else {
                        continue;
                    };
                    place
                };
                let peer = Peer { address, pulse };
                tokio::spawn(take_in(stream, peer, Arc::clone(front), place));
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

/// One connection from its first byte to its last; its place is given back when it ends.
async fn take_in(stream: TcpStream, peer: Peer, front: Arc<Front>, _place: Place) {
    // An answer is one write: waiting for more to send only delays it.
    let _ = stream.set_nodelay(true);
    let Some(tls) = &front.tls else {
        return serve(stream, peer, &front).await;
    };
    // A handshake is no longer waited for than a head, and makes room as any connection that nobody has proved.
    let greeted = tokio::select! {
        greeted = tls.greet(stream) => greeted,
        () = peer.pulse.run_out(front.hub.core.config.limits.patience()) => None,
        () = front.hub.stop.cancelled() => None,
    };
    if let Some(stream) = greeted {
        serve(stream, peer, &front).await;
    }
}

async fn serve<S>(stream: S, peer: Peer, front: &Front)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let pulse = Arc::clone(&peer.pulse);
    let stop = front.hub.stop.clone();
    let patience = front.hub.core.config.limits.patience();
    let desk = Desk {
        hub: Arc::clone(&front.hub),
        router: front.router.clone(),
        peer,
        last_shown: LastShown::default(),
    };
    let connection = http1::Builder::new()
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(Watched::new(stream, Arc::clone(&pulse))), desk);
    let mut connection = pin!(connection);
    let mut run_out = pin!(pulse.run_out(patience));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
                }
                return;
            }
            () = run_out.as_mut() => return,
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
    last_shown: LastShown,
}

impl Service<Request<Incoming>> for Desk {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        if self.peer.pulse.begin() {
            self.peer.pulse.end();
            return Answering::Ready(Some(two_lengths()));
        }
        if let Some(response) = routes::stock::fast(&self.hub, &self.last_shown, &request) {
            self.peer.pulse.prove();
            self.peer.pulse.end();
            return Answering::Ready(Some(response.map(Reply::Whole)));
        }
        // What follows a body without a length is not read as another request: a proxy in front of us may see its end
        // elsewhere.
        let is_last = request.headers().contains_key(header::TRANSFER_ENCODING);
        request.extensions_mut().insert(self.peer.clone());
        let (router, pulse) = (self.router.clone(), Arc::clone(&self.peer.pulse));
        Answering::Later(Box::pin(async move {
            let mut response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if is_last {
                close_after(&mut response);
            }
            pulse.end();
            response.map(Reply::Parts)
        }))
    }
}

/// Refuses a request of which nobody can say where it ends; nothing more is read of the connection.
fn two_lengths() -> Response<Reply> {
    let mut response =
        ApiError::malformed("the head says Content-Length and Transfer-Encoding; say one of them")
            .into_response();
    close_after(&mut response);
    response.map(Reply::Parts)
}

fn close_after<B>(response: &mut Response<B>) {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
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
