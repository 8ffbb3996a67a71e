//! A shop's machine with an agent on it: what lies on its disk, and what is only in the program.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use vitrina_agent::lab::{self, Lab};
use vitrina_shared::delta::Entry;
use vitrina_shared::hold::{DeclineReason, Facts, Leg, Way};
use vitrina_shared::memory::{self, Applied, Booked, Logs, random_id};
use vitrina_shared::registers::{HoldPolicy, kind};
use vitrina_shared::wire::{Answer, Request, WireError, frame};
use vitrina_shared::{
    Barcode, Dot, HubLife, LegId, Movement, MovementId, Position, ReplicaId, Seq, ShopId, TimeMs,
};

use super::random::Random;

/// The most movements of one request: small, so that runs have many.
const MOVEMENTS: usize = 5;
/// The same in peace, where what cannot be said at once is only waited for.
const IN_PEACE: usize = 100;
/// What every machine takes for the time.
const NOW: TimeMs = TimeMs(1_790_000_000_000);

/// The ledger: in memory, or the real one over SQL.
pub(super) enum Ledger {
    /// `vitrina_shared::memory`.
    Memory(memory::Ledger),
    /// The agent's own.
    Real(Lab),
}

impl Clone for Ledger {
    fn clone(&self) -> Self {
        match self {
            Self::Memory(ledger) => Self::Memory(ledger.clone()),
            Self::Real(lab) => Self::Real(lab.copy()),
        }
    }
}

/// What lies on the disk; a copy of it is a backup.
#[derive(Clone)]
pub(super) struct Disk {
    ledger: Ledger,
    /// Which file the ledger believes to be.
    file: u64,
}

/// What a request said of its sender, as far as the answer speaks of it.
#[derive(Clone)]
pub(super) enum Sent {
    Memory(memory::Sent),
    Real(lab::Sent),
}

/// A machine.
#[derive(Clone)]
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
    /// The most movements of one request.
    limit: usize,
}

fn file_id(file: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&file.to_le_bytes());
    id
}

impl Machine {
    /// A new shop's machine.
    pub(super) fn new(shop: ShopId, names: &mut Random) -> Self {
        let own = ReplicaId(names.id());
        let mut ledger = memory::Ledger::new(shop, own);
        ledger.limit = MOVEMENTS;
        Self::of(Ledger::Memory(ledger), names.bits())
    }

    /// A new shop's machine with the real ledger, enrolled in a life of the hub.
    pub(super) fn real(shop: &ShopId, life: HubLife, names: &mut Random) -> Self {
        let file = names.bits();
        let lab = Lab::new(shop, life, file_id(file), NOW);
        Self::of(Ledger::Real(lab), file)
    }

    fn of(ledger: Ledger, file: u64) -> Self {
        let mut machine = Self {
            disk: Disk { ledger, file },
            file,
            high_water: (ReplicaId([0; 16]), Seq(0)),
            is_up: true,
            is_first: true,
            limit: MOVEMENTS,
        };
        machine.keep_high_water();
        machine
    }

    /// Its requests may be long from now on.
    pub(super) fn be_in_peace(&mut self) {
        self.limit = IN_PEACE;
        if let Ledger::Memory(ledger) = &mut self.disk.ledger {
            ledger.limit = IN_PEACE;
        }
    }

    /// Starts the program. Whether it doubts that its ledger is the only continuation of itself.
    pub(super) fn start(&mut self) -> bool {
        self.is_up = true;
        self.is_first = true;
        let (replica, seq) = self.high_water;
        let is_moved = self.disk.file != self.file;
        self.disk.file = self.file;
        match &mut self.disk.ledger {
            Ledger::Memory(ledger) => {
                let doubts = is_moved || ledger.logs.head(replica).seq < seq;
                ledger.is_doubted |= doubts;
                doubts
            }
            Ledger::Real(lab) => lab.start(file_id(self.file), self.high_water),
        }
    }

    /// Writes the sidecar.
    fn keep_high_water(&mut self) {
        let (own, end) = self.own();
        self.high_water = (own, end.seq);
    }

