//! More files at once than the system can tell of: hints get lost, files do not.

use std::time::{Duration, Instant};

use serde_json::json;
use vitrina_tests::Chain;

const RING: &str = "2000018987155";
/// The system keeps 16,384 hints; what comes on top is lost.
const FILES: usize = 20_000;
/// One in so many is a sale, the others are heartbeats of the source.
const SALE_EVERY: usize = 100;
/// How long all of them may take.
const PATIENCE: Duration = Duration::from_mins(3);

fn entries(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}

#[tokio::test]
async fn a_burst_of_twenty_thousand_files_is_taken_whole_and_tills_sell_meanwhile() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};100000;2026-11-01 09:00:00\n"),
    )
    .await;
    let drop = shop.data.join("drop");
    let beside = shop.data.join("beside");
    std::fs::create_dir(&beside).expect("a folder");
    let head = "type;till;receipt;line;barcode;qty;price;at\n";
    let mut sold = 0;
    for number in 0..FILES {
        let is_sale = number % SALE_EVERY == 0;
        let name = format!("{number}.{}", if is_sale { "csv" } else { "ok" });
        let line = format!("{head}sale;1;{number};1;{RING};1;45900,00;2026-11-22 12:00:00\n");
        let content = if is_sale { line.as_str() } else { "" };
        std::fs::write(beside.join(name), content).expect("a file");
        sold += i64::from(is_sale);
    }

    let begun = Instant::now();
    for entry in std::fs::read_dir(&beside).expect("the files").flatten() {
        std::fs::rename(entry.path(), drop.join(entry.file_name())).expect("it is moved in");
    }
    let mut by_hand = 0;
    while entries(&drop) > 0 {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} files are left",
            entries(&drop)
        );
        by_hand += 1;
        shop.sell(&format!("meanwhile {by_hand}"), RING).await;
    }

    chain.level_with(&shop).await;
    chain.on_hand(RING, 100_000 - sold - by_hand).await;
    let status = shop.status();
    assert_eq!(status["quarantined"], json!(0), "{status}");
}
