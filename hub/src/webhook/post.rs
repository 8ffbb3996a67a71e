//! One delivery over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, StatusCode, header, redirect};
use vitrina_host::sign::TagKey;
use vitrina_shared::TimeMs;

use super::Hook;
use super::address::{AddressError, checked, may_reach};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// A whole delivery: the convention asks for 15 to 30 s.
const WHOLE: Duration = Duration::from_secs(15);
/// A receiver that asks for more patience is asked again all the same.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Why a receiver did not take it. The words name no address: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PostError {
    /// Its address may not be called.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// No connection, no trust, or no answer.
    #[error("{0}")]
    Line(&'static str),
    /// It answered something else than that it has it.
    #[error("it answered {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// How long it asks for patience.
        retry_after: Option<Duration>,
    },
}

impl PostError {
    /// Whether it is the receiver that fails, and not this one message: then others need not be tried.
    pub(crate) fn is_of_receiver(&self) -> bool {
        match self {
            Self::Address(_) | Self::Line(_) => true,
            Self::Refused { status, .. } => {
                matches!(status, 300..=399 | 401 | 403 | 404 | 408 | 410 | 429 | 500..)
            }
        }
    }

    /// How long it asks for patience.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Address(_) | Self::Line(_) => None,
        }
    }
}

/// Leads names only to where a receiver may be.
struct Allowed {
    internal: bool,
    /// This machine, and nowhere else: what is sent without TLS.
    only_here: bool,
}

impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let (internal, only_here) = (self.internal || self.only_here, self.only_here);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| may_reach(address.ip(), internal).is_ok())
                .filter(|address| address.ip().is_loopback() || !only_here)
                .collect();
            if allowed.is_empty() {
                return Err(AddressError::Inside.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Sends one message and waits for the receiver's word.
pub(crate) async fn post(
    hook: &Hook,
    (id, body): (&str, &str),
    token_key: &TagKey,
    now: TimeMs,
) -> Result<(), PostError> {
    let url = checked(&hook.url, hook.internal)?;
    let is_plain = url.scheme() == "http";
    let mut client = Client::builder()
        .user_agent(concat!("Vitrina/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .pool_max_idle_per_host(0)
        .redirect(redirect::Policy::none())
        // A proxy would look names up itself, and go where this hub may not.
        .no_proxy()
        .dns_resolver(Allowed {
            internal: hook.internal,
            only_here: is_plain,
        });
    if is_plain {
        // The system may hold no certificates, and none are needed here.
        client = client.tls_certs_only([]);
    }
    let client = client
        .build()
        .map_err(|_| PostError::Line("this machine holds no certificates to trust by"))?;
    let timestamp_s = now.0.div_euclid(1_000);
    let signature = hook.secret(token_key).sign(id, timestamp_s, body);
    let sent = client
        .post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp_s)
        .header("webhook-signature", signature)
        .body(body.to_owned())
        .send()
        .await;
    let answer = sent.map_err(|error| PostError::Line(why(&error)))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(PostError::Refused {
        status: status.as_u16(),
        retry_after: retry_after(status, answer.headers()),
    })
}

/// What went wrong, in words without an address.
fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection, or its certificate is not right"
    } else {
        "the connection broke"
    }
}

fn retry_after(status: StatusCode, headers: &header::HeaderMap) -> Option<Duration> {
    if !matches!(status.as_u16(), 429 | 503) {
        return None;
    }
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let wait = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(wait.min(MAX_RETRY_AFTER))
}
