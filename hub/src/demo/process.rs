//! The real programs: commands run to their end, servers run until they are stopped by their handle.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;
use vitrina_host::os;

use super::error::DemoError;

/// How long a server may take until it is ready, and a command until it is done.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a server may take to stop.
const STOP: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// Where the programs are and where their words go.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// The folder of this program.
    pub(super) binaries: PathBuf,
    /// The demo's folder.
    pub(super) logs: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    command: String,
}

impl Ended {
    /// Fails unless it exited 0.
    pub(super) fn ok(self) -> Result<Self, DemoError> {
        if self.code == Some(0) {
            return Ok(self);
        }
        let code = self
            .code
            .map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let said = format!("{} {}", self.stdout.trim(), self.stderr.trim());
        Err(DemoError::Command {
            command: self.command,
            code,
            said,
        })
    }

    /// Its answer, after it exited 0.
    pub(super) fn json(self) -> Result<Value, DemoError> {
        let ended = self.ok()?;
        serde_json::from_str(&ended.stdout)
            .map_err(|_| DemoError::answer(ended.command, &ended.stdout))
    }
}

impl Programs {
    fn command(&self, program: &str, data: &Path, args: &[&str]) -> Command {
        let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
        let mut command = Command::new(self.binaries.join(name));
        command
            .arg("--data")
            .arg(data)
            .args(args)
            .stdin(Stdio::null());
        // The demo is on this machine: no setting of this shell may lead elsewhere.
        for name in ["VITRINA_DATA", "VITRINA_LISTEN", "VITRINA_CODE"] {
            command.env_remove(name);
        }
        os::stand_apart(&mut command);
        command
    }

    /// Runs a command on a data folder to its end.
    pub(super) async fn run(
        &self,
        program: &str,
        data: &Path,
        args: &[&str],
    ) -> Result<Ended, DemoError> {
        let words = format!("{program} {}", args.join(" "));
        let owner = data
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let verb: String = args.iter().take(2).flat_map(|arg| ["-", arg]).collect();
        let verb = verb.replace(
            |letter: char| !letter.is_ascii_alphanumeric() && letter != '-',
            "",
        );
        let place = |kind: &str| self.logs.join(format!("{owner}{verb}.{kind}"));
        let (out, err) = (place("out"), place("err"));
        let create = |path: &PathBuf| File::create(path).map_err(DemoError::file("create", path));
        let mut child = self
            .command(program, data, args)
            .stdout(create(&out)?)
            .stderr(create(&err)?)
            .spawn()
            .map_err(DemoError::start(format!("run {words}")))?;
        let Some(status) = ended(&mut child, PATIENCE).await else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(DemoError::Waited {
                what: format!("{words} ends"),
                seen: "it runs".to_owned(),
            });
        };
        let text = |path: &PathBuf| {
            let bytes = std::fs::read(path).map_err(DemoError::file("read", path))?;
            Ok::<_, DemoError>(String::from_utf8_lossy(&bytes).into_owned())
        };
        let ended = Ended {
            code: status.code(),
            stdout: text(&out)?,
            stderr: text(&err)?,
            command: words,
        };
        // Only what failed is worth keeping.
        if ended.code == Some(0) {
            let _ = (std::fs::remove_file(out), std::fs::remove_file(err));
        }
        Ok(ended)
    }

    /// Starts a server and waits until it is ready.
    pub(super) async fn serve(
        &self,
        program: &str,
        data: &Path,
        verb: &str,
    ) -> Result<Server, DemoError> {
        let log = data.with_extension("log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(DemoError::file("open", &log))?;
        let mut child = self
            .command(program, data, &[verb, "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(DemoError::start(format!("start {program}")))?;
        let stdout = child.stdout.take();
        let mut server = Server {
            child: Mutex::new(child),
            url: String::new(),
        };
        let (said, heard) = oneshot::channel();
        std::thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = said.send(line);
            // Whatever else it prints must not block it.
            let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        });
        let line = tokio::time::timeout(PATIENCE, heard).await;
        let line = line.ok().and_then(Result::ok).unwrap_or_default();
        let Some(url) = line.trim().strip_prefix("ready ") else {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let said = format!("{line}{}", log.trim());
            return Err(DemoError::NotReady {
                program: program.to_owned(),
                said,
            });
        };
        url.clone_into(&mut server.url);
        Ok(server)
    }
}

/// A running server; ended when dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Mutex<Child>,
    /// The address of its `ready` line.
    pub(super) url: String,
}

impl Server {
    /// Stops it as an admin does.
    pub(super) async fn stop(mut self, name: &str) -> Result<(), DemoError> {
        let Ok(child) = self.child.get_mut() else {
            return Ok(());
        };
        os::ask_to_stop(child).map_err(DemoError::start(format!("stop {name}")))?;
        let what = format!("{name} stops cleanly");
        match ended(child, STOP).await {
            Some(status) if status.success() || cfg!(windows) => Ok(()),
            Some(status) => Err(DemoError::Waited {
                what,
                seen: status.to_string(),
            }),
            None => Err(DemoError::Waited {
                what,
                seen: "it runs".to_owned(),
            }),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for the end of a child.
async fn ended(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            _ => return None,
        }
    }
}
