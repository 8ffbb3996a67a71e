//! The ERP's files: catalogue, prices, aliases from CommerceML and CSV, by hand, by folder, by call.
//!
//! A file is checked to its end before its first record is applied; then it is applied in bounded transactions behind
//! everything urgent, so that an exchange never waits for an import. Applying one twice changes nothing.

mod cml;
mod csv;
mod inbox;
#[cfg(test)]
mod tests;
mod words;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vitrina_host::cml::CmlError;
use vitrina_host::csv::CsvError;
use vitrina_host::package::{self, FileKind, PackageError};
use vitrina_host::sign;
use vitrina_shared::Barcode;

use crate::audit::By;
use crate::core::Core;
use crate::store::{CatalogueRow, ImportEnd, StoreError, Word, Written};
use words::Words;

pub(crate) use inbox::watch;

/// Records of one transaction.
const BATCH: usize = 500;
/// The most warnings and unknown codes that are kept of one import.
const MAX_NOTES: usize = 1_000;
/// The most bytes that an archive may unpack to.
const MAX_UNPACKED: u64 = 8 << 30;

/// Why a file was not imported. Nothing of it was applied, unless the store failed on the way: then it is applied up to
/// there, and again from the beginning next time, which changes nothing twice.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// It cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// The file.
        name: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no CommerceML, or not whole.
    #[error("{name} is no whole CommerceML file")]
    Cml {
        /// The file.
        name: String,
        /// What is wrong.
        source: CmlError,
    },
    /// It is no CSV, or not whole.
    #[error("{name} is no whole CSV file")]
    Csv {
        /// The file.
        name: String,
        /// What is wrong.
        source: CsvError,
    },
    /// It is no archive that can be used.
    #[error("{name} cannot be unpacked")]
    Package {
        /// The file.
        name: String,
        /// What is wrong.
        source: PackageError,
    },
    /// It is a file, but not of this kind.
    #[error("{name} is a file of {found}; the hub takes catalogue, prices, aliases and warehouses")]
    Kind {
        /// The file.
        name: String,
        /// What it is.
        found: String,
    },
    /// The store did not take it.
    #[error("{name} was not written")]
    Store {
        /// The file.
        name: String,
        /// Why not.
        source: StoreError,
    },
}

impl ImportError {
    /// Whether the same file may be taken later without anybody acting.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Store { source, .. } => source.is_transient() || source.is_disk_full(),
            Self::Read { .. } => true,
            Self::Cml { .. } | Self::Csv { .. } | Self::Package { .. } | Self::Kind { .. } => false,
        }
    }
}

/// Whether something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Yes.
    Write,
    /// No: only looked at.
    DryRun,
}

/// Where records go.
struct Sink<'a> {
    core: &'a Core,
    mode: Mode,
    name: String,
    batch: Vec<CatalogueRow>,
    end: ImportEnd,
    /// What the classifier calls ids; read when the first CommerceML of an archive is.
    words: Option<Words>,
}

/// Takes a file, in the background, and removes it; the import's id says what became of it.
pub(crate) async fn start(
    core: &Arc<Core>,
    by: By,
    (name, file): (&str, PathBuf),
) -> Result<String, StoreError> {
    let id = new_id()?;
    core.store.begin_import(id.clone(), name.to_owned()).await?;
    let (core, name, given) = (Arc::clone(core), name.to_owned(), id.clone());
    tokio::task::spawn_blocking(move || {
        let end = match File::open(&file) {
            Ok(opened) => finish(import_file(&core, &name, opened, Mode::Write)),
            Err(error) => ImportEnd {
                error: Some(error.to_string()),
                ..ImportEnd::default()
            },
        };
        // What is left is found by whoever empties the folder next.
        let _ = std::fs::remove_file(&file);
        let ended =
            tokio::runtime::Handle::current().block_on(core.store.end_import(by, given, end));
        if let Err(error) = ended {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the end of an import was not written"
            );
        }
    });
    Ok(id)
}

/// Imports a file by its path, for a command, and keeps a record of it. Blocks.
pub(crate) fn import_path(core: &Core, path: &Path, mode: Mode) -> Result<ImportEnd, ImportError> {
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let file = File::open(path).map_err(|source| ImportError::Read {
        name: name.clone(),
        source,
    })?;
    recorded(core, By::CommandLine, (&name, file), mode)
}

/// Imports an open file and keeps a record of it. Blocks.
fn recorded(
    core: &Core,
    by: By,
    (name, file): (&str, File),
    mode: Mode,
) -> Result<ImportEnd, ImportError> {
    if mode == Mode::DryRun {
        return import_file(core, name, file, mode);
    }
    let failed = |source| ImportError::Store {
        name: name.to_owned(),
        source,
    };
    let runtime = tokio::runtime::Handle::current();
    let id = new_id().map_err(failed)?;
    runtime
        .block_on(core.store.begin_import(id.clone(), name.to_owned()))
        .map_err(failed)?;
    let outcome = import_file(core, name, file, mode);
    let end = match &outcome {
        Ok(end) => end.clone(),
        Err(error) => ImportEnd {
            error: Some(with_causes(error)),
            ..ImportEnd::default()
        },
    };
    runtime
        .block_on(core.store.end_import(by, id, end))
        .map_err(failed)?;
    outcome
}

