//! The demo as a newcomer runs it.

use std::process::{Command, Output};

use vitrina_tests::binaries;

/// Plays it with these words: the end, what it said and what it complained about.
fn played(args: &[&str]) -> (Output, String, String) {
    let ended = Command::new(binaries::folder().join("vitrina-hub"))
        .arg("demo")
        .args(args)
        .env_remove("VITRINA_DATA")
        .env("VITRINA_LANG", "en")
        .output()
        .expect("the binary is there");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let complained = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended, said, complained)
}

#[test]
fn a_short_demo_proves_that_everybody_agrees() {
    let (ended, said, complained) = played(&["--shops", "3", "--for", "5"]);

    assert!(ended.status.success(), "{said}\n{complained}");
    assert!(said.contains(": 0 differences"), "{said}");
}

#[test]
fn on_black_friday_no_piece_is_promised_twice() {
    let scene = ["--scene", "black-friday", "--shops", "4", "--for", "6"];
    let (ended, said, complained) = played(&scene);

    assert!(ended.status.success(), "{said}\n{complained}");
    assert!(said.contains("pieces promised twice: 0"), "{said}");
    assert!(!said.contains("a shop said yes to 0"), "{said}");
    let work = said.split_once("to whom");
    assert!(
        work.is_none_or(|(_, work)| !work.contains('–')),
        "somebody looks after every entry: {said}"
    );
}

#[test]
fn a_scene_that_nobody_knows_is_wrong_usage() {
    let (ended, _, complained) = played(&["--scene", "flood"]);

    assert_eq!(ended.status.code(), Some(2));
    assert!(complained.contains("flood"), "{complained}");
}
