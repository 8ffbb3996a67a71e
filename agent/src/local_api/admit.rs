//! Who may call: a terminal with its token, from a page or program of this shop.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use vitrina_host::tally::{Tally, TooMuch};

use super::serve::Peer;
use super::{Api, Problem, cookie};
use crate::config::Config;
use crate::identity::token_hash;
use crate::ledger::terminal;

/// The most tokens that are remembered as good.
const MAX_KNOWN: usize = 1_000;
/// How many pairing codes an address may try within a minute.
const MAX_GUESSES: u64 = 5;
/// The same for all addresses together. A code is good for ten minutes: who guesses all the while finds one in five
/// thousand times.
const MAX_ALL_GUESSES: u64 = 20;

/// By which names the API may be called, and which tokens were found good.
pub(crate) struct Gate {
    listen: SocketAddr,
    allowed: Vec<String>,
    known: Mutex<HashMap<[u8; 32], u64>>,
    failures: Tally<IpAddr>,
    guesses: Tally<IpAddr>,
    all_guesses: Tally<()>,
}

impl Gate {
    /// For an API that listens at `listen`.
    pub(crate) fn new(listen: SocketAddr, config: &Config) -> Self {
        let allowed = config
            .allowed_hosts
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        Self {
            listen,
            allowed,
            known: Mutex::new(HashMap::new()),
            failures: Tally::new(config.limits.failures_per_minute.into()),
            guesses: Tally::new(MAX_GUESSES),
            all_guesses: Tally::new(MAX_ALL_GUESSES),
        }
    }

    /// Where the API listens, at this machine.
    pub(super) fn port(&self) -> u16 {
        self.listen.port()
    }

    /// Somebody tries a pairing code. This machine is counted too: any program of it can call.
    ///
    /// # Errors
    ///
    /// 429; then the code is not looked at, right or wrong.
    pub(super) fn guess(&self, address: IpAddr, now: Instant) -> Result<(), Problem> {
        // An address that has spent its own share takes nothing of the others'.
        let counted = self.guesses.add(address, 1, now);
        let counted = counted.and_then(|()| self.all_guesses.add((), 1, now));
        counted.map_err(|TooMuch(seconds)| {
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "too many codes were tried",
            )
            .retry_after(seconds)
        })
    }

    /// The refusal of a call without a known token; who fails too often is told to wait. This machine itself is not
    /// counted, and a known token is let in whatever its neighbours did.
    fn refused(&self, address: IpAddr, now: Instant) -> Problem {
        if !address.is_loopback()
            && let Err(TooMuch(seconds)) = self.failures.add(address, 1, now)
        {
            return Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "too many calls without a known token",
            )
            .retry_after(seconds);
        }
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "give a terminal's token: Authorization: Bearer …; the first one is in the file terminal.token of the agent's \
             data folder, and vitrina-agent terminal add NAME makes one for a till",
        )
    }

    /// Whether `host` (with or without a port) is a name of this agent. A page of another site has that site's name
    /// in it, even when its DNS entry points here; an address cannot be faked so.
    fn is_own(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        if name == "localhost" || self.allowed.contains(&name) {
            return true;
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let Ok(ip) = bare.parse::<IpAddr>() else {
            return false;
        };
        ip.is_loopback() || ip == self.listen.ip() || self.listen.ip().is_unspecified()
    }

    fn knows(&self, hash: &[u8; 32], generation: u64) -> bool {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            == Some(&generation)
    }

    fn remember(&self, hash: [u8; 32], generation: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(hash, generation);
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}

/// Refuses what calls us by another's name, or from another's page.
pub(super) async fn neighbour(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let foreign = |what: &str| {
        Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("{what} is none of this agent: see allowed_hosts"),
        )
    };
    let headers = request.headers();
    let host = text(headers, header::HOST)
        .or_else(|| request.uri().host())
        .unwrap_or_default();
    if !api.gate.is_own(host) {
        return Err(foreign("the Host"));
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = text(headers, header::ORIGIN).unwrap_or_default();
        let from = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .unwrap_or_default();
        if from != host {
            return Err(foreign("the Origin"));
        }
    }
    Ok(next.run(request).await)
}

/// Lets in who has a terminal's token.
pub(super) async fn token(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let refused = || api.gate.refused(peer.address, Instant::now());
    let headers = request.headers();
    let token = bearer(headers)
        .or_else(|| cookie::token(headers, api.gate.port()))
        .ok_or_else(refused)?;
    let hash = token_hash(token);
    let generation = api.core.terminals_generation();
    if !api.gate.knows(&hash, generation) {
        let found = api
            .core
            .ledger()
            .db()
            .read(move |conn| terminal::find(conn, &hash))
            .await?;
        found.ok_or_else(refused)?;
        api.gate.remember(hash, generation);
    }
    peer.pulse.prove();
    Ok(next.run(request).await)
}

/// The token of a till's program.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = text(headers, header::AUTHORIZATION)?;
    let token = given.strip_prefix("Bearer ")?.trim();
    Some(token).filter(|token| !token.is_empty())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_own() {
        let config = Config {
            allowed_hosts: vec!["Till-Server".into()],
            ..Config::default()
        };
        let gate = Gate::new("127.0.0.1:8421".parse().unwrap(), &config);
        for own in [
            "127.0.0.1:8421",
            "localhost:8421",
            "LOCALHOST",
            "[::1]:8421",
            "till-server:8421",
        ] {
            assert!(gate.is_own(own), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8421",
            "192.168.1.9:8421",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(!gate.is_own(foreign), "{foreign}");
        }
    }

    #[test]
    fn in_the_lan_every_address_is_own_and_no_foreign_name() {
        let gate = Gate::new("0.0.0.0:8421".parse().unwrap(), &Config::default());
        assert!(gate.is_own("192.168.1.9:8421"));
        assert!(!gate.is_own("evil.example:8421"));
    }

    #[test]
    fn a_neighbour_that_guesses_is_told_to_wait_and_this_machine_is_not() {
        let gate = Gate::new("0.0.0.0:8421".parse().unwrap(), &Config::default());
        let now = Instant::now();
        let refused = |address: &str| {
            let problem = gate.refused(address.parse().unwrap(), now);
            axum::response::IntoResponse::into_response(problem)
        };

        assert!((0..20).all(|_| refused("192.168.1.9").status() == StatusCode::UNAUTHORIZED));
        let waits = refused("192.168.1.9");
        assert_eq!(waits.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(waits.headers()[header::RETRY_AFTER], "60");
        assert_eq!(refused("192.168.1.10").status(), StatusCode::UNAUTHORIZED);
        assert!((0..50).all(|_| refused("127.0.0.1").status() == StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn codes_are_tried_a_few_times_a_minute_and_by_all_together_not_many_more() {
        let gate = Gate::new("0.0.0.0:8421".parse().unwrap(), &Config::default());
        let now = Instant::now();
        let tries = |address: &str| gate.guess(address.parse().unwrap(), now).is_ok();

        assert!((0..5).all(|_| tries("127.0.0.1")), "this machine too");
        assert!(!tries("127.0.0.1"));
        assert!((0..100).all(|_| !tries("127.0.0.1")), "it takes no other's");
        let others = ["192.168.1.5", "192.168.1.6", "192.168.1.7"];
        assert!(others.iter().all(|other| (0..5).all(|_| tries(other))));
        assert!(!tries("192.168.1.8"), "all together had their twenty");
    }
}
