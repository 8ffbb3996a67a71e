//! A shop's machine with an agent on it: what lies on its disk, and what is only in the program.

use vitrina_shared::delta::Entry;
use vitrina_shared::memory::{Applied, Booked, Ledger, Sent, random_id};
use vitrina_shared::wire::{Answer, Request, WireError, frame};
use vitrina_shared::{Movement, ReplicaId, Seq, ShopId};

use super::random::Random;

/// The most movements of one request: small, so that runs have many.
const MOVEMENTS: usize = 5;

/// What lies on the disk; a copy of it is a backup.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    /// The ledger.
    pub(super) ledger: Ledger,
    /// Which file the ledger believes to be.
    file: u64,
}

/// A machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) disk: Disk,
    /// Which file the ledger really is.
    pub(super) file: u64,
    /// The sidecar: how far the current replica was written.
    high_water: (ReplicaId, Seq),
    /// The program runs.
    pub(super) is_up: bool,
    /// The first exchange of a process shows all.
    is_first: bool,
}

impl Machine {
    /// A new shop's machine.
    pub(super) fn new(shop: ShopId, random: &mut Random) -> Self {
        let own = ReplicaId(random.id());
        let file = random.bits();
        let mut ledger = Ledger::new(shop, own);
        ledger.limit = MOVEMENTS;
        Self {
            disk: Disk { ledger, file },
            file,
            high_water: (own, Seq(0)),
            is_up: true,
            is_first: true,
        }
    }

    /// Starts the program. Whether it doubts that its ledger is the only continuation of itself.
    pub(super) fn start(&mut self) -> bool {
        self.is_up = true;
        self.is_first = true;
        let (replica, seq) = self.high_water;
        let is_behind = self.disk.ledger.logs.head(replica).seq < seq;
        let is_moved = self.disk.file != self.file;
        if is_behind || is_moved {
            self.disk.file = self.file;
            self.disk.ledger.is_doubted = true;
        }
        is_behind || is_moved
    }

    /// Writes the sidecar.
    fn keep_high_water(&mut self) {
        let ledger = &self.disk.ledger;
        self.high_water = (ledger.own, ledger.logs.head(ledger.own).seq);
    }

    /// Books a movement: once, whoever asks how often.
    pub(super) fn book(&mut self, movement: Movement, random: &mut Random) -> Booked {
        let mut mint = || ReplicaId(random_id(&mut || random.bits()));
        let booked = self.disk.ledger.book(movement, &mut mint);
        self.keep_high_water();
        booked
    }

    /// Writes a movement that only a later version of the program understands.
    pub(super) fn write(&mut self, movement: Movement, random: &mut Random) {
        let mut mint = || ReplicaId(random_id(&mut || random.bits()));
        self.disk.ledger.write(Entry::new(movement), &mut mint);
        self.keep_high_water();
    }

    /// What it shows, brings and asks.
    pub(super) fn ask(&self) -> (Request, Sent) {
        self.disk.ledger.ask(self.is_first)
    }

    /// Applies the hub's answer.
    ///
    /// # Errors
    ///
    /// [`WireError`]: nothing of it was applied.
    pub(super) fn apply(
        &mut self,
        bytes: &[u8],
        sent: Sent,
        random: &mut Random,
    ) -> Result<Applied, WireError> {
        let answer = Answer::read(&frame::open(bytes)?)?;
        let mut mint = || ReplicaId(random_id(&mut || random.bits()));
        let applied = self.disk.ledger.apply(&answer, sent, &mut mint);
        self.is_first &= !sent.all;
        self.keep_high_water();
        Ok(applied)
    }
}
