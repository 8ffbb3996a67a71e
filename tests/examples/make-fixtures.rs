//! Writes the generated files of `fixtures/` anew: `cargo run -p vitrina-tests --example make-fixtures`.

use std::path::Path;

use vitrina_tests::{binaries, fixtures};

fn main() -> std::io::Result<()> {
    let root = binaries::workspace().join("fixtures");
    for folder in fixtures::FOLDERS {
        clear(&root.join(folder))?;
    }
    for file in fixtures::files() {
        let path = root.join(&file.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, &file.bytes)?;
    }
    Ok(())
}

fn clear(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
