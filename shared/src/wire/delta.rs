//! A delta in columns, and back: what is the same in all rows costs nothing (`PROTOCOL.md` §5).

use std::collections::{BTreeMap, BTreeSet};

use crate::delta::{Delta, Entry, MAX_DELTA_MOVEMENTS, RowTotal};
use crate::movement::{Condition, Key, Kind, Movement};
use crate::wire::columns::{Blobs, pack, unpack};
use crate::wire::v1::{DeltaV1, KeysV1, ReceiptKeysV1};
use crate::wire::{WireError, unzigzag, zigzag};
use crate::{Barcode, Chain, MovementId, Position, Qty, ReplicaId, Seq, TimeMs, Total};

const UNAVAILABLE: u64 = 1;
const SCANNED: u64 = 2;

impl DeltaV1 {
    /// Writes a delta.
    ///
    /// # Errors
    ///
    /// [`WireError`] when it has too many movements or its totals are out of range.
    pub(crate) fn of(delta: &Delta) -> Result<Self, WireError> {
        if delta.entries.len() > MAX_DELTA_MOVEMENTS {
            return Err(WireError::TooMany);
        }
        let movements: Vec<&Movement> = delta.entries.iter().map(|entry| &entry.movement).collect();
        let barcodes: Vec<&Barcode> = movements
            .iter()
            .map(|m| &m.barcode)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let rank: BTreeMap<&Barcode, u64> = barcodes.iter().copied().zip(0..).collect();
        let numbers = |value: &dyn Fn(&Movement) -> u64| {
            pack(&movements.iter().map(|m| value(m)).collect::<Vec<_>>())
        };
        let scanned: Vec<&[u8]> = movements
            .iter()
            .filter_map(|m| m.scanned.as_ref())
            .map(|code| code.as_str().as_bytes())
            .collect();
        let (before_p, before_n) = totals_before(delta)?;
        Ok(Self {
            replica: delta.replica.0,
            base_seq: delta.base.seq.0,
            base_chain: delta.base.chain.0,
            count: u32::try_from(movements.len()).map_err(|_| WireError::TooMany)?,
            kinds: numbers(&|m| u64::from(m.kind.number())),
            flags: numbers(&|m| flags(m)),
            barcode_count: u32::try_from(barcodes.len()).map_err(|_| WireError::TooMany)?,
            barcodes: Blobs::pack(
                &barcodes
                    .iter()
                    .map(|b| b.as_str().as_bytes())
                    .collect::<Vec<_>>(),
            ),
            barcode: numbers(&|m| rank.get(&m.barcode).copied().unwrap_or(0)),
            scanned: Blobs::pack(&scanned),
            qty: numbers(&|m| zigzag(m.qty.units())),
            at: numbers(&|m| zigzag(m.at.0)),
            targets: movements
                .iter()
                .filter_map(|m| m.target)
                .flat_map(|target| target.0)
                .collect(),
            keys: KeysV1::of(&movements),
            rests: Blobs::pack(&movements.iter().map(|m| &*m.rest).collect::<Vec<_>>()),
            before_p: pack(&before_p),
            before_n: pack(&before_n),
        })
    }