    /// Books a movement: once, whoever asks how often. Where `way` says nothing, its key does.
    pub(super) fn book(
        &mut self,
        movement: Movement,
        way: Option<Way>,
        names: &mut Random,
    ) -> Booked {
        let mut mint = || ReplicaId(random_id(&mut || names.bits()));
        let booked = match (&mut self.disk.ledger, way) {
            (Ledger::Memory(ledger), None) => ledger.book(movement, &mut mint),
            (Ledger::Memory(ledger), Some(way)) => ledger.book_as(way, movement, &mut mint),
            (Ledger::Real(lab), way) => lab.book(&movement, way),
        };
        self.keep_high_water();
        booked
    }

    /// The piece of a leg leaves.
    pub(super) fn ship(&mut self, leg: LegId, transfer: &Movement, names: &mut Random) -> Booked {
        let mut mint = || ReplicaId(random_id(&mut || names.bits()));
        let booked = match &mut self.disk.ledger {
            Ledger::Memory(ledger) => ledger.ship(leg, transfer, &mut mint),
            Ledger::Real(lab) => lab.ship(transfer),
        };
        self.keep_high_water();
        booked
    }

    /// Whether its ledger is the one in memory.
    pub(super) fn is_model(&self) -> bool {
        matches!(self.disk.ledger, Ledger::Memory(_))
    }

    /// How its shop answers orders.
    pub(super) fn set_policy(&mut self, policy: HoldPolicy) {
        match &mut self.disk.ledger {
            Ledger::Memory(ledger) => ledger.set_policy(policy),
            Ledger::Real(lab) => lab.set_policy(policy),
        }
    }

    /// Its clock shows this.
    pub(super) fn wind(&mut self, now: TimeMs) {
        match &mut self.disk.ledger {
            Ledger::Memory(ledger) => ledger.now = now,
            Ledger::Real(lab) => lab.wind(now),
        }
    }

