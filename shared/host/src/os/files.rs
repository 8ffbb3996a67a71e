//! Files that are there whole or not at all, and folders for one account.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{OsError, system};

/// How much of a file is copied at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Writes a secret so that only this account can read it (mode 0600), whole or not at all, surviving a power cut.
///
/// An older file of that name is replaced.
///
/// # Errors
///
/// [`OsError::Io`]; the older file, if any, is untouched.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), OsError> {
    write_whole(path, bytes, system::create_secret)
}

/// Writes a file whole or not at all, surviving a power cut. An older file of that name is replaced.
///
/// # Errors
///
/// [`OsError::Io`]; the older file, if any, is untouched.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), OsError> {
    write_whole(path, bytes, |path| File::create_new(path))
}

/// Makes durable whatever can be read of a file now. A flush alone does not: of what an earlier flush failed to write
/// the system goes on showing every byte and tries none of them again (Linux).
///
/// A copy takes the file's place, so that a power cut leaves the one or the other. Where there is no room for a copy the
/// bytes are written over themselves. Nobody may have the file open.
///
/// # Errors
///
/// [`OsError::Io`]; the file reads as before, and nothing is known about what of it survives.
pub fn renew_file(path: &Path) -> Result<(), OsError> {
    // A crash leaves it, and the next try takes the same name.
    let copy = path.with_added_extension("new");
    let _ = std::fs::remove_file(&copy);
    let copied = copy_through(path, &copy)
        .and_then(|()| system::patiently(|| std::fs::rename(&copy, path)))
        .map_err(OsError::io("renew", path));
    match copied {
        Ok(()) => sync_dir(folder_of(path)),
        Err(error) => {
            let _ = std::fs::remove_file(&copy);
            if !error.is_disk_full() {
                return Err(error);
            }
            write_over_itself(path).map_err(OsError::io("renew", path))
        }
    }
}

/// Makes an empty file that only this account can read (mode 0600).
///
/// # Errors
///
/// [`OsError::Io`] when it cannot be made or something has its name.
pub fn create_private_file(path: &Path) -> Result<File, OsError> {
    system::create_secret(path).map_err(OsError::io("make", path))
}

/// Makes the folder and its missing parents for this account only (mode 0700). One that is there keeps its rights.
///
/// # Errors
///
/// [`OsError::Io`] when it cannot be made or something else has its name.
pub fn create_private_dir(path: &Path) -> Result<(), OsError> {
    system::create_private_dir(path).map_err(OsError::io("make the folder", path))
}

/// Whether nobody but this account can read `path`; `None` where the system does not say (Windows).
///
/// # Errors
///
/// [`OsError::Io`] when it cannot be looked at.
pub fn is_private(path: &Path) -> Result<Option<bool>, OsError> {
    system::is_private(path).map_err(OsError::io("look at", path))
}

/// Makes what was renamed, made or removed in the folder survive a power cut.
///
/// # Errors
///
/// [`OsError::Io`]; then nothing is known about what survives.
pub fn sync_dir(path: &Path) -> Result<(), OsError> {
    system::sync_dir(path).map_err(OsError::io("flush the folder", path))
}

/// Whether this account may make files in the folder; on a full disk it may.
///
/// # Errors
///
/// The system's, where it may not.
pub fn try_to_write(folder: &Path) -> io::Result<()> {
    let path = temporary_beside(&folder.join("lock"));
    match system::create_secret(&path) {
        Ok(_) => std::fs::remove_file(&path),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Err(error)
        }
        // What else is wrong shows itself where it matters.
        Err(_) => Ok(()),
    }
}

/// The folder `path` lies in; the current one for a bare name.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A hidden name beside `path` that nobody uses: the folder's watchers never take it.
pub(super) fn temporary_beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Without the file's own name, which may be as long as a name can be.
    let name = format!(".vitrina-{}-{number}.tmp", std::process::id());
    path.with_file_name(name)
}

fn write_whole(
    path: &Path,
    bytes: &[u8],
    create: impl Fn(&Path) -> io::Result<File>,
) -> Result<(), OsError> {
    let temporary = temporary_beside(path);
    // A crash may have left it, and a later process may have got the same id.
    let _ = std::fs::remove_file(&temporary);
    let written = create(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| system::patiently(|| std::fs::rename(&temporary, path)));
    if let Err(source) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(OsError::io("write", path)(source));
    }
    sync_dir(folder_of(path))
}

/// Copies by reading and writing: a file system that lets two files share their blocks would share the unwritten ones.
fn copy_through(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = system::create_secret(to)?;
    system::give_to_owner_of(&from.metadata()?, &to)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = from.read(&mut piece)?;
        match piece.get(..length) {
            Some(read) if length > 0 => to.write_all(read)?,
            _ => return to.sync_all(),
        }
    }
}

fn write_over_itself(path: &Path) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let at = file.stream_position()?;
        let length = file.read(&mut piece)?;
        file.seek(io::SeekFrom::Start(at))?;
        match piece.get(..length) {
            Some(read) if length > 0 => file.write_all(read)?,
            _ => return file.sync_all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_file_has_the_same_bytes_and_nothing_lies_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * PIECE_BYTES + 7).collect();
        std::fs::write(&path, &bytes).unwrap();
        // What a crash in the middle left.
        std::fs::write(dir.path().join("log.new"), b"half").unwrap();
        let before = crate::os::FileId::at(&path).unwrap();

        renew_file(&path).unwrap();

        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_ne!(crate::os::FileId::at(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_written_over_itself_has_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * PIECE_BYTES + 7).collect();
        std::fs::write(&path, &bytes).unwrap();

        write_over_itself(&path).unwrap();

        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_secret_replaces_the_older_one_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.key");

        write_secret(&path, b"old").unwrap();
        write_secret(&path, b"new").unwrap();

        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_ne!(is_private(&path).unwrap(), Some(false));
    }

    #[test]
    fn a_file_in_a_missing_folder_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nowhere/x");

        let refused = replace_file(&path, b"x").unwrap_err();

        assert!(refused.to_string().contains("nowhere"), "{refused}");
    }

    #[test]
    fn a_new_data_folder_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");

        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();

        assert_ne!(is_private(&path).unwrap(), Some(false));
    }
}