    /// Reads a delta; its totals are still only what the sender says.
    ///
    /// # Errors
    ///
    /// [`WireError`]: what is malformed.
    pub(crate) fn read(&self) -> Result<Delta, WireError> {
        let count = self.count as usize;
        if count > MAX_DELTA_MOVEMENTS || self.barcode_count as usize > count {
            return Err(WireError::TooMany);
        }
        let barcodes = self.read_barcodes()?;
        let mut keys = Keys::read(&self.keys, count)?;
        let flags = unpack(&self.flags, count)?;
        let scanned_count = flags.iter().filter(|flags| **flags & SCANNED != 0).count();
        let mut scanned = self.scanned.unpack(scanned_count)?.into_iter();
        let mut targets = self.targets.chunks_exact(16);
        let (qty, at) = (unpack(&self.qty, count)?, unpack(&self.at, count)?);
        let (kinds, ranks) = (unpack(&self.kinds, count)?, unpack(&self.barcode, count)?);
        let rests = self.rests.unpack(count)?;
        let rows = kinds
            .into_iter()
            .zip(flags)
            .zip(ranks)
            .zip(qty)
            .zip(at)
            .zip(rests);
        let mut entries = Vec::with_capacity(count);
        let mut sums: Vec<[Option<Total>; 2]> = vec![[None; 2]; barcodes.len()];
        for (((((kind, flags), rank), qty), at), rest) in rows {
            let kind = Kind::of_number(u8::try_from(kind).map_err(|_| WireError::Column)?);
            let rank = usize::try_from(rank).map_err(|_| WireError::Column)?;
            let movement = Movement {
                kind,
                condition: Condition::of_number(u8::from(flags & UNAVAILABLE != 0)),
                key: keys.next()?,
                barcode: barcodes.get(rank).cloned().ok_or(WireError::Column)?,
                scanned: match flags & SCANNED {
                    0 => None,
                    _ => Some(barcode(&scanned.next().ok_or(WireError::Column)?)?),
                },
                qty: Qty::new(unzigzag(qty)).map_err(|_| WireError::Column)?,
                at: TimeMs(unzigzag(at)),
                target: match kind {
                    Kind::Void => Some(MovementId(chunk(targets.next())?)),
                    _ => None,
                },
                rest: rest.into(),
            };
            let entry = checked(movement)?;
            let condition = usize::from(entry.movement.condition.number());
            if let Some(sum) = sums.get_mut(rank).and_then(|of| of.get_mut(condition)) {
                *sum = Some(sum.unwrap_or_default().after(entry.movement.qty)?);
            }
            entries.push(entry);
        }
        let totals = self.totals(&barcodes, &sums)?;
        let base = Position {
            seq: Seq(self.base_seq),
            chain: Chain(self.base_chain),
        };
        Ok(Delta {
            replica: ReplicaId(self.replica),
            base,
            entries,
            totals,
        })
    }

    /// The distinct barcodes, ascending.
    fn read_barcodes(&self) -> Result<Vec<Barcode>, WireError> {
        let texts = self.barcodes.unpack(self.barcode_count as usize)?;
        if !texts.is_sorted_by(|left, right| left < right) {
            return Err(WireError::Column);
        }
        texts.iter().map(|text| barcode(text)).collect()
    }

    /// The totals after the last movement: what was before, and what the movements add (by barcode and condition).
    fn totals(
        &self,
        barcodes: &[Barcode],
        sums: &[[Option<Total>; 2]],
    ) -> Result<Vec<RowTotal>, WireError> {
        let count = sums.iter().flatten().flatten().count();
        let before = unpack(&self.before_p, count)?
            .into_iter()
            .zip(unpack(&self.before_n, count)?);
        let rows = barcodes.iter().zip(sums).flat_map(|(barcode, of)| {
            let conditions = of.iter().zip([Condition::Sellable, Condition::Unavailable]);
            conditions.filter_map(move |(sum, condition)| Some((barcode, condition, (*sum)?)))
        });
        rows.zip(before)
            .map(|((barcode, condition, sum), (p, n))| {
                let add =
                    |a: u64, b: u64| a.checked_add(b).filter(|sum| i64::try_from(*sum).is_ok());
                let (Some(p), Some(n)) = (add(p, sum.p), add(n, sum.n)) else {
                    return Err(WireError::Column);
                };
                Ok(RowTotal {
                    barcode: barcode.clone(),
                    condition,
                    total: Total { p, n },
                })
            })
            .collect()
    }
}

/// A movement whose canonical bytes read back as itself: whatever a peer put together, only such a one is chained.
fn checked(movement: Movement) -> Result<Entry, WireError> {
    let entry = Entry::new(movement);
    let fits =
        entry.bytes.len() <= crate::movement::MAX_MOVEMENT_BYTES && entry.movement.at.is_writable();
    let odd_scan = entry.movement.scanned.as_ref() == Some(&entry.movement.barcode);
    let odd_void = entry.movement.kind == Kind::Void && entry.movement.qty != Qty::ZERO;
    if fits && !odd_scan && !odd_void {
        Ok(entry)
    } else {
        Err(WireError::Malformed)
    }
}

