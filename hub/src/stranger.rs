//! What strangers may send to the hub as JSON, as far as it is judged without a store. For the fuzzer alone.

use crate::routes::admin::NewKey;
use crate::routes::ask::read_json;
use crate::routes::batch::Batch;
use crate::shops::{NewShop, check_all};

/// Reads a body as each call of the hub does, and decides about it.
pub fn body(bytes: &[u8]) {
    let _ = (read_json::<Batch>(bytes), read_json::<NewKey>(bytes));
    if let Ok(shop) = read_json::<NewShop>(bytes) {
        let _ = check_all(vec![shop]);
    }
}
