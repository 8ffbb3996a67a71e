//! Tells the program from which commit it was built. Works without git and outside of a repository.

use std::path::Path;
use std::process::Command;

fn main() {
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = if is_release { commit() } else { None };
    let commit = commit.unwrap_or_else(|| "dev".to_owned());
    println!("cargo::rustc-env=VITRINA_COMMIT={commit}");
    println!("cargo::rerun-if-changed=build.rs");
    // They change with each commit and checkout; naming one that is missing would rebuild each time.
    for path in ["../../.git/HEAD", "../../.git/refs/heads"] {
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let commit = text.trim();
    let is_commit = !commit.is_empty() && commit.chars().all(|c| c.is_ascii_hexdigit());
    (output.status.success() && is_commit).then(|| commit.to_owned())
}
