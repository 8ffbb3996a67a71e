//! Room on a nearly full disk: copies of what was taken long ago and old logs go, before a sale finds no place.
//!
//! Only the program's own folders `done/` and `log/` are touched; what waits for a person (`rejected/`) and the books never
//! are. No clock is asked: the newest days stay, whatever day it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::os;

/// A disk with less free room is nearly full, in bytes.
pub const NEARLY_FULL: u64 = 512 << 20;
/// So many of the newest days stay.
const DAYS_KEPT: usize = 2;
/// The most files that go in one round: the next sale is not to wait for a disk that deletes.
const FILES_MAX: u64 = 2_000;

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// How many files.
    pub files: u64,
    /// How large they were together, in bytes.
    pub bytes: u64,
}

/// Takes old files of the data folder away while its disk is nearly full: the oldest days of `done/` first, then the oldest
/// logs. What cannot be taken away stays, and is tried again in the next round.
pub fn make(data: &Path) -> Gone {
    let is_short = || os::disk_space(data).is_some_and(|space| space.free_bytes < NEARLY_FULL);
    make_while(data, is_short)
}

/// As [`make`], and says so in the log.
pub fn make_and_say(data: &Path) {
    let Gone { files, bytes } = make(data);
    if files > 0 {
        tracing::warn!(
            files,
            bytes,
            "the disk is nearly full: old files of done/ and log/ were deleted; make room"
        );
    }
}

fn make_while(data: &Path, is_short: impl Fn() -> bool) -> Gone {
    let mut gone = Gone::default();
    if !is_short() {
        return gone;
    }
    let days = older(&data.join("done"), is_day);
    for day in days {
        let files = fs::read_dir(&day).into_iter().flatten().flatten();
        for file in files {
            if gone.files >= FILES_MAX || !is_short() {
                return gone;
            }
            gone.take(&file.path());
        }
        // Where something is left in it, it stays.
        let _ = fs::remove_dir(&day);
    }
    let logs = older(&data.join("log"), |name| {
        name.strip_suffix(".log").is_some_and(is_day)
    });
    for log in logs {
        if gone.files >= FILES_MAX || !is_short() {
            return gone;
        }
        gone.take(&log);
    }
    gone
}

impl Gone {
    fn take(&mut self, file: &Path) {
        // Not through a link, and no folder.
        let Ok(about) = fs::symlink_metadata(file) else {
            return;
        };
        if about.is_file() && fs::remove_file(file).is_ok() {
            self.files += 1;
            self.bytes += about.len();
        }
    }
}

/// What a folder holds under the names of days, oldest first, without the newest.
fn older(folder: &Path, is_one: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut days: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(&is_one))
        .map(|entry| entry.path())
        .collect();
    days.sort();
    days.truncate(days.len().saturating_sub(DAYS_KEPT));
    days
}

/// Whether a name is a day: `2026-11-22`.
fn is_day(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data folder of five days, with two files a day, and a log for each.
    fn data() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["log", "rejected", "done/by-hand"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for name in [
            "ledger.sqlite3",
            "rejected/bad.csv",
            "done/by-hand/x.csv",
            "log/notes",
        ] {
            fs::write(dir.path().join(name), b"stays").unwrap();
        }
        for day in 1..=5 {
            let done = dir.path().join(format!("done/2026-11-0{day}"));
            fs::create_dir_all(&done).unwrap();
            fs::write(done.join("a.csv"), b"four").unwrap();
            fs::write(done.join("b.csv"), b"four").unwrap();
            let log = dir.path().join(format!("log/2026-11-0{day}.log"));
            fs::write(log, b"four").unwrap();
        }
        dir
    }

    fn left(data: &Path) -> usize {
        let mut waiting = vec![data.to_path_buf()];
        let mut files = 0;
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    waiting.push(entry.path());
                } else {
                    files += 1;
                }
            }
        }
        files
    }

    #[test]
    fn a_disk_with_room_loses_nothing() {
        let dir = data();
        assert_eq!(make_while(dir.path(), || false), Gone::default());
        assert_eq!(left(dir.path()), 19);
    }

    #[test]
    fn the_oldest_days_go_first_and_only_until_there_is_room() {
        let dir = data();

        let gone = make_while(dir.path(), || left(dir.path()) > 16);

        assert_eq!((gone.files, gone.bytes), (3, 12));
        assert!(!dir.path().join("done/2026-11-01").exists());
        assert_eq!(left(&dir.path().join("done/2026-11-02")), 1);
        assert_eq!(left(&dir.path().join("log")), 6);
    }

    #[test]
    fn where_there_never_is_room_the_newest_days_stay_and_so_does_what_is_no_copy() {
        let dir = data();

        let gone = make_while(dir.path(), || true);

        assert_eq!(gone.files, 9, "three days of two files, three logs");
        assert_eq!(left(&dir.path().join("done")), 5);
        assert_eq!(left(&dir.path().join("log")), 3);
        for name in ["ledger.sqlite3", "rejected/bad.csv", "done/by-hand/x.csv"] {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        assert_eq!(make_while(dir.path(), || true), Gone::default());
    }
}
