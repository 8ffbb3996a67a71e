//! What callers send to the hub as JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| vitrina_hub::stranger::body(bytes));
