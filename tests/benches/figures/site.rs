//! A hub and one real agent, as a newcomer starts them, with a till and a website as clients.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use vitrina_tests::process::{Server, run};
use vitrina_tests::{Chain, Link};

use vitrina_tests::http::{Http, Reply};

/// The shop of all figures that have one.
const SHOP: &str = "S001";

/// A hub and the shop's agent.
pub(crate) struct Site {
    /// The agent's process.
    pub(crate) agent: Option<Server>,
    /// The line that can be cut, where there is one.
    pub(crate) link: Option<Link>,
    /// The agent's data folder.
    pub(crate) data: PathBuf,
    /// The hub, its keys and the folder for everything; dropped last.
    pub(crate) chain: Chain,
}

impl Site {
    /// A hub and an agent that dials it directly.
    pub(crate) fn direct() -> Self {
        let chain = Chain::start();
        let url = chain.url.clone();
        Self::enrolled(chain, &url, None)
    }

    /// A hub and an agent with a line between them that counts and can be cut.
    pub(crate) fn with_line() -> Self {
        let chain = Chain::start();
        let link = Link::to(&chain.url);
        let url = link.url.clone();
        Self::enrolled(chain, &url, Some(link))
    }

    fn enrolled(chain: Chain, url: &str, link: Option<Link>) -> Self {
        let added = chain.cli(&["shop", "add", SHOP, "--name", SHOP, "--json"]);
        let code = added.ok().json()["code"].as_str().unwrap().to_owned();
        let data = chain.path(SHOP);
        std::fs::create_dir(&data).unwrap();
        let enrol = ["enrol", "--hub", url, "--code", &code];
        run("vitrina-agent", &data, &enrol).ok();
        let mut site = Self {
            agent: None,
            link,
            data,
            chain,
        };
        site.start_agent();
        site
    }

    /// Starts the agent.
    pub(crate) fn start_agent(&mut self) {
        let listen = ["run", "--listen", "127.0.0.1:0"];
        self.agent = Some(Server::start("vitrina-agent", &self.data, &listen));
    }

    /// Stops the agent as an admin does.
    pub(crate) fn stop_agent(&mut self) {
        assert_eq!(self.agent.take().unwrap().stop(), 0);
    }

