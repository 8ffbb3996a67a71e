//! A hub without its server, for the simulator: the real store in a folder, the real exchange, the real feed. Its folder
//! can be put back as a disk is.
#![expect(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a store that is led astray panics: that is how the simulator finds out"
)]

mod holds;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use vitrina_host::config::DataFolder;
use vitrina_host::sign::{self, KeyPair};
use vitrina_shared::memory::{Logs, Refused};
use vitrina_shared::wire::v1::{CertificateV1, EnrolV1};
use vitrina_shared::wire::{EnrolAnswer, frame};
use vitrina_shared::{Barcode, HubLife, Money, ShopId, TimeMs};

use crate::audit::By;
use crate::change::LevelRow;
use crate::config::FILE;
use crate::core::{Core, Init, database};
use crate::exchange::{self, ExchangeError};
use crate::feed::Cursor;
use crate::shops::{self, Fields, NewShop};
use crate::store::CatalogueRow;
use crate::{enrol, view};

/// The most levels that are read at once.
const LEVELS: usize = 1_000_000;

/// What is on hand of a barcode in a shop.
pub type Levels = BTreeMap<(ShopId, Barcode), i64>;

/// How a hub comes to its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// As it left it, as far as it knows.
    Goes,
    /// It was put back by the command.
    Restored,
    /// It is gone, and somebody said to begin anew.
    Empty,
}

/// A copy of a hub's folder.
#[derive(Clone, Debug)]
pub struct Copy {
    database: PathBuf,
    trace: Option<Vec<u8>>,
}

/// A hub.
pub struct Lab {
    folder: PathBuf,
    runtime: Runtime,
    /// None only while the folder is being put back.
    core: Option<Arc<Core>>,
    /// What its clock shows; the machine's time where nobody set it.
    clock: Cell<Option<TimeMs>>,
    /// What each start of the hub draws from: no two draw the same.
    lots: u64,
}

impl Lab {
    /// A hub in a folder; what it draws by lot is the same for the same seed.
    pub fn open(folder: &Path, seed: u64) -> Self {
        // What a device may do in a minute of the clock is another's test.
        let config = "[limits]\nfailed_exchanges_per_minute = 1000000\n";
        fs::write(folder.join(FILE), config).expect("its folder");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut lab = Self {
            folder: folder.to_owned(),
            runtime,
            core: None,
            clock: Cell::new(None),
            lots: seed,
        };
        lab.start(Begin::Goes);
        lab
    }

    fn start(&mut self, begin: Begin) {
        let init = match begin {
            Begin::Goes => Init::Refuse,
            Begin::Restored => Init::Restored,
            Begin::Empty => Init::NewLife,
        };
        let data = DataFolder::existing(&self.folder).expect("its folder");
        let core = self.runtime.block_on(Core::open(data, init));
        let core = core.unwrap_or_else(|error| panic!("the hub: {error:?}"));
        core.view().expect("its view");
        if let Some(now) = self.clock.get() {
            core.store.set_clock(now);
        }
        core.store.draw_from(self.lots);
        self.lots = self.lots.wrapping_add(1);
        self.core = Some(core);
    }

    fn core(&self) -> &Arc<Core> {
        self.core.as_ref().expect("a hub that runs")
    }

    /// Adds a shop and enrols a device of it.
    pub fn enrol(&self, shop: &ShopId, device: &KeyPair) -> CertificateV1 {
        let new = NewShop {
            shop: shop.clone(),
            fields: Fields::default(),
        };
        let core = self.core();
        self.runtime.block_on(async {
            let code = shops::add(core, By::CommandLine, new)
                .await
                .expect("a new shop");
            let request = EnrolV1 {
                code: sign::code_to_bytes(&code.code).expect("a code of ours"),
                device: device.public().0,
                version: "1".to_owned(),
                shop: None,
            };
            let sealed = request.seal(|bytes| device.sign(bytes).expect("a key").0);
            let answer = enrol::answer(core, sealed.expect("a small frame").into()).await;
            let answer = answer.expect("a code that was just given");
            let opened = frame::open(&answer).expect("a frame of ours");
            EnrolAnswer::read(&opened)
                .expect("an answer of ours")
                .certificate
        })
    }

    /// Takes a frame, gives one.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing was kept.
    pub fn exchange(&self, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
        let answer = exchange::answer(self.core(), bytes.to_vec().into(), || ());
        self.runtime.block_on(answer).map_err(|error| match error {
            ExchangeError::Wire(_) => Refused::Frame,
            ExchangeError::Revoked => Refused::Revoked,
            ExchangeError::Unauthorized(_) | ExchangeError::Forbidden(_) => Refused::Forbidden,
            ExchangeError::Store(error) => panic!("the hub's store: {error:?}"),
            ExchangeError::TooMuch(_) | ExchangeError::Busy => panic!("the hub: {error:?}"),
        })
    }

