//! What both programs of Vitrina stand on.
//!
//! It knows nothing of the model's decisions and nothing of either program's tables.

pub mod bodies;
pub mod certificate;
pub mod clock;
pub mod cml;
pub mod commands;
pub mod config;
pub mod control;
pub mod csv;
pub mod db;
pub mod depth;
pub mod doorman;
pub mod drop;
mod limits;
pub mod log;
pub mod migrate;
pub mod number;
pub mod os;
pub mod output;
pub mod package;
pub mod problem;
pub mod pulse;
pub mod room;
pub mod sign;
pub mod stick;
pub mod tally;
pub mod text;
pub mod when;

#[cfg(test)]
mod samples;

mod wait;