/// The totals before the first movement, by row: mostly 0 or small, so they pack to little.
fn totals_before(delta: &Delta) -> Result<(Vec<u64>, Vec<u64>), WireError> {
    let sums = Delta::sums(&delta.entries)?;
    let same_rows = sums.len() == delta.totals.len()
        && sums
            .keys()
            .zip(&delta.totals)
            .all(|((barcode, condition), row)| {
                **barcode == row.barcode && *condition == row.condition
            });
    if !same_rows {
        return Err(WireError::Encode);
    }
    delta
        .totals
        .iter()
        .zip(sums.values())
        .map(|(row, sum)| {
            let before = |total: u64, sum: u64| total.checked_sub(sum).ok_or(WireError::Encode);
            Ok((before(row.total.p, sum.p)?, before(row.total.n, sum.n)?))
        })
        .collect::<Result<Vec<_>, _>>()
        .map(|pairs| pairs.into_iter().unzip())
}

fn flags(movement: &Movement) -> u64 {
    let unavailable = u64::from(movement.condition.number()) * UNAVAILABLE;
    unavailable
        | if movement.scanned.is_some() {
            SCANNED
        } else {
            0
        }
}

impl KeysV1 {
    fn of(movements: &[&Movement]) -> Self {
        let numbers = |value: &dyn Fn(&Key) -> u8| {
            pack(
                &movements
                    .iter()
                    .map(|m| u64::from(value(&m.key)))
                    .collect::<Vec<_>>(),
            )
        };
        let calls: Vec<&[u8]> = movements.iter().filter_map(|m| call_text(&m.key)).collect();
        let bodies: Vec<Vec<u8>> = movements
            .iter()
            .filter_map(|m| other_body(&m.key))
            .collect();
        Self {
            flags: numbers(&Key::flags),
            tags: numbers(&Key::tag),
            receipts: receipt_columns(movements),
            calls: Blobs::pack(&calls),
            uuids: movements
                .iter()
                .filter_map(|m| uuid(&m.key))
                .flatten()
                .copied()
                .collect(),
            bodies: Blobs::pack(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        }
    }
}

fn receipt_columns(movements: &[&Movement]) -> ReceiptKeysV1 {
    let mut tills: Vec<&[u8]> = Vec::new();
    let mut receipts: Vec<&[u8]> = Vec::new();
    let (mut lines, mut days) = (Vec::new(), Vec::new());
    for movement in movements {
        if let Key::Receipt {
            till,
            receipt,
            line,
            day,
        } = &movement.key
        {
            tills.push(till.as_bytes());
            receipts.push(receipt.as_bytes());
            lines.push(u64::from(*line));
            days.push(u64::from(day.0));
        }
    }
    ReceiptKeysV1 {
        tills: Blobs::pack(&tills),
        receipts: Blobs::pack(&receipts),
        lines: pack(&lines),
        days: pack(&days),
    }
}

fn call_text(key: &Key) -> Option<&[u8]> {
    match key {
        Key::Call(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn uuid(key: &Key) -> Option<&[u8; 16]> {
    match key {
        Key::CallUuid(bytes) => Some(bytes),
        _ => None,
    }
}

/// The body of every form that has no columns of its own.
fn other_body(key: &Key) -> Option<Vec<u8>> {
    match key {
        Key::Receipt { .. } | Key::Call(_) | Key::CallUuid(_) => None,
        _ => {
            let mut body = Vec::new();
            key.write_body(&mut body);
            Some(body)
        }
    }
}

/// The keys in their order, from the columns of their forms.
struct Keys {
    forms: std::iter::Zip<std::vec::IntoIter<u64>, std::vec::IntoIter<u64>>,
    receipts: std::vec::IntoIter<Key>,
    calls: std::vec::IntoIter<Vec<u8>>,
    uuids: std::vec::IntoIter<[u8; 16]>,
    bodies: std::vec::IntoIter<Vec<u8>>,
}

impl Keys {
    fn read(columns: &KeysV1, count: usize) -> Result<Self, WireError> {
        let flags = unpack(&columns.flags, count)?;
        let tags = unpack(&columns.tags, count)?;
        let of = |tag: u64| tags.iter().filter(|t| **t == tag).count();
        let (receipts, calls, uuids) = (of(1), of(2), of(3));
        if columns.uuids.len() != uuids * 16 {
            return Err(WireError::Column);
        }
        let uuids: Vec<[u8; 16]> = columns
            .uuids
            .chunks_exact(16)
            .map(|c| chunk(Some(c)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            receipts: columns.receipts.read(receipts)?.into_iter(),
            calls: columns.calls.unpack(calls)?.into_iter(),
            bodies: columns
                .bodies
                .unpack(count - receipts - calls - uuids.len())?
                .into_iter(),
            uuids: uuids.into_iter(),
            forms: flags.into_iter().zip(tags),
        })
    }

    fn next(&mut self) -> Result<Key, WireError> {
        let (flags, tag) = self.forms.next().ok_or(WireError::Column)?;
        let (Ok(flags), Ok(tag)) = (u8::try_from(flags), u8::try_from(tag)) else {
            return Err(WireError::Column);
        };
        let key = match tag {
            1 => self.receipts.next(),
            2 => Some(read_key(
                flags,
                tag,
                &self.calls.next().ok_or(WireError::Column)?,
            )?),
            3 => self.uuids.next().map(Key::CallUuid),
            _ => Some(read_key(
                flags,
                tag,
                &self.bodies.next().ok_or(WireError::Column)?,
            )?),
        };
        key.filter(|key| key.flags() == flags)
            .ok_or(WireError::Column)
    }
}

impl ReceiptKeysV1 {
    fn read(&self, count: usize) -> Result<Vec<Key>, WireError> {
        let lines = unpack(&self.lines, count)?;
        let days = unpack(&self.days, count)?;
        let texts = self
            .tills
            .unpack(count)?
            .into_iter()
            .zip(self.receipts.unpack(count)?);
        texts
            .zip(lines.into_iter().zip(days))
            .map(|((till, receipt), (line, day))| {
                let mut body = Vec::with_capacity(16 + till.len() + receipt.len());
                body.extend_from_slice(
                    &u32::try_from(day)
                        .map_err(|_| WireError::Column)?
                        .to_le_bytes(),
                );
                body.extend_from_slice(
                    &u32::try_from(line)
                        .map_err(|_| WireError::Column)?
                        .to_le_bytes(),
                );
                body.push(u8::try_from(till.len()).map_err(|_| WireError::Column)?);
                body.extend_from_slice(&till);
                body.extend_from_slice(&receipt);
                read_key(crate::movement::RECEIPT_FLAGS, 1, &body)
            })
            .collect()
    }
}

fn read_key(flags: u8, tag: u8, body: &[u8]) -> Result<Key, WireError> {
    Key::read(flags, tag, body).map_err(|error| WireError::Movement(error.into()))
}

fn barcode(text: &[u8]) -> Result<Barcode, WireError> {
    let text = std::str::from_utf8(text).map_err(|_| WireError::Column)?;
    Barcode::from_key(text).map_err(|error| WireError::Movement(error.into()))
}

fn chunk(bytes: Option<&[u8]>) -> Result<[u8; 16], WireError> {
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(WireError::Column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::movement::Details;

    fn entry(barcode: &str) -> Entry {
        Entry::new(Movement {
            kind: Kind::Sale,
            condition: Condition::Sellable,
            key: Key::call(barcode),
            barcode: barcode.parse().unwrap(),
            scanned: None,
            qty: Qty::new(-1).unwrap(),
            at: TimeMs(1_790_000_000_000),
            target: None,
            rest: Details::default().to_bytes(),
        })
    }

    #[test]
    fn barcodes_that_are_not_sorted_or_come_twice_are_refused() {
        let one = Total { p: 0, n: 1 };
        let row = |barcode: &str| RowTotal {
            barcode: barcode.parse().unwrap(),
            condition: Condition::Sellable,
            total: one,
        };
        let replica = ReplicaId([1; 16]);
        let delta = Delta {
            replica,
            base: replica.origin(),
            entries: vec![entry("B"), entry("A")],
            totals: vec![row("A"), row("B")],
        };
        let written = DeltaV1::of(&delta).unwrap();
        assert_eq!(written.read().unwrap(), delta);

        for wrong in [[b"B", b"A"], [b"A", b"A"]] {
            let tampered = DeltaV1 {
                barcodes: Blobs::pack(&wrong.map(|text| &text[..])),
                ..DeltaV1::of(&delta).unwrap()
            };
            assert!(matches!(tampered.read(), Err(WireError::Column)));
        }
    }
}
