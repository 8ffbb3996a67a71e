//! What tills do: they sell, take in, cancel, ask again where they got no answer, and remember what they were told.

use vitrina_shared::hold::Way;
use vitrina_shared::memory::Booked;
use vitrina_shared::movement::Details;
use vitrina_shared::time::Day;
use vitrina_shared::{Barcode, Condition, Key, Kind, Movement, Qty, TimeMs};

use super::config::Fault;
use super::world::{Broken, World};

const BARCODES: u64 = 7;
/// How many of the last sales a till may still cancel.
const SALES: usize = 8;
/// All receipts are of two days: the key has the day of the till, and clocks that jump must not make it another.
const DAYS: [Day; 2] = [Day(20_261_103), Day(20_261_104)];

impl World {
    /// A till brings a movement.
    pub(super) fn sell(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let movement = match self.shops[shop].places[place].open_call.take() {
            Some(open) => open,
            // A file that was read before is put into the folder again.
            None if self.random.chance(30) && !self.shops[shop].sales.is_empty() => {
                let sales = &self.shops[shop].sales;
                sales[self.random.place(sales.len())].clone()
            }
            None => self.movement(shop),
        };
        self.bring(shop, place, movement)
    }

    /// A till takes one of the last sales back.
    pub(super) fn cancel(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let sales = &self.shops[shop].sales;
        if sales.is_empty() {
            return Ok(());
        }
        let sale = sales[self.random.place(sales.len())].clone();
        let target = sale.id(&self.shops[shop].id);
        let void = Movement::void(
            sale.barcode,
            sale.condition,
            target,
            sale.at.plus(1),
            &Details::default(),
        );
        self.note("cancelled", format_args!("{shop}.{place} {target}"));
        self.bring(shop, place, void)
    }

    /// A till brings this movement; it may hear nothing of what became of it.
    pub(super) fn bring(
        &mut self,
        shop: usize,
        place: usize,
        movement: Movement,
    ) -> Result<(), Broken> {
        self.bring_as(shop, place, movement, None)
    }

    /// The same in a way that its key does not tell.
    pub(super) fn bring_as(
        &mut self,
        shop: usize,
        place: usize,
        movement: Movement,
        way: Option<Way>,
    ) -> Result<(), Broken> {
        if !self.shops[shop].places[place].machine.is_up {
            self.start(shop, place);
        }
        let id = movement.id(&self.shops[shop].id);
        if self.happens(Fault::CrashBefore) {
            self.shops[shop].places[place].open_call = Some(movement);
            self.stop(shop, place);
            self.note("crash_before", format_args!("{shop}.{place}"));
            return Ok(());
        }
        if self.happens(Fault::DiskFull) {
            // The till is told that nothing was booked, and asks again.
            self.shops[shop].places[place].open_call = Some(movement);
            self.note("disk_full", format_args!("{shop}.{place}"));
            return Ok(());
        }
        let crashes = self.happens(Fault::CrashAfter);
        let kept = self.kept_at(shop, place);
        let at = &mut self.shops[shop].places[place];
        let booked = at.machine.book(movement.clone(), way, &mut self.names);
        self.check_sale(shop, place, (&movement, way), booked, &kept)?;
        if booked == Booked::New {
            self.check_writer(shop, place)?;
        }
        if crashes {
            self.shops[shop].places[place].open_call = Some(movement);
            self.stop(shop, place);
            self.note("crash_after", format_args!("{shop}.{place} {id}"));
            return Ok(());
        }
        let what = match booked {
            Booked::New => "sold",
            Booked::Again => "sold_again",
            Booked::Held => {
                self.note("held", format_args!("{shop}.{place} {id}"));
                return Ok(());
            }
            Booked::Conflict | Booked::Voided => {
                let is_conflict = booked == Booked::Conflict;
                let what = if is_conflict {
                    "conflict"
                } else {
                    "voided_before"
                };
                self.note(what, format_args!("{shop}.{place} {id}"));
                return self.check_refusal(shop, place, &movement);
            }
        };
        self.note(what, format_args!("{shop}.{place} {id}"));
        self.remember(shop, &movement);
        self.shops[shop].places[place].told.insert(id);
        self.check_content(shop, place, &movement)
    }