    /// The hub's life.
    pub fn life(&self) -> HubLife {
        self.core().store.head().life
    }

    /// Everything that is held of a shop.
    pub fn logs(&self, shop: &ShopId) -> Logs {
        let mut logs = Logs::new(shop.clone());
        let held = self.runtime.block_on(self.core().store.logs(shop.clone()));
        for (replica, entries) in held.expect("its store") {
            for entry in entries {
                logs.append(replica, entry).expect("small numbers");
            }
        }
        logs
    }

    /// What the tables say, and everything that `verify` finds wrong.
    pub fn stock(&self) -> (Levels, Vec<String>) {
        let store = &self.core().store;
        let names = self.names();
        let levels = store.levels().expect("its store").into_iter();
        let levels = levels.map(|row| ((names[&row.shop].clone(), row.barcode), row.on_hand));
        let problems = store.verify(None).expect("its store").problems;
        (
            levels.collect(),
            problems.iter().map(|one| format!("{one:?}")).collect(),
        )
    }

    /// The units on their way to each level, as the tables have it.
    pub fn in_transit(&self) -> BTreeMap<(ShopId, Barcode), i64> {
        let names = self.names();
        let levels = self.core().store.levels().expect("its store").into_iter();
        let of = |row: LevelRow| ((names[&row.shop].clone(), row.barcode), row.in_transit);
        levels.map(of).collect()
    }

    fn names(&self) -> BTreeMap<u32, ShopId> {
        let shops = self.runtime.block_on(self.core().store.shops());
        let shops = shops.expect("its store").into_iter();
        shops.map(|row| (row.index, row.shop)).collect()
    }

    fn view(&self) -> Arc<view::View> {
        self.core().view().expect("its view")
    }

    /// The whole stock as readers see it, and where the feed goes on.
    pub fn snapshot(&self) -> (Levels, String) {
        let view = self.view();
        let cursor = view.cursor(view.head().pos);
        (self.levels_since(0, LEVELS).0, cursor.to_string())
    }

    /// At most `most` changes since a cursor, and where they end; nothing where it has expired.
    pub fn changes(&self, since: &str, most: usize) -> Option<(Levels, String)> {
        let view = self.view();
        let cursor: Cursor = since.parse().expect("a cursor of ours");
        let since = view.check(cursor).ok()?;
        let (levels, upto) = self.levels_since(since, most);
        Some((levels, view.page_cursor(upto).to_string()))
    }

    fn levels_since(&self, since: u64, most: usize) -> (Levels, u64) {
        let names = self.names();
        let page = self.view().levels_since(since, most);
        let rows = page.rows.into_iter();
        let levels = rows.map(|row| ((names[&row.shop].clone(), row.barcode), row.on_hand));
        (levels.collect(), page.upto)
    }

    /// Head office changes a price.
    pub fn set_price(&self, barcode: &Barcode, roubles: i64) {
        let row = CatalogueRow::Price {
            code: barcode.as_str().to_owned(),
            price: Money::rub(roubles),
        };
        let written = self.core().store.write_catalogue(vec![row]);
        self.runtime.block_on(written).expect("its store");
    }

    /// What is said of every item, by barcode.
    pub fn items(&self) -> BTreeMap<String, Vec<u8>> {
        let items = self.runtime.block_on(self.core().store.items());
        items.expect("its store")
    }

    /// Copies the database and the trace beside it to a file.
    pub fn copy(&self, to: &Path) -> Copy {
        let copied = self.runtime.block_on(self.core().store.backup(to));
        copied.expect("its store");
        Copy {
            database: to.to_owned(),
            trace: fs::read(self.trace()).ok(),
        }
    }

    fn trace(&self) -> PathBuf {
        self.folder.join("life.json")
    }

    /// Stops, puts the database back (or takes it away), and starts as it is told. `Goes` puts the trace back too: nothing
    /// in the folder shows what happened.
    ///
    /// # Errors
    ///
    /// What the files say.
    pub fn put_back(&mut self, copy: Option<&Copy>, begin: Begin) -> io::Result<()> {
        if let Some(core) = self.core.take() {
            self.runtime.block_on(core.close());
        }
        let database = database(&DataFolder::existing(&self.folder).expect("its folder"));
        for end in ["", "-wal", "-shm"] {
            let file = format!("{}{end}", database.display());
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if let Some(copy) = copy {
            fs::copy(&copy.database, &database)?;
            if let (Begin::Goes, Some(trace)) = (begin, &copy.trace) {
                fs::write(self.trace(), trace)?;
            }
        }
        self.start(begin);
        Ok(())
    }
}
