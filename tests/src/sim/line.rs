//! The line between shops and hub, and both ends of an exchange.

use std::sync::Arc;

use vitrina_shared::memory::Refused;
use vitrina_shared::planted;
use vitrina_shared::wire::Request;
use vitrina_shared::wire::frame::{self, MUST_UNDERSTAND, Section};

use super::config::Fault;
use super::hub::Decided;
use super::world::{Broken, Flight, World};

/// A section that no version knows yet.
const LATER: u16 = 0x3fff;

impl World {
    /// An agent asks the hub.
    pub(super) fn poll(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let at = &mut self.shops[shop].places[place];
        if !at.machine.is_up {
            return Ok(());
        }
        let (request, sent) = at.machine.ask();
        at.exchange += 1;
        at.waits = Some(sent);
        let exchange = at.exchange;
        let bytes = self.sealed(shop, request)?;
        let bytes = self.of_a_later_version(Some(shop), bytes);
        let flight = Flight {
            shop,
            place,
            exchange,
            bytes,
            is_answer: false,
            age: 0,
        };
        self.past.push(flight.clone());
        self.note("asked", format_args!("{shop}.{place}"));
        self.send(flight)
    }

    /// A request as the shop's device signs it.
    pub(super) fn sealed(&self, shop: usize, mut request: Request) -> Result<Vec<u8>, Broken> {
        if let Some(device) = &self.shops[shop].device {
            request.certificate = device.certificate.clone();
            let place = self.shops[shop].places.first();
            if place.is_some_and(|place| place.machine.is_model()) {
                // The model keeps no levels of other shops: it is told of none, and of no more that are left.
                request.hello.feed = u64::from(u32::MAX);
            }
        }
        let sealed = request.seal(|bytes| self.sign(Some(shop), bytes));
        sealed.map_err(|error| format!("a request cannot be sealed: {error}"))
    }

    fn sign(&self, shop: Option<usize>, bytes: &[u8]) -> [u8; 64] {
        let device = shop.and_then(|shop| self.shops[shop].device.as_ref());
        device.map_or([0; 64], |device| device.sign(bytes))
    }

    /// What a later version adds: mostly a section that may be skipped. Only a shop's frames are signed.
    fn of_a_later_version(&mut self, shop: Option<usize>, bytes: Vec<u8>) -> Arc<[u8]> {
        if !self.happens(Fault::Newer) {
            return bytes.into();
        }
        self.note("newer", format_args!(""));
        let must = if self.random.chance(200) {
            MUST_UNDERSTAND
        } else {
            0
        };
        let mut sections = frame::open(&bytes).expect("our own frame").sections;
        sections.push(Section {
            kind: LATER | must,
            bytes: vec![7; 9],
        });
        frame::seal(&sections, |bytes| self.sign(shop, bytes))
            .expect("a small frame")
            .into()
    }

    /// Puts a message on the line, which is not what it should be.
    fn send(&mut self, flight: Flight) -> Result<(), Broken> {
        let (shop, place) = (flight.shop, flight.place);
        let at = &self.shops[shop].places[place];
        if !self.is_peace && self.step < at.cut_off_until {
            self.note("no_line", format_args!("{shop}.{place}"));
            return Ok(());
        }
        if self.happens(Fault::Loss) {
            self.note("loss", format_args!("{shop}.{place}"));
            return Ok(());
        }
        if !flight.is_answer && self.happens(Fault::Repeat) {
            self.note("repeat", format_args!("{shop}.{place}"));
            self.flights.push(flight.clone());
        }
        if self.happens(Fault::Delay) {
            self.note("delay", format_args!("{shop}.{place}"));
            self.flights.push(flight);
            return Ok(());
        }
        self.arrive(&flight)
    }

    /// Any message that waits arrives.
    pub(super) fn deliver(&mut self) -> Result<(), Broken> {
        if self.happens(Fault::LateFrame) && !self.past.is_empty() {
            let at = self.random.place(self.past.len());
            let flight = self.past[at].clone();
            self.note(
                "late_frame",
                format_args!("{}.{}", flight.shop, flight.place),
            );
            return self.arrive(&flight);
        }
        if self.flights.is_empty() {
            return Ok(());
        }
        let at = self.random.place(self.flights.len());
        let flight = self.flights.swap_remove(at);
        self.arrive(&flight)
    }

    pub(super) fn arrive(&mut self, flight: &Flight) -> Result<(), Broken> {
        if flight.is_answer {
            self.hear(flight)
        } else {
            self.ask_hub(flight)
        }
    }

