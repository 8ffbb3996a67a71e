//! The files in `fixtures/` are what their generator writes, and look like what they stand for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vitrina_tests::{binaries, fixtures};

#[test]
fn the_committed_files_are_what_the_generator_writes() {
    let root = binaries::workspace().join("fixtures");
    let mut expected = BTreeSet::new();

    for file in fixtures::files() {
        let path = root.join(&file.path);
        let found = std::fs::read(&path).unwrap_or_default();
        assert!(
            found == file.bytes,
            "{} is not what the generator writes: cargo run -p vitrina-tests --example make-fixtures",
            file.path
        );
        expected.insert(path);
    }

    let there: BTreeSet<PathBuf> = fixtures::FOLDERS
        .iter()
        .flat_map(|folder| files_in(&root.join(folder)))
        .collect();
    assert_eq!(there, expected, "files that no generator writes");
}

#[test]
fn the_chain_is_small_and_its_barcodes_are_right() {
    let files = fixtures::files();
    let size: usize = files.iter().map(|file| file.bytes.len()).sum();
    assert!(size < 1_000_000, "{size} bytes");

    let offers = files
        .iter()
        .find(|file| file.path.ends_with("offers0_1.xml"))
        .expect("the catalogue has offers");
    // The catalogue comes in windows-1251, as the chain's own does.
    let (text, _, _) = encoding_rs::WINDOWS_1251.decode(&offers.bytes);
    let barcodes: Vec<&str> = text
        .split("<Штрихкод>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
        .collect();
    let different: BTreeSet<&str> = barcodes.iter().copied().collect();
    assert!((550..700).contains(&barcodes.len()), "{}", barcodes.len());
    assert_eq!(different.len(), barcodes.len(), "no barcode twice");
    for code in barcodes {
        let barcode: vitrina_shared::Barcode = code.parse().expect("a barcode");
        assert!(
            !matches!(
                barcode.check_digit(),
                vitrina_shared::barcode::CheckDigit::Wrong { .. }
            ),
            "{code}"
        );
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files
}
