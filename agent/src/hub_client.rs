//! The line to the hub: the only place that names `reqwest`. It carries frames and knows nothing of what they say.

mod trust;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client, ClientBuilder, Proxy, Response, StatusCode, Url, header};
use vitrina_shared::wire::{CONTENT_TYPE, WireError, frame};

use crate::config::ProxyChoice;

pub(crate) use trust::Distrust;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// The hub holds a long-poll at most 25 s; what is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(35);
/// A whole exchange, over the worst line.
const WHOLE: Duration = Duration::from_mins(1);
/// NAT and proxies drop what is idle for a minute.
const IDLE: Duration = Duration::from_secs(35);

/// Where the hub is and how to get there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// The hub's address, such as `https://hub.example`.
    pub(crate) url: String,
    /// The certificates of the hub's own authority (PEM): nobody else is trusted then. Otherwise the system's are.
    pub(crate) ca: Option<String>,
    /// Which proxy.
    pub(crate) proxy: ProxyChoice,
    /// `http://` elsewhere than on loopback, by name.
    pub(crate) insecure: bool,
}

/// Why the hub gave no frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    /// The address cannot be used.
    #[error("the hub's address {url:?} cannot be used: {reason}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file with the hub's own authority cannot be read: without it nobody is trusted.
    #[error("cannot read the certificates of {}, which agent.toml names as ca", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What was given as the hub's own authority holds no certificate.
    #[error("what is given as ca holds no certificate (PEM, -----BEGIN CERTIFICATE-----)")]
    NoAuthority,
    /// The certificate file or the proxy is not right.
    #[error("the line to the hub is not set up right")]
    Setup(#[source] reqwest::Error),
    /// Whoever answers cannot prove that he is the hub. Nothing was sent to him.
    #[error("the hub is not trusted")]
    Distrusted(#[source] Distrust),
    /// No connection, or it broke. Whether the hub took what was sent is unknown; sending it again is safe.
    #[error("the hub cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The hub asks for patience.
    #[error("the hub is busy ({status})")]
    Busy {
        /// 429 or 503.
        status: u16,
        /// Not before.
        retry_after: Option<Duration>,
    },
    /// The hub does not know this device, or no longer.
    #[error("the hub refuses this device: {code}")]
    Unauthorized {
        /// `unauthorized` or `revoked`.
        code: String,
        /// The hub's words.
        detail: String,
    },
    /// The hub refuses what was sent.
    #[error("the hub refuses ({status} {code}): {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The stable code.
        code: String,
        /// The hub's words.
        detail: String,
    },
    /// Something else answered: a portal or a proxy.
    #[error("what answered is no hub of Vitrina (status {status}, {content_type})")]
    NotAHub {
        /// The HTTP status.
        status: u16,
        /// What it says it is.
        content_type: String,
    },
    /// The answer is no frame that can be used.
    #[error("the hub's answer cannot be read")]
    Frame(#[from] WireError),
}

impl HubError {
    /// A short word for status and log: the same word again is no news.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Address { .. } | Self::Authority { .. } | Self::NoAuthority | Self::Setup(_) => {
                "hub_misconfigured"
            }
            Self::Distrusted(why) => why.code(),
            Self::Unreachable(_) => "hub_unreachable",
            Self::Busy { .. } => "hub_busy",
            Self::Unauthorized { code, .. } | Self::Refused { code, .. } => code,
            Self::NotAHub { .. } => "not_a_hub",
            Self::Frame(_) => "bad_frame",
        }
    }

    /// What ended a call before there was an answer.
    fn of(error: reqwest::Error) -> Self {
        match Distrust::of(&error) {
            Some(why) => Self::Distrusted(why),
            None => Self::Unreachable(error),
        }
    }

    /// How long the hub asked to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A pool of connections to one hub; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct HubClient {
    http: Client,
    base: Url,
}

