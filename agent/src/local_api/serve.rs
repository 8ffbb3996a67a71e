//! Connections: accepted, given a time for their headers, let come to their end when the agent stops.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the headers of a request may take to come.
const HEADERS: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// What is read at once. More than a head, so that who sends too long a one is told so before the line breaks.
const MAX_BUFFER_BYTES: usize = 128 << 10;
/// How long answers may take to leave when the agent stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// The most connections at once; a further one waits.
const MAX_CONNECTIONS: usize = 256;
/// How long to wait when the system has no more handles.
const BREATH: Duration = Duration::from_millis(200);

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let open = TaskTracker::new();
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, stop) = (router.clone(), stop.clone());
                open.spawn(async move {
                    connection(stream, router, stop).await;
                    drop(seat);
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

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Answers are small and one at a time: waiting to fill a packet only makes a till slow.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a terminal's connection broke");
    }
}
