//! The commands that people and scripts call: their words, their JSON, their exit codes.

use reqwest::StatusCode;
use serde_json::{Value, json};
use vitrina_tests::process::{Ended, Server, command, command_in, log_of, logged, run};
use vitrina_tests::{Chain, Shop, binaries, until};

const RING: &str = "2000018987155";
const BROOCH: &str = "2000018987162";
const HEAD: &str = "type;receipt;line;barcode;qty;price;at\n";
const NOBODY: &str = "ffffffffffffffffffffffffffffffff";

/// A shop with three rings and five brooches since the first of the month.
async fn opened(chain: &Chain) -> Shop {
    let shop = chain.shop("S001", &[]);
    let at = "2026-11-01 09:00:00";
    shop.open(
        chain,
        &format!("barcode;qty;at\n{RING};3;{at}\n{BROOCH};5;{at}\n"),
    )
    .await;
    shop
}

/// Writes a file beside the data folder, for `import`.
fn file(chain: &Chain, name: &str, content: &str) -> String {
    let path = chain.path(name);
    std::fs::write(&path, content).expect("the folder is writable");
    path.display().to_string()
}

/// What 1C states a day later: the rings agree, a brooch is missing.
fn one_brooch_less(chain: &Chain) -> String {
    let at = "2026-11-21 09:00:00";
    file(
        chain,
        "balances.csv",
        &format!("barcode;qty;at\n{RING};3;{at}\n{BROOCH};4;{at}\n"),
    )
}

/// Two lines that cannot be booked and one that can.
fn two_bad_lines(chain: &Chain) -> String {
    file(
        chain,
        "pos.csv",
        &format!(
            "{HEAD}sale;1;1;{RING};1;;2026-11-20 10:00:00\nsale;2;1;{RING};1,5;;2026-11-20 10:01:00\nsale;3;1;{RING};1;;yesterday\n"
        ),
    )
}

fn counts(ended: &Ended) -> [i64; 4] {
    let counts = ended.ok().json();
    ["imported", "duplicates", "quarantined", "disagreements"]
        .map(|name| counts.get(name).and_then(Value::as_i64).unwrap_or(-1))
}

fn in_russian(program: &str, data: &std::path::Path, args: &[&str]) -> String {
    let output = command(program, data, args)
        .env("VITRINA_LANG", "ru")
        .output()
        .expect("it runs");
    [output.stdout, output.stderr]
        .map(|text| String::from_utf8(text).expect("UTF-8"))
        .concat()
}

#[test]
fn completions_and_manual_name_every_command_and_need_no_data() {
    let nowhere = std::env::temp_dir().join("vitrina-there-is-no-such-folder");
    for (program, verbs) in [
        ("vitrina-agent", ["enrol", "move", "quarantine", "doctor"]),
        ("vitrina-hub", ["serve", "lag", "explain", "restore"]),
    ] {
        for shell in ["bash", "zsh", "fish", "powershell"] {
            let text = run(program, &nowhere, &["completions", shell])
                .ok()
                .stdout
                .clone();
            let missing: Vec<_> = verbs.iter().filter(|verb| !text.contains(**verb)).collect();
            assert!(missing.is_empty(), "{program} {shell}: {missing:?}");
        }
        let manual = run(program, &nowhere, &["man"]).ok().stdout.clone();
        assert!(manual.contains(".TH"), "{manual}");
        for verb in verbs {
            assert!(
                manual.contains(&format!("{}\\-{verb}", program.replace('-', "\\-"))),
                "{verb}"
            );
        }
        assert_eq!(run(program, &nowhere, &["completions", "tcsh"]).code, 2);
    }
    assert!(!nowhere.exists());
}

