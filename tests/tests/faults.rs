//! The table of faults names tests that are there.

use std::collections::BTreeSet;
use std::path::Path;

use vitrina_tests::binaries::workspace;

/// The names of all functions below a folder.
fn functions(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let names = text.lines().filter_map(|line| {
                let (before, after) = line.split_once("fn ")?;
                let is_definition = before.trim().is_empty() || before.trim() == "async";
                let name = after.split_once('(')?.0;
                is_definition.then(|| name.to_owned())
            });
            into.extend(names);
        }
    }
}

#[test]
fn every_test_of_the_table_is_there() {
    let root = workspace();
    let mut known = BTreeSet::new();
    for part in ["agent/src", "hub/src", "shared", "tests/tests"] {
        functions(&root.join(part), &mut known);
    }
    let table = std::fs::read_to_string(root.join("tests/FAULTS.md")).expect("the table");
    let named: BTreeSet<&str> = table
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.matches('_').count() > 2)
        .collect();
    assert!(named.len() > 80, "{} tests are named", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !known.contains(**name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
