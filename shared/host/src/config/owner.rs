//! Whose a data folder is: each program knows its own by the files in it, and the other's.

use super::{ConfigError, DataFolder};

/// A program that keeps a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The agent of a shop.
    Agent,
    /// The hub.
    Hub,
}

impl Program {
    /// Its name as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "vitrina-agent",
            Self::Hub => "vitrina-hub",
        }
    }

    /// What it is called where it is missing.
    fn noun(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Hub => "hub",
        }
    }

    /// What begins its folder, behind `--data DIR`.
    fn beginning(self) -> &'static str {
        match self {
            Self::Agent => "enrol --hub URL --code CODE",
            Self::Hub => "serve",
        }
    }

    /// Files that show that its books are here, or were.
    fn traces(self) -> &'static [&'static str] {
        match self {
            Self::Agent => &["ledger.sqlite3", "high-water", "device.key", "hub.json"],
            Self::Hub => &["hub.sqlite3", "life.json"],
        }
    }

    /// Files that nobody else has.
    fn marks(self) -> impl Iterator<Item = &'static str> {
        let keys: &[&str] = match self {
            Self::Agent => &[],
            Self::Hub => &["hub.key", "token.key"],
        };
        self.traces().iter().chain(keys).copied()
    }

    fn other(self) -> Self {
        match self {
            Self::Agent => Self::Hub,
            Self::Hub => Self::Agent,
        }
    }
}

impl DataFolder {
    /// The folder is not the other program's. One with files of both is whose they are: he goes on with his.
    ///
    /// # Errors
    ///
    /// [`ConfigError::AnothersFolder`]; nothing was written.
    pub fn not_of_another(&self, program: Program) -> Result<(), ConfigError> {
        let other = program.other();
        let is_own = program.marks().any(|name| self.has(name) != Some(false));
        if !is_own && other.marks().any(|name| self.has(name) == Some(true)) {
            return Err(ConfigError::AnothersFolder {
                path: self.path().to_path_buf(),
                program: other.name(),
            });
        }
        Ok(())
    }

    /// The program has begun the folder: its books are here, or something that shows that they were.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NotBegun`]; nothing was written.
    pub fn begun(&self, program: Program) -> Result<(), ConfigError> {
        let mut traces = program.traces().iter();
        if traces.any(|name| self.has(name) != Some(false)) {
            return Ok(());
        }
        Err(ConfigError::NotBegun {
            path: self.path().to_path_buf(),
            noun: program.noun(),
            program: program.name(),
            beginning: program.beginning(),
        })
    }

    /// Whether a file is there; nobody knows in a folder that this account may not look into, and whoever opens it says
    /// so.
    fn has(&self, name: &str) -> Option<bool> {
        self.join(name).try_exists().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> (tempfile::TempDir, DataFolder) {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = DataFolder::existing(dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn a_folder_is_known_by_its_files_also_without_its_database() {
        let hubs: [&[&str]; 3] = [&["hub.sqlite3"], &["life.json"], &["hub.key"]];
        let agents: [&[&str]; 3] = [&["ledger.sqlite3"], &["high-water"], &["hub.json"]];
        for (own, other, folders) in [
            (Program::Hub, Program::Agent, hubs),
            (Program::Agent, Program::Hub, agents),
        ] {
            for names in folders {
                let (_dir, folder) = folder_with(names);
                assert!(folder.not_of_another(own).is_ok(), "{names:?}");
                let refused = folder.not_of_another(other).unwrap_err();
                assert!(refused.to_string().ends_with(own.name()), "{refused}");
            }
        }
    }

    #[test]
    fn settings_alone_are_nobodys_and_files_of_both_stop_nobody() {
        let (_dir, settings) = folder_with(&["hub.toml", "agent.toml"]);
        let (_dir, both) = folder_with(&["hub.sqlite3", "ledger.sqlite3"]);
        for program in [Program::Agent, Program::Hub] {
            assert!(settings.not_of_another(program).is_ok());
            assert!(settings.begun(program).is_err());
            assert!(both.not_of_another(program).is_ok());
            assert!(both.begun(program).is_ok());
        }
    }

    #[test]
    fn keys_alone_are_no_hub_yet_and_a_hub_without_its_database_is_one() {
        let (_dir, keys) = folder_with(&["hub.key", "token.key"]);
        let (_dir, lost) = folder_with(&["hub.key", "token.key", "life.json"]);
        assert!(keys.begun(Program::Hub).is_err());
        assert!(lost.begun(Program::Hub).is_ok());
    }
}
