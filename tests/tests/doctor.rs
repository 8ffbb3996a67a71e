//! What the programs say to a person who asks whether all is well.

use serde::Deserialize;
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const STONE: &str = "2000018987162";
/// In no file.
const MISTYPED: &str = "2000018987179";
const HEAD: &str = "type;receipt;line;barcode;qty;price;at\n";

/// What `doctor` answers.
#[derive(Deserialize)]
struct Looked {
    ok: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    #[serde(rename = "check")]
    name: String,
    ok: bool,
    found: String,
    #[serde(default)]
    advice: String,
}

/// The exit code, and the checks that are not well.
fn ill(shop: &Shop) -> (i32, Vec<Check>) {
    let ended = shop.cli(&["doctor", "--json"]);
    let Looked { ok, mut checks } = serde_json::from_value(ended.json()).expect("checks");
    checks.retain(|check| !check.ok);
    assert_eq!(ok, checks.is_empty(), "{ended:?}");
    (ended.code, checks)
}

#[tokio::test]
async fn doctor_names_what_waits_for_a_person_and_nothing_when_all_is_well() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n{STONE};5;2026-11-10 09:00:00\n"),
    )
    .await;
    let (code, found) = ill(&shop);
    assert_eq!(code, 0, "{found:?}");

    // A word that is no number, a barcode that nobody has, and more than there is.
    shop.drop_and_wait(
        "pos.csv",
        format!(
            "{HEAD}sale;1;1;{RING};x;;2026-11-11 10:00:00\nsale;2;1;{MISTYPED};1;;2026-11-11 10:00:00\n\
             sale;3;1;{STONE};1000;;2026-11-11 10:00:00\n"
        ),
    )
    .await;
    // A file of the 1C that leaves a barcode out.
    shop.import(
        "check.csv",
        format!("barcode;qty;at\n{STONE};5;2026-11-10 18:00:00\n"),
    )
    .await;

    let (code, found) = ill(&shop);
    assert_eq!(code, 3, "{found:?}");
    let [quarantine, disagreements, below_zero] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(quarantine.name, "quarantine");
    assert!(quarantine.advice.contains("quarantine list"), "{found:?}");
    assert_eq!(disagreements.name, "disagreements");
    assert!(disagreements.advice.contains("diff adopt"), "{found:?}");
    assert_eq!(below_zero.name, "below_zero");
    let which = format!(": 2: {STONE} (-995), {MISTYPED} (-1)");
    assert!(below_zero.found.ends_with(&which), "{found:?}");
}

#[tokio::test]
async fn doctor_names_the_first_five_of_many_barcodes_below_zero() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let sales = (1..=7).map(|n| format!("sale;{n};1;MISTYPED-{n};{n};;2026-11-11 10:00:00\n"));
    let sales = sales.collect::<Vec<_>>().concat();
    shop.import("pos.csv", format!("{HEAD}{sales}")).await;

    let (_, found) = ill(&shop);

    let below = found.iter().find(|check| check.name == "below_zero");
    let below = &below.expect("it is named").found;
    assert!(
        below.ends_with(": 7: MISTYPED-1 (-1), MISTYPED-2 (-2), MISTYPED-3 (-3), MISTYPED-4 (-4), MISTYPED-5 (-5), …"),
        "{below}"
    );
}

#[tokio::test]
async fn status_and_doctor_say_that_the_1c_is_overdue_and_that_head_office_set_another_source() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &["--source-every", "1s"]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
    )
    .await;

    let told = until("the 1C to be overdue", || async {
        let told = shop.cli(&["status"]).ok().stdout.clone();
        if told.contains("overdue: a sign of life is expected every 1s") {
            Ok(told)
        } else {
            Err(told)
        }
    })
    .await;
    assert!(!told.contains("head office set"), "{told}");
    assert_eq!(shop.status()["source_overdue"], serde_json::json!(true));

    chain
        .cli(&["shop", "set", "S001", "--source", "balances"])
        .ok();
    until("status to name the other source", || async {
        let told = shop.cli(&["status"]).ok().stdout.clone();
        let named =
            told.contains("movements; head office set balances: vitrina-agent source follow");
        if named { Ok(()) } else { Err(told) }
    })
    .await;
    let (_, found) = ill(&shop);
    let source = found.iter().find(|check| check.name == "source");
    let source = source.expect("it is named");
    assert!(
        source.found.contains("head office set balances"),
        "{found:?}"
    );
    assert!(source.advice.contains("source follow"), "{found:?}");
    let russian = vitrina_tests::process::command("vitrina-agent", &shop.data, &["status"])
        .env("VITRINA_LANG", "ru")
        .output()
        .expect("it runs");
    let russian = String::from_utf8_lossy(&russian.stdout).into_owned();
    assert!(russian.contains("в офисе выбрано balances"), "{russian}");
    assert!(russian.contains("просрочено"), "{russian}");
}

#[tokio::test]
async fn doctor_names_a_file_of_which_nothing_was_taken_and_a_shop_that_is_revoked() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.drop_and_wait("pos.csv", "foo;bar\n1;2\n").await;

    let (code, found) = ill(&shop);
    assert_eq!(code, 3);
    let rejected = found.iter().find(|check| check.name == "rejected").unwrap();
    assert!(rejected.found.contains("1, such as pos.csv"), "{found:?}");
    for name in ["pos.csv", "pos.csv.report.txt"] {
        std::fs::remove_file(shop.data.join("rejected").join(name)).unwrap();
    }
    assert_eq!(ill(&shop).0, 0);

    chain.cli(&["shop", "revoke", "S001"]).ok();
    until("doctor to know that it is revoked", || async {
        let (_, found) = ill(&shop);
        let device = found.iter().find(|check| check.name == "device");
        device
            .filter(|check| check.advice.contains("shop recode"))
            .map(|_| ())
            .ok_or(found.len())
    })
    .await;
}

#[tokio::test]
async fn doctor_says_that_the_hub_is_gone_and_what_to_look_at() {
    let mut chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    chain.kill_hub();

    let (code, found) = ill(&shop);

    assert_eq!(code, 3);
    let hub = found.iter().find(|check| check.name == "hub").unwrap();
    assert!(hub.advice.contains("cable"), "{found:?}");
}

#[tokio::test]
async fn lag_marks_the_shops_that_are_older() {
    let chain = Chain::start();
    let heard = chain.shop("S001", &[]);
    heard
        .open(
            &chain,
            &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
        )
        .await;
    chain
        .cli(&["shop", "add", "S002", "--name", "Never heard"])
        .ok();

    let ended = chain.cli(&["lag", "--max", "5m"]);

    assert_eq!(ended.code, 3, "{}", ended.stdout);
    let line = |shop: &str| {
        let found = ended.stdout.lines().find(|line| line.contains(shop));
        found.expect("a line of the shop").trim_end().to_owned()
    };
    assert!(line("S002").ends_with("!!"), "{}", ended.stdout);
    assert!(!line("S001").ends_with("!!"), "{}", ended.stdout);
    assert_eq!(chain.cli(&["lag"]).code, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn books_and_their_copies_are_for_one_account() {
    use std::os::unix::fs::PermissionsExt as _;

    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let (of_hub, of_shop) = (chain.path("hub.backup"), chain.path("shop.backup"));
    chain.cli(&["backup", of_hub.to_str().unwrap()]).ok();
    shop.cli(&["backup", of_shop.to_str().unwrap()]).ok();

    let books = [
        chain.data().join("hub.sqlite3"),
        shop.data.join("ledger.sqlite3"),
    ];
    for file in books.iter().chain([&of_hub, &of_shop]) {
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}