#[tokio::test]
async fn a_dry_run_says_what_the_import_then_does_and_keeps_nothing() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    chain.level_with(&shop).await;
    let import = |path: &str, more: &[&str]| {
        let mut args = vec!["import", path, "--json"];
        args.extend_from_slice(more);
        shop.cli(&args)
    };
    let at = "2026-11-01 09:00:00";
    let opening = file(
        &chain,
        "opening.csv",
        &format!("barcode;qty;at\n{RING};3;{at}\n{BROOCH};5;{at}\n"),
    );
    let (movements, balances) = (two_bad_lines(&chain), one_brooch_less(&chain));

    // The rings that the sale took are stated as if it had not been: they disagree too.
    for (path, expected) in [
        (&opening, [2, 0, 0, 0]),
        (&movements, [1, 0, 2, 0]),
        (&balances, [0, 0, 0, 2]),
    ] {
        let before = shop.status();
        let dry = import(path, &["--dry-run"]);
        assert_eq!(counts(&dry), expected, "{path}: {dry:?}");
        assert!(!dry.stderr.contains("in the ledger"), "{dry:?}");
        let after = shop.status();
        for field in [
            "seq",
            "quarantined",
            "disagreements",
            "opened_at",
            "source_as_of",
        ] {
            assert_eq!(before[field], after[field], "{field} after {path}");
        }
        assert_eq!(counts(&import(path, &[])), expected, "{path}");
    }
    assert_eq!(shop.cli(&["verify"]).code, 0);
}

#[tokio::test]
async fn a_dry_run_of_a_file_that_would_be_held_says_so() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &["--source", "balances"]);
    let rows = (10..60).fold(String::new(), |rows, n| format!("{rows}20000000000{n};1\n"));
    shop.open(&chain, &format!("barcode;qty\n{rows}")).await;
    let empty = file(&chain, "balances.csv", "barcode;qty\n2000000000010;1\n");

    let dry = shop.cli(&["import", &empty, "--dry-run", "--json"]);

    assert_eq!(counts(&dry), [0, 0, 1, 0]);
    assert!(dry.stderr.contains("would take away 49 of 50"), "{dry:?}");
    assert_eq!(shop.status()["quarantined"], json!(0));
}

#[tokio::test]
async fn a_dismissed_disagreement_is_gone_from_both_lists() {
    let chain = Chain::start();
    let shop = opened(&chain).await;
    let balances = one_brooch_less(&chain);
    assert_eq!(
        counts(&shop.cli(&["import", &balances, "--json"])),
        [0, 1, 0, 1]
    );
    let listed = |ended: Ended| ended.ok().json()["items"].clone();
    let at_hub = || async { listed(chain.cli(&["diff", "list", "--shop", "S001", "--json"])) };
    until("the hub to know it", || async {
        let items = at_hub().await;
        if items[0]["barcode"] == json!(BROOCH) {
            Ok(())
        } else {
            Err(items)
        }
    })
    .await;
    let items = listed(shop.cli(&["diff", "list", "--json"]));
    let shown = ["barcode", "stated", "on_hand", "difference"].map(|name| items[0][name].clone());
    assert_eq!(json!(shown), json!([BROOCH, 4, 5, -1]));

    assert_eq!(shop.cli(&["diff", "dismiss"]).code, 2, "nothing named");
    let other = shop.cli(&["diff", "dismiss", RING]);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.stderr.contains(RING), "{other:?}");
    let dry = shop.cli(&["diff", "dismiss", BROOCH, "--dry-run", "--json"]);
    assert_eq!(dry.ok().json(), json!({"dismissed": 1, "dry_run": true}));
    assert_eq!(shop.status()["disagreements"], json!(1));
    let done = shop.cli(&["diff", "dismiss", BROOCH, BROOCH, "--json"]);
    assert_eq!(done.ok().json(), json!({"dismissed": 1, "dry_run": false}));

    assert_eq!(listed(shop.cli(&["diff", "list", "--json"])), json!([]));
    until("the hub to forget it", || async {
        let items = at_hub().await;
        if items == json!([]) {
            Ok(())
        } else {
            Err(items)
        }
    })
    .await;
    let stock = shop.cli(&["stock", BROOCH, "--json"]).ok().json();
    assert_eq!(stock["on_hand"], json!(5), "the ledger was right");
}

