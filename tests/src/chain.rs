//! A small chain: one hub and its shops, in a throw-away folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::files::copy_folder;
use crate::process::{Ended, Server, run};
use crate::{Link, until};

/// A hub, its keys and a folder for everything.
#[derive(Debug)]
pub struct Chain {
    folder: TempDir,
    /// The hub's process; taken away by tests that stop it.
    pub hub: Option<Server>,
    /// Where it listens, also after a restart.
    pub url: String,
    /// A key of the website's role.
    pub website: String,
    /// A key of the office's role.
    pub office: String,
    /// A key of the admin's role.
    pub admin: String,
    /// The certificate that agents and the website are given, where the hub speaks TLS.
    pub ca: Option<PathBuf>,
    /// What the hub is started with beside its address.
    pub serve: Vec<String>,
    http: Client,
}

/// One shop with its agent.
#[derive(Debug)]
pub struct Shop {
    /// Its id.
    pub id: String,
    /// The agent's data folder.
    pub data: PathBuf,
    /// The agent's process; taken away by tests that stop it.
    pub agent: Option<Server>,
    /// Its line to the hub.
    pub link: Link,
    http: Client,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as JSON; null where it is none.
    pub body: Value,
}

impl Chain {
    /// Starts a hub with a key of each role.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same with a `hub.toml`.
    pub fn start_with(settings: &str) -> Self {
        Self::start_on(|data| {
            std::fs::create_dir(data).unwrap();
            std::fs::write(data.join("hub.toml"), settings).unwrap();
        })
    }

    /// The same on a data folder that `make` makes.
    pub fn start_on(make: impl FnOnce(&Path)) -> Self {
        let mut chain = Self::prepared(make);
        chain.start_hub();
        chain
    }

    /// The same, with a certificate of its own for `localhost` and 127.0.0.1.
    pub fn over_tls() -> Self {
        let mut chain = Self::prepared(|data| std::fs::create_dir(data).unwrap());
        let (cert, key) = (chain.path("cert.pem"), chain.path("key.pem"));
        chain.certify();
        chain.serve = vec![
            "--tls-cert".to_owned(),
            cert.to_str().unwrap().to_owned(),
            "--tls-key".to_owned(),
            key.to_str().unwrap().to_owned(),
        ];
        chain.ca = Some(cert);
        chain.start_hub();
        chain
    }

    /// Makes the hub's certificate, or renews it with the same key.
    pub fn certify(&self) {
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
        self.cli(&[
            "cert",
            "--name",
            "localhost",
            "--name",
            "127.0.0.1",
            "--out-cert",
            cert,
            "--out-key",
            key,
        ])
        .ok();
    }

    /// Keys of each role, and no hub yet.
    fn prepared(make: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("hub");
        make(&data);
        // A name is used once, by a key that the folder brings too.
        let again = if data.join("hub.sqlite3").exists() {
            "-again"
        } else {
            ""
        };
        let mut chain = Self {
            folder,
            hub: None,
            url: String::new(),
            website: String::new(),
            office: String::new(),
            admin: String::new(),
            ca: None,
            serve: Vec::new(),
            http: client(None),
        };
        for (role, place) in [("website", 0), ("office", 1), ("admin", 2)] {
            let name = format!("{role}{again}");
            let key = chain
                .cli(&["key", "add", "--role", role, "--name", &name, "--json"])
                .ok()
                .json();
            let key = key["key"].as_str().unwrap().to_owned();
            *[&mut chain.website, &mut chain.office, &mut chain.admin][place] = key;
        }
        chain
    }

