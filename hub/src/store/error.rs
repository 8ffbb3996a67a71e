//! Why the store did not do something, and what became of the data.

use vitrina_host::db::{DbError, OpenError};
use vitrina_shared::totals::Overflow;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database did not; of a write nothing is kept.
    #[error("the database did not do it")]
    Db(#[from] DbError),
    /// The database was not opened.
    #[error("the database was not opened")]
    Open(#[from] Box<OpenError>),
    /// What stands in the database cannot be.
    #[error("the database is damaged: {0}; run verify, and restore a backup if it says so too")]
    Damaged(&'static str),
    /// A total would not fit; nothing was kept.
    #[error("a total of units is out of range")]
    Overflow,
    /// A shop brought the log of another shop; nothing was kept.
    #[error("this replica belongs to another shop")]
    ForeignReplica,
    /// A shop brought a leg of another shop; nothing was kept.
    #[error("this leg of a hold belongs to another shop")]
    ForeignLeg,
    /// The shop's credential was taken back; nothing was kept.
    #[error("this credential was revoked")]
    Revoked,
    /// The operating system gives no random bytes.
    #[error("no random bytes")]
    Random,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        Self::Open(Box::new(error))
    }
}

impl From<Overflow> for StoreError {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

impl StoreError {
    /// Whether there is no room on the disk.
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_disk_full())
    }

    /// Whether the same may succeed later without anybody acting.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Db(error) => error.is_transient(),
            Self::Open(_)
            | Self::Damaged(_)
            | Self::Overflow
            | Self::ForeignReplica
            | Self::ForeignLeg
            | Self::Revoked
            | Self::Random => false,
        }
    }
}
