//! The command's side: plain HTTP/1.0 over a loopback socket, without a runtime.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::frames::Frame;
use super::{Address, ControlError, ControlRequest, PATIENCE};
use crate::output::{Exit, Out};

/// The server sends a sign of life every few seconds while a command runs.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// A longer head is none of ours.
const HEAD_MAX_BYTES: u64 = 16 * 1024;

/// The way to a server that runs on the same data folder.
pub struct ControlClient {
    address: Address,
}

impl fmt::Debug for ControlClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlClient({})", self.address.addr)
    }
}

impl ControlClient {
    pub(super) fn new(address: Address) -> Self {
        Self { address }
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.address.pid
    }

    /// Whether it answers now.
    pub(super) fn answers(&self, within: Duration) -> bool {
        matches!(self.send("GET", "/v1/alive", b"", within), Ok((status, _)) if is_ok(&status))
    }

    /// Has the command run, and prints on `out` what it prints, as it comes.
    ///
    /// # Errors
    ///
    /// [`ControlError::Refused`]: it was not run. [`ControlError::Broken`]: nobody knows. [`ControlError::Print`]: our
    /// own reader has gone; the command notices at its next line.
    pub fn run(&self, request: &ControlRequest, out: &mut Out) -> Result<Exit, ControlError> {
        let broken = |source| ControlError::Broken {
            pid: self.address.pid,
            source,
        };
        let body = serde_json::to_vec(request).map_err(|error| broken(error.into()))?;
        let (status, mut answer) = self
            .send("POST", "/v1/run", &body, PATIENCE)
            .map_err(broken)?;
        if !is_ok(&status) {
            return Err(ControlError::Refused {
                pid: self.address.pid,
                status,
            });
        }
        answer
            .get_ref()
            .set_read_timeout(Some(SILENCE_MAX))
            .map_err(broken)?;
        loop {
            match Frame::read(&mut answer).map_err(broken)? {
                Frame::Alive => {}
                Frame::Stdout(bytes) => out
                    .write_all(&bytes)
                    .map_err(crate::output::OutError::from)?,
                Frame::Stderr(bytes) => out.note_bytes(&bytes),
                Frame::Exit(code) => return Ok(Exit::of_code(code)),
            }
        }
    }

    /// Sends a request; returns the status line and what follows the head.
    fn send(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        within: Duration,
    ) -> io::Result<(String, BufReader<TcpStream>)> {
        let Address { addr, secret, .. } = &self.address;
        let mut stream = TcpStream::connect_timeout(addr, within)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        // 1.0: the answer ends with the connection and needs no decoding.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {addr}\r\nAuthorization: Bearer {secret}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = BufReader::new(stream);
        let status = read_head(&mut answer)?;
        Ok((status, answer))
    }
}

/// Reads up to the empty line; returns the status line.
fn read_head(answer: &mut impl BufRead) -> io::Result<String> {
    let mut head = answer.by_ref().take(HEAD_MAX_BYTES);
    let mut status = String::new();
    head.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim_end().is_empty() {
            return Ok(status.trim_end().to_owned());
        }
    }
}

fn is_ok(status: &str) -> bool {
    status.split(' ').nth(1) == Some("200")
}
