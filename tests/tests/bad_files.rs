//! One bad record stops nothing but itself, and a broken file changes nothing.

use serde_json::json;
use vitrina_tests::Chain;

const RING: &str = "2000018987155";
const HEAD: &str = "type;receipt;line;barcode;qty;price;at\n";

#[tokio::test]
async fn three_bad_lines_are_named_and_the_good_ones_are_booked() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-01 09:00:00\n"),
    )
    .await;

    shop.drop_file(
        "pos.csv",
        format!(
            "{HEAD}sale;1;1;{RING};1;45900,00;2026-11-20 10:00:00\n\
             sale;2;1;{RING};1,5;45900,00;2026-11-20 10:01:00\n\
             sale;3;1;{RING};1;45900,00;yesterday\n\
             gift;4;1;{RING};1;45900,00;2026-11-20 10:03:00\n\
             sale;5;1;{RING};1;45900,00;2026-11-20 10:04:00\n"
        ),
    );
    shop.taken("pos.csv").await;

    chain.on_hand(RING, 8).await;
    let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    let mut lines: Vec<i64> = listed["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|item| item["line"].as_i64())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [3, 4, 5], "{listed}");
    assert_eq!(shop.status()["quarantined"], json!(3));
}

#[tokio::test]
async fn of_a_truncated_file_nothing_is_applied() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-01 09:00:00\n"),
    )
    .await;

    shop.drop_file(
        "cut.csv",
        format!("{HEAD}sale;1;1;{RING};1;;2026-11-20 10:00:00\nsale;2;1;\"{RING};1;;2026"),
    );
    let path = shop.taken("cut.csv").await;

    assert!(
        path.starts_with(shop.data.join("rejected")),
        "{}",
        path.display()
    );
    let report = std::fs::read_to_string(shop.data.join("rejected/cut.csv.report.txt"))
        .expect("the report is there before the file");
    assert!(report.contains('3'), "the report names the line: {report}");
    assert_eq!(
        shop.cli(&["stock", RING, "--json"]).ok().json()["on_hand"],
        json!(10)
    );
}

#[tokio::test]
async fn a_cut_commerceml_package_is_rejected_whole() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};10\n"))
        .await;

    shop.drop_file(
        "offers0_1.xml",
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><КоммерческаяИнформация ВерсияСхемы=\"2.07\" ДатаФормирования=\"2026-11-20T10:00:00\">\
             <ПакетПредложений><Предложения><Предложение><Ид>a</Ид><Штрихкод>{RING}</Штрихкод><Количество>1</Количество></Предложение>"
        ),
    );
    let path = shop.taken("offers0_1.xml").await;

    assert!(
        path.starts_with(shop.data.join("rejected")),
        "{}",
        path.display()
    );
    assert_eq!(shop.status()["disagreements"], json!(0));
}

#[tokio::test]
async fn windows_1251_with_russian_headers_is_read_as_written() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    // "Штрихкод;Остаток;Наименование;Размер" and one row, in windows-1251.
    let header: &[u8] = b"\xd8\xf2\xf0\xe8\xf5\xea\xee\xe4;\xce\xf1\xf2\xe0\xf2\xee\xea;\xcd\xe0\xe8\xec\xe5\xed\xee\xe2\xe0\xed\xe8\xe5;\xd0\xe0\xe7\xec\xe5\xf0\r\n";
    let row: &[u8] = b"2000018987155;4;\xca\xee\xeb\xfc\xf6\xee;17,5\r\n";

    shop.import("balances.csv", [header, row].concat()).await;

    let item = chain.on_hand(RING, 4).await;
    assert_eq!(item["name"], json!("Кольцо"));
    assert_eq!(item["attributes"]["size"], json!("17,5"));
}

#[tokio::test]
async fn excel_damage_is_refused_and_leading_zeros_are_kept() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);

    shop.drop_file("balances.csv", "barcode;qty\n2,00002E+12;1\n0042;3\n");
    shop.taken("balances.csv").await;

    chain.on_hand("0042", 3).await;
    assert_eq!(chain.get("/v1/stock/42").await.code(), "unknown_barcode");
    let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    assert_eq!(
        listed["items"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );
}

