//! Power cuts and broken calls under the real agent and the real hub: their transactions on the disk of [`crate::vfs`].
//!
//! [`day`] is a shop's day with its hub: every business transaction of both, each a step that may be repeated. [`cuts`]
//! records such a day once and looks at what a power cut leaves at every write and every flush of it. [`calls`] repeats
//! each step with one call of the disk failing, for every call that it makes.

mod bench;
pub mod calls;
pub mod cuts;
pub mod day;
pub mod dump;
pub mod flips;
