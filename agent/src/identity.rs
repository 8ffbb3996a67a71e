//! Who this agent is to the hub: the device key, the certificate and the address, as the enrolment left them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vitrina_host::config::DataFolder;
use vitrina_host::os::{self, OsError};
use vitrina_host::sign::{self, KeyPair, SignError};
use vitrina_shared::wire::v1::CertificateV1;

use crate::config::Config;
use crate::hub_client::{HubError, Line};

/// The device's Ed25519 key; never leaves the machine.
const DEVICE_KEY: &str = "device.key";
/// What the enrolment brought.
pub(crate) const HUB: &str = "hub.json";
/// The first terminal's token.
pub(crate) const TERMINAL_TOKEN: &str = "terminal.token";

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// `hub.json` is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// `hub.json` is not what the enrolment wrote: enrol again.
    #[error("{} is not what the enrolment wrote: enrol again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The device key is missing or damaged: enrol again.
    #[error(
        "the device key is missing or damaged: vitrina-hub shop recode SHOP, then vitrina-agent enrol --hub URL --code \
        CODE makes a new one; every movement stays"
    )]
    NoKey(#[source] SignError),
    /// There is no randomness, or the key cannot be kept or used.
    #[error("the device key cannot be used")]
    Key(#[from] SignError),
    /// A file cannot be written.
    #[error("cannot keep the identity")]
    Write(#[from] OsError),
    /// It has no JSON form.
    #[error("cannot write the identity as JSON")]
    Json(#[source] serde_json::Error),
}

/// What the enrolment brought, as `hub.json` keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Enrolment {
    /// The hub's address.
    pub(crate) url: String,
    /// The hub's word that this device writes for the shop.
    pub(crate) certificate: CertificateV1,
    /// The certificates of the hub's own authority (PEM): nobody else is trusted then.
    #[serde(default)]
    pub(crate) ca: Option<String>,
    /// `http://` elsewhere than on this machine was allowed by name.
    #[serde(default)]
    pub(crate) insecure: bool,
}

/// The enrolment and the key it is for.
pub(crate) struct Identity {
    /// What `hub.json` says.
    pub(crate) enrolment: Enrolment,
    key: KeyPair,
}

impl Identity {
    /// Reads the identity; `None` before the enrolment.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub(crate) fn load(folder: &DataFolder) -> Result<Option<Self>, IdentityError> {
        let path = folder.join(HUB);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IdentityError::Read { path, source }),
        };
        let enrolment = serde_json::from_slice(&text)
            .map_err(|source| IdentityError::Damaged { path, source })?;
        let key = KeyPair::load(&folder.join(DEVICE_KEY)).map_err(IdentityError::NoKey)?;
        Ok(Some(Self { enrolment, key }))
    }

    /// Keeps a new enrolment for `key`.
    ///
    /// # Errors
    ///
    /// [`IdentityError`]; then the old one stands.
    pub(crate) fn keep(
        folder: &DataFolder,
        enrolment: Enrolment,
        key: KeyPair,
    ) -> Result<Self, IdentityError> {
        let text = serde_json::to_vec_pretty(&enrolment).map_err(IdentityError::Json)?;
        os::write_secret(&folder.join(HUB), &text)?;
        Ok(Self { enrolment, key })
    }

    /// Signs a frame's header.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.key.sign(bytes)?.0)
    }

    /// Where the hub is: `agent.toml` over the enrolment.
    ///
    /// # Errors
    ///
    /// [`HubError::Authority`]: whoever names an authority trusts nobody else, also when its file is gone.
    pub(crate) fn line(&self, config: &Config, folder: &DataFolder) -> Result<Line, HubError> {
        let enrolment = &self.enrolment;
        let ca = authority(config, folder)?;
        Ok(Line {
            url: config.hub.clone().unwrap_or_else(|| enrolment.url.clone()),
            ca: ca.or_else(|| enrolment.ca.clone()),
            proxy: config.proxy.clone(),
            insecure: config.insecure || enrolment.insecure,
        })
    }
}

/// The authority that `agent.toml` names.
///
/// # Errors
///
/// [`HubError::Authority`].
pub(crate) fn authority(config: &Config, folder: &DataFolder) -> Result<Option<String>, HubError> {
    let Some(path) = config.ca.as_ref().map(|path| folder.join(path)) else {
        return Ok(None);
    };
    match std::fs::read_to_string(&path) {
        Ok(pem) => Ok(Some(pem)),
        Err(source) => Err(HubError::Authority { path, source }),
    }
}

/// The device's key, made at the first enrolment and kept by every further one.
///
/// # Errors
///
/// [`IdentityError::Key`].
pub(crate) fn device_key(folder: &DataFolder) -> Result<KeyPair, IdentityError> {
    let path = folder.join(DEVICE_KEY);
    Ok(match KeyPair::load(&path) {
        Err(SignError::NotAKey { .. }) => KeyPair::generate(&path)?,
        Err(_) if !path.exists() => KeyPair::generate(&path)?,
        key => key?,
    })
}

/// A new token for a terminal: what the terminal says, and the hash that the ledger keeps.
///
/// # Errors
///
/// [`IdentityError::Key`] when there is no randomness.
pub(crate) fn new_token() -> Result<(String, [u8; 32]), IdentityError> {
    let token = format!("vt_{}", sign::hex(&sign::random_bytes::<24>()?));
    let hash = token_hash(&token);
    Ok((token, hash))
}

/// What the ledger keeps of a token.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    sign::sha256(token.as_bytes())
}
