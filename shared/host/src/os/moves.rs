//! Moving a file into a folder of finished files without ever overwriting one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{folder_of, temporary_beside};
use super::{OsError, sync_dir, system};
use crate::sign::sha256_of;

/// The longest name we give, in bytes: most file systems take 255, and `.report.txt` may follow.
const NAME_MAX_BYTES: usize = 240;
/// How many files of one name a folder takes: the next is an error, not an endless search.
const SAME_NAME_MAX: u32 = 1_000;

/// Moves `from` into `folder` (made when missing) under `name`, or `name-2`, `name-3` … before its extension when
/// that is taken: `offers.xml`, `offers-2.xml`. Returns the new path. Works across disks by copying first.
///
/// A link, pipe or device is moved as itself, and not across disks.
///
/// # Errors
///
/// [`OsError`]; the file is then still at `from`.
pub fn move_into(from: &Path, folder: &Path, name: &str) -> Result<PathBuf, OsError> {
    move_into_after(from, folder, name, |_| Ok(()))
}

/// As [`move_into`], once `first` has succeeded with the path that the file will have: what it writes beside that path
/// is there before the file is. A path that an earlier try has written beside is used again.
///
/// # Errors
///
/// [`OsError`], `first`'s own included; the file is then still at `from`.
pub fn move_into_after(
    from: &Path,
    folder: &Path,
    name: &str,
    first: impl FnOnce(&Path) -> Result<(), OsError>,
) -> Result<PathBuf, OsError> {
    let target = free_place(folder, name)?;
    first(&target)?;
    match system::patiently(|| std::fs::rename(from, &target)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_whole(from, &target)?;
            system::patiently(|| std::fs::remove_file(from))
                .map_err(OsError::io("remove", from))?;
        }
        Err(error) => return Err(OsError::io("move", from)(error)),
    }
    sync_dir(folder)?;
    Ok(target)
}

/// Copies `from` into `folder` (made when missing) under a free name as [`move_into`] chooses it; `from` stays.
///
/// # Errors
///
/// [`OsError`]; then there is no copy, not even a part.
pub fn place_copy(from: &Path, folder: &Path, name: &str) -> Result<PathBuf, OsError> {
    let target = free_place(folder, name)?;
    copy_whole(from, &target)?;
    sync_dir(folder)?;
    Ok(target)
}

/// As [`place_copy`], after `first` as in [`move_into_after`]. Where the last file of that name has the same bytes it
/// is the copy: a file that stays where it is comes again with every start.
///
/// # Errors
///
/// [`OsError`], `first`'s own included; then there is no new copy, not even a part.
pub fn place_copy_after(
    from: &Path,
    folder: &Path,
    name: &str,
    first: impl FnOnce(&Path) -> Result<(), OsError>,
) -> Result<PathBuf, OsError> {
    if let Some(before) = taken_names(folder, name).last()
        && has_same_bytes(from, &before).unwrap_or(false)
    {
        first(&before)?;
        return Ok(before);
    }
    let target = free_place(folder, name)?;
    first(&target)?;
    copy_whole(from, &target)?;
    sync_dir(folder)?;
    Ok(target)
}

fn has_same_bytes(left: &Path, right: &Path) -> io::Result<bool> {
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    if left.metadata()?.len() != right.metadata()?.len() {
        return Ok(false);
    }
    let (left, _) = sha256_of(&mut left)?;
    let (right, _) = sha256_of(&mut right)?;
    Ok(left == right)
}

/// The names `name`, `name-2` … in `folder`.
fn names(folder: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    (1..=SAME_NAME_MAX).map(move |number| folder.join(numbered(name, number)))
}

/// Those of [`names`] that something has, up to the first that is free.
fn taken_names(folder: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    // Also a broken link has the name.
    names(folder, name).take_while(|path| std::fs::symlink_metadata(path).is_ok())
}

/// The first of `name`, `name-2` … that nothing in `folder` (made when missing) has.
fn free_place(folder: &Path, name: &str) -> Result<PathBuf, OsError> {
    std::fs::create_dir_all(folder).map_err(OsError::io("make the folder", folder))?;
    names(folder, name)
        .nth(taken_names(folder, name).count())
        .ok_or_else(|| OsError::NoFreeName {
            name: name.to_owned(),
            folder: folder.to_path_buf(),
        })
}

