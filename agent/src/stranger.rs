//! What strangers may send to the local API, as far as it is judged without a ledger. For the fuzzer, and built
//! with the tests so that it does not fall behind what it calls.

use jiff::tz::TimeZone;
use vitrina_shared::TimeMs;

use crate::local_api::body;
use crate::local_api::movements::content_hash;
use crate::local_api::request::{MovementRequest, ReceiptRequest};
use crate::receipt::{Otherwise, Said, Shop};

/// Reads a body as each call of the local API does, and decides about it.
///
/// # Panics
///
/// Where the content that an idempotency key stands for changes when it is written and read again.
pub fn body(bytes: &[u8]) {
    let shop = Shop {
        zone: TimeZone::fixed(jiff::tz::offset(3)),
        tills: Vec::new(),
        own: None,
    };
    if let Ok(request) = body::json::<MovementRequest>(bytes) {
        let written = serde_json::to_vec(&request).expect("it is plain data");
        let again: MovementRequest = body::json(&written).expect("it was read before");
        assert_eq!(content_hash(&request), content_hash(&again));
        if let Ok(said) = request.said(&shop) {
            decide(&said, &shop);
        }
    }
    if let Ok(request) = body::json::<ReceiptRequest>(bytes)
        && let Ok(lines) = request.said(&shop)
    {
        for said in &lines {
            decide(said, &shop);
        }
    }
}

fn decide(said: &Said, shop: &Shop) {
    let _ = said.reply_key(shop);
    for otherwise in [Otherwise::Call("key"), Otherwise::Nobody] {
        let _ = said.act(shop, TimeMs(1_767_333_600_000), otherwise);
    }
}
