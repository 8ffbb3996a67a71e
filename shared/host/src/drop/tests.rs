use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::sync::{Mutex, mpsc};

use super::*;

/// What the consumer of a test has heard.
#[derive(Default)]
struct Heard {
    files: Vec<(String, String)>,
    beats: Vec<String>,
    notices: Vec<String>,
}

/// A consumer that answers by what is in the file: `bad` is rejected, `later` put off, `bug` panics.
struct Listener {
    heard: Arc<Mutex<Heard>>,
    told: Option<mpsc::Sender<String>>,
}

impl Consumer for Listener {
    fn arrived(&mut self, mut file: Arrived) -> Answer {
        let mut text = String::new();
        file.file.read_to_string(&mut text).unwrap();
        if let Some(told) = &self.told {
            let _ = told.send(file.name.clone());
        }
        self.heard
            .lock()
            .unwrap()
            .files
            .push((file.name, text.clone()));
        match text.as_str() {
            "bad" => Answer::Rejected {
                report: "line 1: bad\n".to_owned(),
            },
            "later" => Answer::Retry,
            "bug" => panic!("a bug"),
            _ => Answer::Taken,
        }
    }

    fn heartbeat(&mut self, beat: &Heartbeat) -> Answer {
        self.heard.lock().unwrap().beats.push(beat.name.clone());
        Answer::Taken
    }

    fn notice(&mut self, notice: &Notice) {
        let words = format!("{notice:?}");
        let first = words.split([' ', '{']).next().unwrap_or_default();
        self.heard.lock().unwrap().notices.push(first.to_owned());
    }

    fn day(&mut self) -> String {
        "2026-11-22".to_owned()
    }
}

/// A data folder whose drop folder settles in no time, so that two looks are enough.
struct Scene {
    dir: tempfile::TempDir,
    heard: Arc<Mutex<Heard>>,
    folder: Folder,
    _bell: Arc<Bell>,
}

fn places(data: &Path, own: Own) -> Places {
    Places {
        done: data.join("done"),
        rejected: data.join("rejected"),
        own,
    }
}

impl Scene {
    fn new(take: Take, own: Own) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = DropFolder {
            take,
            settle: Period::from_secs(0),
            watch: Watch::Poll,
            ..DropFolder::new(dir.path().join("drop"))
        };
        if own == Own::Ours {
            fs::create_dir(&config.path).unwrap();
        }
        let heard = Arc::new(Mutex::new(Heard::default()));
        let consumer = Listener {
            heard: Arc::clone(&heard),
            told: None,
        };
        let bell = Arc::new(Bell::default());
        let folder = Folder::new(config, places(dir.path(), own), Box::new(consumer), &bell);
        Self {
            dir,
            heard,
            folder,
            _bell: bell,
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join("drop").join(name), text).unwrap();
    }

    /// Looks until all that is there now has been dealt with.
    fn look(&mut self) {
        for _ in 0..2 {
            // The shelf's times are real; two looks in one instant would be one.
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(2) {
                thread::yield_now();
            }
            self.folder.round(&HashSet::new(), || false);
        }
    }

    /// All files under the data folder, by their paths from there.
    fn tree(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.dir.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    let path = path.strip_prefix(self.dir.path()).unwrap();
                    files.push(path.to_string_lossy().into_owned());
                }
            }
        }
        files.sort();
        files
    }

    fn file_names(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.files.iter().map(|(name, _)| name.clone()).collect()
    }
}

#[test]
fn a_taken_file_goes_to_the_day_and_a_second_of_its_name_gets_a_number() {
    let mut scene = Scene::new(Take::Move, Own::Ours);
    scene.write("sales.csv", "one");
    scene.look();
    scene.write("sales.csv", "two");
    scene.look();

    assert_eq!(
        scene.heard.lock().unwrap().files,
        [
            ("sales.csv".to_owned(), "one".to_owned()),
            ("sales.csv".to_owned(), "two".to_owned())
        ]
    );
    assert_eq!(
        scene.tree(),
        ["done/2026-11-22/sales-2.csv", "done/2026-11-22/sales.csv"]
    );
}

#[test]
fn a_rejected_file_goes_aside_with_its_report() {
    let mut scene = Scene::new(Take::Move, Own::Ours);
    scene.write("sales.csv", "bad");
    scene.write(&format!("{}.csv", "x".repeat(250)), "bad");
    scene.look();

    let tree = scene.tree();
    assert_eq!(tree.len(), 4, "{tree:?}");
    let report = scene.dir.path().join("rejected/sales.csv.report.txt");
    assert_eq!(fs::read_to_string(report).unwrap(), "line 1: bad\n");
}

#[test]
fn a_file_put_off_stays_and_others_go_on() {
    let mut scene = Scene::new(Take::Move, Own::Ours);
    scene.write("a.csv", "later");
    scene.write("b.csv", "bug");
    scene.write("c.csv", "good");
    scene.write("shop.ok", "");
    scene.look();

    assert_eq!(scene.file_names(), ["a.csv", "b.csv", "c.csv"]);
    assert_eq!(
        scene.tree(),
        [
            "done/2026-11-22/c.csv",
            "drop/a.csv",
            "drop/b.csv",
            "drop/shop.ok"
        ]
    );
    let heard = scene.heard.lock().unwrap();
    assert!(heard.beats.is_empty());
    assert!(heard.notices.contains(&"Panicked".to_owned()));
}

