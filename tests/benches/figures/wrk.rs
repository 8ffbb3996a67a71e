//! `wrk`: the load tool of both servers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// 64 connections on two threads.
const CONNECTIONS: &str = "-c64";
const THREADS: &str = "-t2";

/// Requests to choose from at random, as a script of wrk.
pub(crate) struct Load {
    script: PathBuf,
    url: String,
}

/// What wrk says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Requests a second.
    pub(crate) rate: f64,
}

/// Whether a program is on this machine.
pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("-v")
        .output()
        .is_ok_and(|output| output.status.code().is_some())
}

impl Load {
    /// Prepares `GET`s of paths, each with further header lines of its own, in files named after `name`.
    pub(crate) fn new(folder: &Path, name: &str, url: &str, requests: &[(String, String)]) -> Self {
        let host = url.strip_prefix("http://").unwrap();
        let list = folder.join(format!("{name}.txt"));
        let mut text = String::new();
        for (path, headers) in requests {
            let headers = headers.replace("\r\n", "\t");
            writeln!(text, "GET {path} HTTP/1.1\tHost: {host}\t{headers}").unwrap();
        }
        std::fs::write(&list, text).unwrap();
        let script = folder.join(format!("{name}.lua"));
        // A tab stands for the end of a line in the list.
        let lua = format!(
            r#"
local threads = 0
function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end
local requests, count = {{}}, 0
function init(args)
    math.randomseed(number * 7919)
    for line in io.lines("{}") do
        count = count + 1
        requests[count] = line:gsub("\t", "\r\n") .. "\r\n"
    end
end
function request()
    return requests[math.random(count)]
end
"#,
            list.display()
        );
        std::fs::write(&script, lua).unwrap();
        Self {
            script,
            url: url.into(),
        }
    }

    /// Loads the server for so many seconds; every answer must be a 2xx or a 3xx.
    pub(crate) fn run(&self, seconds: u64) -> Told {
        let output = Command::new("wrk")
            .args([THREADS, CONNECTIONS, &format!("-d{seconds}s"), "-s"])
            .arg(&self.script)
            .arg(&self.url)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.trim().starts_with(name));
            line.and_then(|line| line.split(':').nth(1)).map(str::trim)
        };
        assert!(
            value("Non-2xx").is_none() && value("Socket errors").is_none(),
            "{text}{errors}"
        );
        let rate = value("Requests/sec").unwrap_or_else(|| panic!("{text}{errors}"));
        Told {
            rate: rate.parse().unwrap(),
        }
    }
}