    fn remember(&mut self, shop: usize, movement: &Movement) {
        if movement.kind == Kind::Void {
            return;
        }
        let sales = &mut self.shops[shop].sales;
        if sales.len() == SALES {
            sales.pop_front();
        }
        sales.push_back(movement.clone());
    }

    fn movement(&mut self, shop: usize) -> Movement {
        let goes_back = self.happens(Fault::ReceiptsAgain);
        let is_wrong = self.happens(Fault::Clock);
        if goes_back {
            self.note("receipts_again", format_args!("{shop}"));
        }
        if is_wrong {
            self.note("clock", format_args!("{shop}"));
        }
        let shop = &mut self.shops[shop];
        shop.sold += 1;
        if goes_back {
            shop.receipt -= self.random.below(shop.receipt.min(20) + 1);
        }
        let key = if self.random.chance(500) {
            shop.receipt += 1;
            Key::Receipt {
                till: if self.random.chance(200) { "2" } else { "1" }.into(),
                receipt: shop.receipt.to_string().into(),
                line: 1,
                day: DAYS[usize::from(self.random.chance(200))],
            }
        } else {
            Key::CallUuid(self.random.id())
        };
        let mut at = TimeMs(1_790_000_000_000 + i64::try_from(shop.sold).expect("a small number"));
        if is_wrong {
            // Twenty years either way.
            at = at.plus(
                631_152_000_000
                    - i64::try_from(self.random.below(1_262_304_000_000)).expect("a span"),
            );
        }
        if self.random.chance(40) {
            return self.statement(at);
        }
        let (kind, qty) = match self.random.below(10) {
            0..6 => (Kind::Sale, -1),
            6 => (Kind::Sale, -2),
            7 => (Kind::Return, 1),
            _ => (Kind::Receipt, 2),
        };
        Movement {
            kind,
            condition: if self.random.chance(100) {
                Condition::Unavailable
            } else {
                Condition::Sellable
            },
            key,
            barcode: barcode(self.random.below(BARCODES)),
            scanned: None,
            qty: Qty::new(qty).expect("a small number"),
            at,
            target: None,
            rest: Details::default().to_bytes(),
        }
    }

    /// The shop's 1C states what is there.
    fn statement(&mut self, at: TimeMs) -> Movement {
        let qty = i64::try_from(self.random.below(5)).expect("a small number");
        Movement {
            kind: Kind::Balance,
            condition: Condition::Sellable,
            key: Key::Statement,
            barcode: barcode(self.random.below(BARCODES)),
            scanned: None,
            qty: Qty::new(qty).expect("a small number"),
            at,
            target: None,
            rest: Box::default(),
        }
    }

    /// A later version of the program, since taken back, wrote something that this one does not understand.
    pub(super) fn write_unknown(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        if !self.shops[shop].places[place].machine.is_up {
            self.start(shop, place);
        }
        let mut movement = self.movement(shop);
        movement.kind = Kind::Unknown(40);
        movement.key = Key::Unknown {
            flags: 24,
            tag: 200,
            body: self.random.id().into(),
        };
        movement.rest = vec![250, 3, 1, 2, 3].into();
        let id = movement.id(&self.shops[shop].id);
        let at = &mut self.shops[shop].places[place];
        at.machine.write(movement.clone(), &mut self.names);
        at.told.insert(id);
        self.note("unknown_kind", format_args!("{shop}.{place} {id}"));
        self.check_writer(shop, place)?;
        self.check_content(shop, place, &movement)
    }
}

/// The barcode of a number.
pub(super) fn barcode(number: u64) -> Barcode {
    format!("20000000000{number:02}")
        .parse()
        .expect("a barcode")
}