#[test]
fn where_files_stay_each_version_is_handed_over_once() {
    let mut scene = Scene::new(Take::Copy, Own::Ours);
    scene.write("rests.csv", "one");
    scene.look();
    scene.look();
    scene.write("rests.csv", "two!");
    scene.look();
    scene.write("wrong.csv", "bad");
    scene.look();
    scene.look();

    assert_eq!(scene.file_names(), ["rests.csv", "rests.csv", "wrong.csv"]);
    assert_eq!(
        scene.tree(),
        [
            "drop/rests.csv",
            "drop/wrong.csv",
            "rejected/wrong.csv",
            "rejected/wrong.csv.report.txt"
        ]
    );
}

#[test]
fn a_heartbeat_is_told_and_consumed_and_a_marker_goes_with_its_file() {
    let mut scene = Scene::new(Take::Move, Own::Ours);
    scene.write("shop.ok", "");
    scene.write("a.xml", "good");
    scene.write("a.xml.done", "");
    scene.write("b.xml.tmp", "half");
    scene.look();

    assert_eq!(scene.heard.lock().unwrap().beats, ["shop.ok"]);
    assert_eq!(scene.tree(), ["done/2026-11-22/a.xml", "drop/b.xml.tmp"]);
}

#[test]
fn a_missing_folder_of_ours_is_made_and_another_is_reported_once() {
    let mut ours = Scene::new(Take::Move, Own::Ours);
    fs::remove_dir(ours.dir.path().join("drop")).unwrap();
    ours.look();
    assert!(ours.dir.path().join("drop").is_dir());

    let mut theirs = Scene::new(Take::Move, Own::Theirs);
    theirs.look();
    assert_eq!(theirs.heard.lock().unwrap().notices, ["Unreachable"]);
    fs::create_dir(theirs.dir.path().join("drop")).unwrap();
    theirs.look();
    assert_eq!(
        theirs.heard.lock().unwrap().notices,
        ["Unreachable", "Reachable"]
    );
}

#[cfg(unix)]
#[test]
fn a_link_is_put_aside_unread_and_a_folder_left_and_told_of_once() {
    use std::os::unix::ffi::OsStrExt;
    let mut scene = Scene::new(Take::Move, Own::Ours);
    let drop = scene.dir.path().join("drop");
    std::os::unix::fs::symlink("/etc/hostname", drop.join("link.csv")).unwrap();
    fs::write(drop.join(std::ffi::OsStr::from_bytes(b"\xff.csv")), b"x").unwrap();
    fs::create_dir(drop.join("sub")).unwrap();
    scene.look();
    scene.look();

    assert!(scene.file_names().is_empty());
    assert_eq!(
        scene.tree(),
        [
            "rejected/link.csv",
            "rejected/link.csv.report.txt",
            "rejected/\u{fffd}.csv",
            "rejected/\u{fffd}.csv.report.txt"
        ]
    );
    let mut notices = scene.heard.lock().unwrap().notices.clone();
    notices.sort();
    assert_eq!(notices, ["Refused", "Refused", "Subfolder"]);
}

#[test]
fn a_watched_folder_hands_over_what_is_written_and_renamed_also_after_it_was_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (told, names) = mpsc::channel();
    let consumer = Listener {
        heard: Arc::default(),
        told: Some(told),
    };
    let folder = DropFolder {
        settle: Period::from_millis(100),
        ..DropFolder::new(dir.path().join("drop"))
    };
    let path = folder.path.clone();
    let watching =
        Watching::start(folder, places(dir.path(), Own::Ours), Box::new(consumer)).unwrap();
    let next = || names.recv_timeout(Duration::from_secs(20)).unwrap();
    let write = |name: &str| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while fs::write(path.join(name), "good").is_err() {
            assert!(Instant::now() < deadline, "the folder was not made");
            thread::yield_now();
        }
    };

    write("a.csv");
    assert_eq!(next(), "a.csv");
    write("b.tmp");
    fs::rename(path.join("b.tmp"), path.join("b.csv")).unwrap();
    assert_eq!(next(), "b.csv");
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::remove_dir(&path).is_err() {
        assert!(Instant::now() < deadline, "b.csv was not moved");
        thread::yield_now();
    }
    write("c.csv");
    assert_eq!(next(), "c.csv");

    assert!(watching.stop(Duration::from_secs(20)));
}

#[test]
fn the_configuration_has_its_defaults_and_names_unknown_keys() {
    let folder: DropFolder = toml::from_str("path = 'D:\\Exchange'").unwrap();
    assert_eq!(folder, DropFolder::new("D:\\Exchange"));
    let text = "path = 'x'\ntake = 'copy'\nsettle = '5s'\nwatch = 'poll'";
    let folder: DropFolder = toml::from_str(text).unwrap();
    assert_eq!(
        (folder.take, folder.watch, folder.settle),
        (Take::Copy, Watch::Poll, Period::from_secs(5))
    );
    assert!(toml::from_str::<DropFolder>("path = 'x'\nsetle = '5s'").is_err());
}
