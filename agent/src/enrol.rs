//! Enrolment: a one-time code becomes a certificate of this device's own key.

use vitrina_host::os;
use vitrina_host::sign::{self, CodeError, SignError};
use vitrina_shared::wire::{EnrolAnswer, EnrolRequest, WireError, frame, life};
use vitrina_shared::{ShopId, ids::IdError};

use crate::core::{Core, now};
use crate::hub_client::{HubClient, HubError, Line};
use crate::identity::{
    Enrolment, Identity, IdentityError, TERMINAL_TOKEN, authority, device_key, new_token,
    token_hash,
};
use crate::ledger::state::{self, Enrolled};
use crate::ledger::{LedgerError, terminal};

/// The name of the first terminal.
const FIRST_TERMINAL: &str = "terminal";

/// What a person gave.
pub(crate) struct Invitation {
    /// The hub's address.
    pub(crate) url: String,
    /// The one-time code.
    pub(crate) code: String,
    /// The certificates of the hub's own authority (PEM): nobody else is trusted then.
    pub(crate) ca: Option<String>,
    /// `http://` elsewhere than on this machine is meant.
    pub(crate) insecure: bool,
}

/// Why there was no enrolment. The ledger and an earlier enrolment are as they were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolError {
    /// The code is mistyped.
    #[error("the enrolment code cannot be read")]
    Code(#[from] CodeError),
    /// The hub does not take the code.
    #[error(
        "the hub does not take this code: it is mistyped, used, replaced or too old; vitrina-hub shop recode SHOP makes a new one"
    )]
    Refused,
    /// The hub did not enrol, or did not answer.
    #[error("the hub did not enrol this agent")]
    Hub(#[from] HubError),
    /// What the hub answered is not for this device.
    #[error("the hub answered for another device")]
    OtherDevice,
    /// What the hub answered names no shop.
    #[error("the hub answered for no shop")]
    Shop(#[from] IdError),
    /// This ledger is another shop's.
    #[error(
        "this ledger belongs to the shop {own}, the code is for {other}: use another --data folder"
    )]
    OtherShop {
        /// Whose ledger this is.
        own: ShopId,
        /// Whose the code was.
        other: ShopId,
    },
    /// A file of the identity.
    #[error("the enrolment cannot be kept")]
    Identity(#[from] IdentityError),
    /// The ledger.
    #[error("the ledger failed during the enrolment")]
    Ledger(#[from] LedgerError),
}

impl EnrolError {
    /// Whether what the person gave cannot be a code or an address, whoever is asked (exit code 2).
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Code(_) | Self::Hub(HubError::Address { .. }) => true,
            Self::Refused
            | Self::Hub(_)
            | Self::OtherDevice
            | Self::Shop(_)
            | Self::OtherShop { .. }
            | Self::Identity(_)
            | Self::Ledger(_) => false,
        }
    }
}

impl From<WireError> for EnrolError {
    fn from(error: WireError) -> Self {
        Self::Hub(error.into())
    }
}

/// Enrols this agent, and makes the first terminal's token where there is none.
///
/// # Errors
///
/// [`EnrolError`].
pub(crate) async fn enrol(core: &Core, invitation: Invitation) -> Result<ShopId, EnrolError> {
    let line = Line {
        url: invitation.url.clone(),
        ca: match &invitation.ca {
            Some(pem) => Some(pem.clone()),
            None => authority(core.config(), core.folder())?,
        },
        proxy: core.config().proxy.clone(),
        insecure: invitation.insecure || core.config().insecure,
    };
    let client = HubClient::new(&line)?;
    let frame = ask(core, &invitation.code).await?;
    let answer = client.enrol(frame).await.map_err(|error| match error {
        HubError::Unauthorized { .. } => EnrolError::Refused,
        error => error.into(),
    })?;
    keep(core, invitation, &answer).await
}

/// The frame that asks to be enrolled by a code.
///
/// # Errors
///
/// [`EnrolError`].
pub(crate) async fn ask(core: &Core, code: &str) -> Result<Vec<u8>, EnrolError> {
    let code = sign::code_to_bytes::<16>(code.trim())?;
    let key = device_key(core.folder())?;
    let own = core.ledger().db().read(state::shop).await?;
    let request = EnrolRequest {
        code,
        device: key.public().0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        shop: own.map(Into::into),
    };
    let mut failed: Option<SignError> = None;
    let frame = request.seal(|bytes| match key.sign(bytes) {
        Ok(signature) => signature.0,
        Err(error) => {
            failed = Some(error);
            [0; 64]
        }
    })?;
    match failed {
        Some(error) => Err(IdentityError::from(error).into()),
        None => Ok(frame),
    }
}

/// Keeps what the hub answered.
///
/// # Errors
///
/// [`EnrolError`].
pub(crate) async fn keep(
    core: &Core,
    invitation: Invitation,
    answer: &[u8],
) -> Result<ShopId, EnrolError> {
    let key = device_key(core.folder())?;
    let answer = EnrolAnswer::read(&frame::open(answer)?)?;
    if answer.certificate.device != key.public().0 {
        return Err(EnrolError::OtherDevice);
    }
    let shop: ShopId = answer.certificate.shop.parse()?;
    let (of, settings, life) = (shop.clone(), answer.settings, life(answer.life));
    let enrolled = core
        .write(move |conn| state::enrol(conn, &of, &settings, life, now()))
        .await?;
    if let Enrolled::OtherShop(own) = enrolled {
        return Err(EnrolError::OtherShop { own, other: shop });
    }
    let enrolment = Enrolment {
        url: invitation.url,
        certificate: answer.certificate,
        ca: invitation.ca,
        insecure: invitation.insecure,
    };
    core.set_identity(Identity::keep(core.folder(), enrolment, key)?);
    first_terminal(core).await?;
    // So that files can be put there before the first start, which makes it where this could not, and says why.
    let _ = std::fs::create_dir_all(core.folder().join("drop"));
    Ok(shop)
}

/// Makes `terminal.token` where there is none, and lets the ledger know the one there is: a ledger put back from a
/// copy does not.
///
/// # Errors
///
/// [`EnrolError`].
pub(crate) async fn first_terminal(core: &Core) -> Result<(), EnrolError> {
    let path = core.folder().join(TERMINAL_TOKEN);
    let hash = if let Ok(token) = std::fs::read_to_string(&path) {
        token_hash(token.trim())
    } else {
        let (token, hash) = new_token()?;
        os::write_secret(&path, format!("{token}\n").as_bytes()).map_err(IdentityError::from)?;
        hash
    };
    let is_known = core
        .ledger()
        .db()
        .read(move |conn| terminal::find(conn, &hash))
        .await?
        .is_some();
    if !is_known {
        core.write(move |conn| terminal::add(conn, FIRST_TERMINAL, &hash, now()))
            .await?;
    }
    Ok(())
}
