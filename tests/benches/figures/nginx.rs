//! nginx serving files: the yardstick of a read.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a worker wants to hold open.
const FILES_WANTED: u64 = 100_000;
/// Of these so many are no bodies.
const FILES_FOR_CONNECTIONS: u64 = 500;

/// nginx in the foreground, with a configuration and a folder of its own. Ended by its own id when dropped.
pub(crate) struct Nginx {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl Nginx {
    /// Serves the files of `folder/www`, as many workers as cores, open files cached, no access log.
    pub(crate) fn start(folder: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let home = folder.display();
        let files = files_max();
        let cached = files - FILES_FOR_CONNECTIONS;
        let text = format!(
            "daemon off; worker_processes auto; worker_rlimit_nofile {files}; pid {home}/nginx.pid; error_log stderr error;
events {{ worker_connections 1024; multi_accept on; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; etag on; keepalive_requests 1000000000;
    open_file_cache max={cached} inactive=1h; open_file_cache_valid 1h; open_file_cache_min_uses 1;
    default_type application/json; types {{ }}
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    server {{ listen {address}; root {home}/www; }}
}}
"
        );
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, text).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&configuration)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            url: format!("http://{address}"),
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "nginx listens");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

/// How many files a worker may hold open: all bodies of the figure where the system allows it. Below that nginx opens
/// some anew, as it would in production.
fn files_max() -> u64 {
    let said = Command::new("sh").args(["-c", "ulimit -Hn"]).output();
    let hard = String::from_utf8_lossy(&said.unwrap().stdout)
        .trim()
        .parse();
    hard.map_or(FILES_WANTED, |hard: u64| hard.min(FILES_WANTED))
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A killed master would leave its workers behind.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.child.wait();
    }
}
