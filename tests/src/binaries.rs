//! Where the binaries are: built once for each test program, by the same command as everybody's.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder of `vitrina-agent` and `vitrina-hub`: `VITRINA_BIN_DIR`, or the debug build of this tree.
pub fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(given) = std::env::var_os("VITRINA_BIN_DIR") {
            return given.into();
        }
        let workspace = workspace();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--locked", "--quiet", "--workspace", "--bins"])
            .current_dir(&workspace)
            .status()
            .unwrap();
        assert!(built.success(), "the binaries do not build");
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| workspace.join("target"), PathBuf::from);
        workspace.join(target).join("debug")
    })
}

/// The folder of an older version's binaries, as `scripts/torture --older REV` builds them; a line on stderr where there
/// is none.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn older() -> Option<PathBuf> {
    let given = std::env::var_os("VITRINA_OLDER_BIN_DIR").map(PathBuf::from);
    if given.is_none() {
        eprintln!("skipped: no older binaries (scripts/torture --older REV builds and uses them)");
    }
    given
}

/// The root of the tree.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// The samples, where they are; a line on stderr where they are not.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn samples() -> Option<PathBuf> {
    let folder = std::env::var_os("VITRINA_SAMPLES")
        .map_or_else(|| workspace().join("../shared/samples"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: no samples in {} (set VITRINA_SAMPLES)",
        folder.display()
    );
    None
}
