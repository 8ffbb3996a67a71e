//! What a shop's person reads of a bad file: why, and what to do.

use serde_json::json;
use vitrina_tests::process::{Ended, Server, command};
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

/// A running agent whose language is that of its settings, as an owner sets it.
fn restarted_in_russian(shop: &mut Shop) -> Server {
    shop.stop();
    std::fs::write(shop.data.join("agent.toml"), "language = \"ru\"\n").expect("a setting");
    let run = ["run", "--listen", "127.0.0.1:0"];
    let mut run = command("vitrina-agent", &shop.data, &run);
    run.env_remove("VITRINA_LANG");
    Server::start_of(run, &shop.data)
}

fn as_set(shop: &Shop, args: &[&str]) -> Ended {
    let mut command = command("vitrina-agent", &shop.data, args);
    let ended = command.env_remove("VITRINA_LANG").output();
    let ended = ended.expect("it runs");
    Ended {
        code: ended.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

fn holds_all(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
}

#[tokio::test]
async fn a_shop_that_reads_russian_reads_causes_and_cures_in_russian() {
    let chain = Chain::start();
    let mut shop = opened(&chain).await;
    let _agent = restarted_in_russian(&mut shop);

    let lines = report(&shop, "pos.csv", bad_lines()).await;
    let no_table = report(&shop, "what.csv", "what;is;this\n1;2;3\n").await;
    let no_time = report(&shop, "noat.csv", "type;barcode;qty\nsale;1;1\n").await;
    let cut = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><КоммерческаяИнформация><Ката";
    let letter = report(&shop, "letter.xml", &cut.as_bytes()[..cut.len() - 1]).await;

    holds_all(
        &lines,
        &[
            "строка 3: unknown_type: type: \"gift\" — не тип движения\n",
            "строка 4: bad_quantity: qty: должно быть больше 0: направление задаёт тип\n",
            "строка 5: fractional_quantity: qty: \"1,5\": количество должно быть целым\n",
            "строка 6: before_opening: line: это было до ввода остатков 2026-11-01T06:00:00.000Z",
            "строка 7: receipt_conflict: line: эта строка чека уже в журнале: sale, штрихкод 2000018987155,",
            "строка 8: nothing_to_cancel: line: нет такой строки чека, отменять нечего\n",
            "что делать: напишите sale (продажа), return (возврат)",
            "что делать: если записанная строка неверна, отмените её (vitrina-agent move cancel",
        ],
    );
    holds_all(
        &no_table,
        &[
            "what.csv нельзя принять: как CSV: заголовок \"what;is;this\" не подходит",
            "что делать: первая строка называет столбцы",
        ],
    );
    holds_all(&no_time, &["файлу movements нужны ещё столбцы at\n"]);
    holds_all(
        &letter,
        &[
            "не читается файл CommerceML: байт ",
            "что делать: файл обрезан",
        ],
    );
    let listed = as_set(&shop, &["quarantine", "list"]);
    holds_all(
        &listed.stdout,
        &["количество должно быть целым", "отменять нечего"],
    );
    holds_all(&listed.stderr, &["bad_quantity: напишите целое число"]);
}

#[tokio::test]
async fn scripts_and_the_hub_read_the_same_bytes_whatever_the_shop_reads() {
    let chain = Chain::start();
    let mut shop = opened(&chain).await;
    let _agent = restarted_in_russian(&mut shop);
    shop.drop_and_wait("pos.csv", bad_lines()).await;

    let russian = as_set(&shop, &["quarantine", "list", "--json"])
        .ok()
        .stdout
        .clone();

    assert_eq!(
        russian,
        shop.cli(&["quarantine", "list", "--json"]).ok().stdout
    );
    holds_all(
        &russian,
        &["\"message\":\"line: there is no such receipt line to cancel\""],
    );
}

#[tokio::test]
async fn the_agents_commonest_errors_are_russian_too() {
    let chain = Chain::start();
    let mut shop = opened(&chain).await;
    let _agent = restarted_in_russian(&mut shop);
    let file = chain.path("noat.csv");
    std::fs::write(&file, "type;barcode;qty\nsale;1;1\n").expect("a file");
    let file = file.to_str().expect("UTF-8");

    let no_such_type = as_set(&shop, &["move", "gift", RING]);
    let useless = as_set(&shop, &["import", file]);
    let bad_code = as_set(
        &shop,
        &["enrol", "--hub", "http://127.0.0.1:9", "--code", "x"],
    );

    holds_all(
        &no_such_type.stderr,
        &["validation_failed: type: \"gift\" — не из списка: receipt, sale"],
    );
    holds_all(
        &useless.stderr,
        &[
            "ошибка: noat.csv нельзя принять\n    потому что: как CSV\n    потому что: файлу movements нужны ещё столбцы at\n",
            "что делать: ",
        ],
    );
    holds_all(&bad_code.stderr, &["ошибка: код подключения не прочитать"]);
}
