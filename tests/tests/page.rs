//! The shop's page as a cashier has it: a real browser, a scanner that is a fast typist, and no training.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::browser::{Browser, pairing_code, signed_in};
use vitrina_tests::{Chain, Shop, chain, until};

const RING: &str = "2000018987155";
const EARRINGS: &str = "2000018987162";
const CHAIN: &str = "2000018987179";
/// What the shops have; the second ring is another size of the first.
const STOCK: &str = "barcode;qty;article;name;size;stone;price\n\
    2000018987155;3;К-1234;Кольцо «Мария»;17,5;0.30 ct;45900,00\n\
    2000018987186;1;K-1234;Кольцо «Мария»;18;0.34 ct;52300,50\n\
    2000018987162;1;C-77;Серьги с топазом;;;12400,00\n\
    2000018987179;2;Ц-9;Цепь якорная;50;;8150,00\n";

fn url(shop: &Shop) -> &str {
    &shop.agent.as_ref().expect("running").url
}

/// A page shows a code.
async fn pair(shop: &Shop, code: &str) -> reqwest::Response {
    let url = format!("{}/v1/pairing", url(shop));
    let request = chain::client(None).post(url).json(&json!({"code": code}));
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn a_pairing_code_is_good_once_and_its_cookie_for_our_own_page_alone() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let code = pairing_code(&shop, "till-1");

    let paired = pair(&shop, &code).await;
    assert_eq!(paired.status(), StatusCode::OK);
    let cookie = paired.headers().get("set-cookie").expect("a cookie");
    let cookie = cookie.to_str().expect("text").to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let body = paired.text().await.expect("a body");
    let (pair_of_cookie, _) = cookie.split_once(';').expect("attributes");
    let (_, token) = pair_of_cookie.split_once('=').expect("a value");
    assert!(!body.contains(token), "scripts need not know it");
    let again = pair(&shop, &code).await;
    assert_eq!(again.status(), StatusCode::FORBIDDEN, "once");

    let status = async |headers: &[(&str, &str)]| {
        let request = chain::client(None).get(format!("{}/v1/status", url(&shop)));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(status(&[("cookie", pair_of_cookie)]).await, 401);
    let ours = [("cookie", pair_of_cookie), ("vitrina-page", "1")];
    assert_eq!(status(&ours).await, 200);
    let elsewhere = [ours[0], ours[1], ("origin", "http://127.0.0.1:1")];
    assert_eq!(
        status(&elsewhere).await,
        403,
        "another port is another page"
    );
    shop.cli(&["terminal", "revoke", "till-1"]).ok();
    assert_eq!(status(&ours).await, 401);
}

#[tokio::test]
async fn who_guesses_codes_is_told_to_wait_and_then_the_right_one_is_not_looked_at_either() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let right = pairing_code(&shop, "till-1");
    let wrong = if right == "000000" {
        "000001"
    } else {
        "000000"
    };

    for malformed in ["", "12345", "1234567", "12345x"] {
        let refused = pair(&shop, malformed).await.status();
        assert_eq!(refused, StatusCode::UNPROCESSABLE_ENTITY, "{malformed:?}");
    }
    for _ in 0..5 {
        assert_eq!(pair(&shop, wrong).await.status(), StatusCode::FORBIDDEN);
    }
    for guess in [wrong, &right] {
        let waits = pair(&shop, guess).await;
        assert_eq!(waits.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(waits.headers().contains_key("retry-after"));
    }
}

#[tokio::test]
async fn nothing_that_is_not_of_the_page_may_run_in_it() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    for path in ["/", "/page/app.js", "/page/page.css", "/page/icon.svg"] {
        let reply = shop.call(Method::GET, path, None, &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        let rules = reply.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(rules.contains(rule), "{path} {rules}");
        }
        assert!(!rules.contains("unsafe"), "{rules}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    let missing = shop
        .call(Method::GET, "/page/..%2f..%2fhub.json", None, &[])
        .await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_article_is_found_with_the_shops_that_have_it_the_nearest_first() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &["--lat", "55.7558", "--lon", "37.6173"]);
    shop.open(&chain, STOCK).await;
    // By their names the far one would be first.
    let far = chain.shop("S002", &["--lat", "59.9343", "--lon", "30.3351"]);
    let near = chain.shop("S003", &["--lat", "55.7520", "--lon", "37.5929"]);
    for other in [&far, &near] {
        other.open(&chain, STOCK).await;
    }

    let item = until("both shops to be known here", || async {
        let path = "/v1/stock?article=k-1234";
        let reply = shop.call(Method::GET, path, None, &[]).await;
        let items = reply.body["items"].as_array().cloned().unwrap_or_default();
        let known = |item: &Value| {
            let others = item["others"].as_array().cloned().unwrap_or_default();
            others.len() == 2 && others.iter().all(|other| other["distance_km"].is_f64())
        };
        if items.len() == 2 && items.iter().all(known) {
            Ok(items[0].clone())
        } else {
            Err(reply)
        }
    })
    .await;

    assert_eq!(item["barcode"], json!(RING), "Cyrillic or Latin letters");
    let others = item["others"].as_array().expect("others");
    let shops: Vec<_> = others.iter().map(|other| &other["shop"]).collect();
    assert_eq!(shops, [&json!("S003"), &json!("S002")]);
    let km = others[1]["distance_km"].as_f64().expect("a distance");
    assert!((630.0..640.0).contains(&km), "{km}");
    let unknown = shop
        .call(Method::GET, "/v1/stock?article=K-12", None, &[])
        .await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (StatusCode::NOT_FOUND, "unknown_article")
    );
}

