//! `POST /v1/enrol`: a one-time code and a device's key become a certificate.

use std::sync::Arc;

use bytes::Bytes;
use vitrina_host::sign::{self, PublicKey, Signature};
use vitrina_shared::ShopId;
use vitrina_shared::wire::v1::{CertificateV1, EnrolledV1};
use vitrina_shared::wire::{EnrolRequest, frame};

use crate::core::Core;
use crate::exchange::ExchangeError;
use crate::store::{CodeUse, StoreError};

/// What a code is stored and looked up by.
pub(crate) fn code_hash(code: &[u8; 16]) -> [u8; 32] {
    sign::sha256(code)
}

/// Answers an enrolment. The code is used up by a device that proves that it holds its key.
///
/// # Errors
///
/// [`ExchangeError`]; the code is as good as before, unless it had expired.
pub(crate) async fn answer(core: &Arc<Core>, body: Bytes) -> Result<Vec<u8>, ExchangeError> {
    let opened = frame::open(&body)?;
    let request = EnrolRequest::read(&opened)?;
    if !sign::verify(
        &PublicKey(request.device),
        opened.signed,
        &Signature(opened.signature),
    ) {
        return Err(ExchangeError::Unauthorized(
            "the frame is not signed with the device's key",
        ));
    }
    let held: Option<ShopId> = match request.shop.as_deref().map(str::parse) {
        None => None,
        Some(Ok(shop)) => Some(shop),
        Some(Err(_)) => {
            return Err(ExchangeError::Forbidden(
                "the device's ledger names no shop",
            ));
        }
    };
    let (used, issued_at) = core
        .store
        .use_code(code_hash(&request.code), request.device, held)
        .await?;
    let shop = match used {
        CodeUse::Opened(shop) => *shop,
        CodeUse::Unknown => {
            return Err(ExchangeError::Unauthorized(
                "the code is unknown, or was used",
            ));
        }
        CodeUse::Expired => {
            return Err(ExchangeError::Unauthorized(
                "the code has expired; ask for a new one",
            ));
        }
        CodeUse::OtherShop(_) => {
            return Err(ExchangeError::Forbidden(
                "the code is another shop's than this ledger",
            ));
        }
    };
    let row = core
        .store
        .shop(shop.clone())
        .await?
        .ok_or(StoreError::Damaged("an enrolled shop is gone"))?;
    let mut certificate = CertificateV1 {
        shop: shop.to_string(),
        device: request.device,
        issued_at,
        signature: Vec::new(),
    };
    let signature = core
        .hub_key
        .sign(&certificate.signed_bytes())
        .map_err(|_| StoreError::Random)?;
    certificate.signature = signature.0.to_vec();
    tracing::info!(shop.id = %shop, version = request.version, "a device was enrolled");
    let life = core.store.head().life;
    let settings = serde_json::to_vec(&row.settings)
        .map_err(|_| StoreError::Damaged("settings cannot be written"))?;
    Ok(EnrolledV1 {
        certificate,
        life: (life.ordinal, life.random),
        settings,
    }
    .seal()?)
}
