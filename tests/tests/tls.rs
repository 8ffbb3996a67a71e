//! TLS between the shops, the website and the hub: who is trusted, what is said where nobody is, and what never waits
//! for it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use reqwest::tls::{TlsInfo, Version};
use reqwest::{Certificate, Client, ClientBuilder};
use serde_json::json;
use vitrina_tests::process::{logged, run};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
/// By what agents call the hub here.
const OURS: [&str; 2] = ["localhost", "127.0.0.1"];
/// Years that hold today.
const TODAY: [i32; 2] = [2020, 2098];
/// Waits begin at an eighth of a second and double.
const LEAST_OF_THREE_WAITS: Duration = Duration::from_millis(375);

/// A certificate of the hub's own authority for these names, in these years.
fn write_certificate(chain: &Chain, names: &[&str], years: [i32; 2], key: &KeyPair) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Vitrina");
    subject.push(DnType::CommonName, "localhost");
    params.distinguished_name = subject;
    params.not_before = date_time_ymd(years[0], 1, 1);
    params.not_after = date_time_ymd(years[1], 1, 1);
    let certificate = params.self_signed(key).expect("a certificate");
    std::fs::write(chain.path("cert.pem"), certificate.pem()).expect("a file");
    std::fs::write(chain.path("key.pem"), key.serialize_pem()).expect("a file");
}

fn hubs_key(chain: &Chain) -> KeyPair {
    KeyPair::from_pem(&std::fs::read_to_string(chain.path("key.pem")).expect("a key"))
        .expect("a key")
}

/// A client that trusts the chain's certificate, and what `more` says.
fn client(chain: &Chain, more: impl Fn(ClientBuilder) -> ClientBuilder) -> Client {
    let pem = std::fs::read(chain.ca.as_ref().expect("TLS")).expect("a certificate");
    let ours = Certificate::from_pem_bundle(&pem).expect("a certificate");
    more(Client::builder().no_proxy().tls_certs_only(ours))
        .build()
        .expect("a client")
}

/// The certificate that the hub shows to a new connection.
async fn shown(chain: &Chain) -> Vec<u8> {
    let anybody = Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .build()
        .expect("a client");
    let answer = anybody
        .get(format!("{}/healthz", chain.url))
        .send()
        .await
        .expect("an answer");
    let info = answer.extensions().get::<TlsInfo>().expect("TLS");
    info.peer_certificate().expect("a certificate").to_vec()
}

async fn open(chain: &Chain) -> Shop {
    let balances = format!("barcode;qty\n{RING};50\n");
    chain.opened("S001", &balances).await
}

#[tokio::test]
async fn a_shop_sells_over_tls_and_the_website_reads_over_tls() {
    let chain = Chain::over_tls();
    assert!(chain.url.starts_with("https://"), "{}", chain.url);
    let shop = open(&chain).await;

    shop.sell("one", RING).await;
    chain.on_hand(RING, 49).await;

    let findings = shop.cli(&["doctor", "--json"]).json().to_string();
    assert!(
        findings.contains("localhost (Vitrina)") && findings.contains("good from"),
        "{findings}"
    );
    let stranger = Client::builder().no_proxy().build().expect("a client");
    let refused = stranger
        .get(format!("{}/healthz", chain.url))
        .send()
        .await
        .expect_err("an unknown issuer is refused");
    assert!(refused.is_connect(), "{refused:?}");
}