#[tokio::test]
async fn a_cashier_signs_in_with_six_digits_and_a_till_that_is_ended_is_asked_again() {
    let chain = Chain::start();
    let shop = chain.opened("S001", STOCK).await;
    let Some(browser) = Browser::open().await else {
        return;
    };
    browser.go(url(&shop)).await;
    browser.sees("#sign-in", "six digits").await;
    assert_eq!(browser.count("#look").await, 0, "nothing before the code");
    browser.shot("1-sign-in").await;

    let code = pairing_code(&shop, "till-1");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    browser.keys(wrong).await;
    browser.enter().await;
    browser.sees("#refused", "not right").await;
    browser.keys(&code).await;
    browser.enter().await;
    browser.sees("#look", "Scan a piece").await;
    browser.sees("#word", "All is well").await;
    let cookies = browser.script("return document.cookie", json!([])).await;
    assert_eq!(cookies, json!(""), "no script reads the token");

    browser.reload().await;
    browser.sees("#word", "All is well").await;
    assert_eq!(browser.count("#sign-in").await, 0, "it is remembered");
    shop.cli(&["terminal", "revoke", "till-1"]).ok();
    browser.sees("#sign-in", "six digits").await;
    assert_eq!(browser.count("#look").await, 0);
}

#[tokio::test]
async fn a_scan_is_looked_up_whatever_has_the_focus() {
    let chain = Chain::start();
    let shop = chain.opened("S001", STOCK).await;
    let Some(browser) = signed_in(&shop).await else {
        return;
    };
    browser.scan(RING).await;
    let shown = browser.sees(&card(RING), "Кольцо «Мария»").await;
    for part in ["3", "45,900", "size 17,5", "0.30 ct", "In no other shop"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    browser.shot("2-look-up").await;

    // On a button, which its Enter must not press.
    browser.tab_to("#language").await;
    browser.scan(EARRINGS).await;
    browser.sees(&card(EARRINGS), "Серьги").await;
    browser.sees("#word", "All is well").await;

    // In a field where somebody has typed: what was typed stays.
    browser.type_into("#code", "K-1").await;
    browser.script(PAUSE, json!([])).await;
    browser.scan(CHAIN).await;
    browser.sees(&card(CHAIN), "Цепь").await;
    let typed = "return document.getElementById('code').value";
    assert_eq!(browser.script(typed, json!([])).await, json!("K-1"));

    // A person types an article and presses Enter.
    browser.type_into("#code", "234").await;
    browser.script(PAUSE, json!([])).await;
    browser.enter().await;
    browser.sees(&card("K-1234"), "size 18").await;
    browser.scan("4600000000000").await;
    browser.sees(&card("4600000000000"), "Nobody knows").await;
    browser.type_into("#code", "Кольцо").await;
    browser.script(PAUSE, json!([])).await;
    browser.enter().await;
    browser
        .sees(&card("Кольцо"), "cannot be found by its name")
        .await;
}

/// A person's fingers rest: no scanner waits so long.
const PAUSE: &str = "return new Promise((rested) => setTimeout(rested, 400))";

fn card(code: &str) -> String {
    format!("[data-code='{code}']")
}

#[tokio::test]
async fn a_scan_with_the_russian_layout_is_read_by_its_keys() {
    let chain = Chain::start();
    let shop = chain
        .opened("S001", "barcode;qty;name\nKL-7zq;4;Брошь\n")
        .await;
    let Some(browser) = signed_in(&shop).await else {
        return;
    };
    // As the browser tells them; WebDriver has no keyboard of another layout.
    let keys = json!([
        ["Л", "KeyK", true],
        ["Д", "KeyL", true],
        ["-", "Minus", false],
        ["7", "Digit7", false],
        ["я", "KeyZ", false],
        ["й", "KeyQ", false],
        ["Enter", "Enter", false]
    ]);
    let press = "for (const [key, code, shiftKey] of arguments[0]) document.activeElement.dispatchEvent(\
        new KeyboardEvent('keydown', {key, code, shiftKey, bubbles: true, cancelable: true}))";
    browser.script(press, json!([keys])).await;

    browser.sees(&card("KL-7zq"), "Брошь").await;
}

#[tokio::test]
async fn no_scan_is_lost_while_the_agent_stands_still_or_is_away() {
    let chain = Chain::start();
    let mut shop = chain.opened("S001", STOCK).await;
    let Some(browser) = signed_in(&shop).await else {
        return;
    };
    let agent = shop.agent.as_ref().expect("running");
    agent.signal("STOP");
    for code in [RING, EARRINGS] {
        browser.scan(code).await;
    }
    browser.sees("#queued", EARRINGS).await;
    agent.signal("CONT");
    browser.counts("#found .card", 2).await;

    let address = url(&shop).to_owned();
    shop.kill();
    browser.sees("#word", "does not answer").await;
    browser.scan(CHAIN).await;
    browser.sees("#queued", CHAIN).await;
    browser.shot("3-agent-away").await;
    start_at(&mut shop, &address);
    browser.sees(&card(CHAIN), "Цепь").await;
    browser.counts("#queued", 0).await;
    browser.sees("#word", "All is well").await;
}

/// Starts the agent where it was.
fn start_at(shop: &mut Shop, address: &str) {
    let listen = address.trim_start_matches("http://");
    let args = ["run", "--listen", listen];
    let agent = vitrina_tests::process::Server::start("vitrina-agent", &shop.data, &args);
    shop.agent = Some(agent);
}

#[tokio::test]
async fn without_a_line_the_page_says_so_and_works_on() {
    let chain = Chain::start();
    let shop = chain.opened("S001", STOCK).await;
    let other = chain.opened("S002", STOCK).await;
    let Some(browser) = signed_in(&shop).await else {
        return;
    };
    until("the other shop to be known here", || async {
        let path = format!("/v1/stock/{RING}");
        let reply = shop.call(Method::GET, &path, None, &[]).await;
        if reply.body["others"][0]["shop"] == json!("S002") {
            Ok(())
        } else {
            Err(reply)
        }
    })
    .await;

    shop.link.cut();
    browser.sees("#word", "No line to head office").await;
    shop.sell("without a line", RING).await;
    browser.sees("#waiting", "1").await;
    browser.sees("#line", "down since").await;
    browser.scan(RING).await;
    let found = browser.sees(&card(RING), "S002").await;
    assert!(
        found.contains("No line: other shops as they were known at"),
        "{found}"
    );
    // The piece that no other shop was known to have, and the code that nobody knew.
    for code in [CHAIN, "4600000000000"] {
        browser.scan(code).await;
        browser.sees(&card(code), "No line: other shops").await;
    }
    browser.shot("4-no-line").await;

    shop.link.mend();
    browser.sees("#word", "All is well").await;
    browser.sees("#waiting", "0").await;
    drop(other);
}

#[tokio::test]
async fn the_page_speaks_russian_and_english_and_fits_a_phone() {
    let chain = Chain::start();
    let mut shop = chain.enrolled("S001", &["--city", "Москва"]);
    let settings = shop.data.join("agent.toml");
    std::fs::write(settings, "language = \"ru\"\n").expect("settings");
    // What a test starts is told to speak English; the setting is to be seen here.
    let mut command = vitrina_tests::process::command(
        "vitrina-agent",
        &shop.data,
        &["run", "--listen", "127.0.0.1:0"],
    );
    command.env_remove("VITRINA_LANG");
    shop.agent = Some(vitrina_tests::process::Server::start_of(
        command, &shop.data,
    ));
    shop.open(&chain, STOCK).await;
    let Some(browser) = Browser::open().await else {
        return;
    };
    browser.go(url(&shop)).await;
    browser.sees("#sign-in", "Шесть цифр кода").await;
    browser.keys(&pairing_code(&shop, "till-1")).await;
    browser.enter().await;
    browser.sees("#word", "Всё в порядке").await;
    browser.scan(RING).await;
    browser.sees(&card(RING), "45\u{a0}900").await;
    browser.scan("k-1234").await;
    browser.sees(&card("k-1234"), "размер 18").await;
    browser.shot("5-russian").await;

    browser.size(360, 740).await;
    browser.shot("6-phone").await;
    let too_wide =
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.script(too_wide, json!([])).await, json!(0));
    browser.press("#language").await;
    browser.sees("#word", "All is well").await;
    browser.sees(&card(RING), "45,900").await;
    browser.reload().await;
    browser.sees("#word", "All is well").await;
}

