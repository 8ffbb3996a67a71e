//! Copies that are no clones.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use vitrina_host::db::Db;
use vitrina_host::os::{OsError, sync_dir};

use super::LedgerError;

// Who opens the copy mints a replica of its own; neither a till's token nor the place of the first goes with it.
const STRIP: &str = "BEGIN IMMEDIATE;
    UPDATE state SET current = NULL, doubt = NULL, file = NULL, path = NULL, machine = NULL,
        show_all = 1, all_for = NULL;
    DELETE FROM terminal;
    DELETE FROM pairing;
    COMMIT;";

/// Writes a copy without what makes it this ledger: beside the target first, then renamed.
pub(super) fn backup(db: &Db, target: &Path) -> Result<(), LedgerError> {
    let unfinished = beside(target);
    let made = db
        .backup_into_blocking(&unfinished)
        .map_err(LedgerError::from)
        .and_then(|()| strip(&unfinished))
        .and_then(|()| {
            let failed = |source| OsError::Io {
                doing: "write",
                path: target.to_path_buf(),
                source,
            };
            let file = std::fs::File::options()
                .write(true)
                .open(&unfinished)
                .map_err(failed)?;
            file.sync_all().map_err(failed)?;
            std::fs::rename(&unfinished, target).map_err(failed)?;
            let folder = target.parent().filter(|path| !path.as_os_str().is_empty());
            Ok(sync_dir(folder.unwrap_or(Path::new(".")))?)
        });
    if made.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    made
}

fn strip(copy: &Path) -> Result<(), LedgerError> {
    let conn = Connection::open(copy)?;
    conn.pragma_update(None, "secure_delete", true)?;
    conn.pragma_update(None, "journal_mode", "DELETE")?;
    conn.execute_batch(STRIP)?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn beside(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(".unfinished");
    target.with_file_name(name)
}
