//! What both programs of Vitrina stand on.
//!
//! It knows nothing of the model's decisions and nothing of either program's tables.

/// The one place that reads the wall clock.
pub mod clock;
/// CommerceML files of 1C, element by element.
pub mod cml;
/// Commands that both programs have.
pub mod commands;
/// The configuration file, durations as text, the data folder.
pub mod config;
/// Commands beside a running server.
pub mod control;
/// CSV files of tills and Excel, row by row.
pub mod csv;
/// The database: one writing thread with shared commits, a few short readers.
pub mod db;
/// Drop folders: whole files, each handed over once.
pub mod drop;
/// The programs' own log.
pub mod log;
/// Numbered schema steps.
pub mod migrate;
/// Money and quantities as people and 1C write them.
pub mod number;
/// What differs between operating systems: locks, secrets, atomic replacement, free space, moves.
pub mod os;
/// What a command prints and how it ends.
pub mod output;
/// Zip archives of an exchange, and the order in which its files are taken.
pub mod package;
/// Ed25519 keys, tags, random bytes, codes for people, SHA-256.
pub mod sign;
/// Files in UTF-8, UTF-16 or windows-1251, read as UTF-8.
pub mod text;
/// Moments as files write them, in a shop's time zone.
pub mod when;

#[cfg(test)]
mod samples;

/// Waiting for a future without a runtime.
mod wait;