#[tokio::test]
async fn a_quarantined_record_is_listed_shown_retried_and_dropped_at_the_shop_and_at_the_hub() {
    let chain = Chain::start();
    let shop = opened(&chain).await;
    shop.cli(&["import", &two_bad_lines(&chain)]).ok();
    let ids = |ended: Ended| -> Vec<String> {
        let items = ended.ok().json()["items"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item["id"].as_str().map(str::to_owned))
            .collect()
    };
    let mut entries = ids(shop.cli(&["quarantine", "list", "--json"]));
    assert_eq!(entries.len(), 2);
    let last = entries.split_off(1);
    let (first, second) = (entries.concat(), last.concat());

    let shown = shop
        .cli(&["quarantine", "show", &first, "--json"])
        .ok()
        .json();
    let fields = ["id", "state", "reason", "file", "line"].map(|name| shown[name].clone());
    assert_eq!(
        json!(fields),
        json!([first, "open", "fractional_quantity", "pos.csv", 3])
    );
    let retried = shop.cli(&["quarantine", "retry", &first, "--force", "--json"]);
    assert_eq!(
        (retried.code, &retried.json()["items"][0]["state"]),
        (1, &json!("open"))
    );
    shop.cli(&["quarantine", "drop", &first]).ok();
    assert_eq!(ids(shop.cli(&["quarantine", "list", "--json"])), last);

    until("the hub to hold the other one", || async {
        let at_hub = ids(chain.cli(&["quarantine", "list", "--shop", "S001", "--json"]));
        if at_hub == last { Ok(()) } else { Err(at_hub) }
    })
    .await;
    let shown = chain
        .cli(&["quarantine", "show", &second, "--json"])
        .ok()
        .json();
    assert_eq!(
        (&shown["shop"], &shown["reason"]),
        (&json!("S001"), &json!("bad_time"))
    );
    chain.cli(&["quarantine", "drop", &second, "--json"]).ok();
    until("the shop to have dropped it", || async {
        let status = shop.status();
        if status["quarantined"] == json!(0) {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
}

#[tokio::test]
async fn the_beginning_of_a_records_name_is_enough_where_it_names_one() {
    let chain = Chain::start();
    let shop = opened(&chain).await;
    // So many bad lines that two names begin with the same four digits.
    let lines = (1..=900).map(|n| format!("sale;{n};1;{RING};x;;2026-11-20 10:00:00\n"));
    let lines = lines.collect::<Vec<_>>().concat();
    shop.cli(&[
        "import",
        &file(&chain, "bad.csv", &format!("{HEAD}{lines}")),
    ])
    .ok();
    let listed = until("head office to know them", || async {
        let listed = chain.cli(&["quarantine", "list", "--json"]).ok().json();
        match listed["items"].as_array() {
            Some(items) if items.len() == 900 => Ok(listed),
            other => Err(other.map(Vec::len)),
        }
    })
    .await;
    let items = listed["items"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<&str> = items
        .iter()
        .filter_map(|item| item["id"].as_str())
        .collect();
    names.sort_unstable();
    let alike = names.windows(2).find(|pair| pair[0][..4] == pair[1][..4]);
    let alike = alike.expect("900 names of 65,536 beginnings");
    let alone = names
        .iter()
        .find(|name| names.iter().filter(|other| other[..4] == name[..4]).count() == 1)
        .expect("most are alone");

    for told in [
        shop.cli(&["quarantine", "drop", &alike[0][..4]]),
        chain.cli(&["quarantine", "drop", &alike[0][..4]]),
    ] {
        assert_eq!(told.code, 1, "{told:?}");
        for name in alike {
            assert!(told.stderr.contains(name), "{told:?}");
        }
        assert!(told.stderr.contains("give more digits"), "{told:?}");
    }
    assert_eq!(
        shop.status()["quarantined"],
        json!(900),
        "nothing was dropped"
    );
    let beginning = alone[..4].to_uppercase();
    for shown in [
        shop.cli(&["quarantine", "show", &beginning, "--json"]),
        chain.cli(&["quarantine", "show", &beginning, "--json"]),
    ] {
        assert_eq!(shown.ok().json()["id"], json!(alone));
    }
    let dropped = shop.cli(&["quarantine", "drop", &alike[1][..12], "--json"]);
    assert_eq!(dropped.ok().json()["items"][0]["id"], json!(alike[1]));
    // One of the two is left open, and it is meant.
    let dropped = shop.cli(&["quarantine", "drop", &alike[0][..4], "--json"]);
    assert_eq!(dropped.ok().json()["items"][0]["id"], json!(alike[0]));
    assert_eq!(shop.status()["quarantined"], json!(898));
    chain.cli(&["quarantine", "drop", &beginning]).ok();
    until("the shop to have dropped it", || async {
        let status = shop.status();
        if status["quarantined"] == json!(897) {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_of_no_record_is_a_failure_and_what_is_no_name_is_wrong_usage() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);

    for (args, code) in [
        (["quarantine", "show", NOBODY], 1),
        (["quarantine", "show", "zz"], 2),
        (["quarantine", "drop", NOBODY], 1),
        (["quarantine", "drop", "zz"], 2),
        (["quarantine", "retry", "zz"], 2),
    ] {
        assert_eq!(shop.cli(&args).code, code, "{args:?}");
        assert_eq!(chain.cli(&args).code, code, "{args:?} at the hub");
    }
}

#[tokio::test]
async fn a_backup_beside_the_running_agent_is_a_ledger_that_verifies() {
    let chain = Chain::start();
    let shop = opened(&chain).await;
    shop.sell("before", RING).await;
    let copy = chain.path("copy.sqlite3");

    let told = shop
        .cli(&["backup", &copy.display().to_string(), "--json"])
        .ok()
        .json();
    assert_eq!(told["file"], json!(copy));
    let nowhere = shop.cli(&["backup", &chain.path("nowhere/x").display().to_string()]);
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    assert!(nowhere.stderr.contains("cannot write"), "{nowhere:?}");

    let elsewhere = chain.path("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a folder");
    std::fs::rename(&copy, elsewhere.join("ledger.sqlite3")).expect("a move");
    let verified = run("vitrina-agent", &elsewhere, &["verify", "--json"])
        .ok()
        .json();
    assert_eq!(
        (&verified["ok"], &verified["problems"]),
        (&json!(true), &json!([]))
    );
    let stock = run("vitrina-agent", &elsewhere, &["stock", RING, "--json"])
        .ok()
        .json();
    assert_eq!(stock["on_hand"], json!(2));
}

#[tokio::test]
async fn books_that_do_not_balance_are_found_and_exit_3() {
    let chain = Chain::start();
    let mut shop = opened(&chain).await;
    shop.stop();
    rusqlite::Connection::open(shop.data.join("ledger.sqlite3"))
        .and_then(|ledger| ledger.execute("UPDATE total SET p = p + 1 WHERE barcode = ?1", [RING]))
        .expect("somebody's hand in the ledger");

    let verified = shop.cli(&["verify", "--json"]);

    assert_eq!(verified.code, 3, "{verified:?}");
    assert_eq!(verified.json()["ok"], json!(false));
    assert_ne!(verified.json()["problems"], json!([]));
}

#[tokio::test]
async fn the_metrics_are_free_at_their_own_address_and_nothing_else_is() {
    let mut chain = Chain::start();
    assert_eq!(chain.hub.take().expect("running").stop(), 0);
    let listen = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let hub = Server::start("vitrina-hub", &chain.data(), &listen);
    chain.url.clone_from(&hub.url);
    chain.hub = Some(hub);
    let _shop = opened(&chain).await;
    let log = std::fs::read_to_string(log_of(&chain.data())).expect("a log");
    let (_, rest) = log
        .rsplit_once("http://")
        .expect("the log names the address");
    let free = format!(
        "http://{}",
        rest.split("/metrics").next().unwrap_or_default()
    );
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");

    // That the shop's books are fresh goes to the hub with the exchange after the one that brought the movements.
    let text = until("the age of the shop's books", || async {
        let metrics = http.get(format!("{free}/metrics")).send().await;
        let metrics = metrics.expect("an answer");
        assert_eq!(metrics.status(), StatusCode::OK);
        let text = metrics.text().await.expect("a text");
        let is_known = text.contains("vitrina_shop_source_age_seconds{shop=\"S001\"}");
        if is_known { Ok(text) } else { Err(text) }
    })
    .await;
    for name in [
        "vitrina_shop_lag_seconds{shop=\"S001\"}",
        "vitrina_shop_source_age_seconds{shop=\"S001\"}",
        "vitrina_shop_pending_movements{shop=\"S001\"} 0",
        "vitrina_shop_quarantined{shop=\"S001\"} 0",
        "vitrina_shop_clock_skew_seconds{shop=\"S001\"}",
        "vitrina_shop_disk_free_bytes{shop=\"S001\"}",
        "vitrina_shop_info{shop=\"S001\",version=",
        "vitrina_hub_merge_seconds_bucket",
        "vitrina_hub_exchange_total{outcome=\"merged\"}",
        "vitrina_hub_forks_total",
        "vitrina_hub_repairs_total",
        "vitrina_hub_feed_cursor",
        "vitrina_sale_visible_seconds_bucket",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
    let other = http
        .get(format!("{free}/v1/locations"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
    assert_eq!(chain.get("/metrics").await.status, StatusCode::FORBIDDEN);
    assert_eq!(chain.office("/metrics").await.status, StatusCode::OK);
}

#[tokio::test]
async fn people_read_their_language_and_scripts_read_the_same_words_in_both() {
    let chain = Chain::start();
    let mut shop = opened(&chain).await;
    let russian = |args: &[&str]| in_russian("vitrina-agent", &shop.data, args);

    assert!(shop.cli(&["verify"]).stdout.contains("the books balance"));
    assert!(russian(&["verify"]).contains("учёт сходится"));
    assert!(russian(&["quarantine", "show", NOBODY]).contains("нет записи"));
    assert!(in_russian("vitrina-hub", &chain.data(), &["verify"]).contains("всё сходится"));
    assert!(
        in_russian(
            "vitrina-hub",
            &chain.data(),
            &["quarantine", "show", NOBODY]
        )
        .contains("нет записи")
    );
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(
        json(&russian(&["verify", "--json"])),
        shop.cli(&["verify", "--json"]).json()
    );
    let missing = chain.path("nowhere");
    assert!(in_russian("vitrina-agent", &missing, &["status"]).starts_with("ошибка"));

    shop.stop();
    std::fs::write(shop.data.join("agent.toml"), "language = \"ru\"\n").expect("a setting");
    let set = command("vitrina-agent", &shop.data, &["verify"])
        .env_remove("VITRINA_LANG")
        .output()
        .expect("it runs");
    assert!(
        String::from_utf8_lossy(&set.stdout).contains("учёт сходится"),
        "{set:?}"
    );
    let unknown = command("vitrina-agent", &shop.data, &["verify"])
        .env("VITRINA_LANG", "xx")
        .output()
        .expect("it runs");
    assert_eq!(unknown.status.code(), Some(2));
}

#[tokio::test]
async fn commands_beside_the_agent_are_no_second_machine() {
    let chain = Chain::start();
    let shop = opened(&chain).await;

    for number in ["one", "two", "three"] {
        shop.cli(&["sync"]).ok();
        shop.sell(number, BROOCH).await;
        chain.level_with(&shop).await;
    }

    let lag = chain.cli(&["lag", "--json"]).ok().json();
    assert_eq!(lag["items"][0]["problems"], json!([]), "{lag}");
}

#[tokio::test]
async fn whoever_is_asked_to_stop_in_the_moment_it_is_ready_stops_cleanly() {
    let mut chain = Chain::start();
    let mut shop = chain.enrolled("S001", &[]);

    for _ in 0..5 {
        shop.start();
        shop.stop();
        assert_eq!(chain.hub.take().expect("running").stop(), 0);
        chain.start_hub();
    }
}

#[test]
fn a_question_to_a_folder_that_is_not_there_makes_no_hub() {
    let folder = tempfile::tempdir().expect("a folder");
    let mistyped = folder.path().join("hbu");
    for question in [&["stock"][..], &["lag"], &["verify"], &["export", "csv"]] {
        let output = command("vitrina-hub", &mistyped, question)
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{question:?}: {output:?}");
        assert!(!mistyped.exists(), "{question:?}");
    }
}

#[tokio::test]
async fn one_file_held_in_two_shops_is_decided_at_the_hub_for_each_of_them() {
    let chain = Chain::start();
    let shops = ["S001", "S002"].map(|id| chain.shop(id, &["--source", "balances"]));
    for shop in &shops {
        let at = "2026-11-01 09:00:00";
        shop.import("one.csv", format!("barcode;qty;at\n{RING};50;{at}\n"))
            .await;
        let next = "2026-11-02 09:00:00";
        shop.drop_and_wait("two.csv", format!("barcode;qty;at\n{RING};1;{next}\n"))
            .await;
    }
    let held = until("the hub to hear of both files", || async {
        let listed = chain.cli(&["quarantine", "list", "--json"]).ok().json();
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        if items.len() == 2 {
            Ok(items)
        } else {
            Err(items)
        }
    })
    .await;
    assert_eq!(held[0]["id"], held[1]["id"], "one file, one name");
    let id = held[0]["id"].as_str().expect("an id");

    let unclear = chain.cli(&["quarantine", "retry", id, "--force"]);
    assert_eq!(unclear.code, 1);
    assert!(unclear.stderr.contains("S001, S002"), "{unclear:?}");
    assert_eq!(chain.cli(&["quarantine", "show", id]).code, 1);
    chain
        .cli(&["quarantine", "show", id, "--shop", "S002"])
        .ok();
    chain
        .cli(&["quarantine", "retry", id, "--force", "--shop", "S001"])
        .ok();
    chain
        .cli(&["quarantine", "drop", id, "--shop", "S002"])
        .ok();

    // One shop states one ring now, the other still has its fifty.
    chain.on_hand(RING, 51).await;
    until("no record to be open", || async {
        let listed = chain.cli(&["quarantine", "list", "--json"]).ok().json();
        if listed["items"] == json!([]) {
            Ok(())
        } else {
            Err(listed)
        }
    })
    .await;
}

#[tokio::test]
async fn who_has_no_terminal_token_is_told_where_the_right_one_is() {
    let chain = Chain::start();
    let shop = opened(&chain).await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let url = &shop.agent.as_ref().expect("it runs").url;

    for key in ["", "Bearer wrong"] {
        let call = http.get(format!("{url}/v1/stock/{RING}"));
        let reply = call.header("authorization", key).send().await;
        let reply = reply.expect("an answer");
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
        let problem: Value = reply.json().await.expect("a problem");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("terminal.token"), "{problem}");
        assert!(
            detail.contains("vitrina-agent terminal add NAME"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_the_network_reaches_says_so_and_one_that_it_does_not_is_silent() {
    let chain = Chain::start();
    let mut shop = opened(&chain).await;
    let said = "the shop's network reaches the local API at 0.0.0.0:";
    assert!(!logged(&shop.data).contains(said));
    shop.stop();

    let listen = ["run", "--listen", "0.0.0.0:0"];
    shop.agent = Some(Server::start("vitrina-agent", &shop.data, &listen));

    assert!(logged(&shop.data).contains(said), "on stderr");
    shop.stop();
    let kept = std::fs::read_dir(shop.data.join("log"))
        .expect("a log")
        .flatten()
        .map(|entry| std::fs::read_to_string(entry.path()).unwrap_or_default())
        .collect::<String>();
    assert!(kept.contains(said), "in the log");
    assert!(kept.contains("in the clear"), "in the log");
}

#[cfg(unix)]
#[test]
fn a_data_folder_of_somebody_else_is_named_with_the_account_and_the_cure() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("rights");
    };
    mode(folder.path(), 0o755);
    for (program, books) in [
        ("vitrina-agent", "ledger.sqlite3"),
        ("vitrina-hub", "hub.sqlite3"),
    ] {
        let data = folder.path().join(format!("{program}.data"));
        std::fs::create_dir(&data).expect("a folder");
        std::fs::write(data.join(books), "").expect("books");
        // Where nobody else may look into the build's folder the program is reached by a copy.
        let copy = folder.path().join(program);
        std::fs::copy(binaries::folder().join(program), &copy).expect("a copy");
        mode(&data, 0o555);
        let mut command = command_in(folder.path(), program, &data, &["verify"]);
        if std::fs::write(data.join("probe"), "").is_ok() {
            // The administrator may write everywhere; nobody may not.
            std::fs::remove_file(data.join("probe")).expect("the probe");
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().expect("it runs");

        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in [
            "may not write into the data folder",
            &data.display().to_string(),
            "user ",
            "give the folder",
        ] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        mode(&data, 0o755);
    }
}
