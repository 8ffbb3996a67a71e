//! The configuration: a TOML file in the data folder, the environment, flags, and the order among them.
//!
//! The environment is read here and by the flags' own `env` attributes, nowhere else.

mod folder;
mod owner;
mod period;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;

pub use folder::{DataArgs, DataFolder};
pub use owner::Program;
pub use period::{Period, PeriodError};

use crate::os::OsError;

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there but cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A key is unknown or a value is wrong; the source shows the line, and the keys there are.
    #[error("{} is not right", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// An environment variable holds something else than it should.
    #[error("the environment variable {name} is wrong: {reason}")]
    Environment {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody said where the data are.
    #[error("say where the data are: --data DIR, or the environment variable VITRINA_DATA")]
    NoData,
    /// There is no such folder.
    #[error("there is no folder {}", path.display())]
    NoFolder {
        /// What was given.
        path: PathBuf,
    },
    /// Something else has the folder's name.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// What was given.
        path: PathBuf,
    },
    /// The other program keeps its data there.
    #[error("{} is the folder of a {program}", path.display())]
    AnothersFolder {
        /// What was given.
        path: PathBuf,
        /// Whose it is.
        program: &'static str,
    },
    /// Nothing of the program is there yet, and the command does not begin it.
    #[error("there is no {noun} in {0}; start one with: {program} --data {0} {beginning}", path.display())]
    NotBegun {
        /// What was given.
        path: PathBuf,
        /// What is missing.
        noun: &'static str,
        /// The program that begins it.
        program: &'static str,
        /// By which command.
        beginning: &'static str,
    },
    /// The folder cannot be made.
    #[error("cannot make the data folder")]
    Make(#[source] OsError),
}

impl ConfigError {
    /// Whether the command line is at fault (exit code 2).
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NoData | Self::Environment { .. } => true,
            Self::Read { .. }
            | Self::Wrong { .. }
            | Self::NoFolder { .. }
            | Self::NotAFolder { .. }
            | Self::AnothersFolder { .. }
            | Self::NotBegun { .. }
            | Self::Make(_) => false,
        }
    }
}

/// Reads `folder/name` (`agent.toml`, `hub.toml`); a missing file is the default.
///
/// `T` should be `#[serde(deny_unknown_fields, default)]`: then an unknown key is an error that names the known ones.
///
/// # Errors
///
/// [`ConfigError::Read`], [`ConfigError::Wrong`].
pub fn load<T: DeserializeOwned + Default>(folder: &Path, name: &str) -> Result<T, ConfigError> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

/// Reads the text of a configuration file; `path` is for the error only.
///
/// # Errors
///
/// [`ConfigError::Wrong`].
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    // Notepad puts a byte order mark before it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    toml::from_str(text).map_err(|source| ConfigError::Wrong {
        path: path.to_path_buf(),
        source: Box::new(source),
    })
}

/// Flag over environment over file over default.
pub fn choose<T>(flag: Option<T>, environment: Option<T>, file: Option<T>, default: T) -> T {
    flag.or(environment).or(file).unwrap_or(default)
}

/// The value of an environment variable; unset and empty are the same.
///
/// # Errors
///
/// [`ConfigError::Environment`] when it is no text or no such value.
pub fn environment<T>(name: &str) -> Result<Option<T>, ConfigError>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let wrong = |reason: String| ConfigError::Environment {
        name: name.to_owned(),
        reason,
    };
    let text = value
        .to_str()
        .ok_or_else(|| wrong("it is not UTF-8".to_owned()))?;
    let value = text
        .parse()
        .map_err(|error: T::Err| wrong(error.to_string()))?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Example {
        listen: Option<String>,
        settle: Period,
    }

    #[test]
    fn a_missing_file_is_the_default_and_a_present_one_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let missing: Example = load(dir.path(), "agent.toml").unwrap();
        assert_eq!(missing, Example::default());

        std::fs::write(dir.path().join("agent.toml"), "\u{feff}settle = \"2s\"\n").unwrap();
        let present: Example = load(dir.path(), "agent.toml").unwrap();

        assert_eq!(present.settle, Period::from_secs(2));
    }

    #[test]
    fn an_unknown_key_is_named_with_the_allowed_ones_and_the_file() {
        let refused = parse::<Example>(Path::new("/data/agent.toml"), "lisen = \"x\"\n");
        let error = anyhow::Error::from(refused.unwrap_err());

        let text = format!("{error:#}");

        for word in ["/data/agent.toml", "lisen", "listen", "settle"] {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file() {
        assert_eq!(choose(Some(1), Some(2), Some(3), 4), 1);
        assert_eq!(choose(None, Some(2), Some(3), 4), 2);
        assert_eq!(choose(None, None, Some(3), 4), 3);
        assert_eq!(choose(None, None, None, 4), 4);
    }

    #[test]
    fn an_unset_variable_is_none() {
        assert!(matches!(environment::<u16>("VITRINA_NEVER_SET"), Ok(None)));
    }
}
