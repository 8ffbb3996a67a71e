//! The harness: the real binaries with real files and real sockets, and a line that can be cut.
//!
//! Tests speak CONTRACT from outside: they know commands, files and HTTP, and nothing of a product's insides. Only
//! [`power`] links both programs, to hold the disk of their databases.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking: that is its report"
)]

pub mod binaries;
pub mod browser;
pub mod chain;
pub mod damage;
pub mod device;
pub mod files;
pub mod fixtures;
pub mod http;
pub mod keeper;
pub mod link;
pub mod power;
pub mod preload;
pub mod process;
pub mod raw;
pub mod receiver;
pub mod rush;
pub mod sim;
pub mod system;
pub mod vfs;
pub mod wait;

pub use chain::{Chain, Shop};
pub use keeper::Keeper;
pub use link::Link;
pub use wait::until;
