//! The agent as a library, for tests that hold its disk: every transaction of a shop's day through the code of the
//! daemon and the commands, without a socket. The frames of an exchange are carried by the caller.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use tokio::runtime::Runtime;
use vitrina_host::config::DataFolder;
use vitrina_host::db::{Settings, Vfs};
use vitrina_host::output::Lang;
use vitrina_host::sign;
use vitrina_shared::Barcode;

use crate::core::{Core, now};
use crate::enrol::{self, Invitation};
use crate::ingest::{self, Incoming, Taken, Wishes, retry};
use crate::ledger::quarantine::{self, State};
use crate::ledger::{Desk, Force, Greeting, HighWater, Home, Ledger, Show, disagreement, query};
use crate::local_api::movements::{self, Answer};
use crate::local_api::receipts;
use crate::sync::Carried;

/// Why something was not done; nothing of it is kept.
pub type Failed = Box<dyn Error + Send + Sync>;

/// The most rows of a list.
const ROWS: usize = 1_000;

/// An open data folder whose ledger lies on the disk of a VFS.
pub struct Rig {
    core: Core,
    runtime: Runtime,
}

/// A request on its way to the hub.
pub struct Sent(Carried);

/// How a ledger was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// It does not trust itself to be the only continuation of its log, and why: it will mint.
    pub doubt: Option<String>,
    /// It had no replica and minted one.
    pub is_new: bool,
    /// What the agent's own `verify` says.
    pub problems: Vec<String>,
}

