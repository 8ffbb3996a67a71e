//! A day of a hub and a shop, after which no secret stands anywhere but in its own file; and nobody writes our log lines.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_host::sign::{code_to_bytes, from_hex, hex};
use vitrina_tests::process::{Server, command, log_of, logged};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
/// Everything there is to log.
const TALKATIVE: [&str; 4] = ["--log", "json", "--log-level", "trace"];

/// Something that nobody else may know, and the files that hold it.
struct Secret {
    name: &'static str,
    forms: Vec<Vec<u8>>,
    own: Vec<PathBuf>,
}

impl Secret {
    fn text(name: &'static str, text: &str, own: &[PathBuf]) -> Self {
        let mut forms = vec![text.as_bytes().to_vec()];
        // As bytes too, where it is a number in letters.
        let digits = text.rsplit('_').next().unwrap_or(text);
        forms.extend(from_hex::<32>(digits).map(Vec::from));
        forms.extend(from_hex::<24>(digits).map(Vec::from));
        Self {
            name,
            forms,
            own: own.to_vec(),
        }
    }

    fn file(name: &'static str, path: PathBuf) -> Self {
        let bytes = std::fs::read(&path).expect("a secret");
        if let Ok(text) = std::str::from_utf8(&bytes) {
            return Self::text(name, text.trim(), &[path]);
        }
        Self {
            name,
            forms: vec![hex(&bytes).into_bytes(), bytes],
            own: vec![path],
        }
    }

