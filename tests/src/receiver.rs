//! A receiver of webhooks on this machine, which checks every signature by itself and can fail in every way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::until;

/// One call that came.
#[derive(Clone, Debug)]
pub struct Got {
    /// The message's name.
    pub id: String,
    /// When it was sent, by its header.
    pub timestamp: i64,
    /// The signature as its header has it.
    pub signature: String,
    /// The body as it came.
    pub body: String,
    /// What it was answered; 0: nothing.
    pub answered: u16,
}

impl Got {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What happened.
    pub fn what(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// Fails where the signature is not that of the secret, by the Standard Webhooks convention.
    pub fn must_be_signed_by(&self, secret: &str) {
        let key = secret.strip_prefix("whsec_").expect("a secret");
        let key = STANDARD.decode(key).expect("base64");
        assert!((24..=64).contains(&key.len()), "{} bytes", key.len());
        let message = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        let own = format!("v1,{}", STANDARD.encode(hmac(&key, message.as_bytes())));
        assert!(
            self.signature.split(' ').any(|given| given == own),
            "{self:?}"
        );
        let now_s = vitrina_host::clock::now_ms() / 1_000;
        assert!(now_s.abs_diff(self.timestamp) < 300, "{self:?}");
    }
}

/// HMAC-SHA256 (RFC 2104), by hand: the product's own is not asked about itself.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message);
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner.finalize());
    outer.finalize().into()
}

/// How calls are answered.
#[derive(Debug, Default)]
struct Manners {
    /// The next answers; then 200.
    next: VecDeque<u16>,
    /// Nobody is answered at all.
    is_mute: bool,
    /// Nobody is answered yet.
    holds_back: bool,
}

impl Manners {
    /// The next answer; 0: none.
    fn answer(&mut self) -> u16 {
        if self.is_mute {
            return 0;
        }
        self.next.pop_front().unwrap_or(200)
    }
}

/// A socket at an address, of which there may be several; whoever calls there reaches the one that listens, or nobody.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// The receiver.
#[derive(Debug)]
pub struct Receiver {
    /// Where it is.
    pub url: String,
    /// Keeps the address while nobody listens there: else another test's call gets it.
    place: TcpSocket,
    got: Arc<Mutex<Vec<Got>>>,
    manners: Arc<Mutex<Manners>>,
    task: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts one.
    pub fn start() -> Self {
        let place = bound("127.0.0.1:0".parse().unwrap());
        let address = place.local_addr().unwrap();
        let mut receiver = Self {
            url: format!("http://{address}/services/T0/B0"),
            place,
            got: Arc::default(),
            manners: Arc::default(),
            task: None,
        };
        receiver.start_again();
        receiver
    }

    fn serve(&mut self, listener: TcpListener) {
        let (got, manners) = (Arc::clone(&self.got), Arc::clone(&self.manners));
        self.task = Some(tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (got, manners) = (Arc::clone(&got), Arc::clone(&manners));
                tokio::spawn(answer(stream, got, manners));
            }
        }));
    }

    /// Nobody listens any more.
    pub async fn stop(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
    }

    /// Listens again, at the same address.
    pub fn start_again(&mut self) {
        let address = self.place.local_addr().unwrap();
        self.serve(bound(address).listen(64).unwrap());
    }

    /// The next calls are answered so, in this order.
    pub fn answers(&self, statuses: &[u16]) {
        self.manners.lock().unwrap().next.extend(statuses);
    }

    /// Whether calls are taken and never answered.
    pub fn is_mute(&self, is_mute: bool) {
        self.manners.lock().unwrap().is_mute = is_mute;
    }

    /// Whether calls are taken and answered only when this is over.
    pub fn holds_back(&self, holds_back: bool) {
        self.manners.lock().unwrap().holds_back = holds_back;
    }

    /// Every call so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The calls that were answered with 200.
    pub fn taken(&self) -> Vec<Got> {
        let mut got = self.got();
        got.retain(|got| got.answered == 200);
        got
    }

    /// Waits until so many were taken, and gives all of them.
    pub async fn has_taken(&self, count: usize) -> Vec<Got> {
        until(&format!("{count} webhooks to be taken"), || async {
            let taken = self.taken();
            if taken.len() >= count {
                Ok(taken)
            } else {
                Err(self.got())
            }
        })
        .await
    }
}

async fn answer(mut stream: TcpStream, got: Arc<Mutex<Vec<Got>>>, manners: Arc<Mutex<Manners>>) {
    let Some((head, body)) = read(&mut stream).await else {
        return;
    };
    let header = |name: &str| {
        let is_it = |line: &&str| {
            line.split_once(':')
                .is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
        };
        let line = head.lines().find(is_it).unwrap_or_default();
        line.split_once(':')
            .map_or("", |(_, value)| value.trim())
            .to_owned()
    };
    let place = {
        let mut got = got.lock().unwrap();
        got.push(Got {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp").parse().unwrap_or(0),
            signature: header("webhook-signature"),
            body,
            answered: 0,
        });
        got.len() - 1
    };
    while manners.lock().unwrap().holds_back {
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let answered = manners.lock().unwrap().answer();
    got.lock().unwrap()[place].answered = answered;
    if answered == 0 {
        tokio::time::sleep(Duration::from_mins(1)).await;
        return;
    }
    let moved = if (300..400).contains(&answered) {
        "Location: http://127.0.0.1:1/elsewhere\r\n"
    } else {
        ""
    };
    let reply = format!(
        "HTTP/1.1 {answered} Whatever\r\n{moved}Content-Length: 2\r\nConnection: close\r\n\r\nok"
    );
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            });
            let length: usize = length.unwrap_or(0);
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut some = [0; 4096];
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&some[..count]),
        }
    }
}
