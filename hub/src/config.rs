//! `DIR/hub.toml`. Flag over environment over file over default.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use vitrina_host::drop::DropFolder;
use vitrina_host::output::Lang;

use crate::holds::HoldSettings;
use crate::limits::Limits;
use crate::work::watch::Alerts;

/// The name of the file.
pub(crate) const FILE: &str = "hub.toml";

/// Where the hub listens when nothing says otherwise.
pub(crate) const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8420);

/// What the file may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where the server listens.
    pub(crate) listen: Option<SocketAddr>,
    /// Where the metrics are free to read.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// The certificate with its chain (PEM): with it the server speaks `https://` only.
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM).
    pub(crate) tls_key: Option<PathBuf>,
    /// The language of texts for people.
    pub(crate) language: Option<Lang>,
    /// Drop folders beside `DIR/drop/`.
    pub(crate) drop: Vec<DropFolder>,
    /// How much callers may take.
    pub(crate) limits: Limits,
    /// How much web orders may hold, and of whom.
    pub(crate) holds: HoldSettings,
    /// When a person is told.
    pub(crate) alerts: Alerts,
}
