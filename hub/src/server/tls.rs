//! TLS of the server: the handshake, and the certificate with its key, read anew when their files change.
//!
//! HTTP/1.1 is the only protocol that is agreed on; TLS 1.2 and 1.3 are, for old PHP and 1C hosts call too.

mod pair;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use vitrina_host::clock::now_ms;

pub(crate) use pair::TlsError;

use pair::{Files, Pair};

/// How often the files are looked at. What is the same at two looks in a row is whole.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// So long before its end a certificate is warned of, once a day.
const WARN_MS: i64 = 14 * DAY_MS;
const DAY_MS: i64 = 24 * 3_600_000;
/// The first byte of a handshake.
const HANDSHAKE_RECORD: u8 = 0x16;
/// What is told to those who speak plain HTTP here, behind a head of one's own: there is no server for them.
const PLAIN: &str = r#"{"type":"urn:vitrina:problem:validation_failed","title":"The request is not as it should be","status":400,"code":"validation_failed","detail":"this port speaks https://"}"#;

/// What makes a connection one that nobody else reads.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
    files: Files,
}

/// The pair that is shown at present.
#[derive(Debug)]
struct Shown(RwLock<Pair>);

impl Shown {
    fn pair(&self) -> Pair {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, pair: Pair) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair().key)
    }
}

impl Tls {
    /// Reads the pair: the certificate with its chain, and its key, both PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub(crate) fn open(cert: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = Files { cert, key };
        let pair = files.read()?.pair()?;
        pair.say("the server's certificate is");
        if !pair.leaf.is_good_at(now_ms()) {
            tracing::error!("no agent and no website accepts a certificate out of its time");
        }
        files.warn_of_readers();
        let shown = Arc::new(Shown(RwLock::new(pair)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A line that comes back goes on where it was, without a signature of ours.
        config.ticketer = Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            shown,
            files,
        })
    }

    /// Shakes hands; nothing where that fails. Somebody who speaks plain HTTP is told so.
    pub(super) async fn greet(&self, mut stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let greeting = async {
            let mut first = [0];
            if stream.peek(&mut first).await? != 0 && first != [HANDSHAKE_RECORD] {
                return refuse_plain(&mut stream).await.map(|()| None);
            }
            self.acceptor.accept(stream).await.map(Some)
        };
        let failed = match greeting.await {
            Ok(stream) => return stream,
            Err(error) => error,
        };
        tracing::debug!(
            error = &failed as &dyn std::error::Error,
            "a TLS handshake failed"
        );
        None
    }

    /// Looks at the files for ever, and shows the new pair once it is whole. A pair that cannot be used leaves the
    /// present one.
    pub(super) async fn keep_fresh(self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut known = self.shown.pair().mark;
        let mut before = known.clone();
        let mut warned_ms = i64::MIN;
        loop {
            looks.tick().await;
            let now = now_ms();
            self.warn_of_the_end(now, &mut warned_ms);
            let files = self.files.clone();
            let Ok((mark, read)) = tokio::task::spawn_blocking(move || files.look()).await else {
                continue;
            };
            if mark != known && mark == before {
                known.clone_from(&mark);
                match read.and_then(|read| read.pair_instead_of(&self.shown.pair(), now)) {
                    Ok(pair) => {
                        pair.say("the server's certificate is now");
                        self.shown.replace(pair);
                    }
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the new certificate is not used, the one before stays"
                    ),
                }
            }
            before = mark;
        }
    }

    fn warn_of_the_end(&self, now: i64, warned_ms: &mut i64) {
        let pair = self.shown.pair();
        if pair.leaf.until_ms - now < WARN_MS && now.saturating_sub(*warned_ms) > DAY_MS {
            *warned_ms = now;
            pair.warn_of_the_end();
        }
    }
}

/// Answers plain HTTP. What was sent is read first, for a socket that is closed over unread bytes takes the answer back.
async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 4_096];
    let _ = stream.read(&mut rest).await?;
    let length = PLAIN.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n\
        Connection: close\r\nContent-Length: {length}\r\n\r\n{PLAIN}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