    /// The hub's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("hub")
    }

    /// A path in the chain's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the hub, at its former address where it had one.
    pub fn start_hub(&mut self) {
        let listen = self
            .url
            .split_once("://")
            .map_or("127.0.0.1:0", |(_, address)| address);
        let mut args = vec!["serve", "--listen", listen];
        args.extend(self.serve.iter().map(String::as_str));
        let hub = Server::start("vitrina-hub", &self.data(), &args);
        self.take_over(hub);
    }

    /// Goes on with a hub that a test started itself, without the connections to the one before.
    pub fn take_over(&mut self, hub: Server) {
        self.url.clone_from(&hub.url);
        self.hub = Some(hub);
        self.http = client(self.ca.as_deref());
    }

    /// Ends the hub as a power cut does.
    pub fn kill_hub(&mut self) {
        self.hub.take().unwrap().kill();
    }

    /// Stops the hub as an admin does.
    pub fn stop_hub(&mut self) {
        assert_eq!(self.hub.take().unwrap().stop(), 0, "a clean stop exits 0");
    }

    /// A command of the hub.
    pub fn cli(&self, args: &[&str]) -> Ended {
        run("vitrina-hub", &self.data(), args)
    }

    /// When the hub last heard of a shop.
    pub fn last_exchange(&self, id: &str) -> Value {
        let lags = self.cli(&["lag", "--json"]).ok().json();
        let shops = lags["items"].as_array().unwrap();
        let shop = shops.iter().find(|shop| shop["shop"] == json!(id)).unwrap();
        shop["last_exchange_at"].clone()
    }

    /// Adds a shop, enrols its agent and starts it.
    pub fn shop(&self, id: &str, settings: &[&str]) -> Shop {
        let mut shop = self.enrolled(id, settings);
        shop.start();
        shop
    }

    /// The same, opened from a balances file that the hub has too.
    pub async fn opened(&self, id: &str, balances: &str) -> Shop {
        let shop = self.shop(id, &[]);
        shop.open(self, balances).await;
        shop
    }

    /// `verify` finds nothing wrong at the hub and at these shops.
    pub fn balances_with<'s>(&self, shops: impl IntoIterator<Item = &'s Shop>) {
        self.cli(&["verify"]).ok();
        for shop in shops {
            shop.cli(&["verify"]).ok();
        }
    }

    /// A shop whose agent's folder is a copy of `folder`, which the hub knows. It is not started.
    pub fn shop_of(&self, id: &str, folder: &Path) -> Shop {
        let shop = self.unborn(id);
        copy_folder(folder, &shop.data);
        std::fs::write(
            shop.data.join("agent.toml"),
            format!("hub = \"{}\"\n", shop.link.url),
        )
        .unwrap();
        shop
    }

    /// A shop whose folder a test makes itself, and which no agent runs for.
    pub fn unborn(&self, id: &str) -> Shop {
        Shop {
            id: id.to_owned(),
            data: self.path(id),
            agent: None,
            link: Link::to(&self.url),
            http: client(None),
        }
    }

    /// Adds a shop and enrols its agent.
    pub fn enrolled(&self, id: &str, settings: &[&str]) -> Shop {
        let mut args = vec!["shop", "add", id, "--name", id, "--json"];
        args.extend_from_slice(settings);
        let code = self.cli(&args).ok().json()["code"]
            .as_str()
            .unwrap()
            .to_owned();
        let shop = self.unborn(id);
        std::fs::create_dir(&shop.data).unwrap();
        let mut args = vec!["enrol", "--hub", &shop.link.url, "--code", &code];
        if let Some(ca) = &self.ca {
            args.extend(["--ca", ca.to_str().unwrap()]);
        }
        shop.cli(&args).ok();
        shop
    }

    /// Adds so many shops at once, `S0001` and on; their one-time codes.
    pub fn add_shops(&self, count: usize) -> Vec<(String, String)> {
        let mut list = String::from("shop;name\n");
        for number in 1..=count {
            writeln!(list, "S{number:04};Shop {number}").unwrap();
        }
        let (shops, codes) = (self.path("shops.csv"), self.path("codes.csv"));
        std::fs::write(&shops, list).unwrap();
        let (from, out) = (shops.display().to_string(), codes.display().to_string());
        self.cli(&["shop", "add", "--from", &from, "--out", &out])
            .ok();
        read_codes(&std::fs::read_to_string(codes).unwrap())
    }

    /// `GET` with the website's key.
    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, &self.website, None, &[]).await
    }

    /// `GET` with the office's key.
    pub async fn office(&self, path: &str) -> Reply {
        self.call(Method::GET, path, &self.office, None, &[]).await
    }

    /// Any call with any key.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        if let Some(body) = body {
            request = request.json(body);
        }
        Reply::of(request.send().await.unwrap()).await
    }

    /// Waits until the website says `on_hand` of a barcode over all shops, and gives the item.
    pub async fn on_hand(&self, barcode: &str, on_hand: i64) -> Value {
        until(&format!("{on_hand} on hand of {barcode}"), || async {
            let reply = self.get(&format!("/v1/stock/{barcode}")).await;
            if reply.body["on_hand"] == json!(on_hand) {
                Ok(reply.body)
            } else {
                Err(reply)
            }
        })
        .await
    }

    /// Waits until the hub holds everything of a shop.
    pub async fn level_with(&self, shop: &Shop) {
        until(&format!("{} to be level with the hub", shop.id), || async {
            let status = shop.status();
            if status["pending"] == json!(0) {
                Ok(())
            } else {
                Err(status)
            }
        })
        .await;
    }
}

impl Shop {
    /// Starts the agent.
    pub fn start(&mut self) {
        self.agent = Some(Server::start(
            "vitrina-agent",
            &self.data,
            &["run", "--listen", "127.0.0.1:0"],
        ));
    }

    /// Ends the agent as a power cut does.
    pub fn kill(&mut self) {
        self.agent.take().unwrap().kill();
    }

