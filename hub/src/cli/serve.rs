//! `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vitrina_host::config::{self, ConfigError, DataFolder};
use vitrina_host::control::{self, Control};
use vitrina_host::os;
use vitrina_host::output::{Exit, Out};
use vitrina_host::say;

use crate::config::LISTEN;
use crate::core::{Core, Init};
use crate::server::tls::Tls;
use crate::server::{self, Listeners};
use crate::{catalogue, exchange};

/// A drop folder's thread is given so long to end.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// Where the server listens; port 0 picks one [default: 127.0.0.1:8420]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the metrics are free to read; port 0 picks one, which the log names
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    /// The certificate with its chain (PEM); the server then speaks https:// only
    #[arg(long, value_name = "F", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM); both are read anew when they change
    #[arg(long, value_name = "F", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Begins a new life where an earlier one has left its traces and its database is gone
    #[arg(long)]
    init: bool,
}

/// Serves until it is told to stop.
pub(super) async fn serve(
    data: DataFolder,
    args: ServeArgs,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let _lock = control::own(data.path())?;
    let init = if args.init {
        Init::NewLife
    } else {
        Init::Refuse
    };
    let core = Core::open(data, init).await?;
    if args.init {
        // Where the database was there, nothing was begun anew, and the words are harmless.
        out.note(say!(
            out.lang(),
            "an empty hub knows no revocation: repeat those of shops (shop revoke) and set each shop again (shop set S --name … --source … --publish on)",
            "пустой хаб не помнит отзывов: повторите их (shop revoke) и настройте каждый магазин заново (shop set S --name … --source … --publish on)"
        ));
    }
    let outcome = serve_core(&core, args, out).await;
    core.close().await;
    outcome
}

async fn serve_core(core: &Arc<Core>, args: ServeArgs, out: &mut Out) -> anyhow::Result<Exit> {
    let listen = config::choose(
        args.listen,
        config::environment("VITRINA_LISTEN")?,
        core.config.listen,
        LISTEN,
    );
    let tls = tls(core, &args)?;
    let metrics_listen = args.metrics_listen.or(core.config.metrics_listen);
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}: --listen or hub.toml can name another address")
    })?;
    let metrics = match metrics_listen {
        Some(at) => Some(metrics_at(at).await?),
        None => None,
    };
    core.store.abandon_imports().await?;
    // What imports left that a stop cut off.
    let _ = std::fs::remove_dir_all(core.data.join("spool"));
    let filling = Arc::clone(core);
    tokio::task::spawn_blocking(move || filling.view().map(|_| ())).await??;
    for shop in core.store.being_indexed().await? {
        tokio::spawn(exchange::build_index(Arc::clone(core), shop));
    }
    let stop = CancellationToken::new();
    let control = Control::bind(core.data.path()).await?;
    let asked = Arc::clone(core);
    let commands = tokio::spawn(control.serve(
        Arc::new(move |request, out| super::answer(&asked, request, out)),
        stop.clone().cancelled_owned(),
    ));
    let folders = catalogue::watch(core)?;
    // Whoever reads that we are ready may ask us to stop.
    let signal = os::stop_signal().context("the stop signal cannot be heard")?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    out.line(format!("ready {scheme}://{}", listener.local_addr()?))?;
    std::io::Write::flush(out)?;
    let stopping = stop.clone();
    let shutdown = async move {
        signal.await;
        stopping.cancel();
    };
    let listeners = Listeners {
        api: listener,
        tls,
        metrics,
    };
    server::run(Arc::clone(core), listeners, shutdown).await?;
    stop.cancel();
    for folder in folders {
        folder.stop(PATIENCE);
    }
    // A command that is still running is cut off: what it wrote so far is whole.
    let _ = tokio::time::timeout(PATIENCE, commands).await;
    Ok(Exit::Done)
}

/// TLS, where a certificate is named: by both flags, else by the environment or `hub.toml`, whose names start at the data
/// folder.
fn tls(core: &Core, args: &ServeArgs) -> anyhow::Result<Option<Tls>> {
    let named = |flag: &Option<PathBuf>, variable, file: &Option<PathBuf>| {
        let beside = || file.as_ref().map(|path| core.data.join(path));
        let environment = config::environment(variable)?;
        Ok::<_, ConfigError>(flag.clone().or(environment).or_else(beside))
    };
    let cert = named(&args.tls_cert, "VITRINA_TLS_CERT", &core.config.tls_cert)?;
    let key = named(&args.tls_key, "VITRINA_TLS_KEY", &core.config.tls_key)?;
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(Tls::open(cert, key)?)),
        (Some(_), None) => anyhow::bail!("the certificate needs its key: tls_key, or --tls-key F"),
        (None, Some(_)) => {
            anyhow::bail!("the key needs its certificate: tls_cert, or --tls-cert F")
        }
    }
}

/// Where the metrics are free to read; said in the log, because port 0 picks one and stdout has one line only.
async fn metrics_at(at: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(at).await.with_context(|| {
        format!("cannot listen on {at}: --metrics-listen or hub.toml can name another address")
    })?;
    let address = listener.local_addr()?;
    tracing::info!("the metrics are free to read at http://{address}/metrics");
    Ok(listener)
}
