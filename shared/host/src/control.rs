//! Commands beside a running server: one program at a time owns the data folder, and the others ask it.
//!
//! The server holds `DIR/lock`, listens on a loopback port and writes `DIR/control.json` (mode 0600) with the address
//! and a secret. A command that finds the lock free owns the folder while it runs. One that finds it held sends its
//! arguments to the server, which runs the same command in its own process and sends back what that prints.

mod client;
mod frames;
mod server;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::os::{self, LockError, LockGuard, OsError};
use crate::output::{Lang, OutError};
use crate::sign::SignError;

pub use client::ControlClient;
pub use server::{Control, Handler, serve_control};

/// How long the owner of the folder may take to answer, or to finish and give the lock back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a command was not run.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Somebody owns the folder and does not take commands: a long command, a server that hangs, another program.
    #[error("{} is in use by {}, which does not answer", data.display(), who(*pid))]
    Silent {
        /// The data folder.
        data: PathBuf,
        /// Which process, when known.
        pid: Option<u32>,
    },
    /// A server runs there already.
    #[error("a server runs on {} already: {}; stop it first", data.display(), who(*pid))]
    Running {
        /// The data folder.
        data: PathBuf,
        /// Which process, when known.
        pid: Option<u32>,
    },
    /// Nothing can be written into the folder by this account.
    #[error(
        "{account} may not write into the data folder {}: run as the account that the folder belongs to, or give the \
         folder with all that is in it to this one",
        data.display()
    )]
    NotWritable {
        /// The data folder.
        data: PathBuf,
        /// Who we are.
        account: String,
        /// What the system said.
        source: io::Error,
    },
    /// The lock file cannot be made.
    #[error("cannot own the data folder")]
    Lock(#[from] LockError),
    /// The server cannot listen for commands or say where.
    #[error("cannot take commands")]
    Listen(#[source] io::Error),
    /// The address cannot be written.
    #[error("cannot say where commands are taken")]
    Publish(#[from] OsError),
    /// There is no secret to be had.
    #[error("cannot make a secret")]
    Secret(#[from] SignError),
    /// The line to the server broke; whether the command was run is not known.
    #[error("the server (process {pid}) broke off while the command ran")]
    Broken {
        /// The server.
        pid: u32,
        /// How.
        source: io::Error,
    },
    /// The server refused us.
    #[error("the server (process {pid}) refused the command: {status}")]
    Refused {
        /// The server.
        pid: u32,
        /// Its status line.
        status: String,
    },
    /// An argument is no text, so it cannot be sent.
    #[error("an argument is not UTF-8")]
    Argument,
    /// The current folder is not known.
    #[error("the current folder is not known")]
    Folder(#[source] io::Error),
    /// What the command printed cannot be printed here.
    #[error("cannot print the answer")]
    Print(#[from] OutError),
}

fn who(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

/// A command as it was typed, for the server to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRequest {
    /// The program's name and its arguments.
    pub argv: Vec<String>,
    /// Where the caller stands: relative file names start there.
    pub cwd: PathBuf,
    /// The caller's language.
    pub lang: Lang,
    /// Whether a person looks at the answer.
    pub is_terminal: bool,
}

impl ControlRequest {
    /// This process's own command line.
    ///
    /// # Errors
    ///
    /// [`ControlError::Argument`], [`ControlError::Folder`].
    pub fn of_this_process(lang: Lang, is_terminal: bool) -> Result<Self, ControlError> {
        let argv: Result<_, _> = std::env::args_os().map(OsString::into_string).collect();
        Ok(Self {
            argv: argv.map_err(|_| ControlError::Argument)?,
            cwd: std::env::current_dir().map_err(ControlError::Folder)?,
            lang,
            is_terminal,
        })
    }

    /// A file argument as the caller means it.
    pub fn file(&self, path: &Path) -> PathBuf {
        absolute_from(&self.cwd, path)
    }
}

/// `path` as seen from the folder `cwd`.
pub fn absolute_from(cwd: &Path, path: &Path) -> PathBuf {
    cwd.join(path)
}

/// Where a command runs.
#[derive(Debug)]
pub enum Place {
    /// Here: the folder is ours while the guard lives.
    Alone(LockGuard),
    /// In the server that owns the folder.
    Beside(ControlClient),
}

/// Where the commands of a server are taken, as `DIR/control.json` says it.
#[derive(Clone, Serialize, Deserialize)]
struct Address {
    addr: SocketAddr,
    pid: u32,
    secret: String,
}

/// Finds out where a command on the folder `data` is to run.
///
/// # Errors
///
/// [`ControlError::Silent`] after five seconds in which the owner neither answered nor gave the folder back;
/// [`ControlError::Lock`] when the lock file cannot be made.
pub fn find(data: &Path) -> Result<Place, ControlError> {
    find_within(data, PATIENCE)
}

/// Owns the folder `data` for a server. A short command that has it is waited for.
///
/// # Errors
///
/// [`ControlError::Running`] names the server that has it, [`ControlError::Silent`] another process.
pub fn own(data: &Path) -> Result<LockGuard, ControlError> {
    match find(data)? {
        Place::Alone(lock) => Ok(lock),
        Place::Beside(client) => Err(ControlError::Running {
            data: data.to_path_buf(),
            pid: Some(client.pid()),
        }),
    }
}

fn find_within(data: &Path, patience: Duration) -> Result<Place, ControlError> {
    let deadline = Instant::now() + patience;
    loop {
        let holder = match LockGuard::take(&data.join("lock")) {
            Ok(lock) => {
                os::try_to_write(data).map_err(|source| not_writable(data, source))?;
                return Ok(Place::Alone(lock));
            }
            Err(LockError::Held { pid, .. }) => pid,
            Err(LockError::Io { source, .. }) if is_forbidden(&source) => {
                return Err(not_writable(data, source));
            }
            Err(error) => return Err(error.into()),
        };
        // An address of another process is left over from a server that was killed.
        let address =
            read_address(data).filter(|address| holder.is_none_or(|holder| holder == address.pid));
        let pid = holder.or(address.as_ref().map(|address| address.pid));
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(client) = address.map(ControlClient::new)
            && client.answers(left.max(PAUSE))
        {
            return Ok(Place::Beside(client));
        }
        if Instant::now() >= deadline {
            return Err(ControlError::Silent {
                data: data.to_path_buf(),
                pid,
            });
        }
        thread::sleep(PAUSE);
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn not_writable(data: &Path, source: io::Error) -> ControlError {
    ControlError::NotWritable {
        data: data.to_path_buf(),
        account: os::account(),
        source,
    }
}

fn address_file(data: &Path) -> PathBuf {
    data.join("control.json")
}

/// What the file says; `None` when there is none or it makes no sense.
fn read_address(data: &Path) -> Option<Address> {
    let text = fs::read(address_file(data)).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests;
