//! What terminals send to an agent.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| vitrina_agent::stranger::body(bytes));
