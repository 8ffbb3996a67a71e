//! Plain sockets, for callers who do not keep to HTTP, or not to its pace.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::http::connect;
use crate::{Chain, Shop};

/// Times that no test waits for in vain, and no caller of a test either.
pub const SHORT: &str = "[limits]\nhead = \"300ms\"\nbody = \"300ms\"\nwrite = \"300ms\"\n";
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A hub or an agent, and what a caller of it needs.
#[derive(Clone, Debug)]
pub struct Door {
    /// Its address.
    pub url: String,
    /// The website's key, or a terminal's token.
    pub secret: String,
    /// A path that reads.
    pub read: &'static str,
    /// A path that takes a body.
    pub write: &'static str,
    /// Its process.
    pub process: u32,
}

impl Door {
    /// The hub's.
    pub fn of_hub(chain: &Chain) -> Self {
        Self {
            url: chain.url.clone(),
            secret: chain.website.clone(),
            read: "/v1/locations",
            write: "/v1/stock/batch",
            process: chain.hub.as_ref().unwrap().id(),
        }
    }

    /// An agent's.
    pub fn of_agent(shop: &Shop) -> Self {
        let agent = shop.agent.as_ref().unwrap();
        Self {
            url: agent.url.clone(),
            secret: token(shop),
            read: "/v1/status",
            write: "/v1/movements",
            process: agent.id(),
        }
    }

    /// A connection that waits for nothing longer than any of this takes.
    pub fn line(&self) -> TcpStream {
        let line = connect(self.url.strip_prefix("http://").unwrap(), None);
        line.set_read_timeout(Some(PATIENCE)).unwrap();
        line.set_write_timeout(Some(PATIENCE)).unwrap();
        line
    }

    /// The same from another address of this machine.
    pub fn line_from(&self, address: &str) -> TcpStream {
        let from = format!("{address}:0").parse().unwrap();
        connect(self.url.strip_prefix("http://").unwrap(), Some(from))
    }

    /// Sends bytes and gives all that comes back until the line is closed.
    pub fn told(&self, bytes: &[u8]) -> String {
        let mut line = self.line();
        line.write_all(bytes).unwrap();
        until_closed(&mut line)
    }

    /// A whole call that reads.
    pub fn get(&self, path: &str) -> String {
        let secret = &self.secret;
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n\r\n")
    }

    /// A head that announces a body; `more` are header lines, each with its end.
    pub fn post(&self, more: &str) -> String {
        head(self.write, &self.secret, more)
    }

    /// Sends bytes as long as they are taken, at most so many times; how often they were.
    pub fn pour(&self, begin: &[u8], piece: &[u8], most: usize) -> usize {
        let mut line = self.line();
        line.write_all(begin).unwrap();
        (0..most)
            .take_while(|_| line.write_all(piece).is_ok())
            .count()
    }
}

/// The first terminal's token.
pub fn token(shop: &Shop) -> String {
    let token = std::fs::read_to_string(shop.data.join("terminal.token")).unwrap();
    token.trim().to_owned()
}

/// A head that announces a body of JSON.
pub fn head(path: &str, secret: &str, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n{more}\r\n"
    )
}

/// Everything that comes until the other side closes; a closed line that still holds what we sent is reset.
pub fn until_closed(line: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        match line.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("it is not closed: {error}; so far {all:?}"),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The status of an answer as it came.
pub fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}