#[tokio::test]
async fn a_marker_completes_a_file_and_a_heartbeat_proves_the_source() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    assert_eq!(shop.status()["source_as_of"], json!(null));

    shop.drop_file("alive.ok", "");

    vitrina_tests::until("the source to be proved", || async {
        let status = shop.status();
        if status["source_as_of"].is_string() {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_that_a_crash_left_behind_its_report_is_rejected_with_it_after_all() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-01 09:00:00\n"),
    )
    .await;
    let lines = format!(
        "{HEAD}sale;1;1;{RING};1;;2026-11-20 10:00:00\nsale;2;1;{RING};1,5;;2026-11-20 10:01:00\n"
    );
    shop.drop_and_wait("pos.csv", &lines).await;
    let rejected = shop.data.join("rejected");
    let report = || std::fs::read_to_string(rejected.join("pos.csv.report.txt")).expect("a report");
    assert!(
        report().contains("line 3: fractional_quantity"),
        "{}",
        report()
    );

    // The power goes between the report and the move.
    shop.kill();
    std::fs::rename(rejected.join("pos.csv"), shop.data.join("drop/pos.csv")).expect("a move");
    shop.start();
    let path = shop.taken("pos.csv").await;

    assert_eq!(path, rejected.join("pos.csv"));
    assert!(
        report().contains("line 3: fractional_quantity"),
        "{}",
        report()
    );
    let mut names: Vec<_> = std::fs::read_dir(&rejected)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["pos.csv", "pos.csv.report.txt"]);
    assert_eq!(shop.status()["quarantined"], json!(1));
    chain.on_hand(RING, 9).await;
}

#[tokio::test]
async fn a_bad_file_that_stays_where_it_is_is_reported_once_however_often_the_agent_starts() {
    let chain = Chain::start();
    let mut shop = chain.enrolled("S001", &[]);
    let exchange = chain.path("exchange");
    std::fs::create_dir(&exchange).expect("a folder");
    std::fs::write(
        shop.data.join("agent.toml"),
        format!("[[drop]]\npath = {exchange:?}\ntake = \"copy\"\nsettle = \"0s\"\n"),
    )
    .expect("a setting");
    std::fs::write(exchange.join("cut.csv"), format!("{HEAD}sale;1;1;\"{RING}")).expect("a file");
    std::fs::write(
        exchange.join("pos.csv"),
        format!("{HEAD}gift;1;1;{RING};1;;2026-11-20 10:00:00\n"),
    )
    .expect("a file");

    for round in ["first", "second", "third"] {
        shop.start();
        shop.taken("cut.csv").await;
        shop.taken("pos.csv").await;
        // A later file of the same folder: those before it were looked at.
        std::fs::write(exchange.join(format!("z-{round}.csv")), "what is this\n").expect("a file");
        shop.taken(&format!("z-{round}.csv")).await;
        shop.stop();
    }

    let again = std::fs::read_dir(shop.data.join("rejected"))
        .expect("a folder")
        .filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().contains("-2")
        })
        .count();
    assert_eq!(again, 0);
}

#[tokio::test]
async fn barcodes_with_a_wrong_check_digit_are_taken_counted_and_named() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    // 2000018987150 should end with 5.
    let balances = chain.path("balances.csv");
    let text = format!("barcode;qty\n{RING};10\n2000018987150;3\n2000018987161;2\n");
    std::fs::write(&balances, text).expect("a file");
    let pos = chain.path("pos.csv");
    let sales = (1..=7).map(|n| format!("sale;{n};1;2000018987150;1;;2026-11-20 10:0{n}:00\n"));
    let sales = sales.collect::<Vec<_>>().concat();
    let text = format!("{HEAD}sale;9;1;{RING};1;;2026-11-20 10:00:00\n{sales}");
    std::fs::write(&pos, text).expect("a file");

    let opened = shop.cli(&["import", balances.to_str().unwrap(), "--json"]);
    let sold = shop.cli(&["import", pos.to_str().unwrap(), "--json"]);

    assert_eq!(opened.ok().json()["wrong_check_digits"], json!(2));
    assert!(
        opened
            .stderr
            .contains("as they are: 2 (2000018987150, 2000018987161)"),
        "{opened:?}"
    );
    assert_eq!(sold.ok().json()["wrong_check_digits"], json!(7));
    assert!(
        sold.stderr.contains("7 (line 3: 2000018987150, line 4")
            && sold.stderr.contains("line 7: 2000018987150, …)"),
        "{sold:?}"
    );
    chain.on_hand("2000018987161", 2).await;
}