impl HubClient {
    /// Prepares the line; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`HubError::Address`], [`HubError::Setup`].
    pub(crate) fn new(line: &Line) -> Result<Self, HubError> {
        let base = address(line)?;
        let http = builder(line, &base)?;
        Ok(Self {
            http: http.build().map_err(HubError::Setup)?,
            base,
        })
    }

    /// The certificate (DER) that whoever is at the other end shows, trusted or not; for `doctor`. Nothing that is
    /// ours is sent to him.
    ///
    /// # Errors
    ///
    /// [`HubError`] when nobody is there.
    pub(crate) async fn certificate(line: &Line) -> Result<Option<Vec<u8>>, HubError> {
        let base = address(line)?;
        let http = builder(line, &base)?
            .tls_info(true)
            .tls_danger_accept_invalid_certs(true);
        let trusting = Self {
            http: http.build().map_err(HubError::Setup)?,
            base,
        };
        let asked = trusting.http.get(trusting.join("healthz")?).send();
        let answer = asked.await.map_err(HubError::of)?;
        let shown = answer.extensions().get::<TlsInfo>();
        Ok(shown.and_then(|tls| tls.peer_certificate().map(<[u8]>::to_vec)))
    }

    /// The hub's address.
    pub(crate) fn url(&self) -> &str {
        self.base.as_str()
    }

    /// Sends an enrolment frame and brings the answer's.
    ///
    /// # Errors
    ///
    /// [`HubError`].
    pub(crate) async fn enrol(&self, frame: Vec<u8>) -> Result<Vec<u8>, HubError> {
        self.post("v1/enrol", frame).await
    }

    /// Sends an exchange frame and brings the answer's.
    ///
    /// # Errors
    ///
    /// [`HubError`].
    pub(crate) async fn exchange(&self, frame: Vec<u8>) -> Result<Vec<u8>, HubError> {
        self.post("v1/exchange", frame).await
    }

    /// Asks whether the hub is there at all; for `doctor`.
    ///
    /// # Errors
    ///
    /// [`HubError::Unreachable`], [`HubError::Distrusted`], [`HubError::NotAHub`].
    pub(crate) async fn health(&self) -> Result<(), HubError> {
        let url = self.join("healthz")?;
        let answer = self.http.get(url).send().await.map_err(HubError::of)?;
        if answer.status() == StatusCode::OK {
            Ok(())
        } else {
            Err(not_a_hub(&answer))
        }
    }

    fn join(&self, path: &str) -> Result<Url, HubError> {
        self.base.join(path).map_err(|_| HubError::Address {
            url: self.base.to_string(),
            reason: "no path can be put behind it",
        })
    }

