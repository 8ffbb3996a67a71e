//! What a shop's person reads of a bad file: why, and what to do.

use serde_json::json;
use vitrina_tests::{Chain, Shop};

const RING: &str = "2000018987155";
const HEAD: &str = "type;receipt;line;barcode;qty;price;at\n";

async fn opened(chain: &Chain) -> Shop {
    let shop = chain.shop("S001", &[]);
    let balances = format!("barcode;qty;at\n{RING};10;2026-11-01 09:00:00\n");
    shop.open(chain, &balances).await;
    shop
}

/// The report beside a file that was put into `rejected/`.
async fn report(shop: &Shop, name: &str, content: impl AsRef<[u8]>) -> String {
    shop.drop_and_wait(name, content).await;
    let report = shop.data.join(format!("rejected/{name}.report.txt"));
    std::fs::read_to_string(report).expect("a report")
}

/// One line of each kind that a file gets wrong.
fn bad_lines() -> String {
    format!(
        "{HEAD}sale;1;1;{RING};1;;2026-11-20 10:00:00\n\
         gift;2;1;{RING};1;;2026-11-20 10:01:00\n\
         sale;3;1;{RING};-1;;2026-11-20 10:02:00\n\
         sale;4;1;{RING};1,5;;2026-11-20 10:03:00\n\
         sale;5;1;{RING};1;;2026-10-01 10:04:00\n\
         sale;1;1;{RING};2;;2026-11-20 10:05:00\n\
         cancel;9;1;{RING};1;;2026-11-20 10:06:00\n\
         gift;7;1;{RING};1;;2026-11-20 10:07:00\n"
    )
}

#[tokio::test]
async fn a_report_says_of_each_cause_once_what_cures_it() {
    let chain = Chain::start();
    let shop = opened(&chain).await;

    let report = report(&shop, "pos.csv", bad_lines()).await;

    for cure in [
        "write sale, return, receipt, transfer_out, transfer_in, adjustment, count, write_off, surplus or cancel",
        "write whole pieces, at most 1000000",
        "vitrina-agent move cancel BARCODE --receipt R --line N --at T",
        "retry ID --force only if the opening does not have it",
        "see vitrina-agent sales",
    ] {
        assert!(report.contains(cure), "{cure}: {report}");
    }
    assert_eq!(report.matches("write sale, return").count(), 1, "{report}");
    let listed = shop.cli(&["quarantine", "list"]);
    assert!(
        listed.stderr.contains("unknown_type: write sale, return"),
        "{listed:?}"
    );
}

#[tokio::test]
async fn a_file_that_is_useless_says_what_would_be_a_useful_one() {
    let chain = Chain::start();
    let shop = opened(&chain).await;
    let cut = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><КоммерческаяИнформация ВерсияСхемы=\"2.07\"><Ката";

    let no_table = report(&shop, "what.csv", "what;is;this\n1;2;3\n").await;
    let no_time = report(&shop, "noat.csv", "type;barcode;qty\nsale;1;1\n").await;
    let cut_letter = report(&shop, "letter.xml", &cut.as_bytes()[..cut.len() - 1]).await;
    let cut_tag = report(&shop, "tag.xml", cut).await;
    let shops = report(&shop, "shops.csv", "shop;name\nS001;One\n").await;

    for report in [&no_table, &no_time] {
        assert!(
            report.contains("of movements type;receipt;line;barcode;qty;price;at"),
            "{report}"
        );
    }
    for report in [&cut_letter, &cut_tag] {
        assert!(
            report.contains("cut short, damaged or of another encoding: write it again"),
            "{report}"
        );
    }
    assert!(shops.contains("vitrina-hub shop add --from"), "{shops}");
    assert!(
        no_table.ends_with("Nothing of the file was taken.\n"),
        "doctor finds it by this: {no_table}"
    );
}

#[tokio::test]
async fn a_receipt_conflict_is_solved_as_its_cure_says() {
    let chain = Chain::start();
    let shop = opened(&chain).await;
    let line = |qty: u8| format!("{HEAD}sale;1;1;{RING};{qty};;2026-11-20 10:00:00\n");
    shop.import("wrong.csv", line(1)).await;
    let report = report(&shop, "right.csv", line(2)).await;
    assert!(report.contains("receipt_conflict"), "{report}");
    let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    let id = listed["items"][0]["id"].as_str().expect("an id");

    let cancel = ["move", "cancel", RING, "--receipt", "1"];
    let place = ["--line", "1", "--at", "2026-11-20 10:00:00"];
    shop.cli(&[&cancel[..], &place].concat()).ok();
    let other = line(2).replace("sale;1;", "sale;1-2;");
    shop.import("other.csv", other).await;
    shop.cli(&["quarantine", "drop", id]).ok();

    assert_eq!(
        shop.cli(&["stock", RING, "--json"]).ok().json()["on_hand"],
        json!(8)
    );
    assert_eq!(shop.status()["quarantined"], json!(0));
}
