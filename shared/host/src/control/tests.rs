use std::io::Write as _;
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::*;
use crate::output::{Exit, Out};

/// Threads for blocking work of a server here.
const BLOCKING: usize = 2;

/// A server on `data` that answers with `handler` until the sender is used or dropped.
fn server(data: &Path, handler: Handler) -> (oneshot::Sender<()>, thread::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = mpsc::channel();
    let data = data.to_path_buf();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(BLOCKING)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let _lock = LockGuard::take(&data.join("lock")).unwrap();
            let control = Control::bind(&data).await.unwrap();
            ready.send(()).unwrap();
            let stopped = async {
                let _ = stopped.await;
            };
            control.serve(handler, stopped).await.unwrap();
        });
    });
    is_ready.recv().unwrap();
    (stop, thread)
}

fn request(argv: &[&str]) -> ControlRequest {
    ControlRequest {
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        cwd: PathBuf::from("/home/shop"),
        lang: Lang::En,
        is_terminal: false,
    }
}

fn beside(data: &Path) -> ControlClient {
    match find(data).unwrap() {
        Place::Beside(client) => client,
        Place::Alone(_) => panic!("no server was found"),
    }
}

#[test]
fn a_command_beside_a_server_prints_and_ends_as_there() {
    let dir = tempfile::tempdir().unwrap();
    let handler: Handler = Arc::new(|request, out| {
        out.line(request.argv.join(" ")).unwrap();
        out.note("a note");
        tokio::runtime::Handle::current().block_on(async { out.line("from a future").unwrap() });
        Exit::Wrong
    });
    let (stop, thread) = server(dir.path(), handler);
    let (mut out, captured) = Out::captured(Lang::En);

    let exit = beside(dir.path()).run(&request(&["vitrina-agent", "verify"]), &mut out);

    assert_eq!(exit.unwrap(), Exit::Wrong);
    assert_eq!(captured.text(), "vitrina-agent verify\nfrom a future\n");
    assert_eq!(captured.stderr(), "a note\n");
    stop.send(()).unwrap();
    thread.join().unwrap();
}

#[test]
fn commands_take_no_thread_from_the_work_that_they_wait_for() {
    let dir = tempfile::tempdir().unwrap();
    let all_run = std::sync::Barrier::new(BLOCKING);
    let handler: Handler = Arc::new(move |_, _| {
        all_run.wait();
        let done = tokio::runtime::Handle::current().block_on(async {
            let work = tokio::task::spawn_blocking(|| ());
            tokio::time::timeout(Duration::from_secs(20), work).await
        });
        done.map_or(Exit::Failed, |_| Exit::Done)
    });
    let (_stop, _thread) = server(dir.path(), handler);

    let exits: Vec<_> = thread::scope(|scope| {
        let run = || {
            let (mut out, _captured) = Out::captured(Lang::En);
            beside(dir.path()).run(&request(&["x"]), &mut out).unwrap()
        };
        let callers: Vec<_> = (0..BLOCKING).map(|_| scope.spawn(run)).collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });

    assert_eq!(exits, [Exit::Done; BLOCKING]);
}

#[test]
fn a_large_binary_answer_arrives_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_001).collect();
    let sent = bytes.clone();
    let handler: Handler = Arc::new(move |_, out| {
        out.write_all(&sent).unwrap();
        Exit::Done
    });
    let (_stop, _thread) = server(dir.path(), handler);
    let (mut out, captured) = Out::captured(Lang::En);

    let exit = beside(dir.path()).run(&request(&["x"]), &mut out).unwrap();

    assert_eq!(exit, Exit::Done);
    assert!(captured.stdout() == bytes);
}

#[test]
fn a_panic_in_a_command_is_a_failed_command() {
    let dir = tempfile::tempdir().unwrap();
    let (_stop, _thread) = server(dir.path(), Arc::new(|_, _| panic!("a bug")));
    let (mut out, captured) = Out::captured(Lang::En);

    let exit = beside(dir.path()).run(&request(&["x"]), &mut out).unwrap();

    assert_eq!(exit, Exit::Failed);
    assert!(captured.stderr().contains("panicked"));
}

#[test]
fn a_second_server_is_told_of_the_first_and_a_stopped_one_leaves_no_address() {
    let dir = tempfile::tempdir().unwrap();
    let (stop, thread) = server(dir.path(), Arc::new(|_, _| Exit::Done));
    assert!(matches!(own(dir.path()), Err(ControlError::Running { .. })));

    stop.send(()).unwrap();
    thread.join().unwrap();

    assert!(!address_file(dir.path()).exists());
    assert!(matches!(find(dir.path()), Ok(Place::Alone(_))));
}

#[test]
fn a_wrong_secret_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_stop, _thread) = server(dir.path(), Arc::new(|_, _| Exit::Done));
    let mut address = read_address(dir.path()).unwrap();
    address.secret = "0".repeat(64);
    let (mut out, _) = Out::captured(Lang::En);

    let refused = ControlClient::new(address).run(&request(&["x"]), &mut out);

    assert!(matches!(refused, Err(ControlError::Refused { .. })));
}

#[test]
fn an_owner_that_takes_no_commands_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let _lock = LockGuard::take(&dir.path().join("lock")).unwrap();

    let refused = find_within(dir.path(), Duration::from_millis(60)).unwrap_err();

    assert!(matches!(refused, ControlError::Silent { .. }));
    if cfg!(unix) {
        let pid = std::process::id().to_string();
        assert!(refused.to_string().contains(&pid), "{refused}");
    }
}

#[test]
fn a_left_over_address_with_a_free_lock_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        address_file(dir.path()),
        r#"{"addr":"127.0.0.1:9","pid":1,"secret":"x"}"#,
    )
    .unwrap();
    assert!(matches!(find(dir.path()), Ok(Place::Alone(_))));
}

#[test]
fn file_arguments_are_seen_from_the_caller() {
    let request = request(&["x"]);
    assert_eq!(
        request.file(Path::new("a.csv")),
        PathBuf::from("/home/shop/a.csv")
    );
    assert_eq!(request.file(Path::new("/b.csv")), PathBuf::from("/b.csv"));
}
