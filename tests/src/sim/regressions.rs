//! The seeds that once broke a promise, kept for ever in `tests/regressions.txt` and run first.
//!
//! A line is `seed: configuration # what was broken`; the configuration is the shrunk one.

use std::io::Write as _;
use std::path::PathBuf;

use super::config::Config;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions.txt")
}

/// Every kept run.
///
/// # Panics
///
/// Where a line is none: somebody edited the file.
pub fn all() -> Vec<(u64, Config)> {
    let text = std::fs::read_to_string(path()).unwrap();
    let lines = text.lines().map(|line| {
        let (kept, _) = line.split_once('#').unwrap_or((line, ""));
        kept.trim()
    });
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (seed, config) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            let config = config.trim().parse();
            (
                seed.parse().unwrap_or_else(|_| panic!("{line}")),
                config.unwrap_or_else(|error| panic!("{error}")),
            )
        })
        .collect()
}

/// Keeps a run.
///
/// # Panics
///
/// Where the file cannot be written.
pub fn keep(seed: u64, config: &Config, violation: &str) {
    let mut file = std::fs::File::options().append(true).open(path()).unwrap();
    writeln!(file, "{seed}: {config} # {violation}").unwrap();
}
