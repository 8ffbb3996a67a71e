//! A machine that runs out of something: room on the disk, file handles. What can go on goes on, and the rest is said.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::json;
use vitrina_tests::process::{Server, log_of, logged};
use vitrina_tests::{Chain, binaries, until};

const RING: &str = "2000018987155";

/// A file system of so many bytes, until this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Puts it under a folder with everything that is in there; `None` where this machine does not let us mount.
    fn under(folder: &Path, bytes: u64) -> Option<Self> {
        let outside = folder.with_extension("outside");
        std::fs::rename(folder, &outside).expect("it is moved");
        std::fs::create_dir(folder).expect("it is made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder)
            .output();
        let disk = mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(folder.to_path_buf()));
        for entry in std::fs::read_dir(&outside).expect("a folder").flatten() {
            let to = folder.join(entry.file_name());
            let copied = Command::new("cp")
                .arg("-a")
                .arg(entry.path())
                .arg(&to)
                .status();
            assert!(
                copied.is_ok_and(|status| status.success()),
                "{}",
                to.display()
            );
        }
        disk
    }

    /// Fills it to the last byte; the room comes back when the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("somebody-elses-file");
        let mut file = std::fs::File::create(&path).expect("room for a name");
        while file.write_all(&[7; 4_096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_hub_says_507_reads_go_on_and_what_waited_arrives_when_there_is_room() {
    let mut chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
    )
    .await;
    chain.stop_hub();
    let Some(disk) = SmallDisk::under(&chain.data(), 8 << 20) else {
        println!("skipped: this machine does not let a test mount a small disk");
        return;
    };
    chain.start_hub();
    let filler = disk.fill();

    let refused = chain
        .call(
            Method::POST,
            "/v1/shops",
            &chain.admin,
            Some(&json!({"shop": "S002", "name": "S002"})),
            &[],
        )
        .await;
    shop.sell("one", RING).await;
    let item = chain.get(&format!("/v1/stock/{RING}")).await;

    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (507, "storage_full"),
        "{refused:?}"
    );
    assert!(
        refused.header("retry-after").parse::<u32>().is_ok(),
        "{refused:?}"
    );
    assert_eq!(
        (item.status, &item.body["on_hand"]),
        (StatusCode::OK, &json!(10))
    );
    let log = log_of(&chain.data());
    until("the log to say so", || async {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        if said.contains("the disk is full") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;

    std::fs::remove_file(filler).expect("it is removed");
    chain.on_hand(RING, 9).await;
    assert_eq!(chain.cli(&["verify"]).code, 0);
    chain.stop_hub();
}

#[tokio::test]
async fn on_a_nearly_full_disk_old_copies_and_logs_go_first_and_the_books_stay() {
    let mut chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
    )
    .await;
    shop.stop();
    chain.stop_hub();
    let folders = [shop.data.clone(), chain.data()];
    let mut disks = Vec::new();
    for data in &folders {
        for day in 1..=5 {
            let done = data.join(format!("done/2020-01-0{day}"));
            std::fs::create_dir_all(&done).expect("a folder");
            std::fs::write(done.join("pos.csv"), "old").expect("a file");
            let log = data.join(format!("log/2020-01-0{day}.log"));
            std::fs::write(log, "old").expect("a file");
        }
        std::fs::create_dir_all(data.join("rejected")).expect("a folder");
        std::fs::write(data.join("rejected/bad.csv"), "waits").expect("a file");
        // Smaller than what is nearly full.
        let Some(disk) = SmallDisk::under(data, 64 << 20) else {
            println!("skipped: this machine does not let a test mount a small disk");
            return;
        };
        disks.push(disk);
    }

    chain.start_hub();
    shop.start();

    for data in &folders {
        until("the old files to go", || async {
            let is_there = |name: &str| data.join(name).exists();
            let old = ["done/2020-01-01", "done/2020-01-03", "log/2020-01-03.log"];
            let left: Vec<_> = old.into_iter().filter(|name| is_there(name)).collect();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
        assert!(data.join("rejected/bad.csv").exists());
    }
    assert!(
        folders[1].join("done/2020-01-05/pos.csv").exists(),
        "the newest stay"
    );
    assert!(logged(&shop.data).contains("the disk is nearly full"));
    shop.sell("one", RING).await;
    chain.on_hand(RING, 9).await;
    let told = shop.cli(&["doctor"]);
    assert!(
        told.stdout.contains("old files of done/ and log/"),
        "{told:?}"
    );
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
    shop.stop();
    chain.stop_hub();
}

/// The binaries, started with at most so many file handles.
fn with_handles(folder: &Path, most: u32) -> PathBuf {
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    for program in ["vitrina-hub", "vitrina-agent"] {
        let real = binaries::folder().join(program);
        let script = format!(
            "#!/bin/sh\nulimit -n {most} || exit 9\nexec {} \"$@\"\n",
            real.display()
        );
        std::fs::write(bin.join(program), script).expect("written");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join(program), mode).expect("allowed");
    }
    bin
}

/// Processor time that a process has used, in hundredths of a second.
fn processor_time(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    [11, 12]
        .iter()
        .filter_map(|place| fields.get(*place)?.parse::<u64>().ok())
        .sum()
}

/// Takes every handle of a server, and gives them back once it has said three times that it has none.
async fn starve(server: &Server, log: &Path, words: &str) {
    let address = server.url.strip_prefix("http://").expect("an address");
    let said = || {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.matches(words).count()
    };
    let held: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(address).expect("the system takes it into its queue"))
        .collect();
    let before = processor_time(server.id());
    until("it to say three times that it has no handle", || async {
        if said() >= 3 { Ok(()) } else { Err(said()) }
    })
    .await;
    // A loop that spins says it a thousand times in the time of three pauses.
    assert!(said() < 20, "{} times", said());
    assert!(processor_time(server.id()) - before < 50);
    drop(held);
}

#[tokio::test]
async fn a_server_without_file_handles_waits_and_serves_again() {
    let mut chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
    )
    .await;
    shop.stop();
    chain.stop_hub();
    let bin = with_handles(chain.data().parent().expect("a folder"), 64);
    let listen = chain
        .url
        .strip_prefix("http://")
        .expect("an address")
        .to_owned();
    let hub = Server::start_in(
        &bin,
        "vitrina-hub",
        &chain.data(),
        &["serve", "--listen", &listen],
    );
    let agent = Server::start_in(
        &bin,
        "vitrina-agent",
        &shop.data,
        &["run", "--listen", "127.0.0.1:0"],
    );

    starve(&hub, &log_of(&chain.data()), "no connection can be taken").await;
    starve(&agent, &log_of(&shop.data), "connection was not accepted").await;

    chain.take_over(hub);
    shop.agent = Some(agent);
    shop.sell("one", RING).await;
    chain.on_hand(RING, 9).await;
    assert_eq!(shop.cli(&["verify"]).code, 0);
    shop.stop();
    chain.stop_hub();
}
