//! A shop's day and its hub's: every transaction of both programs, as steps that may be repeated.

mod moment;
mod steps;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vitrina_agent::rig::{Failed, Rig as Agent};
use vitrina_hub::rig::Rig as Hub;

use super::dump::{self, Dump};
use crate::vfs::{self, Disk, Image, Op};

pub use moment::Moment;
pub use steps::STEPS;

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The shop's.
    Agent,
    /// The hub.
    Hub,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Agent, Self::Hub];

    /// The database's name in the data folder.
    pub fn database(self) -> &'static str {
        match self {
            Self::Agent => "ledger.sqlite3",
            Self::Hub => "hub.sqlite3",
        }
    }
}

/// One side of a day: a data folder with the disk of its database.
pub struct Place {
    /// The disk, mounted at the folder.
    pub disk: Disk,
}

impl Place {
    fn at(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        Self {
            disk: Disk::mount(folder),
        }
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.disk.folder()
    }
}

/// A shop and a hub.
pub struct Day {
    /// The agent's folder.
    pub agent_place: Place,
    /// The hub's folder.
    pub hub_place: Place,
    agent: Option<Agent>,
    hub: Option<Hub>,
    records: Option<Vec<Record>>,
    /// Before the last step.
    before: Option<Moment>,
    work: TempDir,
}

/// What a side's program did to its disk, and what it said meanwhile.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose.
    pub side: Side,
    /// What lay on the disk before.
    pub base: Image,
    /// What was done.
    pub ops: Vec<Op>,
    /// What was said, in its order.
    pub marks: Vec<Mark>,
}

/// Somebody was told that something is done.
#[derive(Clone, Debug)]
pub struct Mark {
    /// After so many operations.
    pub at: usize,
    /// What the database said then.
    pub dump: Dump,
    /// What the file beside the ledger said then.
    pub high_water: Option<String>,
}

/// A step of the day.
#[derive(Clone, Copy)]
pub struct Step {
    /// What it is.
    pub name: &'static str,
    /// Before it this side is put back to where it was before the last step.
    pub put_back: Option<Side>,
    /// Does it; done twice it is done once.
    pub run: fn(&mut Day) -> Result<(), Failed>,
}

impl Day {
    /// An agent and a hub that were never started.
    pub fn begin() -> Self {
        let work = TempDir::new().unwrap();
        Self {
            agent_place: Place::at(&work.path().join("agent")),
            hub_place: Place::at(&work.path().join("hub")),
            agent: None,
            hub: None,
            records: None,
            before: None,
            work,
        }
    }

    /// The records of a whole day, and where its agent believed to be.
    ///
    /// # Panics
    ///
    /// Where a step fails on a disk that is well.
    pub fn recorded() -> (Vec<Record>, PathBuf) {
        let mut day = Self::begin();
        day.record();
        day.go();
        let records = day.take_records();
        (records, day.database(Side::Agent))
    }

    /// Does every step of the day.
    ///
    /// # Panics
    ///
    /// Where one fails.
    pub fn go(&mut self) {
        for step in STEPS {
            let done = self.step(step);
            done.unwrap_or_else(|error| panic!("{}: {error:?}", step.name));
        }
    }

    /// A side's folder and disk.
    pub fn place(&self, side: Side) -> &Place {
        match side {
            Side::Agent => &self.agent_place,
            Side::Hub => &self.hub_place,
        }
    }

    /// A side's database.
    pub fn database(&self, side: Side) -> PathBuf {
        self.place(side).folder().join(side.database())
    }

    /// The agent, started where it is not running.
    ///
    /// # Errors
    ///
    /// [`Failed`]: it does not start.
    pub fn agent(&mut self) -> Result<&Agent, Failed> {
        if self.agent.is_none() {
            self.agent = Some(Agent::open(self.agent_place.folder(), Some(vfs::VFS))?);
        }
        self.agent.as_ref().ok_or("it was started".into())
    }

    /// The hub, started where it is not running.
    ///
    /// # Errors
    ///
    /// [`Failed`]: it does not start.
    pub fn hub(&mut self) -> Result<&Hub, Failed> {
        if self.hub.is_none() {
            self.hub = Some(Hub::open(self.hub_place.folder(), Some(vfs::VFS))?);
        }
        self.hub.as_ref().ok_or("it was started".into())
    }

    /// Whether a side's program runs.
    pub fn is_up(&self, side: Side) -> bool {
        match side {
            Side::Agent => self.agent.is_some(),
            Side::Hub => self.hub.is_some(),
        }
    }

