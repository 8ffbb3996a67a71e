//! What the system says of a process: memory and time on the processor.

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
