//! `[limits]` of `agent.toml`: how much a caller may take of the local API.

vitrina_host::limits! {
    /// The limits of a shop's few terminals.
    connections = 256,
    connections_per_address = 64,
    bodies_mib = 4,
}