#[tokio::test]
async fn clients_of_tls_1_2_and_of_1_3_are_served() {
    let chain = Chain::over_tls();
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let only = client(&chain, |client| {
            client.tls_version_min(version).tls_version_max(version)
        });
        let answer = only
            .get(format!("{}/readyz", chain.url))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "{version:?}");
        assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let chain = Chain::over_tls();
    let shop = open(&chain).await;
    let first = shown(&chain).await;

    // A key that is not the certificate's: nothing changes, and the log says so.
    let key = std::fs::read(chain.path("key.pem")).expect("a key");
    let other = KeyPair::generate().expect("a key").serialize_pem();
    std::fs::write(chain.path("key.pem"), other).expect("a file");
    until("the broken pair to be noticed", || async {
        let said = logged(&chain.data());
        if said.contains("the new certificate is not used") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    assert_eq!(shown(&chain).await, first);
    shop.sell("beside a broken pair", RING).await;
    chain.on_hand(RING, 49).await;

    // Of the same key: the agents, which hold the first one, go on.
    std::fs::write(chain.path("key.pem"), key).expect("a file");
    chain.certify();
    until("the new certificate to be shown", || async {
        let now = shown(&chain).await;
        if now == first { Err(()) } else { Ok(()) }
    })
    .await;
    shop.sell("while connected", RING).await;
    chain.on_hand(RING, 48).await;
    shop.link.cut();
    shop.link.mend();
    shop.sell("after a new handshake", RING).await;
    chain.on_hand(RING, 47).await;
}

/// The hub comes back with another certificate: the agent says what is wrong with it, sends nothing, sells on, does not
/// knock in a tight loop, and brings everything once the certificate is right.
async fn shows(names: &[&str], years: [i32; 2], key: Option<KeyPair>, code: &str) -> String {
    let mut chain = Chain::over_tls();
    let shop = open(&chain).await;
    let ours = hubs_key(&chain);
    chain.stop_hub();
    write_certificate(&chain, names, years, key.as_ref().unwrap_or(&ours));
    chain.start_hub();
    let before = chain.last_exchange("S001");

    let said = shop.says_of_the_hub(code).await;
    shop.sell("while nobody is trusted", RING).await;
    let (dialled, since) = (shop.link.dialled(), Instant::now());
    until("three more calls", || async {
        let more = shop.link.dialled() - dialled;
        if more >= 3 { Ok(()) } else { Err(more) }
    })
    .await;
    assert!(since.elapsed() > LEAST_OF_THREE_WAITS);
    assert_eq!(chain.last_exchange("S001"), before, "nothing came");
    assert_eq!(shop.status().get("pending"), Some(&json!(1)));

    chain.stop_hub();
    write_certificate(&chain, &OURS, TODAY, &ours);
    chain.start_hub();
    chain.on_hand(RING, 49).await;
    said
}

#[tokio::test]
async fn an_expired_certificate_is_named_with_its_end_and_the_clock_and_the_shop_sells_on() {
    let said = shows(&OURS, [2019, 2020], None, "certificate_expired").await;
    assert!(
        said.contains("2020-01-01") && said.contains("the clock of this machine shows 20"),
        "{said}"
    );
}

#[tokio::test]
async fn a_certificate_of_the_future_is_named_with_its_beginning_and_the_clock() {
    let said = shows(&OURS, [2098, 2099], None, "certificate_not_yet_good").await;
    assert!(
        said.contains("2098-01-01") && said.contains("the clock of this machine shows 20"),
        "{said}"
    );
}

#[tokio::test]
async fn a_certificate_of_another_name_is_named_with_both_names() {
    let code = "certificate_of_another_name";
    let said = shows(&["hub.example"], TODAY, None, code).await;
    assert!(
        said.contains("hub.example") && said.contains("127.0.0.1"),
        "{said}"
    );
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_refused_with_the_cure() {
    let strange = KeyPair::generate().expect("a key");
    let code = "certificate_of_unknown_issuer";
    let said = shows(&OURS, TODAY, Some(strange), code).await;
    assert!(said.contains("--ca") && said.contains("doctor"), "{said}");
}

#[tokio::test]
async fn enrolment_trusts_the_given_certificate_alone_and_a_refused_one_costs_no_code() {
    let chain = Chain::over_tls();
    let code = chain.cli(&["shop", "add", "S002", "--name", "two", "--json"]);
    let code = code.ok().json()["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    let data = chain.path("S002");
    std::fs::create_dir(&data).expect("a folder");
    let enrol = |ca: Option<&Path>| {
        let mut args = vec!["enrol", "--hub", &chain.url, "--code", &code];
        args.extend(
            ca.iter()
                .flat_map(|ca| ["--ca", ca.to_str().expect("a path")]),
        );
        run("vitrina-agent", &data, &args)
    };

    let unknown = enrol(None);
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.stderr.contains("issued the certificate") && unknown.stderr.contains("--ca"),
        "{unknown:?}"
    );
    assert!(
        !unknown.stderr.contains("ERROR"),
        "a library says it too: {unknown:?}"
    );
    let no_certificate = enrol(Some(&chain.path("key.pem")));
    assert_eq!(no_certificate.code, 1);
    assert!(
        no_certificate.stderr.contains("BEGIN CERTIFICATE"),
        "{no_certificate:?}"
    );

    enrol(chain.ca.as_deref()).ok();
}

#[tokio::test]
async fn plain_http_at_a_tls_port_and_tls_at_a_plain_one_are_told_what_they_met() {
    let (secret, plain) = (Chain::over_tls(), Chain::start());
    let data = secret.path("S003");
    std::fs::create_dir(&data).expect("a folder");
    let code = "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-0";
    let enrol = |url: &str| {
        run(
            "vitrina-agent",
            &data,
            &["enrol", "--hub", url, "--code", code],
        )
    };

    let wrong = enrol(&secret.url.replace("https://", "http://"));
    assert!(
        wrong.stderr.contains("this port speaks https://"),
        "{wrong:?}"
    );
    assert_eq!(wrong.code, 1);

    let wrong = enrol(&plain.url.replace("http://", "https://"));
    assert!(wrong.stderr.contains("speaks no TLS"), "{wrong:?}");
    assert_eq!(wrong.code, 1);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_let_go_and_others_are_served_meanwhile() {
    let chain = Chain::over_tls();
    let address = chain.url.strip_prefix("https://").expect("TLS").to_owned();
    let slow = std::thread::spawn(move || {
        let started = Instant::now();
        let mut line = TcpStream::connect(address).expect("a line");
        line.set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a time-out");
        // The head of a handshake that announces 500 bytes, and two of them.
        line.write_all(&[0x16, 3, 1, 1, 0xf4, 1, 0]).expect("sent");
        let end = line.read_to_end(&mut Vec::new());
        (end, started.elapsed())
    });

    let answer = client(&chain, |client| client)
        .get(format!("{}/healthz", chain.url))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);

    let (end, took) = slow.join().expect("no panic");
    assert!(end.is_ok(), "{end:?}");
    assert!(took < Duration::from_secs(13), "{took:?}");
}

#[tokio::test]
async fn a_line_cut_in_the_handshake_or_before_the_answer_loses_nothing() {
    let chain = Chain::over_tls();
    let shop = open(&chain).await;

    let mut left = 50;
    for bytes in [0, 1, 90, 500, 1_000, 1_200] {
        shop.link.cut();
        shop.link.cut_each_after(bytes);
        shop.sell(&format!("cut after {bytes}"), RING).await;
        left -= 1;
        let said = shop.says_of_the_hub("hub_unreachable").await;
        assert!(!said.is_empty());
        shop.link.mend();
        chain.on_hand(RING, left).await;
        chain.level_with(&shop).await;
    }
    assert_eq!(shop.status()["pending"], json!(0));
}