    /// A code, as people and as programs write it.
    fn code(code: &str, own: &[PathBuf]) -> Self {
        let mut secret = Self::text("an enrolment code", code, own);
        let bytes: [u8; 16] = code_to_bytes(code).expect("a code");
        secret.forms.push(bytes.to_vec());
        secret.forms.push(code.replace('-', "").into_bytes());
        secret
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let holds = |form: &Vec<u8>| bytes.windows(form.len()).any(|part| part == form);
        self.forms.iter().any(holds)
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// What anybody on the machine, or at least the same account, may read of a running process.
fn seen_from_outside(process: &Server) -> Vec<u8> {
    let read = |name: &str| std::fs::read(format!("/proc/{}/{name}", process.id()));
    let mut seen = read("cmdline").expect("a process");
    seen.extend(read("environ").expect("a process"));
    seen
}

/// A hub over TLS that logs everything there is to log.
fn talkative_chain() -> Chain {
    let mut chain = Chain::over_tls();
    chain.stop_hub();
    chain.serve.extend(TALKATIVE.map(str::to_owned));
    chain.start_hub();
    chain
}

/// Enrols S001 by a file with its code, tries the code again, and starts the agent.
fn talkative_shop(chain: &Chain, secrets: &mut Vec<Secret>) -> Shop {
    let mut shop = chain.unborn("S001");
    std::fs::create_dir(&shop.data).expect("a folder");
    let code = code(chain, &["shop", "add", "S001", "--name", "one", "--json"]);
    let file = chain.path("code.txt");
    std::fs::write(&file, &code).expect("a file");
    let ca = chain.ca.clone().expect("TLS");
    let mut enrol = vec!["enrol", "--hub", &chain.url];
    enrol.extend(["--ca", ca.to_str().expect("a path")]);
    enrol.extend(["--code-file", file.to_str().expect("a path")]);
    enrol.extend(TALKATIVE);
    let first = shop.cli(&enrol);
    first.ok();
    let again = shop.cli(&enrol);
    assert_eq!(again.code, 1, "a code works once");
    let secret = Secret::code(&code, &[file]);
    for said in [&first.stderr, &again.stderr] {
        assert!(!secret.is_in(said.as_bytes()), "{said}");
    }
    secrets.push(secret);
    let mut start = vec!["run", "--listen", "127.0.0.1:0"];
    start.extend(TALKATIVE);
    shop.agent = Some(Server::start("vitrina-agent", &shop.data, &start));
    shop
}

fn code(chain: &Chain, args: &[&str]) -> String {
    let made = chain.cli(args).ok().json();
    let code = made.get("code").and_then(Value::as_str);
    code.expect("a code").to_owned()
}

/// Sells, and makes, uses, misuses and ends keys and tokens.
async fn day(chain: &Chain, shop: &Shop, secrets: &mut Vec<Secret>) {
    shop.open(chain, &format!("barcode;qty\n{RING};5\n")).await;
    let till = shop
        .cli(&["terminal", "add", "till-2", "--json"])
        .ok()
        .json();
    let till = till.get("token").and_then(Value::as_str).expect("a token");
    shop.sell("one", RING).await;
    chain.on_hand(RING, 4).await;
    let made = json!({"name": "by-call", "role": "office"});
    let made = chain
        .call(Method::POST, "/v1/keys", &chain.admin, Some(&made), &[])
        .await
        .body;
    let by_call = made.get("key").and_then(Value::as_str).expect("a key");
    for key in [by_call, "vk_wrong-key-of-nobody", till] {
        chain.call(Method::GET, "/v1/shops", key, None, &[]).await;
        chain.call(Method::GET, "/v1/keys", key, None, &[]).await;
        let in_the_address = format!("/v1/stock/{RING}?key={key}&access_token={key}");
        let refused = chain
            .call(Method::GET, &in_the_address, "", None, &[])
            .await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        secrets.push(Secret::text("a key or a token", key, &[]));
    }
    chain.cli(&["key", "revoke", "by-call"]).ok();
    let recoded = code(chain, &["shop", "recode", "S001", "--json"]);
    secrets.push(Secret::code(&recoded, &[]));
    let copy = |name: &str| chain.path(name).to_str().expect("a path").to_owned();
    chain.cli(&["backup", &copy("hub.copy")]).ok();
    shop.cli(&["backup", &copy("shop.copy")]).ok();
}

/// The secrets that have a file of their own, which nobody else may read.
fn kept(chain: &Chain, shop: &Shop, secrets: &mut Vec<Secret>) {
    let (hub, shop) = (chain.data(), &shop.data);
    for (name, own) in [
        ("the hub's key", hub.join("hub.key")),
        ("the key of tokens", hub.join("token.key")),
        ("the device's key", shop.join("device.key")),
        ("the first till's token", shop.join("terminal.token")),
    ] {
        secrets.push(Secret::file(name, own));
    }
    let tls = chain.path("key.pem");
    let pem = std::fs::read_to_string(&tls).expect("a key");
    let line = pem.lines().nth(1).expect("a line");
    secrets.push(Secret::text("the certificate's key", line, &[tls]));
    for key in [&chain.website, &chain.office, &chain.admin] {
        secrets.push(Secret::text("a key", key, &[]));
    }
    let own: Vec<_> = secrets
        .iter()
        .flat_map(|secret| secret.own.clone())
        .collect();
    for own in own
        .iter()
        .filter(|own| !own.ends_with("code.txt"))
        .chain([&shop.join("hub.json")])
    {
        let mode = std::fs::metadata(own).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", own.display());
    }
}

#[tokio::test]
async fn after_a_day_no_secret_stands_anywhere_but_in_its_own_file() {
    let mut chain = talkative_chain();
    let mut secrets = Vec::new();
    let shop = talkative_shop(&chain, &mut secrets);
    day(&chain, &shop, &mut secrets).await;
    kept(&chain, &shop, &mut secrets);
    assert!(secrets.len() > 12, "{}", secrets.len());

    for process in [&chain.hub, &shop.agent] {
        let seen = seen_from_outside(process.as_ref().expect("running"));
        for secret in &secrets {
            assert!(!secret.is_in(&seen), "{}: process", secret.name);
        }
    }

    // What is still on its way to the disk is written at the stop.
    drop(shop);
    chain.stop_hub();
    let mut looked = 0;
    for path in files(&chain.path("")) {
        let bytes = std::fs::read(&path).expect("a file");
        for secret in secrets.iter().filter(|secret| !secret.own.contains(&path)) {
            let found = secret.is_in(&bytes);
            assert!(!found, "{} stands in {}", secret.name, path.display());
        }
        looked += 1;
    }
    assert!(looked > 15, "{looked}");
    assert!(logged(&chain.data()).lines().count() > 20);
}

/// A line that would be believed.
const FORGED: &str = "2026-11-22T09:14:03.120000Z ERROR vitrina_hub: FORGED";

#[tokio::test]
async fn what_a_name_or_a_barcode_brings_along_is_no_line_of_the_log() {
    let mut chain = Chain::start();
    chain.stop_hub();
    chain.serve = vec!["--log-level".to_owned(), "debug".to_owned()];
    chain.start_hub();
    let mut shop = chain.enrolled("S001", &["--city", &format!("Moscow\n{FORGED}")]);
    let start = ["run", "--listen", "127.0.0.1:0", "--log-level", "debug"];
    shop.agent = Some(Server::start("vitrina-agent", &shop.data, &start));
    let name = format!("one\n{FORGED}");
    chain.cli(&["shop", "set", "S001", "--name", &name]).ok();

    let bad = format!(
        "type;receipt;line;barcode;qty;at\nsale;1;1;\"{RING}\n{FORGED}\";1;\"2026-11-22\n{FORGED}\"\n"
    );
    shop.drop_and_wait("bad.csv", &bad).await;
    std::fs::write(
        shop.data.join("drop").join(format!("f\n{FORGED}.csv")),
        &bad,
    )
    .expect("a file");
    std::fs::write(
        chain.data().join("drop").join(format!("f\n{FORGED}.csv")),
        &bad,
    )
    .expect("a file");
    let sale = json!({"type": "sale", "barcode": format!("1\n{FORGED}"), "qty": 1, "ref": FORGED});
    let refused = shop.book(&format!("key {FORGED}"), sale).await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    let escaped = FORGED.replace(' ', "%20");
    for path in [
        format!("/v1/stock/1%0a{escaped}"),
        format!("/v1/movements?shop=S%0d%0a{escaped}"),
    ] {
        chain
            .call(Method::GET, &path, &chain.office, None, &[])
            .await;
    }
    let import = format!("/v1/imports?name=a%0a{escaped}.csv");
    chain
        .call(
            Method::POST,
            &import,
            &chain.admin,
            Some(&Value::from("x")),
            &[],
        )
        .await;
    for drop in [shop.data.join("drop"), chain.data().join("drop")] {
        until("the odd files to be taken away", || async {
            let left = files(&drop);
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }
    chain.level_with(&shop).await;
    shop.stop();
    chain.stop_hub();

    let mut logs = vec![log_of(&chain.data()), log_of(&shop.data)];
    logs.extend(files(&chain.data().join("log")));
    logs.extend(files(&shop.data.join("log")));
    assert!(logs.len() >= 4, "{logs:?}");
    let mut mentioned = 0;
    for log in logs {
        let text = std::fs::read_to_string(&log).expect("a log");
        for line in text.lines() {
            assert!(!line.starts_with(FORGED), "{}: {line}", log.display());
            mentioned += usize::from(line.contains("FORGED"));
        }
    }
    assert!(mentioned > 0, "some of it was logged, within a line");
}

#[tokio::test]
async fn a_code_comes_by_the_environment_too_and_is_seen_by_no_other_account() {
    let chain = Chain::start();
    let added = chain
        .cli(&["shop", "add", "S001", "--name", "one", "--json"])
        .ok()
        .json();
    let data = chain.path("S001");
    std::fs::create_dir(&data).expect("a folder");
    let done = command("vitrina-agent", &data, &["enrol", "--hub", &chain.url])
        .env("VITRINA_CODE", added["code"].as_str().expect("a code"))
        .status()
        .expect("a process");
    assert!(done.success());
}
