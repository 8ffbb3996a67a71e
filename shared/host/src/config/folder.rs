//! The data folder and the flag that names it.

use std::path::{Path, PathBuf};

use super::ConfigError;
use crate::os;

/// `--data DIR`, before or after the verb.
#[derive(Clone, Debug, clap::Args)]
pub struct DataArgs {
    /// The folder with everything the program keeps
    // Not required by clap, which cannot require a global flag: `DataArgs::existing` says what is missing.
    #[arg(long, global = true, env = "VITRINA_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// A data folder that is there; its path is absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFolder {
    path: PathBuf,
}

impl DataArgs {
    /// The folder, which must be there.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoData`], [`ConfigError::NoFolder`], [`ConfigError::NotAFolder`].
    pub fn existing(&self) -> Result<DataFolder, ConfigError> {
        let path = self.given()?;
        DataFolder::existing(&path)
    }

    /// The folder, made for this account only when it is missing.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoData`], [`ConfigError::NotAFolder`], [`ConfigError::Make`].
    pub fn existing_or_made(&self) -> Result<DataFolder, ConfigError> {
        let path = self.given()?;
        if !path.exists() {
            os::create_private_dir(&path).map_err(ConfigError::Make)?;
        }
        DataFolder::existing(&path)
    }

    fn given(&self) -> Result<PathBuf, ConfigError> {
        let given = self.data.clone();
        given
            .filter(|path| !path.as_os_str().is_empty())
            .ok_or(ConfigError::NoData)
    }
}

impl DataFolder {
    /// The folder at `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoFolder`], [`ConfigError::NotAFolder`], [`ConfigError::Read`].
    pub fn existing(path: &Path) -> Result<Self, ConfigError> {
        let found = std::fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ConfigError::NoFolder {
                path: path.to_path_buf(),
            },
            _ => ConfigError::Read {
                path: path.to_path_buf(),
                source,
            },
        })?;
        if !found.is_dir() {
            return Err(ConfigError::NotAFolder {
                path: path.to_path_buf(),
            });
        }
        let path = std::path::absolute(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self { path })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies in it under `name`.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Example {
        #[command(flatten)]
        data: DataArgs,
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(clap::Subcommand)]
    enum Verb {
        Status,
    }

    #[test]
    fn the_flag_works_before_and_after_the_verb() {
        for line in [
            ["x", "--data", "d", "status"],
            ["x", "status", "--data", "d"],
        ] {
            let example = Example::try_parse_from(line).unwrap();
            assert_eq!(example.data.data, Some(PathBuf::from("d")));
            assert!(matches!(example.verb, Verb::Status));
        }
    }

    #[test]
    fn a_missing_folder_is_made_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let args = DataArgs {
            data: Some(dir.path().join("new")),
        };
        assert!(matches!(args.existing(), Err(ConfigError::NoFolder { .. })));

        let made = args.existing_or_made().unwrap();

        assert!(made.path().is_absolute());
        assert_eq!(args.existing().unwrap(), made);
    }

    #[test]
    fn no_folder_at_all_is_wrong_usage() {
        let none = DataArgs { data: None };
        let refused = none.existing().unwrap_err();
        assert!(refused.is_usage());
        assert!(refused.to_string().contains("VITRINA_DATA"));
    }
}
