//! What the system says of a process, memory and time on the processor, and of a connection.

use std::net::TcpStream;
use std::time::Duration;

/// Memory of a process, in bytes: what it has now.
pub fn rss(id: u32) -> Option<u64> {
    status(id, "VmRSS:")
}

/// The most memory it ever had.
pub fn peak_rss(id: u32) -> Option<u64> {
    status(id, "VmHWM:")
}

/// From now on, the most memory it ever had is the most it has from now on.
pub fn forget_peak(id: u32) {
    std::fs::write(format!("/proc/{id}/clear_refs"), "5").unwrap();
}

fn status(id: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The time its threads, ended ones too, had on processors so far; in steps of 10 ms.
pub fn cpu(id: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may have blanks.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Megabytes as people write them.
#[expect(clippy::cast_precision_loss, reason = "no process has petabytes")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}

/// How many files and sockets it has open.
pub fn handles(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Whether a program of this machine still has its end of a line; known without a byte of the line being read.
pub fn is_open_beyond(line: &TcpStream) -> bool {
    // One that was reset has no other side any more.
    let (Ok(beyond), Ok(here)) = (line.peer_addr(), line.local_addr()) else {
        return false;
    };
    let [beyond, here] = [beyond, here].map(|end| format!(":{:04X}", end.port()));
    // `sl local_address rem_address st …`: addresses as hex with the port last, 01 is an established connection.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|row| {
        let mut fields = row.split_whitespace().skip(1);
        let mut ends_with = |end: &str| fields.next().is_some_and(|field| field.ends_with(end));
        ends_with(&beyond) && ends_with(&here) && ends_with("01")
    })
}
