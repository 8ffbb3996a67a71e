//! The Windows half.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::os::windows::process::CommandExt;
use std::path::{Component, Path, Prefix};
use std::process::{Child, Command};
use std::time::Duration;

use super::{DiskSpace, OsError, patience};

/// The file is open elsewhere without sharing.
const ERROR_SHARING_VIOLATION: i32 = 32;
/// A part of the file is locked.
const ERROR_LOCK_VIOLATION: i32 = 33;
/// Also what a rename over a file says that a virus scanner looks at.
const ERROR_ACCESS_DENIED: i32 = 5;
/// Opens the link itself, not what it points to.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
/// The new program has a process group of its own.
const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
/// How long a virus scanner may hold a file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Room on the file system of `path`: unknown here, because `GetDiskFreeSpaceExW` needs unsafe code.
pub fn disk_space(_path: &Path) -> Option<DiskSpace> {
    None
}

/// Whether `path` lies on a disk of this machine: a `\\server\share` path does not; a mapped letter looks local.
pub fn is_local(path: &Path) -> bool {
    let full = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let Some(Component::Prefix(prefix)) = full.components().next() else {
        return true;
    };
    !matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
}

/// This machine's own id: unknown here, because the registry needs unsafe code.
pub fn machine_id() -> Option<String> {
    None
}

/// Listens from now on; what it gives ends when this process is asked to stop: Ctrl-C, Ctrl-Break, the console's close,
/// the system's shutdown.
///
/// # Errors
///
/// When the signals cannot be listened to; the process then stops at once by the system's default.
///
/// # Panics
///
/// Outside of a runtime.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
    let (mut key, mut pause) = (ctrl_c()?, ctrl_break()?);
    let (mut close, mut shutdown) = (ctrl_close()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = key.recv() => {}
            _ = pause.recv() => {}
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
    })
}

/// Lets Ctrl-C at the console reach this program and not the one it starts.
pub fn stand_apart(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
}

/// Ends a program that we started: there is no safe way to ask it, and both programs stand being ended at any moment.
///
/// # Errors
///
/// The system refused.
pub fn ask_to_stop(child: &mut Child) -> io::Result<()> {
    child.kill()
}

pub(super) fn file_id(metadata: &Metadata) -> [u8; 16] {
    // The length is left out on purpose: the ledger grows and stays the same file.
    u128::from(metadata.creation_time()).to_be_bytes()
}

pub(super) fn open_dropped(path: &Path) -> Result<File, OsError> {
    let opened = OpenOptions::new()
        .read(true)
        .share_mode(0)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path);
    match opened {
        Ok(file) => Ok(file),
        Err(error) if is_held(&error, &[ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION]) => {
            Err(OsError::InUse {
                path: path.to_path_buf(),
            })
        }
        // A folder cannot be opened as a file here, and says only "access denied".
        Err(_) if path.is_dir() => Err(OsError::NotAFile {
            path: path.to_path_buf(),
            kind: "a folder",
        }),
        Err(error) => Err(OsError::io("open", path)(error)),
    }
}

/// Makes a new file; it inherits the rights of the data folder, which the installer gives to the service's account only.
pub(super) fn create_secret(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Nothing to do: rights are inherited from the folder.
pub(super) fn give_to_owner_of(_other: &Metadata, _file: &File) -> io::Result<()> {
    Ok(())
}

/// Makes the folder and its missing parents; rights are inherited.
pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Whether nobody but this account can read `path`: unknown here.
pub(super) fn is_private(path: &Path) -> io::Result<Option<bool>> {
    std::fs::metadata(path).map(|_| None)
}

/// Nothing to do: NTFS writes its own journal, and a folder cannot be flushed.
pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Runs `action` again while a virus scanner or a copy program holds the file, at most ten seconds.
pub(super) fn patiently<T>(action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let held = [
        ERROR_SHARING_VIOLATION,
        ERROR_LOCK_VIOLATION,
        ERROR_ACCESS_DENIED,
    ];
    patience::while_held(PATIENCE, |error| is_held(error, &held), action)
}

fn is_held(error: &io::Error, codes: &[i32]) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

/// Which account this process runs under, in words.
pub fn account() -> String {
    "the account of this program".to_owned()
}
