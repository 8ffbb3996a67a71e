//! What strangers may send to the hub as JSON, as far as it is judged without a store. For the fuzzer, and built with the
//! tests so that it does not fall behind what it calls.

use vitrina_shared::Barcode;

use crate::routes::admin::KeyBody;
use crate::routes::ask::read_json;
use crate::routes::batch::Batch;
use crate::routes::{alerts, holds, safety, transfers};
use crate::shops::{NewShop, check_all};

/// Reads a body as each call of the hub does, and decides about it.
pub fn body(bytes: &[u8]) {
    let _ = (read_json::<Batch>(bytes), read_json::<KeyBody>(bytes));
    if let Ok(shop) = read_json::<NewShop>(bytes) {
        let _ = check_all(vec![shop]);
    }
    let key = || ("site".into(), "key".into());
    if let Ok(order) = read_json::<holds::Asked>(bytes) {
        let (caller, idempotency_key) = key();
        let _ = order.read(caller, idempotency_key);
    }
    if let Ok(asked) = read_json::<transfers::Asked>(bytes)
        && let Ok(barcode) = asked.barcode.parse::<Barcode>()
    {
        let _ = transfers::wanted(asked, key(), barcode);
    }
    let _ = (
        read_json::<holds::Longer>(bytes),
        read_json::<holds::SentTo>(bytes),
        read_json::<safety::Rule>(bytes),
        read_json::<alerts::Said>(bytes),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_body_says_it_is_read_or_refused() {
        for text in [
            r#"{"barcode":"2000018987155","qty":1,"order":"1024","ttl_s":9223372036854775807}"#,
            r#"{"barcode":"2000018987155","qty":-9223372036854775808,"from":"S001","to":"S001"}"#,
            r#"{"barcode":"","from":"S001","to":"S002","ttl_s":0}"#,
            r#"{"barcodes":[]}"#,
            "[[[[",
            "",
        ] {
            body(text.as_bytes());
        }
    }
}