    /// The agent's process id.
    pub(crate) fn agent_id(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// A till of the shop.
    pub(crate) fn till(&self) -> Till {
        let token = std::fs::read_to_string(self.data.join("terminal.token")).unwrap();
        Till {
            http: Http::to(&self.agent.as_ref().unwrap().url),
            headers: format!(
                "Authorization: Bearer {}\r\nContent-Type: application/json\r\n",
                token.trim()
            ),
        }
    }

    /// A reader of the website's role.
    pub(crate) fn website(&self) -> Website {
        Website::of(&self.chain)
    }

    /// Opens the shop's books from a balances file of `(barcode, units)`, at a time before any sale of the bench.
    pub(crate) fn open(&self, stock: &[(String, i64)]) {
        let mut file = String::from("barcode;qty;at\n");
        for (barcode, units) in stock {
            writeln!(file, "{barcode};{units};2026-01-02 09:00:00").unwrap();
        }
        let path = self.chain.path("opening.csv");
        std::fs::write(&path, file).unwrap();
        // Figure 9 opens with millions of lines.
        self.take(&path, Duration::from_hours(1));
        self.level(Duration::from_hours(1));
    }

    /// Renames a whole file into the drop folder and waits until it is in `done/`; how long that took.
    pub(crate) fn take(&self, file: &Path, patience: Duration) -> Duration {
        let begun = self.drop_file(file);
        let name = file.file_name().unwrap().to_str().unwrap();
        while !self.is_done(name) {
            assert!(
                begun.elapsed() < patience,
                "{name} is not in done/: {:?}",
                self.till().status()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        begun.elapsed()
    }

    /// Renames a whole file into the drop folder.
    pub(crate) fn drop_file(&self, file: &Path) -> Instant {
        let drop = self.data.join("drop");
        std::fs::create_dir_all(&drop).unwrap();
        std::fs::rename(file, drop.join(file.file_name().unwrap())).unwrap();
        Instant::now()
    }

    /// Whether a dropped file is in `done/`.
    pub(crate) fn is_done(&self, name: &str) -> bool {
        let report = self
            .data
            .join("rejected")
            .join(format!("{name}.report.txt"));
        if let Ok(report) = std::fs::read_to_string(report) {
            panic!("{name} was rejected: {report}");
        }
        let days = std::fs::read_dir(self.data.join("done"));
        days.is_ok_and(|mut days| days.any(|day| day.unwrap().path().join(name).exists()))
    }

    /// Waits until the hub holds everything of the shop.
    pub(crate) fn level(&self, patience: Duration) {
        let mut till = self.till();
        let begun = Instant::now();
        while till.status()["pending"] != json!(0) {
            assert!(begun.elapsed() < patience, "{}", till.status());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A till: a client of the agent's local API.
pub(crate) struct Till {
    http: Http,
    headers: String,
}

impl Till {
    /// Sells one piece under an idempotency key; how long the answer took.
    pub(crate) fn sell(&mut self, key: &str, barcode: &str) -> Duration {
        let body = json!({"type": "sale", "barcode": barcode, "qty": 1, "price": "45900.00"});
        self.book(&format!("Idempotency-Key: {key}\r\n"), &body)
    }

    /// Books a movement with further header lines; how long the answer took.
    pub(crate) fn book(&mut self, headers: &str, body: &serde_json::Value) -> Duration {
        let headers = format!("{}{headers}", self.headers);
        let body = body.to_string();
        let begun = Instant::now();
        let reply = self
            .http
            .call("POST", "/v1/movements", &headers, body.as_bytes());
        let took = begun.elapsed();
        assert_eq!(reply.status, 201, "{}", reply.text());
        took
    }

    /// `GET /v1/status`.
    pub(crate) fn status(&mut self) -> serde_json::Value {
        self.http
            .call("GET", "/v1/status", &self.headers, b"")
            .json()
    }
}

/// A reader of the hub with the website's key.
pub(crate) struct Website {
    http: Http,
    headers: String,
}

impl Website {
    /// A reader of this hub.
    pub(crate) fn of(chain: &Chain) -> Self {
        Self {
            http: Http::to(&chain.url),
            headers: format!("Authorization: Bearer {}\r\n", chain.website),
        }
    }

    /// Any `GET`.
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.http.call("GET", path, &self.headers, b"")
    }

    /// What the website says of a barcode over all shops; `None` where it does not know it.
    pub(crate) fn on_hand(&mut self, barcode: &str) -> Option<i64> {
        let reply = self.get(&format!("/v1/stock/{barcode}"));
        (reply.status == 200)
            .then(|| reply.json()["on_hand"].as_i64())
            .flatten()
    }

    /// Looks again and again until the website says so many units; when it did.
    pub(crate) fn until(&mut self, barcode: &str, on_hand: i64, pause: Duration) -> Instant {
        let begun = Instant::now();
        while self.on_hand(barcode) != Some(on_hand) {
            assert!(
                begun.elapsed() < Duration::from_mins(2),
                "{barcode}: {:?} instead of {on_hand}",
                self.on_hand(barcode)
            );
            std::thread::sleep(pause);
        }
        Instant::now()
    }

    /// Every level of the snapshot: (barcode, shop, on hand).
    pub(crate) fn snapshot(&mut self) -> Vec<(String, String, i64)> {
        let headers = format!("{}Accept: application/x-ndjson\r\n", self.headers);
        let reply = self.http.call("GET", "/v1/snapshot", &headers, b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let row = |line: &str| {
            let level: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| level[name].as_str().unwrap().to_owned();
            (
                text("barcode"),
                text("shop"),
                level["on_hand"].as_i64().unwrap(),
            )
        };
        reply.text().lines().map(row).collect()
    }
}
