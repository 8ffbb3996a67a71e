//! What goes wrong with disks, programs and credentials.

use super::config::Fault;
use super::machine::Disk;
use super::till::barcode;
use super::world::{Broken, Place, Snapshot, World};

/// The most machines of one shop.
const MACHINES: usize = 3;

impl World {
    /// The program starts.
    pub(super) fn start(&mut self, shop: usize, place: usize) {
        let at = &mut self.shops[shop].places[place];
        let (own, _) = at.machine.own();
        if at.machine.start() {
            at.ended = at.ended.or(Some(own));
            self.note("doubted", format_args!("{shop}.{place}"));
        }
    }

    /// The program is gone, and with it every exchange that it waits for.
    pub(super) fn stop(&mut self, shop: usize, place: usize) {
        let at = &mut self.shops[shop].places[place];
        at.machine.is_up = false;
        at.waits = None;
    }

    /// Somebody makes a backup.
    pub(super) fn copy_something(&mut self, shop: usize, place: usize) {
        if self.random.chance(300) {
            self.copy_hub();
        } else {
            self.copy_machine(shop, place);
        }
    }

    pub(super) fn copy_hub(&mut self) {
        let copy = self.hub.copy();
        self.hub_copies.push(copy);
    }

    pub(super) fn copy_machine(&mut self, shop: usize, place: usize) {
        let at = &self.shops[shop].places[place];
        let snapshot = Snapshot {
            machine: at.machine.clone(),
            told: at.told.clone(),
        };
        self.shops[shop].copies.push(snapshot);
    }

    /// What may break in any step.
    pub(super) fn break_something(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        if self.happens(Fault::Partition) {
            let until = self.step + self.random.place(self.config.steps);
            self.shops[shop].places[place].cut_off_until = until;
            self.note("partition", format_args!("{shop}.{place} until {until}"));
        }
        for fault in [Fault::Restore, Fault::Revert, Fault::Clone] {
            let copies = self.shops[shop].copies.len();
            if copies > 0 && self.happens(fault) {
                let copy = self.random.place(copies);
                self.put_back(shop, place, fault, copy);
            }
        }
        for fault in [Fault::HubRevert, Fault::HubRestore, Fault::HubEmpty] {
            if self.happens(fault) && (fault == Fault::HubEmpty || !self.hub_copies.is_empty()) {
                let copy = self.random.place(self.hub_copies.len().max(1));
                self.hub_goes_back(fault, copy);
            }
        }
        self.revoke_someone(shop);
        if self.happens(Fault::Malice) {
            self.lie(shop, place)?;
        }
        if self.happens(Fault::Newer) && self.random.chance(300) {
            self.write_unknown(shop, place)?;
        }
        Ok(())
    }

    fn revoke_someone(&mut self, shop: usize) {
        let until = self.shops[shop].revoked_until;
        if until.is_some_and(|until| self.step >= until) {
            self.set_revoked(shop, None);
        }
        if until.is_none() && self.happens(Fault::Revoke) {
            let until = self.step + self.random.place(self.config.steps / 4 + 1);
            self.note("revoke", format_args!("{shop} until {until}"));
            self.set_revoked(shop, Some(until));
        }
    }

    /// Takes a shop's credential back until a step, or gives it a new one.
    pub(super) fn set_revoked(&mut self, shop: usize, until: Option<usize>) {
        let at = &mut self.shops[shop];
        at.revoked_until = until;
        self.hub.set_revoked(&at.id, until.is_some());
    }

    /// A shop's disk goes back to a copy, or runs a second time.
    pub(super) fn put_back(&mut self, shop: usize, place: usize, fault: Fault, copy: usize) {
        let (copied, told) = {
            let copy = &self.shops[shop].copies[copy];
            (copy.machine.clone(), copy.told.clone())
        };
        if fault == Fault::Clone {
            if self.shops[shop].places.len() < MACHINES {
                self.shops[shop].places.push(Place::of(copied, told));
                self.note("clone", format_args!("{shop}"));
            }
            return;
        }
        self.stop(shop, place);
        let file = self.random.bits();
        let at = &mut self.shops[shop].places[place];
        at.told = told;
        at.ended = None;
        match fault {
            // A copied file is another file; the sidecar stayed.
            Fault::Restore => {
                at.machine.disk = Disk::clone(&copied.disk);
                at.machine.file = file;
                // Whatever the program says of it.
                at.ended = Some(at.machine.own().0);
            }
            _ => at.machine = copied,
        }
        self.note(fault.name(), format_args!("{shop}.{place}"));
        self.start(shop, place);
    }

    /// The hub's database goes back to a copy, or is gone.
    pub(super) fn hub_goes_back(&mut self, fault: Fault, copy: usize) {
        self.age += 1;
        self.heads.clear();
        // `restore` and an empty folder read the trace, which is no part of the database.
        self.ordinal += u64::from(fault != Fault::HubRevert);
        let copy = (fault != Fault::HubEmpty).then(|| &self.hub_copies[copy]);
        self.hub
            .goes_back(fault, copy, (self.ordinal, &mut self.names));
        self.ordinal = self.ordinal.max(self.hub.life().ordinal);
        self.orders.hub_went_back();
        if self.has_orders() {
            self.keep_back();
        }
        // What was revoked since the copy is revoked again: the command says so.
        for shop in 0..self.shops.len() {
            let until = self.shops[shop].revoked_until;
            self.set_revoked(shop, until);
        }
        self.note(fault.name(), format_args!(""));
    }

    /// Head office changes a price.
    pub(super) fn set_price(&mut self) {
        self.price += 1;
        let code = barcode(self.random.below(3));
        let price = self.price;
        self.hub.set_price(&code, price, &mut self.names);
        self.note("priced", format_args!("{code} {price}"));
    }
}
