//! The demo as a newcomer runs it.

use std::process::Command;

use vitrina_tests::binaries;

#[test]
fn a_short_demo_proves_that_everybody_agrees() {
    let ended = Command::new(binaries::folder().join("vitrina-hub"))
        .args(["demo", "--shops", "3", "--for", "5"])
        .env_remove("VITRINA_DATA")
        .env("VITRINA_LANG", "en")
        .output()
        .expect("the binary is there");

    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{complained}");
    assert!(said.contains(": 0 differences"), "{said}");
}

#[test]
fn on_black_friday_no_piece_is_promised_twice() {
    let ended = Command::new(binaries::folder().join("vitrina-hub"))
        .args([
            "demo",
            "--scene",
            "black-friday",
            "--shops",
            "4",
            "--for",
            "6",
        ])
        .env_remove("VITRINA_DATA")
        .env("VITRINA_LANG", "en")
        .output()
        .expect("the binary is there");

    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{complained}");
    assert!(said.contains("pieces promised twice: 0"), "{said}");
    assert!(!said.contains("a shop said yes to 0"), "{said}");
}

#[test]
fn a_scene_that_nobody_knows_is_wrong_usage() {
    let ended = Command::new(binaries::folder().join("vitrina-hub"))
        .args(["demo", "--scene", "flood"])
        .env_remove("VITRINA_DATA")
        .output()
        .expect("the binary is there");

    assert_eq!(ended.status.code(), Some(2));
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(complained.contains("flood"), "{complained}");
}
