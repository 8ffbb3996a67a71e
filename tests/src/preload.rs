//! What a machine does to a program: its clock is wrong, it ends in the middle of a change of its files. A small library
//! that stands between the real binaries and the C library (`preload/preload.c`).

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::binaries;

/// The wall clock of the programs that run under it; it may jump while they do.
#[derive(Debug)]
pub struct Clock {
    path: PathBuf,
}

impl Clock {
    /// A clock that is right; the file is what the programs read.
    pub fn right(path: PathBuf) -> Self {
        std::fs::write(&path, 0_i64.to_ne_bytes()).unwrap();
        Self { path }
    }

    /// From now on it is so far ahead.
    pub fn jump(&self, ahead_ms: i64) {
        // In place: the programs look into this very file.
        let mut file = std::fs::File::options()
            .write(true)
            .open(&self.path)
            .unwrap();
        file.rewind().unwrap();
        file.write_all(&ahead_ms.to_ne_bytes()).unwrap();
    }

    /// The command under this clock.
    pub fn rules(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("VITRINA_TEST_CLOCK", &self.path);
    }
}

/// The command ends as by kill -9 before the `at`-th change (the first is 1) of files whose path has `name` in it.
pub fn kill_at(command: &mut Command, name: &str, at: u64) {
    command
        .env("LD_PRELOAD", library())
        .env("VITRINA_TEST_KILL_IN", name)
        .env("VITRINA_TEST_KILL_AT", at.to_string());
}

/// The library, built once for each test program.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = binaries::workspace().join("tests/src/preload/preload.c");
        let target = binaries::folder().join("preload.so");
        let new = target.with_extension(format!("{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&new)
            .arg(source)
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(built.success(), "the library does not build");
        std::fs::rename(new, &target).unwrap();
        target
    })
}