fn finish(outcome: Result<ImportEnd, ImportError>) -> ImportEnd {
    outcome.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "an import failed");
        ImportEnd {
            error: Some(with_causes(&error)),
            ..ImportEnd::default()
        }
    })
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn new_id() -> Result<String, StoreError> {
    Ok(sign::hex(
        &sign::random_bytes::<16>().map_err(|_| StoreError::Random)?,
    ))
}

/// Imports one file: an archive, CommerceML or CSV.
fn import_file(
    core: &Core,
    name: &str,
    mut file: File,
    mode: Mode,
) -> Result<ImportEnd, ImportError> {
    let mut sink = Sink {
        core,
        mode,
        name: name.to_owned(),
        batch: Vec::with_capacity(BATCH),
        end: ImportEnd::default(),
        words: None,
    };
    import_any(&mut sink, &mut file)?;
    sink.flush()?;
    Ok(sink.end)
}

fn import_any(sink: &mut Sink<'_>, file: &mut File) -> Result<(), ImportError> {
    let read = |name: &str| {
        let name = name.to_owned();
        move |source| ImportError::Read { name, source }
    };
    let mut head = Vec::with_capacity(64);
    file.by_ref()
        .take(64)
        .read_to_end(&mut head)
        .map_err(read(&sink.name))?;
    file.rewind().map_err(read(&sink.name))?;
    match package::file_kind(&head) {
        FileKind::Xml => cml::import(sink, file),
        FileKind::Text => csv::import(sink, file),
        FileKind::Zip => import_archive(sink, file),
    }
}

/// The files of an archive, in the order in which they must be taken.
fn import_archive(sink: &mut Sink<'_>, file: &mut File) -> Result<(), ImportError> {
    let name = sink.name.clone();
    let read = |source| ImportError::Read {
        name: name.clone(),
        source,
    };
    let folder = sink
        .core
        .data
        .join("spool")
        .join(new_id().map_err(|source| ImportError::Store {
            name: name.clone(),
            source,
        })?);
    std::fs::create_dir_all(&folder).map_err(read)?;
    let unpacked =
        package::unpack(&mut *file, &folder, MAX_UNPACKED).map_err(|source| ImportError::Package {
            name: name.clone(),
            source,
        });
    let outcome = unpacked.and_then(|unpacked| {
        for part in unpacked.files {
            sink.name = format!("{name}: {}", part.name);
            let mut part = File::open(&part.path).map_err(read)?;
            import_any(sink, &mut part)?;
        }
        Ok(())
    });
    // What cannot be removed is found by whoever empties the folder next.
    let _ = std::fs::remove_dir_all(&folder);
    sink.name = name;
    outcome
}

impl Sink<'_> {
    /// The words of earlier files.
    fn words(&mut self) -> Result<Words, ImportError> {
        if let Some(words) = self.words.take() {
            return Ok(words);
        }
        let words = tokio::runtime::Handle::current().block_on(self.core.store.words());
        words.map(Words::of).map_err(|source| ImportError::Store {
            name: self.name.clone(),
            source,
        })
    }

    /// A word that was not known.
    fn learnt(&mut self, word: Word) -> Result<(), ImportError> {
        self.end.words += 1;
        self.write(CatalogueRow::Word(word))
    }

    /// One record more.
    fn push(&mut self, row: CatalogueRow) -> Result<(), ImportError> {
        self.end.rows += 1;
        self.write(row)
    }

    fn write(&mut self, row: CatalogueRow) -> Result<(), ImportError> {
        if self.mode == Mode::DryRun {
            return Ok(());
        }
        self.batch.push(row);
        if self.batch.len() >= BATCH {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), ImportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.batch);
        let written =
            tokio::runtime::Handle::current().block_on(self.core.store.write_catalogue(rows));
        let Written { changed, unknown } = written.map_err(|source| ImportError::Store {
            name: self.name.clone(),
            source,
        })?;
        self.end.changed += changed;
        let room = MAX_NOTES.saturating_sub(self.end.unknown.len());
        self.end.unknown.extend(unknown.into_iter().take(room));
        Ok(())
    }

    /// What a person should know of a line; 0: of the whole file.
    fn warn(&mut self, line: u64, what: &str) {
        if self.end.warnings.len() < MAX_NOTES {
            let name = &self.name;
            self.end.warnings.push(if line == 0 {
                format!("{name}: {what}")
            } else {
                format!("{name}, line {line}: {what}")
            });
        }
    }

    /// A barcode, or a warning.
    fn barcode(&mut self, line: u64, text: &str) -> Option<Barcode> {
        match text.parse() {
            Ok(barcode) => Some(barcode),
            Err(error) => {
                self.warn(line, &format!("\"{text}\": {error}"));
                None
            }
        }
    }
}
