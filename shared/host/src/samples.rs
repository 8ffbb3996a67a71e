//! Real files for tests, read where they are present and never copied.

use std::path::PathBuf;

/// The bytes of a sample, or `None` after a word about it where there are no samples on this machine.
pub(crate) fn read(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("VITRINA_SAMPLES").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/samples"
            ))
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: there is no sample {}", path.display());
    }
    bytes
}