    /// Stops the agent as an admin does.
    pub fn stop(&mut self) {
        assert_eq!(self.agent.take().unwrap().stop(), 0, "a clean stop exits 0");
    }

    /// A command of the agent.
    pub fn cli(&self, args: &[&str]) -> Ended {
        run("vitrina-agent", &self.data, args)
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        let mut args = vec!["status"];
        args.push("--json");
        self.cli(&args).ok().json()
    }

    /// Waits until the agent says by this word why it does not speak to the hub, and gives it in its sentences.
    pub async fn says_of_the_hub(&self, code: &str) -> String {
        until(&format!("the agent to say {code}"), || async {
            let hub = self.status()["hub"].clone();
            let said = |name: &str| hub[name].as_str().unwrap_or_default();
            if said("code") == code {
                Ok(said("detail").to_owned())
            } else {
                Err(hub)
            }
        })
        .await
    }

    /// Writes a file beside the drop folder and renames it in, as a careful POS does.
    pub fn drop_file(&self, name: &str, content: impl AsRef<[u8]>) {
        let drop = self.data.join("drop");
        std::fs::create_dir_all(&drop).unwrap();
        let hidden = self.data.join(format!("{name}.writing"));
        std::fs::write(&hidden, content).unwrap();
        std::fs::rename(hidden, drop.join(name)).unwrap();
    }

    /// Waits until a dropped file is in `done/` or `rejected/`, and gives its path.
    pub async fn taken(&self, name: &str) -> PathBuf {
        until(&format!("{name} to be taken"), || async {
            find(&self.data.join("done"), name)
                .or_else(|| find(&self.data.join("rejected"), name))
                .ok_or_else(|| self.status())
        })
        .await
    }

    /// Drops a file of which some lines may be bad, and waits until it is taken.
    pub async fn drop_and_wait(&self, name: &str, content: impl AsRef<[u8]>) {
        self.drop_file(name, content);
        self.taken(name).await;
    }

    /// Drops a file and waits until it is taken; it must be in `done/`.
    pub async fn import(&self, name: &str, content: impl AsRef<[u8]>) {
        self.drop_file(name, content);
        let path = self.taken(name).await;
        assert!(
            path.starts_with(self.data.join("done")),
            "{} was rejected",
            path.display()
        );
    }

    /// Opens the shop from a balances file and waits until the hub has it.
    pub async fn open(&self, chain: &Chain, balances: &str) {
        self.import("opening.csv", balances).await;
        chain.level_with(self).await;
    }

    /// A call of the local API with the first terminal's token.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let token = std::fs::read_to_string(self.data.join("terminal.token")).unwrap();
        let url = &self.agent.as_ref().unwrap().url;
        let mut request = self
            .http
            .request(method, format!("{url}{path}"))
            .bearer_auth(token.trim());
        request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        if let Some(body) = body {
            request = request.json(body);
        }
        Reply::of(request.send().await.unwrap()).await
    }

    /// `POST /v1/movements` under an idempotency key.
    pub async fn book(&self, key: &str, body: Value) -> Reply {
        self.call(
            Method::POST,
            "/v1/movements",
            Some(&body),
            &[("idempotency-key", key)],
        )
        .await
    }

    /// Sells one piece; the till is told 201.
    pub async fn sell(&self, key: &str, barcode: &str) -> Value {
        let reply = self
            .book(key, json!({"type": "sale", "barcode": barcode, "qty": 1}))
            .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        reply.body
    }
}

impl Reply {
    async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        Self {
            status,
            headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    /// A header's text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }

    /// The items of a list.
    pub fn items(&self) -> Vec<Value> {
        let items = self.body["items"].as_array();
        items.unwrap_or_else(|| panic!("no list: {self:?}")).clone()
    }

    /// The problem's code.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}

/// A client that trusts this certificate alone, where there is one.
pub fn client(ca: Option<&Path>) -> Client {
    // No system proxy: everything here is on this machine.
    let client = Client::builder().no_proxy();
    let client = match ca {
        Some(ca) => client
            .tls_certs_only(Certificate::from_pem_bundle(&std::fs::read(ca).unwrap()).unwrap()),
        None => client,
    };
    client.build().unwrap()
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == name {
                return Some(entry.path());
            }
        }
    }
    None
}

fn read_codes(text: &str) -> Vec<(String, String)> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let head = lines.next().expect("a header");
    let mark = if head.contains(';') { ';' } else { ',' };
    let place = |name: &str| head.split(mark).position(|column| column.trim() == name);
    let (shop, code) = (place("shop").unwrap(), place("code").unwrap());
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(mark).collect();
            (cells[shop].trim().to_owned(), cells[code].trim().to_owned())
        })
        .collect()
}
