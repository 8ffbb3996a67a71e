//! What a person mistypes: no answer passes for a good one, and the error says what to type.

use std::path::Path;

use vitrina_tests::process::{Ended, command};
use vitrina_tests::{Chain, until};

const RING: &str = "2000018987155";
const NOBODY: &str = "ffffffffffffffffffffffffffffffff";

fn args(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// What a command says in Russian, beside its answer.
fn in_russian(program: &str, data: &Path, line: &str) -> String {
    let output = command(program, data, &args(line))
        .env("VITRINA_LANG", "ru")
        .output()
        .expect("it runs");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[tokio::test]
async fn a_shop_that_is_not_one_of_the_chain_is_an_error_of_every_command_that_names_it() {
    let mut chain = Chain::start();
    let shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};3\n"))
        .await;
    let file = chain.path("file").display().to_string();
    let lines = [
        "verify --shop S099",
        "verify --shop S099 --repair",
        "sales --shop S099",
        "stock --shop S099",
        "stock RING --shop S099",
        "explain RING --shop S099",
        "diff list --shop S099",
        "quarantine list --shop S099",
        "quarantine show NOBODY --shop S099",
        "quarantine drop NOBODY --shop S099",
        "hold list --shop S099",
        "hold place RING --order 1 --shop S099",
        "hold transfer NOBODY --to S099",
        "safety set 1 --shop S099",
        "safety list --shop S099",
        "safety remove --shop S099",
        "transfer list --shop S099",
        "transfer request RING --from S001 --to S099",
        "transfer request RING --from S099 --to S001",
        "alert list --shop S099",
        "audit list --shop S099",
        "frames export --shop S099 FILE",
        "shop show S099",
        "shop set S099 --city Moscow",
        "shop recode S099",
        "shop revoke S099",
        "shop close S099",
    ];
    let lines = lines.map(|line| {
        line.replace("RING", RING)
            .replace("NOBODY", NOBODY)
            .replace("FILE", &file)
    });
    let refused = |told: Ended, line: &str| {
        let said = "error: there is no shop S099; see vitrina-hub shop list\n";
        assert_eq!(
            (told.code, told.stdout.as_str(), told.stderr.as_str()),
            (1, "", said),
            "{line}"
        );
    };

    for line in &lines {
        refused(chain.cli(&args(line)), line);
    }
    let russian = in_russian("vitrina-hub", &chain.data(), "verify --shop S099");
    assert!(russian.contains("нет магазина S099"), "{russian}");
    chain.cli(&["shop", "set", "S001", "--publish", "off"]).ok();
    let hidden = chain.cli(&["stock", "--shop", "S001"]);
    assert!(hidden.stderr.contains("not on the website"), "{hidden:?}");
    chain.cli(&["verify", "--shop", "S001"]).ok();
    chain.cli(&["explain", RING, "--shop", "S001"]).ok();
    drop(shop);
    chain.stop_hub();
    for line in lines.iter().take(3) {
        refused(chain.cli(&args(line)), line);
    }
}

#[test]
fn an_error_always_says_something_behind_its_code() {
    let chain = Chain::start();
    chain.cli(&["shop", "add", "S001", "--name", "S001"]).ok();

    for (line, words) in [
        ("hold show NOBODY", "unknown_hold: There is no such hold"),
        ("hold release NOBODY", "unknown_hold: There is no such hold"),
        ("transfer show NOBODY", "not_found: "),
        ("transfer request RING --from S001 --to S001", ": "),
        ("hold place RING --order 1", "unknown_barcode: "),
        ("explain RING", "unknown_barcode: "),
    ] {
        let line = line.replace("RING", RING).replace("NOBODY", NOBODY);
        let told = chain.cli(&args(&line));
        let said = told.stderr.trim_end();
        assert_ne!(told.code, 0, "{line}");
        assert!(said.contains(words) && !said.ends_with(':'), "{told:?}");
    }
}

#[tokio::test]
async fn what_can_be_no_price_time_or_code_is_wrong_usage_and_says_what_is_one() {
    let chain = Chain::start();
    let shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};3\n"))
        .await;
    let enrol = "enrol --hub http://127.0.0.1:9 --code";
    // The last letter of a whole code stands for three bits and two zeros.
    let spoilt = "0000-0000-0000-0000-0000-0000-01";

    for (line, words) in [
        ("move sale RING --price 45,9a", "such as 45900.00"),
        ("hold fulfil NOBODY --price 45,9a", "such as 45900.00"),
        ("sales --since yesterday", "a period such as 7d"),
        (&format!("{enrol} AAAA"), "4 letters"),
        (&format!("{enrol} {spoilt}"), "mistyped"),
        ("enrol --hub http://127.0.0.1:9", "--code"),
        ("enrol --hub 127.0.0.1:18420 --code AAAA", "127.0.0.1:18420"),
    ] {
        let line = line.replace("RING", RING).replace("NOBODY", NOBODY);
        let told = shop.cli(&args(&line));
        assert_eq!(told.code, 2, "{line}: {told:?}");
        assert!(told.stderr.contains(words), "{line}: {told:?}");
    }
    for (line, words) in [
        ("shop add S002 --tz Moscow", "tz of S002"),
        ("shop add S002 --tz Moscow --dry-run", "tz of S002"),
        ("shop add S002 --hours 10-22", "hours of S002"),
        ("shop set S001 --hours 10-22", "hours of S001"),
        ("sales --since yesterday", "a period such as 7d"),
    ] {
        let told = chain.cli(&args(line));
        assert_eq!(told.code, 2, "{line}: {told:?}");
        assert!(told.stderr.contains(words), "{line}: {told:?}");
    }
    let nameless = chain.cli(&["key", "add", "--role", "erp", "--name", ""]);
    assert_eq!(nameless.code, 2, "{nameless:?}");
    // A file that is wrong is no wrong usage.
    let file = chain.path("shops.csv");
    std::fs::write(&file, "shop;name;tz\nS002;S002;Moscow\n").expect("a file");
    let told = chain.cli(&["shop", "add", "--from", &file.display().to_string()]);
    assert_eq!(told.code, 1, "{told:?}");
    assert_eq!(shop.cli(&["stock", RING, "--json"]).json()["on_hand"], 3);
}

