//! A real browser, driven over WebDriver: what a person sees and presses, and no more.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Shop, chain, until};

/// The member of an answer that holds an element's name.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// So long a browser may take to end.
const FAREWELL: Duration = Duration::from_secs(10);
/// The key Enter.
const ENTER: &str = "\u{E007}";
/// The key Tab.
const TAB: &str = "\u{E004}";

/// What keeps a browser to this machine and to one task. (No sandbox: tests may run as root, and every page is our own.)
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
];

/// A code for the page, of the till `name`.
pub fn pairing_code(shop: &Shop, name: &str) -> String {
    let added = shop.cli(&["terminal", "add", name, "--json"]).ok().json();
    added["code"].as_str().unwrap().to_owned()
}

/// The page of a shop's agent, signed in with a code; nothing where there is no browser.
pub async fn signed_in(shop: &Shop) -> Option<Browser> {
    let browser = Browser::open().await?;
    browser.go(&shop.agent.as_ref().unwrap().url).await;
    browser.sees("#sign-in", "code").await;
    let code = pairing_code(shop, "till-1");
    browser.type_into("#pairing", &code).await;
    browser.enter().await;
    browser.sees("#word", "All is well").await;
    Some(browser)
}

/// One browser with one window, and a profile of its own. Ended when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    session: String,
    http: Client,
    profile: TempDir,
}

impl Browser {
    /// Starts one; a line on stderr where there is none on this machine.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub async fn open() -> Option<Self> {
        let Some(program) = program("chromedriver") else {
            eprintln!(
                "skipped: no chromedriver on this machine (Debian: apt-get install chromium chromium-driver)"
            );
            return None;
        };
        let mut driver = Command::new(program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let port = line.rsplit_once("started successfully on port ")?.1;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver names its port");
        std::thread::spawn(move || lines.for_each(drop));
        let profile = TempDir::new().unwrap();
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            http: chain::client(None),
            profile,
        };
        let mut args: Vec<String> = FLAGS.map(str::to_owned).into();
        args.push(format!(
            "--user-data-dir={}",
            browser.profile.path().display()
        ));
        let wanted =
            json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}});
        let made = browser.ask(Method::POST, "", Some(&wanted)).await.unwrap();
        let id = made["sessionId"].as_str().unwrap();
        browser.session = format!("{}/{id}", browser.session);
        browser.size(1024, 768).await;
        Some(browser)
    }

    /// Ends the browser. Without the client: that one needs a runtime, which may be gone.
    fn close(&self) -> std::io::Result<usize> {
        let rest = self.session.trim_start_matches("http://");
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut line = TcpStream::connect(address)?;
        line.set_read_timeout(Some(FAREWELL))?;
        let head =
            format!("DELETE /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        line.write_all(head.as_bytes())?;
        line.read_to_string(&mut String::new())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let is_good = answer.status().is_success();
        let mut body: Value = answer.json().await.unwrap();
        let value = body["value"].take();
        if is_good { Ok(value) } else { Err(value) }
    }

    async fn tell(&self, path: &str, body: Value) -> Value {
        let told = self.ask(Method::POST, path, Some(&body)).await;
        told.unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    /// Opens a page.
    pub async fn go(&self, url: &str) {
        self.tell("/url", json!({"url": url})).await;
    }

    /// Loads the page anew.
    pub async fn reload(&self) {
        self.tell("/refresh", json!({})).await;
    }

    /// The window's inner size, in CSS pixels; narrower than a real window may be.
    pub async fn size(&self, width: u32, height: u32) {
        let params =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": params});
        self.tell("/goog/cdp/execute", command).await;
    }

    /// Runs a script in the page: for what a person perceives and WebDriver does not say. What it returns is awaited.
    pub async fn script(&self, script: &str, args: Value) -> Value {
        self.tell("/execute/sync", json!({"script": script, "args": args}))
            .await
    }

    /// The text that can be seen in the first element of a selector; empty where there is none.
    pub async fn text(&self, selector: &str) -> String {
        // Of what is hidden the browser gives the text as well.
        let read = "const found = document.querySelector(arguments[0]);
            return found?.checkVisibility() ? found.innerText : ''";
        let text = self.script(read, json!([selector])).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// How many elements of a selector are there to be seen.
    pub async fn count(&self, selector: &str) -> u64 {
        let read = "return [...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility()).length";
        self.script(read, json!([selector])).await.as_u64().unwrap()
    }

    /// Waits until a text can be seen in an element, and gives all of its text.
    pub async fn sees(&self, selector: &str, text: &str) -> String {
        until(&format!("{text:?} in {selector}"), || async {
            let found = self.text(selector).await;
            if found.contains(text) {
                Ok(found)
            } else {
                Err((found, self.text("body").await))
            }
        })
        .await
    }

    /// Waits until so many elements can be seen.
    pub async fn counts(&self, selector: &str, count: u64) {
        until(&format!("{count} of {selector}"), || async {
            let found = self.count(selector).await;
            if found == count {
                Ok(())
            } else {
                Err((found, self.text("body").await))
            }
        })
        .await;
    }

    /// Presses a button, as a finger does; waits until it is there.
    pub async fn press(&self, selector: &str) {
        until(&format!("to press {selector}"), || async {
            let element = self.element(selector).await?;
            let path = format!("/element/{element}/click");
            self.ask(Method::POST, &path, Some(&json!({}))).await
        })
        .await;
    }

    /// Types into a field, behind what is there.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector).await.unwrap();
        self.tell(&format!("/element/{element}/value"), json!({"text": text}))
            .await;
    }

    async fn element(&self, selector: &str) -> Result<String, Value> {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.ask(Method::POST, "/element", Some(&wanted)).await?;
        Ok(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Keys, one after the other, to whatever has the focus.
    pub async fn keys(&self, text: &str) {
        let keys = text.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|what| json!({"type": what, "value": key.to_string()}))
        });
        let keys: Vec<Value> = keys.collect();
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]});
        self.tell("/actions", actions).await;
    }

    /// What a scanner does: a code, and Enter.
    pub async fn scan(&self, code: &str) {
        self.keys(&format!("{code}{ENTER}")).await;
    }

    /// The key Enter.
    pub async fn enter(&self) {
        self.keys(ENTER).await;
    }

    /// The key Tab, until an element of the selector has the focus.
    pub async fn tab_to(&self, selector: &str) {
        let is_there = "return document.activeElement.matches(arguments[0])";
        for _ in 0..40 {
            if self.script(is_there, json!([selector])).await == json!(true) {
                return;
            }
            self.keys(TAB).await;
        }
        panic!("no key leads to {selector}");
    }

    /// A picture of the window, into the folder of `VITRINA_SHOTS`, where that is set.
    pub async fn shot(&self, name: &str) {
        let Some(folder) = std::env::var_os("VITRINA_SHOTS").map(PathBuf::from) else {
            return;
        };
        let picture = self.ask(Method::GET, "/screenshot", None).await.unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        let picture = bytes_of(picture.as_str().unwrap());
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver that is killed leaves its browser behind.
        let _ = self.close();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What base64 stands for.
fn bytes_of(text: &str) -> Vec<u8> {
    let six_bits = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for six in text.bytes().filter_map(six_bits) {
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    bytes
}

/// A program of this machine.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program: &PathBuf| Path::is_file(program))
}
