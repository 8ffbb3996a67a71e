//! Whose a data folder is: a mistyped one is never taken for an empty shop or hub, and neither program works in the other's.

use std::path::Path;

use vitrina_tests::process::{Server, run};
use vitrina_tests::{Chain, Shop};

const RING: &str = "2000018987155";
const NOBODY: &str = "ffffffffffffffffffffffffffffffff";

/// What lies in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let list = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> = list
        .map(|entry| {
            let entry = entry.expect("it can be read");
            entry.file_name().to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    names
}

/// The commands that work with what is there already; `file` is what some of them would write.
fn readers(program: &str, file: &str) -> Vec<String> {
    let lines: &[&str] = if program == "vitrina-hub" {
        &[
            "lag --max 5m",
            "verify",
            "verify --repair",
            "stock",
            "sales",
            "explain RING",
            "audit list",
            "audit verify",
            "diff list",
            "quarantine list",
            "quarantine show NOBODY",
            "hold list",
            "hold release NOBODY",
            "safety list",
            "safety set 1",
            "transfer list",
            "alert list",
            "webhook list",
            "key list",
            "shop list",
            "shop show S001",
            "frames export --shop S001 FILE",
            "export csv --out FILE",
            "backup FILE",
        ]
    } else {
        &[
            "stock",
            "stock RING",
            "sales",
            "status",
            "doctor",
            "verify",
            "sync",
            "source show",
            "diff list",
            "quarantine list",
            "hold list",
            "transfer list",
            "terminal list",
            "move surplus RING",
            "import FILE",
            "frames export FILE",
            "backup FILE",
        ]
    };
    let filled = |line: &&str| {
        line.replace("RING", RING)
            .replace("NOBODY", NOBODY)
            .replace("FILE", file)
    };
    lines.iter().map(filled).collect()
}

/// Every command of `program` on `data` fails with a sentence that has these words, and leaves the folder as it is.
fn refused(program: &str, data: &Path, lines: &[String], words: &[&str]) {
    let before = names(data);
    for line in lines {
        let args: Vec<&str> = line.split(' ').collect();
        let told = run(program, data, &args);
        assert_eq!(
            (told.code, told.stdout.as_str()),
            (1, ""),
            "{line}: {told:?}"
        );
        for word in words {
            assert!(told.stderr.contains(word), "{line}: {told:?}");
        }
        assert_eq!(names(data), before, "{program} {line}");
    }
}

#[test]
fn a_command_that_reads_makes_no_books_in_a_folder_that_has_none() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("file");
    for (program, settings, begins) in [
        ("vitrina-hub", "hub.toml", "serve"),
        ("vitrina-agent", "agent.toml", "enrol"),
    ] {
        let empty = home.path().join(program);
        std::fs::create_dir(&empty).expect("a folder");
        let shown = empty.display().to_string();
        let what = program.trim_start_matches("vitrina-");
        let sentence = format!("there is no {what} in {shown}; start one with: {program} --data");
        let words = [sentence.as_str(), begins];
        let lines = readers(program, file.to_str().expect("UTF-8"));

        refused(program, &empty, &lines, &words);
        std::fs::write(empty.join(settings), "language = \"en\"\n").expect("settings");
        refused(program, &empty, &lines, &words);
    }
    assert!(!file.exists());
}

