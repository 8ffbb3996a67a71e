//! CommerceML files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitrina_host::cml;

fuzz_target!(|bytes: &[u8]| {
    let _ = cml::check(bytes);
});
