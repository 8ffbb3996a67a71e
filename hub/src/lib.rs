//! The hub of Vitrina: merges what the agents of the shops send, keeps it, and answers the website, head office and
//! admins.
//!
//! The way of the data: `routes` → [`exchange`] → [`merge`] → `store` → [`change`] → `view` → routes and feed.

mod change;
mod config;
mod core;
mod merge;
mod exchange;
mod enrol;
mod store;
mod keys;
mod shops;
mod catalogue;
mod view;
mod board;
mod feed;
mod error;
mod auth;
mod routes;
mod server;
mod metrics;
mod demo;
pub mod cli;
