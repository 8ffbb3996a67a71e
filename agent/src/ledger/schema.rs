//! The schema, step by step.

use vitrina_host::migrate::Step;

/// Applied in order, once each. A released one is never edited: add the next.
pub(super) const STEPS: &[Step] = &[
    Step {
        number: 1_000,
        name: "ledger",
        sql: include_str!("../../migrations/0001_ledger.sql"),
    },
    Step {
        number: 1_001,
        name: "sticks_and_digest",
        sql: include_str!("../../migrations/0002_sticks_and_digest.sql"),
    },
    Step {
        number: 1_002,
        name: "holds",
        sql: include_str!("../../migrations/0003_holds.sql"),
    },
    Step {
        number: 1_003,
        name: "transfers",
        sql: include_str!("../../migrations/0004_transfers.sql"),
    },
    Step {
        number: 1_004,
        name: "other_names",
        sql: include_str!("../../migrations/0005_other_names.sql"),
    },
    Step {
        number: 1_005,
        name: "put_back",
        sql: include_str!("../../migrations/0006_put_back.sql"),
    },
];
