//! What lies in a folder, and what a name means.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::os::{FileId, kind_name};

/// The end of a name that marks another file as whole.
pub(super) const MARKER: &str = ".done";
const HEARTBEAT: &str = ".ok";
/// Ends of names that programs give to what they have not finished.
const UNFINISHED: [&str; 6] = [".tmp", ".part", ".partial", ".filepart", ".crdownload", "~"];
/// What Windows puts into folders by itself.
const LITTER: [&str; 2] = ["thumbs.db", "desktop.ini"];

/// By what a change of a file is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) size_bytes: u64,
    pub(super) modified: Option<SystemTime>,
    pub(super) id: FileId,
}

/// What something in a folder is for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    File,
    Heartbeat,
    /// Marks the file whose name it begins with.
    Marker,
    Subfolder,
    /// Not to be read; why, in words.
    Refused(&'static str),
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: OsString,
    pub(super) class: Class,
    pub(super) print: Print,
}

/// Everything in the folder that may concern us. Links are looked at, not followed.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Item>> {
    let mut items = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(is_ignored) {
            continue;
        }
        // Not `entry.metadata()`: on Windows that is what the folder remembers, which is old while a file is open.
        match fs::symlink_metadata(entry.path()) {
            Ok(metadata) => items.push(Item::new(name, &metadata)),
            // Gone since: no matter.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(items)
}

impl Item {
    fn new(name: OsString, metadata: &Metadata) -> Self {
        let class = class_of(name.to_str(), metadata.file_type());
        let mut print = Print::of(metadata);
        if class == Class::Subfolder {
            // What goes on in it is none of our business.
            print.size_bytes = 0;
            print.modified = None;
        }
        Self { name, class, print }
    }
}

impl Print {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            id: FileId::of(metadata),
        }
    }
}

fn class_of(name: Option<&str>, kind: fs::FileType) -> Class {
    if kind.is_dir() {
        return Class::Subfolder;
    }
    if !kind.is_file() {
        return Class::Refused(kind_name(kind));
    }
    let Some(name) = name else {
        return Class::Refused("a file whose name is not UTF-8");
    };
    let name = name.to_lowercase();
    if name.ends_with(MARKER) {
        Class::Marker
    } else if name.ends_with(HEARTBEAT) {
        Class::Heartbeat
    } else {
        Class::File
    }
}

fn is_ignored(name: &str) -> bool {
    let name = name.to_lowercase();
    name.starts_with(['.', '~'])
        || UNFINISHED.iter().any(|end| name.ends_with(end))
        || LITTER.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_not_to_be_taken() {
        for name in [
            ".hidden",
            "a.csv.TMP",
            "a.part",
            "~$a.xlsx",
            "a.csv~",
            "Thumbs.db",
        ] {
            assert!(is_ignored(name), "{name}");
        }
        for name in ["a.csv", "a.csv.done", "1c.ok", "tmp.csv"] {
            assert!(!is_ignored(name), "{name}");
        }
    }

    #[test]
    fn what_lies_there_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.csv", "a.csv.done", "shop.OK"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        fs::create_dir(dir.path().join("sub")).unwrap();

        let mut items = list(dir.path()).unwrap();
        items.sort_by(|a, b| a.name.cmp(&b.name));

        let classes: Vec<Class> = items.iter().map(|item| item.class).collect();
        assert_eq!(
            classes,
            [
                Class::File,
                Class::Marker,
                Class::Heartbeat,
                Class::Subfolder
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_and_a_name_that_is_no_text_are_refused() {
        use std::os::unix::ffi::OsStringExt;
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("a.csv")).unwrap();
        let name = OsString::from_vec(b"\xff.csv".to_vec());
        fs::write(dir.path().join(&name), b"x").unwrap();

        let items = list(dir.path()).unwrap();

        assert_eq!(items.len(), 2);
        assert!(
            items
                .iter()
                .all(|item| matches!(item.class, Class::Refused(_)))
        );
    }
}
