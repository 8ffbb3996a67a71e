//! Parcels between shops: sent, taken in piece by piece, scanned twice, scanned where they do not belong, taken back; and what
//! everybody must know of them in the end, by sums of its own: not those of `vitrina_shared::transfer`.

use std::collections::{BTreeMap, BTreeSet};

use vitrina_shared::movement::Details;
use vitrina_shared::transfer::{self, Part, State, Transfer};
use vitrina_shared::{Barcode, Key, Kind, Movement, MovementId, ShopId, TransferId};

use super::orders::piece;
use super::till::barcode;
use super::world::{Broken, World};

/// The barcodes that travel: no till moves them by itself.
const FIRST: u64 = 70;
const TRAVELLING: u64 = 2;

/// Something that a shop has sent.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    from: usize,
    to: usize,
    document: String,
    code: Barcode,
    units: i64,
}

/// What was sent and what has come of one barcode, in units.
type Sums = BTreeMap<Barcode, [i64; 2]>;

impl World {
    /// A parcel leaves, or something of one comes.
    pub(super) fn move_parcel(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        if self.shops.len() == 1 {
            return Ok(());
        }
        if self.parcels.is_empty() || self.random.chance(350) {
            return self.send_parcel(shop, place);
        }
        let parcel = self.parcels[self.random.place(self.parcels.len())].clone();
        // Some are scanned by whoever has them in his hand.
        let (at, place) = if self.random.chance(120) {
            (shop, place)
        } else {
            let places = self.shops[parcel.to].places.len();
            (parcel.to, self.random.place(places))
        };
        let units = 1 + i64::try_from(self.random.below(parcel.units.unsigned_abs())).expect("few");
        let code = if self.random.chance(60) {
            barcode(FIRST + self.random.below(TRAVELLING))
        } else {
            parcel.code
        };
        let details = Details {
            from: Some(self.shops[parcel.from].id.as_str().into()),
            transfer: Some(parcel.document.as_str().into()),
            ..Details::default()
        };
        let key = Key::CallUuid(self.random.id());
        let came = piece(Kind::TransferIn, code, units, key, &details);
        self.note(
            "parcel_came",
            format_args!("{at}.{place} {}", parcel.document),
        );
        self.bring(at, place, came)
    }

    fn send_parcel(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let parcel = Parcel {
            from: shop,
            to: (shop + 1 + self.random.place(self.shops.len() - 1)) % self.shops.len(),
            // Two shops write the same numbers.
            document: format!("P{}", self.random.below(9)),
            code: barcode(FIRST + self.random.below(TRAVELLING)),
            units: 1 + i64::try_from(self.random.below(3)).expect("few"),
        };
        let details = Details {
            to: Some(self.shops[parcel.to].id.as_str().into()),
            transfer: Some(parcel.document.as_str().into()),
            ..Details::default()
        };
        let key = Key::CallUuid(self.random.id());
        let code = parcel.code.clone();
        let out = piece(Kind::TransferOut, code, -parcel.units, key, &details);
        self.note(
            "parcel_sent",
            format_args!("{shop}.{place} {}", parcel.document),
        );
        self.parcels.push(parcel);
        self.bring(shop, place, out)
    }

    /// What the hub's movements say of parcels is what anybody booked of them, and what came twice is never passed over.
    pub(super) fn check_parcels(
        &self,
        counting: &[BTreeMap<MovementId, &Movement>],
    ) -> Result<(), Broken> {
        let said = self.transfers()?;
        let mut all: BTreeMap<TransferId, Sums> = BTreeMap::new();
        for (shop, movements) in counting.iter().enumerate() {
            for movement in movements.values() {
                if let Some((id, side)) = self.parcel_of(shop, movement) {
                    let sums = all.entry(id).or_default();
                    let sums = sums.entry(movement.barcode.clone()).or_default();
                    sums[side] += movement.qty.units().abs();
                }
            }
        }
        let mut awaited: BTreeMap<(ShopId, Barcode), i64> = BTreeMap::new();
        for (id, transfer) in &said {
            check_parcel(*id, transfer, all.get(id).unwrap_or(&Sums::new()))?;
            for (level, units) in &transfer.incoming {
                *awaited.entry(level.clone()).or_default() += units;
            }
        }
        if let Some(id) = all.keys().find(|id| !said.contains_key(id)) {
            return Err(format!("I9 nothing is known of parcel {id}"));
        }
        let travels = |code: &Barcode| (FIRST..FIRST + TRAVELLING).any(|one| barcode(one) == *code);
        let seen = self.hub.in_transit().into_iter();
        for (level, units) in seen.filter(|((_, code), _)| travels(code)) {
            let expected = awaited.get(&level).copied().unwrap_or(0);
            if units != expected {
                let (shop, code) = level;
                return Err(format!(
                    "I9 readers see {units} of {code} on their way to {shop}, and there are {expected}"
                ));
            }
        }
        Ok(())
    }

    /// Which parcel a movement is of, and whether it left (0) or came (1).
    fn parcel_of(&self, shop: usize, movement: &Movement) -> Option<(TransferId, usize)> {
        let details = movement.details();
        let document = details.transfer?;
        let (from, side) = match movement.kind {
            Kind::TransferOut => (self.shops[shop].id.clone(), 0),
            Kind::TransferIn => (details.from?.parse().ok()?, 1),
            _ => return None,
        };
        Some((transfer::id_of_document(&from, &document), side))
    }

    /// The transfers of parcels, by the hub's logs.
    fn transfers(&self) -> Result<BTreeMap<TransferId, Transfer>, Broken> {
        let mut parts: BTreeMap<TransferId, Vec<Part>> = BTreeMap::new();
        for (number, shop) in self.shops.iter().enumerate() {
            let logs = self.hub.logs(&shop.id);
            let model = logs.model().map_err(|error| format!("I12 {error}"))?;
            let voided: BTreeSet<_> = model.voided();
            for (dot, one) in logs.all() {
                let movement = &one.entry.movement;
                let part = Part::of(&shop.id, movement, !voided.contains(&dot));
                if let (Some((id, _)), Some(part)) = (self.parcel_of(number, movement), part) {
                    parts.entry(id).or_default().push(part);
                }
            }
        }
        let of = |(id, parts): (TransferId, Vec<Part>)| (id, Transfer::of(&parts));
        Ok(parts.into_iter().map(of).collect())
    }
}

fn check_parcel(id: TransferId, transfer: &Transfer, sums: &Sums) -> Result<(), Broken> {
    for (code, [sent, came]) in sums {
        let line = transfer.lines.get(code).cloned().unwrap_or_default();
        if (line.sent, line.received) != (*sent, *came) {
            return Err(format!(
                "I9 of {code} {sent} left with parcel {id} and {came} came, and it says {line:?}"
            ));
        }
        let of_code = transfer.incoming.iter().filter(|((_, one), _)| one == code);
        let on_the_way: i64 = of_code.map(|(_, units)| units).sum();
        if on_the_way != (sent - came).max(0) {
            return Err(format!(
                "I9 of {code} {on_the_way} are on their way with parcel {id}: {line:?}"
            ));
        }
        let is_told = matches!(transfer.state, State::OtherThanSent | State::NotSent);
        if came > sent && !is_told {
            return Err(format!(
                "I10 parcel {id} was taken in more often than it left, and is {}",
                transfer.state.word()
            ));
        }
    }
    if let Some(code) = transfer
        .lines
        .keys()
        .find(|code| !sums.contains_key::<Barcode>(code))
    {
        return Err(format!("I9 parcel {id} has {code}, which nobody booked"));
    }
    Ok(())
}