#[tokio::test]
async fn a_foreign_page_on_the_same_pc_reads_nothing_and_books_nothing() {
    let chain = Chain::start();
    let shop = chain.opened("S001", STOCK).await;
    let Some(browser) = signed_in(&shop).await else {
        return;
    };
    // Another port of this machine: to a browser the same site, so that it sends the cookie along.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let foreign = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil",
            );
        }
    });
    browser.go(&foreign).await;
    browser.sees("body", "evil").await;

    let steal = "const [url, barcode] = arguments;
        const call = (path, options) => fetch(url + path, {credentials: 'include', ...options})
            .then((answer) => answer.text(), () => 'refused');
        const body = JSON.stringify({type: 'sale', barcode, qty: 1, receipt: '1', line: 1, at: '2026-11-22T10:00:00Z'});
        return Promise.all([
            call('/v1/status'),
            call('/v1/status', {mode: 'no-cors'}),
            call('/v1/status', {headers: {'Vitrina-Page': '1'}}),
            call('/v1/movements', {method: 'POST', mode: 'no-cors', body}),
            call('/v1/movements', {method: 'POST', headers: {'Vitrina-Page': '1'}, body}),
        ])";
    let stolen = browser.script(steal, json!([url(&shop), RING])).await;
    for answer in stolen.as_array().expect("answers") {
        assert!(answer == "refused" || answer == "", "{stolen}");
    }
    let stock = shop
        .call(Method::GET, &format!("/v1/stock/{RING}"), None, &[])
        .await;
    assert_eq!(stock.body["on_hand"], json!(3), "nothing was sold");
}