    /// Stops both programs as an admin does.
    pub fn stop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.close();
        }
        if let Some(hub) = self.hub.take() {
            hub.close();
        }
    }

    /// What lies on both sides now, as the end of both programs would leave it.
    pub fn moment(&self) -> Moment {
        Moment::now(self)
    }

    /// Puts both sides back; the programs are not running afterwards.
    pub fn go_to(&mut self, moment: &Moment) {
        self.stop();
        for side in Side::BOTH {
            moment.lay(self, side);
        }
    }

    /// Begins to record both sides.
    pub fn record(&mut self) {
        self.records = Some(Vec::new());
        for side in Side::BOTH {
            self.begin_record(side);
        }
    }

    fn begin_record(&mut self, side: Side) {
        let base = self.place(side).disk.image();
        if let Some(records) = &mut self.records {
            records.push(Record {
                side,
                base,
                ops: Vec::new(),
                marks: Vec::new(),
            });
            self.place(side).disk.record();
        }
    }

    fn end_record(&mut self, side: Side) {
        let ops = self.place(side).disk.take_record();
        let own = |record: &&mut Record| record.side == side;
        if let Some(record) = self.records.iter_mut().flatten().rev().find(own) {
            record.ops = ops;
        }
    }

    /// Ends the records and gives them.
    pub fn take_records(&mut self) -> Vec<Record> {
        for side in Side::BOTH {
            self.end_record(side);
        }
        self.records.take().unwrap_or_default()
    }

    /// Somebody was told by this side: from now on it must be there.
    fn told(&mut self, side: Side) -> Result<(), Failed> {
        if self.records.is_none() {
            return Ok(());
        }
        let path = self.database(side);
        let mark = Mark {
            at: self.place(side).disk.recorded(),
            dump: dump::dump(&dump::open(&path)?)?,
            high_water: std::fs::read_to_string(self.place(side).folder().join("high-water")).ok(),
        };
        let own = |record: &&mut Record| record.side == side;
        if let Some(record) = self.records.iter_mut().flatten().rev().find(own) {
            record.marks.push(mark);
        }
        Ok(())
    }

    /// Does a step. What was said until its end is there from now on.
    ///
    /// # Errors
    ///
    /// [`Failed`]: one of the sides.
    pub fn step(&mut self, step: &Step) -> Result<(), Failed> {
        let before = self.moment();
        if let (Some(side), Some(earlier)) = (step.put_back, self.before.take()) {
            self.put_back(side, &earlier);
        }
        self.before = Some(before);
        (step.run)(self)?;
        for side in Side::BOTH {
            if self.is_up(side) {
                self.told(side)?;
            }
        }
        Ok(())
    }

    /// Puts one side back to a moment, as a restored machine; its program is not running afterwards.
    pub fn put_back(&mut self, side: Side, moment: &Moment) {
        self.end_record(side);
        match side {
            Side::Agent => self.agent.take().map(Agent::close).unwrap_or_default(),
            Side::Hub => self.hub.take().map(Hub::close).unwrap_or_default(),
        }
        moment.lay(self, side);
        self.begin_record(side);
    }

    /// Exchanges until neither side has more to say.
    ///
    /// # Errors
    ///
    /// [`Failed`]: one of the sides.
    pub fn exchange(&mut self) -> Result<(), Failed> {
        for _ in 0..20 {
            let (frame, sent) = self.agent()?.ask()?;
            let answer = self.hub()?.exchange(frame)?;
            self.told(Side::Hub)?;
            let goes_on = self.agent()?.answer(sent, &answer)?;
            self.agent()?.keep_high_water()?;
            self.told(Side::Agent)?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Every barcode in the shop with what is on hand.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn stock(&mut self) -> Result<Vec<(String, i64)>, Failed> {
        self.agent()?.stock()
    }

    /// Every barcode of every shop with what is on hand, as the hub has it.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn levels(&mut self) -> Result<Vec<(u32, String, i64)>, Failed> {
        self.hub()?.levels()
    }

    /// What a side's own `verify` says, and whether the ledger doubts itself.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub fn problems(&mut self, side: Side) -> Result<Vec<String>, Failed> {
        match side {
            Side::Hub => self.hub()?.verify(),
            Side::Agent => {
                let look = self.agent()?.look()?;
                Ok(look.problems.into_iter().chain(look.doubt).collect())
            }
        }
    }
}

impl Drop for Day {
    fn drop(&mut self) {
        self.stop();
    }
}