    /// What its clock shows.
    pub(super) fn now(&self) -> TimeMs {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.now,
            Ledger::Real(lab) => lab.now(),
        }
    }

    /// Every leg, in the order of their ids.
    pub(super) fn legs(&self) -> Vec<Leg> {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.legs().cloned().collect(),
            Ledger::Real(lab) => lab.legs(),
        }
    }

    /// What the movements say about a leg.
    pub(super) fn facts(&self, leg: &Leg) -> Facts {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.facts(leg),
            Ledger::Real(lab) => lab.facts(leg),
        }
    }

    /// Whether the hub has acknowledged what the shop says of a leg, in its life.
    pub(super) fn is_acknowledged(&self, leg: LegId) -> bool {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.is_acknowledged(leg),
            Ledger::Real(lab) => lab.is_acknowledged(leg),
        }
    }

    /// The sales that wait for a person's word.
    pub(super) fn questions(&self) -> Vec<MovementId> {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.questions().collect(),
            Ledger::Real(lab) => lab.questions(),
        }
    }

    /// Units of a barcode that can be sold, and units of it that files sold over holds.
    pub(super) fn units(&self, barcode: &Barcode) -> (i64, i64) {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => (
                ledger.logs.index().sellable(barcode),
                ledger.questioned(barcode),
            ),
            Ledger::Real(lab) => (lab.sellable(barcode), lab.questioned(barcode)),
        }
    }

    /// A person scans the piece of a leg: whether that is a yes.
    pub(super) fn scan(&mut self, leg: LegId) -> bool {
        match &mut self.disk.ledger {
            Ledger::Memory(ledger) => ledger.scan(leg),
            Ledger::Real(lab) => lab.scan(leg),
        }
    }

    /// A person says no: whether that is said.
    pub(super) fn decline(&mut self, leg: LegId, reason: DeclineReason) -> bool {
        match &mut self.disk.ledger {
            Ledger::Memory(ledger) => ledger.decline(leg, reason),
            Ledger::Real(lab) => lab.decline(leg, reason),
        }
    }

    /// A person says of a file's sale over a hold whose it was.
    pub(super) fn settle_question(&mut self, sale: MovementId, of: Option<LegId>) {
        match &mut self.disk.ledger {
            Ledger::Memory(ledger) => ledger.settle_question(sale, of),
            Ledger::Real(lab) => lab.settle_question(sale, of),
        }
    }

    /// Writes a movement that only a later version of the program understands.
    pub(super) fn write(&mut self, movement: Movement, names: &mut Random) {
        let mut mint = || ReplicaId(random_id(&mut || names.bits()));
        match &mut self.disk.ledger {
            Ledger::Memory(ledger) => ledger.write(Entry::new(movement), &mut mint),
            Ledger::Real(lab) => drop(lab.write(&movement)),
        }
        self.keep_high_water();
    }

    /// What it shows, brings and asks.
    pub(super) fn ask(&self) -> (Request, Sent) {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => {
                let (request, sent) = ledger.ask(self.is_first);
                (request, Sent::Memory(sent))
            }
            Ledger::Real(lab) => {
                let (request, sent) = lab.ask(self.is_first, self.limit);
                (request, Sent::Real(sent))
            }
        }
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
        names: &mut Random,
    ) -> Result<Applied, WireError> {
        let answer = Answer::read(&frame::open(bytes)?)?;
        let mut mint = || ReplicaId(random_id(&mut || names.bits()));
        let (applied, all) = match (&mut self.disk.ledger, sent) {
            (Ledger::Memory(ledger), Sent::Memory(sent)) => {
                let all = sent.all;
                (ledger.apply(&answer, &sent, &mut mint), all)
            }
            (Ledger::Real(lab), Sent::Real(sent)) => (lab.apply(&answer, &sent), sent.all()),
            _ => unreachable!("a machine's own request"),
        };
        self.is_first &= !all;
        self.keep_high_water();
        Ok(applied)
    }

    /// The replica that is written, and where its log ends.
    pub(super) fn own(&self) -> (ReplicaId, Position) {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => (ledger.own, ledger.logs.head(ledger.own)),
            Ledger::Real(lab) => lab.own(),
        }
    }

    /// Every movement.
    pub(super) fn logs(&self) -> Cow<'_, Logs> {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => Cow::Borrowed(&ledger.logs),
            Ledger::Real(lab) => Cow::Owned(lab.logs()),
        }
    }

    /// Whether some log holds the movement of an id.
    pub(super) fn has(&self, id: MovementId) -> bool {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.logs.index().has(id),
            Ledger::Real(lab) => lab.has(id),
        }
    }

    /// The hub's life as last heard.
    pub(super) fn life(&self) -> Option<HubLife> {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.life,
            Ledger::Real(lab) => lab.life(),
        }
    }

    /// Up to where the hub has acknowledged.
    pub(super) fn acked(&self) -> Cow<'_, BTreeMap<ReplicaId, Seq>> {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => Cow::Borrowed(&ledger.acked),
            Ledger::Real(lab) => Cow::Owned(lab.acked()),
        }
    }

    /// Movements that the hub has not acknowledged.
    pub(super) fn pending(&self) -> u64 {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.pending(),
            Ledger::Real(lab) => lab.pending(),
        }
    }

    /// What the hub says of items, by barcode.
    pub(super) fn items(&self) -> BTreeMap<String, Vec<u8>> {
        let registers = match &self.disk.ledger {
            Ledger::Memory(ledger) => ledger.registers(),
            Ledger::Real(lab) => lab.registers(),
        };
        let items = registers.into_iter().filter(|(key, _)| key.0 == kind::ITEM);
        items.map(|((_, key), value)| (key, value)).collect()
    }

    /// The dots that count and the stock, as the index or the tables say; and what the ledger finds wrong itself.
    pub(super) fn stated(&self, logs: &Logs) -> Stated {
        match &self.disk.ledger {
            Ledger::Memory(ledger) => Stated::of(&ledger.logs),
            Ledger::Real(lab) => {
                let (stock, problems) = lab.stock(logs);
                Stated {
                    counting: Some(lab.counting()),
                    stock,
                    problems,
                }
            }
        }
    }
}

/// What a store says of its movements.
pub(super) struct Stated {
    /// The dots that count, where it can be asked.
    pub(super) counting: Option<BTreeSet<Dot>>,
    pub(super) stock: BTreeMap<Barcode, i64>,
    pub(super) problems: Vec<String>,
}

impl Stated {
    /// As the index in memory says.
    pub(super) fn of(logs: &Logs) -> Self {
        let index = logs.index();
        let barcodes = index.barcodes().into_iter();
        Self {
            counting: Some(index.counting().map(|(_, dot)| dot).collect()),
            stock: barcodes
                .map(|barcode| {
                    let on_hand = index.on_hand(&barcode);
                    (barcode, on_hand)
                })
                .collect(),
            problems: Vec::new(),
        }
    }
}
