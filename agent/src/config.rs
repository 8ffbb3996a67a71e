//! `agent.toml`: what an admin may set at the shop. Flag over environment over this file over default.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use vitrina_host::config::{self, ConfigError, DataFolder, Period};
use vitrina_host::drop::DropFolder;
use vitrina_host::output::Lang;

use crate::limits::Limits;

/// The file's name in the data folder.
pub(crate) const FILE: &str = "agent.toml";

/// Where the local API listens unless told otherwise.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8421);

/// Everything `agent.toml` can say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The hub's address, where it is no longer the one of the enrolment.
    pub(crate) hub: Option<String>,
    /// A file with the certificates of the hub's own authority (PEM): nobody else is trusted then.
    pub(crate) ca: Option<PathBuf>,
    /// Allows `http://` to a hub elsewhere than on this machine.
    pub(crate) insecure: bool,
    /// `auto` (the system's), `none`, or an address.
    pub(crate) proxy: ProxyChoice,
    /// Where the local API listens.
    pub(crate) listen: Option<SocketAddr>,
    /// Names by which terminals may call it, beside its own address and `localhost`.
    pub(crate) allowed_hosts: Vec<String>,
    /// The language of texts for people.
    pub(crate) language: Option<Lang>,
    /// How long a file in `drop/` must rest before it is taken.
    pub(crate) settle: Option<Period>,
    /// More drop folders.
    pub(crate) drop: Vec<DropFolder>,
    /// How much a caller may take of the local API.
    pub(crate) limits: Limits,
}

/// Which proxy leads to the hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProxyChoice {
    /// The system's; none for a hub on this machine.
    #[default]
    Auto,
    /// None.
    None,
    /// This one.
    Url(String),
}

impl fmt::Display for ProxyChoice {
    /// As `agent.toml` says it, without a name and a password that may stand in the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::Auto => return f.write_str("auto"),
            Self::None => return f.write_str("none"),
            Self::Url(url) => url,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        write!(f, "{scheme}://{host}")
    }
}

impl<'de> Deserialize<'de> for ProxyChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "auto" | "" => Self::Auto,
            "none" => Self::None,
            url => Self::Url(url.to_owned()),
        })
    }
}

impl Config {
    /// Reads `agent.toml`; a missing file is the default.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the file cannot be read, or a key is unknown or wrong.
    pub(crate) fn load(folder: &DataFolder) -> Result<Self, ConfigError> {
        config::load(folder.path(), FILE)
    }

    /// Where the local API listens: flag over environment over file over default.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Environment`].
    pub(crate) fn listen(&self, flag: Option<SocketAddr>) -> Result<SocketAddr, ConfigError> {
        let environment = config::environment("VITRINA_LISTEN")?;
        Ok(config::choose(flag, environment, self.listen, LISTEN))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vitrina_host::drop::Take;

    use super::*;

    /// Every key there is, as the README shows it.
    const EXAMPLE: &str = r#"
hub = "https://hub.example"
ca = "hub-ca.pem"
insecure = false
proxy = "http://proxy.example:3128"
listen = "127.0.0.1:8421"
allowed_hosts = ["till-server"]
language = "ru"
settle = "2s"

[[drop]]
path = "D:\\Exchange"
take = "copy"
settle = "5s"

[limits]
head = "10s"
body = "30s"
write = "30s"
idle = "76s"
connections = 256
connections_per_address = 64
failures_per_minute = 20
bodies_mib = 4
"#;

    #[test]
    fn the_example_names_every_key() {
        let config: Config = config::parse(Path::new(FILE), EXAMPLE).unwrap();

        assert_eq!(config.language, Some(Lang::Ru));
        assert_eq!(
            config.proxy,
            ProxyChoice::Url("http://proxy.example:3128".into())
        );
        let mut drop = DropFolder::new("D:\\Exchange");
        drop.take = Take::Copy;
        drop.settle = Period::from_secs(5);
        assert_eq!(config.drop, [drop]);
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let shown = |text: &str| ProxyChoice::Url(text.into()).to_string();
        assert_eq!(
            shown("http://shop:p@ss@proxy.example:3128"),
            "http://proxy.example:3128"
        );
        assert_eq!(shown("proxy.example:3128"), "http://proxy.example:3128");
        assert_eq!(ProxyChoice::Auto.to_string(), "auto");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_known_ones() {
        let refused = config::parse::<Config>(Path::new(FILE), "lisen = 1").unwrap_err();
        let text = format!("{:#}", anyhow::Error::from(refused));
        assert!(text.contains("lisen") && text.contains("listen"), "{text}");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config: Config = config::parse(Path::new(FILE), "").unwrap();
        assert_eq!(config.listen(None).unwrap(), LISTEN);
    }
}
