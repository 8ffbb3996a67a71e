//! The server's side.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::io::ReaderStream;

use super::frames::{FRAME_MAX, Frame};
use super::{Address, ControlError, ControlRequest, address_file};
use crate::os;
use crate::output::{Exit, Out};
use crate::sign;
use crate::wait::wait;

/// How often a sign of life is sent while a command prints nothing.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
/// Frames between a command and a slow reader; then the command waits.
const FRAMES_MAX: usize = 16;
/// Commands at once; further ones wait for one to end.
const COMMANDS_MAX: usize = 32;

/// Runs a command in the server: parse `argv` again and do it. Called on a thread of its own, where
/// `tokio::runtime::Handle::current().block_on(…)` may be used.
pub type Handler = Arc<dyn Fn(&ControlRequest, &mut Out) -> Exit + Send + Sync>;

/// A server's ear for commands: a listening port and `DIR/control.json`, which is removed when this is dropped.
///
/// Drop it before the lock of the folder.
pub struct Control {
    listener: TcpListener,
    secret: String,
    file: AddressFile,
}

/// Removes the file at its end.
struct AddressFile(PathBuf);

impl Drop for AddressFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Control {
    /// Listens on a free loopback port and says so in the folder `data`, whose lock the caller holds.
    ///
    /// # Errors
    ///
    /// [`ControlError::Listen`], [`ControlError::Publish`], [`ControlError::Secret`].
    pub async fn bind(data: &Path) -> Result<Self, ControlError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(ControlError::Listen)?;
        let addr = listener.local_addr().map_err(ControlError::Listen)?;
        let secret = sign::hex(&sign::random_bytes::<32>()?);
        let address = Address {
            addr,
            pid: std::process::id(),
            secret: secret.clone(),
        };
        let text =
            serde_json::to_vec(&address).map_err(|error| ControlError::Listen(error.into()))?;
        let path = address_file(data);
        os::write_secret(&path, &text)?;
        Ok(Self {
            listener,
            secret,
            file: AddressFile(path),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs the commands that come, until `shutdown`; then lets those that run come to their end.
    ///
    /// # Errors
    ///
    /// When the port cannot be listened to any more.
    pub async fn serve(
        self,
        handler: Handler,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let Self {
            listener,
            secret,
            file,
        } = self;
        // Nobody comes any more once we stop, so the file goes first.
        let shutdown = async move {
            shutdown.await;
            drop(file);
        };
        serve_control(listener, secret, handler, shutdown).await
    }
}

#[derive(Clone)]
struct Ear {
    secret: Arc<str>,
    handler: Handler,
    room: Arc<Semaphore>,
}

/// Runs the commands that come to `listener` with `secret`, until `shutdown`; then lets those that run come to their
/// end. [`Control::serve`] does this with a secret of its own.
///
/// # Errors
///
/// When the port cannot be listened to any more.
pub async fn serve_control(
    listener: TcpListener,
    secret: String,
    handler: Handler,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let ear = Ear {
        secret: secret.into(),
        handler,
        room: Arc::new(Semaphore::new(COMMANDS_MAX)),
    };
    let routes = Router::new()
        .route("/v1/alive", get(async || StatusCode::OK))
        .route("/v1/run", post(run))
        .layer(middleware::from_fn_with_state(ear.clone(), admit))
        .with_state(ear);
    axum::serve(listener, routes)
        .with_graceful_shutdown(shutdown)
        .await
}

/// Lets in who has read the file that only this account can read.
async fn admit(
    State(ear): State<Ear>,
    request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
        .unwrap_or_default();
    if !sign::same_secret(given, ear.secret.as_bytes()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    Ok(next.run(request).await)
}

async fn run(State(ear): State<Ear>, Json(request): Json<ControlRequest>) -> Body {
    let (frames, printed) = mpsc::channel(FRAMES_MAX);
    let (to, from) = tokio::io::duplex(FRAME_MAX);
    tokio::spawn(begin(ear, request, frames));
    tokio::spawn(forward(printed, to));
    Body::from_stream(ReaderStream::new(from))
}

/// Gives the command a thread. Not one of the runtime's for blocking work: commands wait for such work, and as many of them
/// as there are threads would wait for ever.
async fn begin(ear: Ear, request: ControlRequest, frames: mpsc::Sender<Frame>) {
    // It is never closed.
    let room = Arc::clone(&ear.room).acquire_owned().await;
    let (runtime, refused) = (Handle::current(), frames.clone());
    let thread = thread::Builder::new().name("command".to_owned());
    let begun = thread.spawn(move || {
        let _room = room;
        let _runtime = runtime.enter();
        command(&ear.handler, &request, &frames);
    });
    if let Err(error) = begun {
        let told = format!("error: the server has no thread for the command: {error}\n");
        let _ = refused.send(Frame::Stderr(told.into_bytes())).await;
        let _ = refused.send(Frame::Exit(Exit::Failed.code())).await;
    }
}

/// Runs the command and ends its answer, whatever happens in it.
fn command(handler: &Handler, request: &ControlRequest, frames: &mpsc::Sender<Frame>) {
    let writer = |kind: fn(Vec<u8>) -> Frame| FrameWriter {
        kind,
        frames: frames.clone(),
    };
    let stdout = io::BufWriter::with_capacity(FRAME_MAX / 2, writer(Frame::Stdout));
    let mut out = Out::to(
        Box::new(stdout),
        Box::new(writer(Frame::Stderr)),
        request.lang,
        request.is_terminal,
    );
    let ended = catch_unwind(AssertUnwindSafe(|| handler(request, &mut out)));
    let exit = ended.unwrap_or_else(|_| {
        out.note("error: the command panicked in the server; its log says more");
        Exit::Failed
    });
    let exit = match out.finish() {
        Ok(()) => exit,
        Err(_) => Exit::Failed,
    };
    let _ = wait(frames.send(Frame::Exit(exit.code())));
}

/// Sends the frames on, with signs of life between them. Ends when the caller has gone; the command then notices.
async fn forward(mut printed: mpsc::Receiver<Frame>, mut to: DuplexStream) {
    loop {
        let frame = match tokio::time::timeout(ALIVE_EVERY, printed.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(_) => Frame::Alive,
        };
        if to.write_all(&frame.encode()).await.is_err() {
            return;
        }
    }
}

struct FrameWriter {
    kind: fn(Vec<u8>) -> Frame,
    frames: mpsc::Sender<Frame>,
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = bytes.get(..FRAME_MAX).unwrap_or(bytes);
        // Not `blocking_send`: a command may print inside of a `block_on`, where that panics.
        wait(self.frames.send((self.kind)(part.to_vec())))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
