//! The hub of Vitrina: merges what the agents of the shops send, keeps it, and answers the website, head office and
//! admins.
//!
//! The way of the data: `routes` → `exchange` → `merge` → `store` → `change` → `view` → routes and feed.

mod audit;
mod auth;
mod board;
mod catalogue;
mod certificate;
mod change;
pub mod cli;
mod config;
mod core;
mod demo;
mod enrol;
mod error;
mod exchange;
mod feed;
mod holds;
mod keys;
pub mod lab;
mod limits;
mod merge;
mod metrics;
pub mod rig;
mod routes;
mod safety;
mod server;
mod shops;
mod store;
#[cfg(any(fuzzing, test))]
pub mod stranger;
mod view;
mod webhook;
mod work;
