//! How the model travels: frames of sections (`PROTOCOL.md` is normative).
//!
//! [`Request`], [`Answer`], [`EnrolRequest`] and [`EnrolAnswer`] are what the two calls say; [`frame`] is the
//! envelope; [`v1`] are the frozen structs of version 1, apart from the domain types. Limits are checked before
//! anything is decoded.

mod codec;
mod columns;
mod delta;
pub mod frame;
mod message;
pub mod v1;

pub use columns::Blobs;
pub use message::{
    Answer, EnrolAnswer, EnrolRequest, Positions, Reply, Request, StickAnswer, life, positions_hash,
};

use crate::movement::MovementError;
use crate::totals::Overflow;

pub(crate) use crate::movement::{unzigzag, zigzag};

/// The media type of a frame.
pub const CONTENT_TYPE: &str = "application/vnd.vitrina.exchange";

/// Why bytes are no frame, or a frame says nothing that can be used. Nothing of it is applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside the frame.
    #[error("the frame ends too early")]
    Short,
    /// A limit of [`frame`] is exceeded.
    #[error("the frame is too large")]
    TooLarge,
    /// It does not begin as a frame does: a proxy's or portal's page, perhaps.
    #[error("these bytes are no frame")]
    Magic,
    /// Written by a version that this one cannot read.
    #[error("the frame is of version {0}, which this program does not read")]
    Version(u8),
    /// Packed in a way that this version does not know.
    #[error("the frame is packed with codec {0}, which this program does not read")]
    Codec(u8),
    /// The length in the header is not the body's.
    #[error("the frame has another length than its header says")]
    Length,
    /// The digest in the header is not the body's.
    #[error("the frame's digest does not match its body")]
    Digest,
    /// The body cannot be unpacked, or would be beyond its limit.
    #[error("the frame cannot be unpacked")]
    Unpack,
    /// A section that must be understood is unknown.
    #[error(
        "the frame has a section of kind {0} that must be understood; this program is too old for it"
    )]
    UnknownSection(u16),
    /// A section that must be there is not, or is there twice.
    #[error("the frame has no section of kind {0}, or more than one")]
    Missing(u16),
    /// A section is not of its form.
    #[error("a section is malformed")]
    Malformed,
    /// Bytes are left behind a section's value.
    #[error("a section has bytes left over")]
    Trailing,
    /// A column is malformed.
    #[error("a column is malformed")]
    Column,
    /// A list is longer than its limit.
    #[error("a list has more entries than allowed")]
    TooMany,
    /// A movement is malformed.
    #[error("a movement is malformed")]
    Movement(#[from] MovementError),
    /// Totals are out of range.
    #[error("a total is out of range")]
    Overflow(#[from] Overflow),
    /// The value could not be written.
    #[error("a section cannot be written")]
    Encode,
}
