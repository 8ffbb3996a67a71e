//! A server process: started, read until it is ready, stopped by its id.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::binaries;

/// A running `vitrina-hub serve` or `vitrina-agent run`. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The address of its `ready` line, such as `http://127.0.0.1:40123`.
    pub url: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// What it answered.
    pub stdout: String,
    /// What else it said.
    pub stderr: String,
}

impl Ended {
    /// The answer as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The same, after it did what it should.
    pub fn ok(&self) -> &Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A command of one of the binaries on a data folder.
pub fn command(program: &str, data: &Path, args: &[&str]) -> Command {
    command_in(binaries::folder(), program, data, args)
}

/// The same of the binaries in another folder: an older build's.
pub fn command_in(folder: &Path, program: &str, data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(folder.join(program));
    command
        .arg("--data")
        .arg(data)
        .args(args)
        .env_remove("VITRINA_DATA")
        .env("VITRINA_LANG", "en")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn run(program: &str, data: &Path, args: &[&str]) -> Ended {
    run_in(binaries::folder(), program, data, args)
}

/// The same with the binaries in another folder.
pub fn run_in(folder: &Path, program: &str, data: &Path, args: &[&str]) -> Ended {
    let Output {
        status,
        stdout,
        stderr,
    } = command_in(folder, program, data, args).output().unwrap();
    Ended {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

impl Server {
    /// Starts a server and waits for its `ready` line. Its log goes to `LOG` in the data folder's parent.
    pub fn start(program: &str, data: &Path, args: &[&str]) -> Self {
        Self::start_in(binaries::folder(), program, data, args)
    }

    /// The same with the binaries in another folder.
    pub fn start_in(folder: &Path, program: &str, data: &Path, args: &[&str]) -> Self {
        Self::start_of(command_in(folder, program, data, args), data)
    }

    /// The same of a command that a test made.
    pub fn start_of(mut command: Command, data: &Path) -> Self {
        let log = log_of(data);
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("ready ") else {
            let status = child.wait();
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("{command:?} is not ready: {line:?} {status:?}\n{said}");
        };
        let url = url.to_owned();
        // Whatever else it prints must not block it.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self { child, url }
    }

    /// Stops it as an admin does and gives its exit code.
    pub fn stop(mut self) -> i32 {
        self.signal("TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Ends it as a power cut does, but for the disk.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server of a test has logged so far.
pub fn logged(data: &Path) -> String {
    std::fs::read_to_string(log_of(data)).unwrap_or_default()
}

/// Where a server's log of a test goes.
pub fn log_of(data: &Path) -> PathBuf {
    data.with_extension("log")
}
