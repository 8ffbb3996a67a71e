//! Who may call what. Whatever is not allowed here is refused.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue, header};
use vitrina_host::sign::same_secret;
use vitrina_shared::stock::Channel;

use crate::error::{ApiError, Code};
use crate::keys::{KeyCheck, Keyring, Principal, Role};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// A shop, which proves itself in the body: a code, or a frame signed by its device.
    Shop,
    /// Keys with one of these roles, and roles that include one.
    Roles(&'static [Role]),
}

/// The website's routes.
pub(crate) const WEBSITE: Access = Access::Roles(&[Role::Website]);
/// Head office's.
pub(crate) const OFFICE: Access = Access::Roles(&[Role::Office]);
/// The ERP's.
pub(crate) const ERP: Access = Access::Roles(&[Role::Erp]);
/// Both of theirs.
pub(crate) const OFFICE_OR_ERP: Access = Access::Roles(&[Role::Office, Role::Erp]);
/// The admins'.
pub(crate) const ADMIN: Access = Access::Roles(&[Role::Admin]);

impl Access {
    /// Whether a key of this role may call.
    pub(crate) fn allows(self, role: Role) -> bool {
        match self {
            Self::Open | Self::Shop => true,
            Self::Roles(roles) => roles.iter().any(|needed| includes(role, *needed)),
        }
    }
}

/// website ⊂ office ⊂ admin; erp ⊂ admin.
fn includes(role: Role, needed: Role) -> bool {
    match role {
        Role::Admin => true,
        Role::Office => matches!(needed, Role::Office | Role::Website),
        Role::Website => needed == Role::Website,
        Role::Erp => needed == Role::Erp,
    }
}

/// Decides about a call; who calls, where a key was needed.
///
/// # Errors
///
/// 401 `unauthorized` or `revoked`, 403 `forbidden`.
pub(crate) fn authorize(
    keys: &Keyring,
    access: Access,
    headers: &HeaderMap,
) -> Result<Option<Principal>, ApiError> {
    if !matches!(access, Access::Roles(_)) {
        return Ok(None);
    }
    let Some(secret) = bearer(headers) else {
        return Err(ApiError::new(
            Code::Unauthorized,
            "send the key as Authorization: Bearer KEY",
        ));
    };
    match keys.check(secret) {
        KeyCheck::Known(principal) if access.allows(principal.role) => Ok(Some(principal)),
        KeyCheck::Known(principal) => Err(ApiError::new(
            Code::Forbidden,
            format!("a key of the role {} may not do this", principal.role),
        )),
        KeyCheck::Revoked => Err(ApiError::new(Code::Revoked, "")),
        KeyCheck::Unknown => Err(ApiError::new(Code::Unauthorized, "nobody knows this key")),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// The website's key as it was last shown on one connection, so that its hash is not made again for every answer.
#[derive(Debug, Default)]
pub(crate) struct LastShown(Mutex<Option<Shown>>);

/// A key that may read, as it was shown.
#[derive(Debug)]
struct Shown {
    header: HeaderValue,
    /// Of this edition of the keyring.
    edition: u64,
    channel: Channel,
}

impl LastShown {
    /// What `available` means to the caller, where he may read as the website does.
    pub(crate) fn may_read(&self, keys: &Keyring, headers: &HeaderMap) -> Option<Channel> {
        let header = headers.get(header::AUTHORIZATION)?;
        // Read first: a key that is revoked meanwhile must not be remembered as one of the new edition.
        let edition = keys.edition();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A proxy may bring several callers by one connection: the time must not tell one the other's key.
        if let Some(shown) = &*last
            && shown.edition == edition
            && same_secret(shown.header.as_bytes(), header.as_bytes())
        {
            return Some(shown.channel);
        }
        let channel = authorize(keys, WEBSITE, headers).ok()??.channel;
        *last = Some(Shown {
            header: header.clone(),
            edition,
            channel,
        });
        Some(channel)
    }
}

/// How many failed to show who they are, or may not do what they asked, by kind: for the audit list.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, u64>>);

impl Refusals {
    /// One more.
    pub(crate) fn count(&self, kind: &'static str) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kinds.entry(kind).or_insert(0) += 1;
    }

    /// All since this was last asked.
    pub(crate) fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::By;
    use crate::keys::NewKey;
    use crate::store::Store;

    #[test]
    fn the_roles_are_nested_as_the_interface_says() {
        let may =
            |role| [WEBSITE, OFFICE, ERP, OFFICE_OR_ERP, ADMIN].map(|access| access.allows(role));

        assert_eq!(may(Role::Website), [true, false, false, false, false]);
        assert_eq!(may(Role::Office), [true, true, false, true, false]);
        assert_eq!(may(Role::Erp), [false, false, true, true, false]);
        assert_eq!(may(Role::Admin), [true; 5]);
    }

    #[test]
    fn a_call_without_a_key_or_with_an_unknown_one_is_refused() {
        let (keys, mut headers) = (Keyring::default(), HeaderMap::new());
        let refused = |headers: &HeaderMap| authorize(&keys, WEBSITE, headers).unwrap_err().code();

        assert_eq!(refused(&headers), Code::Unauthorized);
        for wrong in ["Bearer nobody", "Basic abc", "Bearer", "bearer "] {
            headers.insert(header::AUTHORIZATION, wrong.parse().unwrap());
            assert_eq!(refused(&headers), Code::Unauthorized, "{wrong}");
        }
        assert_eq!(authorize(&keys, Access::Open, &headers).unwrap(), None);
    }

    #[tokio::test]
    async fn a_key_that_was_revoked_is_forgotten_by_open_connections() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("hub.sqlite3"), None).unwrap();
        let (keys, last, mut headers) =
            (Keyring::default(), LastShown::default(), HeaderMap::new());
        let secret = keys
            .add(&store, By::CommandLine, NewKey::of("site", Role::Website))
            .await
            .unwrap();
        headers.insert(
            header::AUTHORIZATION,
            format!("Bearer {secret}").parse().unwrap(),
        );
        for _ in 0..2 {
            assert_eq!(last.may_read(&keys, &headers), Some(Channel::NetOfHolds));
        }

        keys.revoke(&store, By::CommandLine, "site").await.unwrap();

        assert_eq!(last.may_read(&keys, &headers), None);
        assert_eq!(last.may_read(&keys, &HeaderMap::new()), None);
        store.close().await;
    }
}