/// `offers.xml` and 2 → `offers-2.xml`, cut to the longest name a file system takes.
fn numbered(name: &str, number: u32) -> String {
    let dot = name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let mark = if number < 2 {
        String::new()
    } else {
        format!("-{number}")
    };
    let extension = cut(extension, NAME_MAX_BYTES / 2);
    let stem = cut(stem, NAME_MAX_BYTES - mark.len() - extension.len());
    format!("{stem}{mark}{extension}")
}

/// At most the first `most` bytes, never in the middle of a letter.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

fn copy_whole(from: &Path, target: &Path) -> Result<(), OsError> {
    let mut source = super::open_dropped(from)?;
    let temporary = temporary_beside(&folder_of(target).join("copy"));
    let copied = File::create_new(&temporary)
        .and_then(|mut file| {
            io::copy(&mut source, &mut file)?;
            file.sync_all()
        })
        .and_then(|()| system::patiently(|| std::fs::rename(&temporary, target)));
    copied.map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        OsError::io("copy", from)(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_gets_a_number_before_its_extension() {
        let dir = tempfile::tempdir().unwrap();
        let done = dir.path().join("done/2026-11-22");
        let mut names = Vec::new();

        for _ in 0..3 {
            let from = dir.path().join("offers.xml");
            std::fs::write(&from, b"x").unwrap();
            let to = move_into(&from, &done, "offers.xml").unwrap();
            names.push(to.file_name().unwrap().to_str().unwrap().to_owned());
        }

        assert_eq!(names, ["offers.xml", "offers-2.xml", "offers-3.xml"]);
        assert!(!dir.path().join("offers.xml").exists());
    }

    #[test]
    fn a_copy_leaves_the_file_and_nothing_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("a.csv");
        std::fs::write(&from, b"x").unwrap();

        let to = place_copy(&from, &dir.path().join("kept"), "a.csv").unwrap();

        assert_eq!(std::fs::read(to).unwrap(), b"x");
        assert!(from.exists());
        assert_eq!(
            std::fs::read_dir(dir.path().join("kept")).unwrap().count(),
            1
        );
    }

    #[test]
    fn what_is_said_of_a_file_is_there_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (from, folder) = (dir.path().join("a.csv"), dir.path().join("rejected"));
        std::fs::write(&from, b"x").unwrap();
        let broken = |_: &Path| Err(OsError::io("write", &from)(io::Error::other("no room")));

        assert!(move_into_after(&from, &folder, "a.csv", broken).is_err());
        assert!(from.exists(), "without its report a file stays");
        let mut said_of = None;
        let to = move_into_after(&from, &folder, "a.csv", |to| {
            assert!(from.exists() && !to.exists());
            said_of = Some(to.to_path_buf());
            Ok(())
        });

        assert_eq!(Some(to.unwrap()), said_of);
    }

    #[test]
    fn a_file_that_stays_is_copied_once_until_its_bytes_change() {
        let dir = tempfile::tempdir().unwrap();
        let (from, folder) = (dir.path().join("a.csv"), dir.path().join("rejected"));
        let mut copies = Vec::new();

        for bytes in ["one", "one", "two", "two", "one"] {
            std::fs::write(&from, bytes).unwrap();
            let to = place_copy_after(&from, &folder, "a.csv", |_| Ok(())).unwrap();
            copies.push(to.file_name().unwrap().to_str().unwrap().to_owned());
        }

        assert_eq!(copies, ["a.csv", "a.csv", "a-2.csv", "a-2.csv", "a-3.csv"]);
    }

    #[test]
    fn names_without_extension_hidden_and_too_long_are_numbered_too() {
        assert_eq!(numbered("README", 2), "README-2");
        assert_eq!(numbered(".hidden", 2), ".hidden-2");
        assert_eq!(numbered("a.tar.gz", 3), "a.tar-3.gz");
        let long = format!("{}.xml", "ц".repeat(126));
        let made = numbered(&long, 2);
        assert!(made.len() <= NAME_MAX_BYTES);
        assert!(made.ends_with("-2.xml"));
    }
}
