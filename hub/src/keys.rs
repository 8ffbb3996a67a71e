//! API keys: who may read, import and administer. Kept in memory as hashes, so that a request asks no database.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use vitrina_host::sign;
use vitrina_shared::TimeMs;
use vitrina_shared::stock::Channel;

use crate::audit::By;
use crate::store::{Store, StoreError};

/// The most characters of a key's name.
const MAX_NAME_CHARS: usize = 64;

/// What a key may do: website ⊂ office ⊂ admin; erp (⊂ admin) is imports and the movement feed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Reads stock.
    Website,
    /// Reads everything.
    Office,
    /// Imports, and the movement feed.
    Erp,
    /// Everything.
    Admin,
}

/// Not a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is website, office, erp or admin")]
pub(crate) struct RoleError;

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    /// Its name.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) role: Role,
    /// What `available` means to it.
    pub(crate) channel: Channel,
    /// SHA-256 of the secret.
    pub(crate) hash: [u8; 32],
    /// Since when.
    pub(crate) created_at: TimeMs,
    /// Until when.
    pub(crate) revoked_at: Option<TimeMs>,
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewKey {
    /// Its name.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) role: Role,
    /// What `available` means to it.
    pub(crate) channel: Channel,
}

impl NewKey {
    /// One for which what is held is not available.
    pub(crate) fn of(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            channel: Channel::NetOfHolds,
        }
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The key's name.
    pub(crate) name: Arc<str>,
    /// What it may do.
    pub(crate) role: Role,
    /// What `available` means to it.
    pub(crate) channel: Channel,
    /// What its secret is known by.
    hash: [u8; 32],
}

/// What a secret opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyCheck {
    /// This.
    Known(Principal),
    /// Nothing any more.
    Revoked,
    /// Nothing.
    Unknown,
}

/// Why a key was not made or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The name cannot be used.
    #[error("a key's name has 1 to {MAX_NAME_CHARS} visible characters")]
    Name,
    /// There is one of that name, or was.
    #[error("there is a key named {0} already")]
    Taken(String),
    /// There is none of that name.
    #[error("there is no key named {0}")]
    Unknown(String),
    /// Nothing was written.
    #[error("the key was not written")]
    Store(#[from] StoreError),
    /// The operating system gives no random bytes.
    #[error("no random bytes")]
    Random(#[from] sign::SignError),
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 4] = [Self::Website, Self::Office, Self::Erp, Self::Admin];

    /// The word of the public interface.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Website => "website",
            Self::Office => "office",
            Self::Erp => "erp",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        [Self::Website, Self::Office, Self::Erp, Self::Admin]
            .into_iter()
            .find(|role| role.word() == text)
            .ok_or(RoleError)
    }
}

/// Every key, by the hash of its secret. The lookup is by hash, so its time says nothing of the secret.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    known: RwLock<HashMap<[u8; 32], (Principal, bool)>>,
    /// Grows after the keys have changed.
    edition: AtomicU64,
    changed: Notify,
}

impl Keyring {
    /// Reads the keys of the store.
    pub(crate) async fn load(&self, store: &Store) -> Result<(), StoreError> {
        let keys = store.keys().await?;
        let known = keys
            .into_iter()
            .map(|key| {
                (
                    key.hash,
                    (
                        Principal {
                            name: key.name.into(),
                            role: key.role,
                            channel: key.channel,
                            hash: key.hash,
                        },
                        key.revoked_at.is_some(),
                    ),
                )
            })
            .collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.edition.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
        Ok(())
    }

    /// A number that is the same only while the keys are.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// What a secret opens.
    pub(crate) fn check(&self, secret: &str) -> KeyCheck {
        let hash = sign::sha256(secret.as_bytes());
        match self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hash)
        {
            Some((principal, false)) => KeyCheck::Known(principal.clone()),
            Some((_, true)) => KeyCheck::Revoked,
            None => KeyCheck::Unknown,
        }
    }

    /// Waits until this key opens nothing any more: a call that waits for news ends with it.
    pub(crate) async fn ended(&self, principal: &Principal) {
        loop {
            let changed = self.changed.notified();
            let is_good = {
                let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
                matches!(known.get(&principal.hash), Some((_, false)))
            };
            if !is_good {
                return;
            }
            changed.await;
        }
    }

    /// Makes a key and returns its secret, which nobody can read again.
    pub(crate) async fn add(&self, store: &Store, by: By, new: NewKey) -> Result<String, KeyError> {
        let name = &new.name;
        let length = name.chars().count();
        if length == 0
            || length > MAX_NAME_CHARS
            || name.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return Err(KeyError::Name);
        }
        let secret = format!("vk_{}", sign::hex(&sign::random_bytes::<32>()?));
        let added = store
            .add_key(by, new.clone(), sign::sha256(secret.as_bytes()))
            .await?;
        if !added {
            return Err(KeyError::Taken(new.name));
        }
        self.load(store).await?;
        Ok(secret)
    }

    /// Ends a key.
    pub(crate) async fn revoke(&self, store: &Store, by: By, name: &str) -> Result<(), KeyError> {
        if !store.revoke_key(by, name.to_owned()).await? {
            return Err(KeyError::Unknown(name.to_owned()));
        }
        self.load(store).await?;
        Ok(())
    }
}