#[tokio::test]
async fn the_sales_of_a_shop_are_told_since_a_time_or_for_a_period() {
    let chain = Chain::start();
    let shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};3\n"))
        .await;
    shop.sell("now", RING).await;
    let count = |since: &str| {
        let sales = shop.cli(&["sales", "--since", since, "--json"]).ok().json();
        sales["items"].as_array().map(Vec::len)
    };

    for since in ["1h", "7d", "2026-01-01", "2026-01-01T10:00:00"] {
        assert_eq!(count(since), Some(1), "{since}");
    }
    assert_eq!(count("2126-01-01"), Some(0));
}

#[tokio::test]
async fn a_refusal_names_the_option_that_says_what_is_missing() {
    let chain = Chain::start();
    let shop = chain
        .opened(
            "S001",
            &format!("barcode;qty;at\n{RING};9;2026-11-01 09:00:00\n"),
        )
        .await;
    let placed = chain
        .cli(&["hold", "place", RING, "--order", "1024", "--json"])
        .ok()
        .json();
    let hold = placed["id"].as_str().expect("an id").to_owned();
    until("the shop to hear of it", || async {
        let list = shop.cli(&["hold", "list", "--json"]).ok().json();
        if list["items"][0]["id"] == placed["id"] {
            Ok(())
        } else {
            Err(list)
        }
    })
    .await;
    for till in ["1", "2"] {
        let sale = format!("move sale {RING} --receipt 1 --line 1 --at 2026-11-20T10:00:00 --till");
        shop.cli(&args(&format!("{sale} {till}"))).ok();
    }

    for (line, option) in [
        (format!("hold fulfil {hold} --receipt 1001"), "--till TILL"),
        (
            format!("transfer receive {RING}"),
            "--transfer ID --from SHOP",
        ),
        (
            format!("transfer receive {RING} --transfer T-1 --force"),
            "--from SHOP",
        ),
    ] {
        let told = shop.cli(&args(&line));
        assert!(told.code == 1 || told.code == 2, "{line}: {told:?}");
        assert!(told.stderr.contains(option), "{line}: {told:?}");
    }
}

#[tokio::test]
async fn every_column_of_a_list_of_disagreements_has_a_name() {
    let chain = Chain::start();
    let shop = chain
        .opened(
            "S001",
            &format!("barcode;qty;at\n{RING};3;2026-11-01 09:00:00\n"),
        )
        .await;
    let file = chain.path("balances.csv");
    let text = format!("barcode;qty;at\n{RING};2;2026-11-21 09:00:00\n");
    std::fs::write(&file, text).expect("a file");
    shop.cli(&["import", &file.display().to_string()]).ok();

    let told = shop.cli(&["diff", "list"]).ok().stdout.clone();

    let mut lines = told.lines().map(|line| line.split_whitespace().count());
    assert_eq!((lines.next(), lines.next()), (Some(7), Some(7)), "{told}");
}
