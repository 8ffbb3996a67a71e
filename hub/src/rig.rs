//! The hub as a library, for tests that hold its disk: every transaction through the code of the server and the commands,
//! without a socket.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;
use vitrina_host::config::DataFolder;
use vitrina_host::db::Vfs;
use vitrina_host::sign;

use crate::audit::By;
use crate::catalogue::{self, Mode};
use crate::cli::upkeep;
use crate::core::{Core, Init, database};
use crate::keys::{NewKey, Role};
use crate::shops::{self, NewShop};
use crate::store::{Problem, Store, Verdict};
use crate::{enrol, exchange};

/// Why something was not done; nothing of it is kept.
pub type Failed = Box<dyn Error + Send + Sync>;

/// An open data folder whose database lies on the disk of a VFS.
pub struct Rig {
    core: Arc<Core>,
    runtime: Runtime,
}

impl Rig {
    /// Opens a folder, the database by the VFS of this name.
    ///
    /// # Errors
    ///
    /// [`Failed`]; the database is as it was.
    pub fn open(folder: &Path, vfs: Option<Vfs>) -> Result<Self, Failed> {
        Self::begin(folder, vfs, Init::Refuse)
    }

    /// Opens a folder whose database was just put back from a copy: a new life begins.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn restored(folder: &Path, vfs: Option<Vfs>) -> Result<Self, Failed> {
        Self::begin(folder, vfs, Init::Restored)
    }

    fn begin(folder: &Path, vfs: Option<Vfs>, init: Init) -> Result<Self, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let opening = Core::open_on(DataFolder::existing(folder)?, init, vfs);
        let core = runtime.block_on(opening)?;
        core.view()?;
        Ok(Self { core, runtime })
    }

    /// Adds a shop of these settings (JSON) and gives its code.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn add_shop(&self, settings: &str) -> Result<String, Failed> {
        let new: NewShop = serde_json::from_str(settings)?;
        Ok(self
            .runtime
            .block_on(shops::add(&self.core, By::CommandLine, new))?
            .code)
    }

    /// Sets what these settings (JSON) say of a shop.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn set_shop(&self, shop: &str, settings: &str) -> Result<(), Failed> {
        let fields = serde_json::from_str(settings)?;
        let set = shops::set(&self.core, By::CommandLine, (shop.parse()?, fields));
        self.runtime.block_on(set)?;
        Ok(())
    }

    /// A new code of a shop.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn recode_shop(&self, shop: &str) -> Result<String, Failed> {
        let recoded = shops::recode(&self.core, By::CommandLine, shop.parse()?);
        Ok(self.runtime.block_on(recoded)?.code)
    }

    /// Ends a shop's credentials.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn revoke_shop(&self, shop: &str) -> Result<(), Failed> {
        let revoked = shops::revoke(&self.core, By::CommandLine, shop.parse()?);
        Ok(self.runtime.block_on(revoked)?)
    }

    /// Adds a key of the website's role.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn add_key(&self, name: &str) -> Result<(), Failed> {
        let added = self.core.keys.add(
            &self.core.store,
            By::CommandLine,
            NewKey::of(name, Role::Website),
        );
        self.runtime.block_on(added)?;
        Ok(())
    }

    /// `POST /v1/enrol`.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn enrol(&self, frame: Vec<u8>) -> Result<Vec<u8>, Failed> {
        let answer = enrol::answer(&self.core, frame.into());
        Ok(self.runtime.block_on(answer)?)
    }

    /// `POST /v1/exchange`.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn exchange(&self, frame: Vec<u8>) -> Result<Vec<u8>, Failed> {
        let answer = exchange::answer(&self.core, frame.into(), || ());
        Ok(self.runtime.block_on(answer)?)
    }

    /// Imports a file of the ERP: how many records it had.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn import(&self, file: &Path) -> Result<u64, Failed> {
        let (core, path) = (Arc::clone(&self.core), file.to_path_buf());
        let import = async move {
            tokio::task::spawn_blocking(move || catalogue::import_path(&core, &path, Mode::Write))
                .await
        };
        Ok(self.runtime.block_on(import)??.rows)
    }

    /// Decides that everything that the shops set aside is to be tried again.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn retry_all(&self) -> Result<usize, Failed> {
        let store = &self.core.store;
        let decide = async {
            let rows = store.quarantine(None).await?;
            for row in &rows {
                let id = sign::from_hex(&row.id).ok_or("no name of a record")?;
                store
                    .decide(By::CommandLine, id, None, Verdict::Force)
                    .await?;
            }
            Ok::<_, Failed>(rows.len())
        };
        self.runtime.block_on(decide)
    }

    /// Writes a copy.
    ///
    /// # Errors
    ///
    /// [`Failed`]; then there is no new file.
    pub fn backup(&self, target: &Path) -> Result<(), Failed> {
        let backup = self.core.store.backup(target);
        Ok(self.runtime.block_on(backup)?)
    }

    /// Every barcode of every shop with what is on hand, as the tables have it.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn levels(&self) -> Result<Vec<(u32, String, i64)>, Failed> {
        let levels = self.core.store.levels()?;
        Ok(levels
            .into_iter()
            .map(|level| (level.shop, level.barcode.to_string(), level.on_hand))
            .collect())
    }

    /// What the hub's own `verify` says: the tables against the movements, the answers against the tables.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn verify(&self) -> Result<Vec<String>, Failed> {
        Ok(words(&upkeep::look(&self.core, None)?.problems))
    }

    /// Closes, as a clean stop does.
    pub fn close(self) {
        self.runtime.block_on(self.core.close());
    }
}

/// Opens a database alone, as the program does at its start, and looks at it.
///
/// # Errors
///
/// [`Failed`]: the program would not start.
pub fn look(folder: &Path, vfs: Vfs) -> Result<Vec<String>, Failed> {
    let store = Store::open(&database(&DataFolder::existing(folder)?), Some(vfs))?;
    let found = store.verify(None)?;
    Ok(words(&found.problems))
}

fn words(problems: &[Problem]) -> Vec<String> {
    let words = problems.iter();
    words
        .map(|problem| format!("{} {}", problem.code, problem.detail))
        .collect()
}
