//! A place to open what is left of a database, by the program's own start.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::day::Side;
use super::dump::{self, Dump};
use crate::vfs::{self, Disk, Image};

/// What the program finds in an image.
pub(super) struct Seen {
    /// It would not start, or it names something that is wrong, or doubts itself: how.
    pub(super) noticed: Option<(&'static str, String)>,
    /// What the database says; nothing where it cannot be read.
    pub(super) dump: Option<Dump>,
    /// What SQLite's full check says, where the program saw nothing.
    pub(super) damage: Option<String>,
    /// The rows of the books.
    pub(super) rows: Vec<String>,
}

impl Seen {
    /// What the books alone say.
    pub(super) fn books(&self) -> Option<u64> {
        self.dump.map(|dump| dump.books)
    }
}

/// A folder with a disk, to open images in.
pub(super) struct Bench {
    disk: Disk,
    home: PathBuf,
    _folder: TempDir,
}

impl Bench {
    pub(super) fn new(home: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            disk: Disk::mount(folder.path()),
            home: home.to_path_buf(),
            _folder: folder,
        }
    }

    pub(super) fn look(&self, side: Side, image: &Image, high_water: Option<&str>) -> Seen {
        self.disk.load(image);
        let path = self.disk.folder().join(side.database());
        let looked = match side {
            Side::Agent => {
                vitrina_agent::rig::look(&path, vfs::VFS, &self.home, high_water).map(|look| {
                    let began_anew = look.is_new && high_water.is_some();
                    let doubt = began_anew.then(|| "it begins anew".to_owned());
                    (look.doubt.or(doubt), look.problems)
                })
            }
            Side::Hub => vitrina_hub::rig::look(self.disk.folder(), vfs::VFS)
                .map(|problems| (None, problems)),
        };
        let noticed = match looked {
            Err(error) => Some(("it does not start", words(error.as_ref()))),
            Ok((_, problems)) if !problems.is_empty() => Some(("verify", problems.join("; "))),
            Ok((Some(doubt), _)) => Some(("it doubts itself", doubt)),
            Ok((None, _)) => None,
        };
        let rows = dump::open(&path)
            .map(|conn| dump::books(&conn))
            .unwrap_or_default();
        let read = dump::open(&path).and_then(|conn| Ok((dump::dump(&conn)?, dump::check(&conn)?)));
        match read {
            Ok((dump, damage)) => Seen {
                noticed,
                dump: Some(dump),
                damage: damage.into_iter().next(),
                rows,
            },
            Err(error) => Seen {
                noticed,
                dump: None,
                damage: Some(error.to_string()),
                rows,
            },
        }
    }
}

fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
