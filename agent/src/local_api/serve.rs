//! Connections: accepted, waited for with patience, let come to their end when the agent stops.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitrina_host::doorman::Doorman;
use vitrina_host::pulse::{Pulse, Watched};

use super::Problem;
use crate::limits::Limits;

/// The most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// What is read at once. More than a head, so that who sends too long a one is told so before the line breaks.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// How long answers may take to leave when the agent stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long to wait when the system has no more handles.
const BREATH: Duration = Duration::from_millis(200);

/// Whose call it is.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// From where.
    pub(super) address: IpAddr,
    /// The connection's; told when the caller shows a token.
    pub(super) pulse: Arc<Pulse>,
}

/// Serves until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let doorman = Doorman::new(limits.connections, limits.connections_per_address);
    let open = TaskTracker::new();
    loop {
        let Some(room) = doorman.room().await else {
            break;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let (address, pulse) = (from.ip().to_canonical(), Arc::new(Pulse::default()));
                let Some(place) = doorman.let_in(address, &pulse, room) else {
                    continue;
                };
                let peer = Peer { address, pulse };
                let served = connection(stream, peer, router.clone(), limits.clone(), stop.clone());
                open.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a terminal's connection was not accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    open.close();
    let _ = tokio::time::timeout(FAREWELL, open.wait()).await;
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    // Answers are small and one at a time: waiting to fill a packet only makes a till slow.
    let _ = stream.set_nodelay(true);
    let pulse = Arc::clone(&peer.pulse);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| answer(router.clone(), peer.clone(), request));
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(
            TokioIo::new(Watched::new(stream, Arc::clone(&pulse))),
            service,
        );
    let mut connection = pin!(connection);
    let mut run_out = pin!(pulse.run_out(limits.patience()));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = run_out.as_mut() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a terminal's connection broke");
    }
}

/// Answers one request of a connection.
async fn answer(
    router: TowerToHyperService<Router>,
    peer: Peer,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let pulse = Arc::clone(&peer.pulse);
    let has_two_lengths = pulse.begin();
    // What follows a body without a length is not read as another request.
    let is_last = has_two_lengths || request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = if has_two_lengths {
        two_lengths()
    } else {
        request.extensions_mut().insert(peer);
        router.call(request).await?
    };
    if is_last {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    pulse.end();
    Ok(response)
}

/// Refuses a request of which nobody can say where it ends.
fn two_lengths() -> Response {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "validation_failed",
        "the head says Content-Length and Transfer-Encoding; say one of them",
    )
    .into_response()
}