#[test]
fn what_begins_a_folder_begins_it_as_before() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| home.path().join(name);
    let at = home.path().display().to_string();
    std::fs::write(
        folder("catalogue.csv"),
        "barcode;name\n2000018987155;Ring\n",
    )
    .expect("a file");
    for (name, line) in [
        ("shop", "shop add S001 --name S001"),
        ("key", "key add --role website --name site"),
        ("import", "import AT/catalogue.csv"),
    ] {
        let line = line.replace("AT", &at);
        let args: Vec<&str> = line.split(' ').collect();
        run("vitrina-hub", &folder(name), &args).ok();
        run("vitrina-hub", &folder(name), &["lag"]).ok();
    }
    let copy = folder("copy.sqlite3").display().to_string();
    run("vitrina-hub", &folder("shop"), &["backup", &copy]).ok();
    run("vitrina-hub", &folder("restored"), &["restore", &copy]).ok();
    run(
        "vitrina-hub",
        &folder("restored"),
        &["shop", "show", "S001"],
    )
    .ok();

    let listen = ["run", "--listen", "127.0.0.1:0"];
    std::fs::create_dir(folder("agent")).expect("a folder");
    run(
        "vitrina-agent",
        &folder("agent"),
        &["terminal", "add", "till-1"],
    )
    .ok();
    let agent = Server::start("vitrina-agent", &folder("agent"), &listen);
    run("vitrina-agent", &folder("agent"), &["status"]).ok();
    assert_eq!(agent.stop(), 0);
    run("vitrina-agent", &folder("agent"), &["status"]).ok();
}

/// A hub and an agent that were stopped.
fn stopped(chain: &mut Chain) -> Shop {
    let mut shop = chain.shop("S001", &[]);
    shop.stop();
    chain.stop_hub();
    shop
}

/// What each program could do in the other's folder.
fn everything(program: &str, file: &str) -> Vec<String> {
    let begins: &[&str] = if program == "vitrina-hub" {
        &[
            "serve --listen 127.0.0.1:0",
            "serve --init --listen 127.0.0.1:0",
            "shop add S009 --name S009",
            "key add --role office --name another",
            "import FILE",
            "restore FILE",
        ]
    } else {
        &[
            "enrol --hub http://127.0.0.1:9 --code AAAA",
            "run --listen 127.0.0.1:0",
            "terminal add till-1",
        ]
    };
    let filled = |line: &&str| line.replace("RING", RING).replace("FILE", file);
    let begins = begins.iter().map(filled);
    begins.chain(readers(program, file)).collect()
}

#[test]
fn neither_program_works_in_the_others_folder_whether_its_server_runs_or_not() {
    let mut chain = Chain::start();
    let mut shop = stopped(&mut chain);
    let file = chain.path("file");
    let shown = file.display().to_string();
    let hubs = everything("vitrina-agent", &shown);
    let agents = everything("vitrina-hub", &shown);
    let both_refused = |chain: &Chain, shop: &Shop| {
        let (hub, agent) = (chain.data(), &shop.data);
        let words = format!("{} is the folder of a vitrina-hub", hub.display());
        refused("vitrina-agent", &hub, &hubs, &[&words]);
        let words = format!("{} is the folder of a vitrina-agent", agent.display());
        refused("vitrina-hub", agent, &agents, &[&words]);
        assert!(!file.exists());
    };

    both_refused(&chain, &shop);
    chain.start_hub();
    shop.start();
    both_refused(&chain, &shop);
    chain.balances_with([&shop]);
}

#[test]
fn a_folder_whose_database_is_gone_is_still_its_programs_own() {
    let mut chain = Chain::start();
    let shop = stopped(&mut chain);
    std::fs::remove_file(chain.data().join("hub.sqlite3")).expect("it is gone");
    std::fs::remove_file(shop.data.join("ledger.sqlite3")).expect("it is gone");
    let words = format!("{} is the folder of a vitrina-hub", chain.data().display());
    refused(
        "vitrina-agent",
        &chain.data(),
        &["status".to_owned()],
        &[&words],
    );
    let words = format!("{} is the folder of a vitrina-agent", shop.data.display());
    let serve = "serve --listen 127.0.0.1:0".to_owned();
    refused(
        "vitrina-hub",
        &shop.data,
        std::slice::from_ref(&serve),
        &[&words],
    );

    refused(
        "vitrina-hub",
        &chain.data(),
        &["lag".to_owned(), serve],
        &["restore FILE", "serve --init"],
    );
    let init = ["serve", "--init", "--listen", "127.0.0.1:0"];
    let hub = Server::start("vitrina-hub", &chain.data(), &init);
    assert_eq!(hub.stop(), 0);
    let status = "status".to_owned();
    refused(
        "vitrina-agent",
        &shop.data,
        &[status],
        &["is gone", "shop recode"],
    );
}