    async fn post(&self, path: &str, frame: Vec<u8>) -> Result<Vec<u8>, HubError> {
        let request = self
            .http
            .post(self.join(path)?)
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header(header::ACCEPT, CONTENT_TYPE)
            .body(frame);
        let answer = request.send().await.map_err(HubError::of)?;
        let status = answer.status();
        let is_frame = content_type(&answer).starts_with(CONTENT_TYPE);
        match status {
            StatusCode::OK if is_frame => {
                let not_whole = not_a_hub(&answer);
                body(answer).await?.ok_or(not_whole)
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::INSUFFICIENT_STORAGE => Err(HubError::Busy {
                status: status.as_u16(),
                retry_after: retry_after(&answer),
            }),
            _ => Err(refusal(answer).await),
        }
    }
}

/// A client of this line.
fn builder(line: &Line, base: &Url) -> Result<ClientBuilder, HubError> {
    let mut http = Client::builder()
        .user_agent(concat!("vitrina-agent/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .timeout(WHOLE)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(2)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none());
    if base.scheme() == "http" {
        // The system's certificates take a megabyte, and a box without any would refuse even a plain line.
        http = http.tls_certs_only([]);
    } else if let Some(pem) = &line.ca {
        let bundle = Certificate::from_pem_bundle(pem.as_bytes()).map_err(HubError::Setup)?;
        if bundle.is_empty() {
            return Err(HubError::NoAuthority);
        }
        http = http.tls_certs_only(bundle);
    }
    Ok(match &line.proxy {
        ProxyChoice::Auto if is_loopback(base) => http.no_proxy(),
        ProxyChoice::Auto => http,
        ProxyChoice::None => http.no_proxy(),
        ProxyChoice::Url(url) => http.proxy(Proxy::all(url).map_err(HubError::Setup)?),
    })
}

/// Reads a body of at most a frame's size; `None` when it is longer.
async fn body(mut answer: Response) -> Result<Option<Vec<u8>>, HubError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(HubError::of)? {
        if !append(&mut bytes, &chunk) {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

fn append(bytes: &mut Vec<u8>, chunk: &Bytes) -> bool {
    let fits = bytes.len() + chunk.len() <= frame::MAX_FRAME_BYTES;
    if fits {
        bytes.extend_from_slice(chunk);
    }
    fits
}

fn content_type(answer: &Response) -> String {
    let value = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or("no content type").to_owned()
}

fn not_a_hub(answer: &Response) -> HubError {
    HubError::NotAHub {
        status: answer.status().as_u16(),
        content_type: content_type(answer),
    }
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer
        .headers()
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// The hub's `application/problem+json`.
#[derive(serde::Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    detail: String,
}

async fn refusal(answer: Response) -> HubError {
    let status = answer.status();
    let stranger = not_a_hub(&answer);
    if !content_type(&answer).starts_with("application/problem+json") {
        return stranger;
    }
    let problem = match body(answer).await {
        Ok(Some(bytes)) => serde_json::from_slice::<Problem>(&bytes),
        Ok(None) => return stranger,
        Err(error) => return error,
    };
    match problem {
        Ok(Problem { code, detail }) if status == StatusCode::UNAUTHORIZED => {
            HubError::Unauthorized { code, detail }
        }
        Ok(Problem { code, detail }) => HubError::Refused {
            status: status.as_u16(),
            code,
            detail,
        },
        Err(_) => stranger,
    }
}

/// The address with a slash at its end, so that paths go behind it; `http://` only to this machine or by name.
fn address(line: &Line) -> Result<Url, HubError> {
    let wrong = |reason| HubError::Address {
        url: line.url.clone(),
        reason,
    };
    let text = format!("{}/", line.url.trim_end_matches('/'));
    let url = Url::parse(&text).map_err(|_| wrong("it is no URL, such as https://hub.example"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if line.insecure || is_loopback(&url) => Ok(url),
        "http" => Err(wrong(
            "http:// is for this machine only; use https://, or --insecure by name",
        )),
        _ => Err(wrong("it must begin with https://")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(url: &str) -> Line {
        Line {
            url: url.into(),
            ..Line::default()
        }
    }

    #[test]
    fn a_plain_line_goes_to_this_machine_only() {
        for good in [
            "http://127.0.0.1:8420",
            "http://localhost:1/",
            "http://[::1]:8420",
            "https://hub.example/x",
        ] {
            assert!(address(&line(good)).is_ok(), "{good}");
        }
        for bad in [
            "http://hub.example",
            "http://192.168.1.5:8420",
            "hub.example",
            "ftp://127.0.0.1",
        ] {
            assert!(address(&line(bad)).is_err(), "{bad}");
        }
        let by_name = Line {
            insecure: true,
            ..line("http://192.168.1.5:8420")
        };
        assert!(address(&by_name).is_ok());
    }

    #[test]
    fn a_path_of_the_hub_is_kept() {
        let url = address(&line("https://example.com/vitrina")).unwrap();
        assert_eq!(
            url.join("v1/exchange").unwrap().as_str(),
            "https://example.com/vitrina/v1/exchange"
        );
    }
}