impl Rig {
    /// Opens a folder, the ledger by the VFS of this name.
    ///
    /// # Errors
    ///
    /// [`Failed`]; the ledger is as it was.
    pub fn open(folder: &Path, vfs: Option<Vfs>) -> Result<Self, Failed> {
        let core = Core::open_on(DataFolder::existing(folder)?, vfs)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self { core, runtime })
    }

    /// The frame of an enrolment.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn ask_to_enrol(&self, code: &str) -> Result<Vec<u8>, Failed> {
        Ok(self.runtime.block_on(enrol::ask(&self.core, code))?)
    }

    /// Keeps the hub's answer to an enrolment.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn enrol(&self, code: &str, answer: &[u8]) -> Result<(), Failed> {
        let invitation = Invitation {
            url: "http://127.0.0.1:1".to_owned(),
            code: code.to_owned(),
            ca: None,
            insecure: false,
        };
        let kept = enrol::keep(&self.core, invitation, answer);
        self.runtime.block_on(kept)?;
        Ok(())
    }

    /// A call of `POST /v1/movements`: the status, and whether it was done before.
    ///
    /// # Errors
    ///
    /// [`Failed`]: the till has no answer.
    pub fn movement(&self, body: &str, key: Option<&str>) -> Result<(u16, bool), Failed> {
        let request = serde_json::from_str(body)?;
        let key = key.map(str::to_owned);
        let work = self
            .core
            .write(move |conn| movements::book(conn, &request, key.as_deref()));
        Ok(status(&self.runtime.block_on(work)?))
    }

    /// A call of `POST /v1/receipts`.
    ///
    /// # Errors
    ///
    /// As [`Self::movement`].
    pub fn receipt(&self, body: &str, key: Option<&str>) -> Result<(u16, bool), Failed> {
        let request = serde_json::from_str(body)?;
        let key = key.map(str::to_owned);
        let work = self
            .core
            .write(move |conn| receipts::book(conn, &request, key.as_deref()));
        Ok(status(&self.runtime.block_on(work)?))
    }

    /// Takes a file: lines taken, lines that were here before, lines set aside; `None` where it waits for the hub.
    ///
    /// # Errors
    ///
    /// [`Failed`]; the file goes on where it was the next time.
    pub fn import(&self, name: &str, text: &str) -> Result<Option<[u64; 3]>, Failed> {
        let path = self.core.folder().join(name);
        File::create(&path)?.write_all(text.as_bytes())?;
        let incoming = Incoming::new(File::open(&path)?, name.to_owned(), None);
        let wishes = Wishes {
            opening: false,
            dry_run: false,
            lang: Lang::En,
        };
        Ok(match ingest::ingest(&self.core, &incoming, wishes)? {
            Taken::WaitsForHub => None,
            Taken::In(report) => {
                let counts = report.counts;
                Some([counts.imported, counts.duplicates, counts.quarantined])
            }
        })
    }

    /// Everything to show and to bring to the hub.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn ask(&self) -> Result<(Vec<u8>, Sent), Failed> {
        let asked = self
            .runtime
            .block_on(Carried::ask(&self.core, Show::Changed))?;
        Ok((asked.frame.clone(), Sent(asked)))
    }

    /// Applies the hub's answer. Whether there is more to say or to fetch.
    ///
    /// # Errors
    ///
    /// [`Failed`]; nothing of it is applied.
    pub fn answer(&self, sent: Sent, answer: &[u8]) -> Result<bool, Failed> {
        let taken = self.runtime.block_on(sent.0.apply(&self.core, answer))?;
        Ok(taken.more || taken.show_all || taken.life_changed || taken.minted.is_some())
    }

    /// The names of what is set aside.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn quarantine(&self) -> Result<Vec<String>, Failed> {
        let open = self
            .core
            .read(|conn| quarantine::list(conn, State::Open, 0, ROWS))?;
        Ok(open.iter().map(|entry| sign::hex(&entry.id)).collect())
    }

    /// Tries what is set aside again, against the rules; whether it is booked.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn retry(&self, id: &str) -> Result<bool, Failed> {
        let id = sign::from_hex(id).ok_or("no name of a record")?;
        let retried = retry::retry(&self.core, id, Force::Anyway)?;
        Ok(retried == retry::Retried::Booked)
    }

    /// Drops what is set aside; whether it was there.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn drop_entry(&self, id: &str) -> Result<bool, Failed> {
        let id = sign::from_hex(id).ok_or("no name of a record")?;
        Ok(retry::drop_entry(&self.core, id)?)
    }

    /// Books what the shop's 1C says of a barcode.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn adopt(&self, barcode: &str) -> Result<(), Failed> {
        let barcode: Barcode = barcode.parse()?;
        self.core.write_blocking(move |conn| {
            disagreement::adopt(&mut Desk::open(conn, now())?, &barcode, None).map(drop)
        })?;
        Ok(())
    }

    /// Leaves the ledger's number of a barcode.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn dismiss(&self, barcode: &str) -> Result<(), Failed> {
        let barcode: Barcode = barcode.parse()?;
        self.core
            .write_blocking(move |conn| disagreement::dismiss(conn, &barcode, None).map(drop))?;
        Ok(())
    }

    /// Writes a copy.
    ///
    /// # Errors
    ///
    /// [`Failed`]; then there is no new file.
    pub fn backup(&self, target: &Path) -> Result<(), Failed> {
        Ok(self.core.ledger().backup_blocking(target)?)
    }

    /// Every barcode with what is on hand.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn stock(&self) -> Result<Vec<(String, i64)>, Failed> {
        let rows = self.core.read(|conn| query::stock(conn, "", ROWS))?;
        Ok(rows
            .into_iter()
            .map(|row| (row.barcode.to_string(), row.level.on_hand))
            .collect())
    }

    /// Writes the high-water file, as the daemon does every second, and gives its text.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn keep_high_water(&self) -> Result<String, Failed> {
        self.core.keep_high_water()?;
        Ok(std::fs::read_to_string(
            self.core.folder().join("high-water"),
        )?)
    }

    /// How the ledger is now.
    ///
    /// # Errors
    ///
    /// [`Failed`] where it cannot be read.
    pub fn look(&self) -> Result<Look, Failed> {
        look_at(self.core.ledger(), self.core.greeting())
    }

    /// Finishes and closes, as a clean stop does.
    pub fn close(self) {
        self.core.ledger().close_blocking();
    }
}

/// Opens a ledger alone, as the program does at its start, and looks at it. `home` is where it believes to be, and
/// `high_water` what the file beside it says.
///
/// # Errors
///
/// [`Failed`]: the program would not start.
pub fn look(path: &Path, vfs: Vfs, home: &Path, high_water: Option<&str>) -> Result<Look, Failed> {
    let settings = Settings {
        vfs: Some(vfs),
        ..Settings::new(path)
    };
    let home = Home {
        file: None,
        path: home.to_string_lossy().into_owned(),
        machine: vitrina_host::os::machine_id(),
        high_water: high_water.and_then(HighWater::parse),
    };
    let (ledger, greeting) = Ledger::open(settings, &home, now())?;
    let found = look_at(&ledger, greeting);
    ledger.close_blocking();
    found
}

fn look_at(ledger: &Ledger, greeting: Greeting) -> Result<Look, Failed> {
    let verified = ledger.verify_blocking()?;
    let doubt = match greeting {
        Greeting::New | Greeting::Same => None,
        Greeting::Doubt(doubt) => Some(format!("{doubt:?}")),
    };
    Ok(Look {
        doubt,
        is_new: greeting == Greeting::New,
        problems: verified.problems,
    })
}

fn status(answer: &Answer) -> (u16, bool) {
    match answer {
        Answer::Made(_) => (201, false),
        Answer::Again(status, _) => (*status, true),
        Answer::Refused(problem) => (problem.status(), false),
    }
}
