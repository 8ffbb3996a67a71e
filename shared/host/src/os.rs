//! What differs between operating systems, with both halves written: Linux at the hub, Windows on the shops' tills.
//!
//! `os/unix.rs` and `os/windows.rs` hold the same functions; everything above them is common. No other module asks
//! which system it runs on.

mod files;
mod lock;
mod moves;
mod patience;
#[cfg(unix)]
#[path = "os/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "os/windows.rs"]
mod system;

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

pub use files::{
    create_private_dir, create_private_file, is_private, renew_file, replace_file, sync_dir,
    try_to_write, write_secret,
};
pub use lock::{LockError, LockGuard};
pub use moves::{move_into, move_into_after, place_copy, place_copy_after};
pub use system::{
    account, ask_to_stop, disk_space, is_local, machine_id, stand_apart, stop_signal,
};

/// Why a file could not be made, moved or opened.
#[derive(Debug, thiserror::Error)]
pub enum OsError {
    /// The system refused; what was there before is still there.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done: a verb.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A link, a pipe, a device or a folder stands where a plain file is expected. It was not followed or read.
    #[error("{} is {kind}, not a plain file", path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What it is instead, with its article.
        kind: &'static str,
    },
    /// Another program holds the file open (Windows); it is probably still being written.
    #[error("{} is still open in another program", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// A thousand files of that name are there already.
    #[error("no free name for {} in {}", name, folder.display())]
    NoFreeName {
        /// The wanted name.
        name: String,
        /// The folder that is full of it.
        folder: PathBuf,
    },
}

impl OsError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            Self::NotAFile { .. } | Self::InUse { .. } | Self::NoFreeName { .. } => false,
        }
    }

    /// Whether the same call may succeed later without anybody acting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::InUse { .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::Interrupted
                    | io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::ResourceBusy
            ),
            Self::NotAFile { .. } | Self::NoFreeName { .. } => false,
        }
    }
}

/// How much room a file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// What we may still write, in bytes.
    pub free_bytes: u64,
    /// The size of the file system, in bytes.
    pub total_bytes: u64,
}

/// Which file this is, whatever its name: equal for two names of one file, different for a copy.
///
/// Unix: device and inode. Windows: the creation time (to 100 ns), because the file's index needs unsafe calls; a copy
/// gets a new one. A file deleted and made again may get the number of the old one, so compare size and time as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId([u8; 16]);

impl FileId {
    /// Of the file behind `metadata`.
    pub fn of(metadata: &Metadata) -> Self {
        Self(system::file_id(metadata))
    }

    /// Of the file or folder at `path`, following links.
    ///
    /// # Errors
    ///
    /// [`OsError::Io`] when it cannot be looked at.
    pub fn at(path: &Path) -> Result<Self, OsError> {
        std::fs::metadata(path)
            .map(|metadata| Self::of(&metadata))
            .map_err(OsError::io("look at", path))
    }

    /// The sixteen bytes, for keeping.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for FileId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Display for FileId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The service that copies the folder of `path` to other machines, by its name, when there is one (OneDrive, Dropbox …).
/// A live database does not belong there: what they copy is torn.
pub fn sync_service(path: &Path) -> Option<&'static str> {
    const SERVICES: [(&str, &str); 7] = [
        ("onedrive", "OneDrive"),
        ("dropbox", "Dropbox"),
        ("yandexdisk", "Yandex.Disk"),
        ("yandex.disk", "Yandex.Disk"),
        ("googledrive", "Google Drive"),
        ("google drive", "Google Drive"),
        ("nextcloud", "Nextcloud"),
    ];
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    full.components().find_map(|part| {
        let name = part.as_os_str().to_string_lossy().to_lowercase();
        let found = SERVICES.iter().find(|(start, _)| name.starts_with(start));
        found.map(|(_, service)| *service)
    })
}

/// Opens a file somebody dropped: a plain file, never through a link, never a pipe that would block us.
///
/// Windows: nobody else may have it open or open it while we read.
///
/// # Errors
///
/// [`OsError::NotAFile`] for anything but a plain file, [`OsError::InUse`] while its writer holds it (Windows),
/// [`OsError::Io`] otherwise. Nothing was changed.
pub fn open_dropped(path: &Path) -> Result<File, OsError> {
    let file = system::open_dropped(path)?;
    let kind = file
        .metadata()
        .map_err(OsError::io("look at", path))?
        .file_type();
    if kind.is_file() {
        return Ok(file);
    }
    Err(OsError::NotAFile {
        path: path.to_path_buf(),
        kind: kind_name(kind),
    })
}

/// What a thing in a folder is, in words with an article: "a link", "a folder", "a pipe or device".
pub fn kind_name(kind: std::fs::FileType) -> &'static str {
    if kind.is_file() {
        "a file"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "a pipe or device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_another_file_and_a_renamed_file_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("a");
        std::fs::write(&first, b"x").unwrap();
        let id = FileId::at(&first).unwrap();

        std::fs::copy(&first, dir.path().join("b")).unwrap();
        std::fs::rename(&first, dir.path().join("c")).unwrap();

        assert_ne!(FileId::at(&dir.path().join("b")).unwrap(), id);
        assert_eq!(FileId::at(&dir.path().join("c")).unwrap(), id);
        assert_eq!(id.to_string().len(), 32);
    }

    #[test]
    fn a_folder_that_is_copied_to_the_cloud_is_named() {
        let synced = Path::new("/home/shop/OneDrive - Jeweller/vitrina");
        assert_eq!(sync_service(synced), Some("OneDrive"));
        assert_eq!(sync_service(Path::new("/var/lib/vitrina")), None);
    }

    #[test]
    fn the_disk_of_the_temporary_folder_has_a_size() {
        let dir = tempfile::tempdir().unwrap();
        if let Some(space) = disk_space(dir.path()) {
            assert!(space.total_bytes >= space.free_bytes);
            assert!(space.total_bytes > 0);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_a_pipe_and_a_folder_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, b"x").unwrap();
        let link = dir.path().join("link.csv");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let pipe = dir.path().join("pipe.csv");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();

        for path in [&link, &pipe, &dir.path().to_path_buf()] {
            let refused = open_dropped(path).unwrap_err();
            assert!(matches!(refused, OsError::NotAFile { .. }), "{refused:?}");
        }
        assert!(open_dropped(&secret).is_ok());
    }
}
