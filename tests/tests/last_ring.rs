//! The last ring is sold once: a rush of websites and tills on single pieces, while lines break.

use vitrina_tests::rush::{Size, rush};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_last_piece_is_promised_twice_or_gone_without_a_word() {
    let outcome = rush(Size {
        shops: 3,
        pieces: 30,
        websites: 10,
        orders: 300,
    })
    .await;

    assert!(outcome.violations.is_empty(), "{outcome:#?}");
    assert_eq!(outcome.ended.values().sum::<usize>(), 300, "{outcome:#?}");
    assert!(outcome.confirmed_at_once > 0, "{outcome:#?}");
    assert!(outcome.sold > 0 && outcome.cuts > 0, "{outcome:#?}");
}
