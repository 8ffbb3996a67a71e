//! The schema's numbered steps.

use vitrina_host::migrate::Step;

/// Applied in order, once each. Never edit a released one: add the next.
pub(super) const STEPS: &[Step] = &[
    Step {
        number: 1_000,
        name: "hub",
        sql: include_str!("../../migrations/1000_hub.sql"),
    },
    Step {
        number: 1_001,
        name: "audit",
        sql: include_str!("../../migrations/1001_audit.sql"),
    },
    Step {
        number: 1_002,
        name: "digest",
        sql: include_str!("../../migrations/1002_digest.sql"),
    },
    Step {
        number: 1_003,
        name: "holds",
        sql: include_str!("../../migrations/1003_holds.sql"),
    },
    Step {
        number: 1_004,
        name: "work_items",
        sql: include_str!("../../migrations/1004_work_items.sql"),
    },
    Step {
        number: 1_005,
        name: "safety",
        sql: include_str!("../../migrations/1005_safety.sql"),
    },
    Step {
        number: 1_006,
        name: "channels",
        sql: include_str!("../../migrations/1006_channels.sql"),
    },
    Step {
        number: 1_007,
        name: "transfers",
        sql: include_str!("../../migrations/1007_transfers.sql"),
    },
    Step {
        number: 1_008,
        name: "destinations",
        sql: include_str!("../../migrations/1008_destinations.sql"),
    },
    Step {
        number: 1_009,
        name: "unanswered",
        sql: include_str!("../../migrations/1009_unanswered.sql"),
    },
    Step {
        number: 1_010,
        name: "words",
        sql: include_str!("../../migrations/1010_words.sql"),
    },
];
