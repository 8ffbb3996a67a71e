//! A client of HTTP/1.1 on one kept connection that counts every byte: so small that what is measured is the server.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Nothing here takes longer; a bench that hangs must end.
const PATIENCE: Duration = Duration::from_mins(2);

/// A connection to one server.
#[derive(Debug)]
pub struct Http {
    address: String,
    /// The address of this machine that it comes from, where that matters.
    from: Option<SocketAddr>,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How often it had to connect anew, because the server had closed.
    pub reconnected: u32,
    /// Bytes sent so far, heads and bodies.
    pub sent: u64,
    /// Bytes received so far.
    pub received: u64,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The head as it came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        let is_named = |line: &&str| {
            line.split_once(':')
                .is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
        };
        self.head
            .lines()
            .find(is_named)
            .and_then(|line| line.split_once(':'))
            .map_or("", |(_, value)| value.trim())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Http {
    /// Connects to `http://HOST:PORT`.
    pub fn to(url: &str) -> Self {
        Self::open(url, None)
    }

    /// The same from another loopback address, such as `127.0.0.2`: another caller to whoever counts by addresses.
    pub fn from(address: &str, url: &str) -> Self {
        Self::open(url, Some(format!("{address}:0").parse().unwrap()))
    }

    fn open(url: &str, from: Option<SocketAddr>) -> Self {
        let address = url.strip_prefix("http://").unwrap().to_owned();
        Self {
            stream: connect(&address, from),
            address,
            from,
            buffer: Vec::with_capacity(1 << 16),
            reconnected: 0,
            sent: 0,
            received: 0,
        }
    }

    /// Sends a request and reads its answer. `headers` are whole lines; the length is added.
    pub fn call(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        request.push_str(headers);
        if method != "GET" {
            write!(request, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        // A server may have closed a connection that was silent for long.
        if let Some(reply) = self.exchange(&bytes) {
            return reply;
        }
        self.stream = connect(&self.address, self.from);
        self.reconnected += 1;
        self.exchange(&bytes).expect("the server answers")
    }

    fn exchange(&mut self, request: &[u8]) -> Option<Reply> {
        self.stream.write_all(request).ok()?;
        self.sent += request.len() as u64;
        self.buffer.clear();
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: Vec::new(),
        };
        self.buffer.drain(..end);
        if reply.header("transfer-encoding").contains("chunked") {
            reply.body = self.chunks()?;
        } else if status != 304 && status != 204 {
            let length: usize = reply.header("content-length").parse().unwrap_or(0);
            while self.buffer.len() < length {
                self.fill()?;
            }
            reply.body = self.buffer.drain(..length).collect();
        }
        Some(reply)
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = find(&self.buffer, b"\r\n") {
                    break at;
                }
                self.fill()?;
            };
            let text = String::from_utf8_lossy(&self.buffer[..line]).into_owned();
            let length = usize::from_str_radix(text.trim(), 16).unwrap();
            while self.buffer.len() < line + 2 + length + 2 {
                self.fill()?;
            }
            body.extend_from_slice(&self.buffer[line + 2..line + 2 + length]);
            self.buffer.drain(..line + 2 + length + 2);
            if length == 0 {
                return Some(body);
            }
        }
    }

    fn fill(&mut self) -> Option<()> {
        let mut block = [0; 1 << 14];
        let count = self.stream.read(&mut block).ok()?;
        self.received += count as u64;
        self.buffer.extend_from_slice(&block[..count]);
        (count > 0).then_some(())
    }
}

/// A plain connection, from one of this machine's addresses where that matters.
pub fn connect(address: &str, from: Option<SocketAddr>) -> TcpStream {
    let stream = match from {
        None => TcpStream::connect(address).unwrap(),
        Some(from) => connect_from(from, address.parse().unwrap()),
    };
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The standard library connects from any address; tokio's sockets can be told.
fn connect_from(from: SocketAddr, to: SocketAddr) -> TcpStream {
    let connecting = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(from).unwrap();
            socket.connect(to).await.unwrap().into_std().unwrap()
        })
    };
    // A thread of its own: a test's runtime may be around us.
    let stream = std::thread::spawn(connecting).join().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