    /// The hub takes a request; what it answers goes on the line.
    fn ask_hub(&mut self, flight: &Flight) -> Result<(), Broken> {
        if self.happens(Fault::HubCrashBefore) {
            self.note("hub_crash_before", format_args!(""));
            return self.answer_without_commit(flight);
        }
        let Some(bytes) = self.take(flight)? else {
            return Ok(());
        };
        if self.happens(Fault::HubCrashAfter) {
            self.note("hub_crash_after", format_args!(""));
            return Ok(());
        }
        let mut bytes = self.of_a_later_version(None, bytes);
        if self.happens(Fault::Cut) {
            bytes = bytes[..self.random.place(bytes.len())].into();
            self.note("cut", format_args!("{}.{}", flight.shop, flight.place));
        }
        self.send(Flight {
            bytes,
            is_answer: true,
            age: self.age,
            ..flight.clone()
        })
    }

    /// What a hub that answers before its commit would have said, and then died. Only a planted bug does.
    fn answer_without_commit(&mut self, flight: &Flight) -> Result<(), Broken> {
        if !planted::is("acknowledged_before_the_commit") {
            return Ok(());
        }
        let before = self.hub.copy();
        let Some(bytes) = self.take(flight)? else {
            return Ok(());
        };
        self.heads.clear();
        let ordinal = self.hub.life().ordinal;
        let back = (ordinal, &mut self.names);
        self.hub.goes_back(Fault::HubRevert, Some(&before), back);
        self.send(Flight {
            bytes: bytes.into(),
            is_answer: true,
            age: self.age,
            ..flight.clone()
        })
    }

    /// The hub's transaction.
    pub(super) fn take(&mut self, flight: &Flight) -> Result<Option<Vec<u8>>, Broken> {
        let (shop, place) = (flight.shop, flight.place);
        let id = self.shops[shop].id.clone();
        let taken = match self.hub.exchange(&id, &flight.bytes, &mut self.names) {
            Ok(taken) => taken,
            Err(refused) => {
                let what = match refused {
                    Refused::Frame => "too_new",
                    Refused::Revoked => "revoked",
                    Refused::Forbidden => "forbidden",
                };
                self.note(what, format_args!("{shop}.{place}"));
                return Ok(None);
            }
        };
        if self.shops[shop].revoked_until.is_some() {
            return Err(format!("I29 {id} is revoked, and its frame was taken"));
        }
        self.ordinal = self.ordinal.max(self.hub.life().ordinal);
        for decided in &taken.outcomes {
            self.note(decided.word, format_args!("{shop}.{place}"));
            self.check_decided(&id, decided)?;
        }
        if taken.begun {
            let life = self.hub.life().ordinal;
            self.note("hub_behind", format_args!("life {life}"));
        }
        self.check_hub_grows(shop)?;
        // Where movements were refused the legs, which may stand on them, are not taken either.
        let has_legs = !taken.outcomes.iter().any(Decided::is_refusal);
        self.heard_of_legs(shop, has_legs.then_some(&*flight.bytes))?;
        Ok(Some(taken.answer))
    }

    /// An agent hears the answer it waits for.
    fn hear(&mut self, flight: &Flight) -> Result<(), Broken> {
        let (shop, place) = (flight.shop, flight.place);
        let at = &self.shops[shop].places[place];
        if at.exchange != flight.exchange || !at.machine.is_up {
            return Ok(());
        }
        if self.happens(Fault::AgentIo) {
            self.shops[shop].places[place].waits = None;
            self.note("agent_io", format_args!("{shop}.{place}"));
            return Ok(());
        }
        let answered = self.answered_at(shop, place);
        let at = &mut self.shops[shop].places[place];
        let Some(sent) = at.waits.take() else {
            return Ok(());
        };
        let (own, own_end) = at.machine.own();
        let life = at.machine.life();
        let Ok(applied) = at.machine.apply(&flight.bytes, sent, &mut self.names) else {
            self.note("not_read", format_args!("{shop}.{place}"));
            return Ok(());
        };
        self.note("answered", format_args!("{shop}.{place} {}", applied.taken));
        self.orders.is_right_again(shop, place);
        self.check_answers(shop, place, &answered)?;
        for (is, what) in [
            (applied.minted, "minted"),
            (applied.branched, "branched"),
            (applied.taken > 0, "taken"),
            (applied.life_changed, "life_changed"),
        ] {
            if is {
                self.note(what, format_args!("{shop}.{place}"));
            }
        }
        let after = self.shops[shop].places[place].machine.own();
        if after.0 == own && after.1 != own_end {
            return Err(format!(
                "I7 two writers: {shop}.{place} goes on with {own}, which somebody else has extended"
            ));
        }
        let later = self.shops[shop].places[place].machine.life();
        if later.map(|life| life.ordinal) < life.map(|life| life.ordinal) {
            return Err(format!(
                "I17 {shop}.{place} hears of an older life of the hub"
            ));
        }
        // Nothing leaves a log but a tail that goes to its branch.
        if applied.branched {
            self.check_told(shop, place)?;
        }
        if flight.age == self.age {
            self.check_acked(shop, place)?;
        }
        Ok(())
    }
}
