//! The model from outside: its laws, its frames, and peers that come to agree whatever happens between them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;
mod converge;
mod decisions;
mod frames;
mod holds;
mod laws;
mod told;
mod transfers;
