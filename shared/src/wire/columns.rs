//! Columns: many numbers or texts of one kind in few bytes (`PROTOCOL.md` §5).
//!
//! A column of numbers is written in the shortest of four ways: all equal, plain, as gaps of an ascending row, or as
//! signed steps. What is left is Rice coded: `value >> k` in unary, then `k` low bits, which is within two bits of
//! the entropy of gaps between random codes. A column of texts names each distinct one once where that pays, and
//! texts of digits become numbers. Every reader is told how many values to expect and never makes room for more.

use std::collections::HashMap;

use crate::wire::WireError;

/// Quotients from here on are written as this many ones, then 64 plain bits.
const ESCAPE: u32 = 24;

/// The ways to write a column of numbers.
const EQUAL: u8 = 0;
const PLAIN: u8 = 1;
const ASCENDING: u8 = 2;
const STEPS: u8 = 3;

/// Writes numbers.
pub(crate) fn pack(values: &[u64]) -> Vec<u8> {
    let Some(first) = values.first() else {
        return Vec::new();
    };
    if values.iter().all(|value| value == first) {
        let mut out = vec![EQUAL];
        out.extend_from_slice(&shortest(*first));
        return out;
    }
    let pairs = || values.iter().zip(values.iter().skip(1));
    let mut best = rice(PLAIN, None, values);
    if pairs().all(|(a, b)| a <= b) {
        let gaps: Vec<u64> = pairs().map(|(a, b)| b - a).collect();
        best = shorter(best, rice(ASCENDING, Some(*first), &gaps));
    } else {
        let steps: Vec<u64> = pairs()
            .map(|(a, b)| super::zigzag(b.wrapping_sub(*a).cast_signed()))
            .collect();
        best = shorter(best, rice(STEPS, Some(*first), &steps));
    }
    best
}

fn shorter(a: Vec<u8>, b: Vec<u8>) -> Vec<u8> {
    if b.len() < a.len() { b } else { a }
}

/// A number without its leading zero bytes.
fn shortest(value: u64) -> Vec<u8> {
    let zeros = (value.leading_zeros() / 8) as usize;
    value.to_le_bytes().into_iter().take(8 - zeros).collect()
}

fn rice(mode: u8, first: Option<u64>, values: &[u64]) -> Vec<u8> {
    let mut sorted = values.to_vec();
    let middle = sorted.len() / 2;
    let median = *sorted.select_nth_unstable(middle).1;
    let guess = 64 - median.leading_zeros();
    let cost = |k: u32| -> u64 {
        values
            .iter()
            .map(|v| {
                if v >> k < u64::from(ESCAPE) {
                    (v >> k) + 1 + u64::from(k)
                } else {
                    u64::from(ESCAPE) + 64
                }
            })
            .sum()
    };
    let k = (guess.saturating_sub(2)..=(guess + 1).min(63))
        .min_by_key(|k| cost(*k))
        .unwrap_or(0);
    let mut out = vec![mode, u8::try_from(k).unwrap_or(63)];
    if let Some(first) = first {
        out.extend_from_slice(&first.to_le_bytes());
    }
    let mut bits = BitWriter {
        out,
        held: 0,
        count: 0,
    };
    for value in values {
        let quotient = value >> k;
        if quotient < u64::from(ESCAPE) {
            bits.ones(u32::try_from(quotient).unwrap_or(ESCAPE));
            bits.put(0, 1);
            bits.put(value & ((1 << k) - 1), k);
        } else {
            bits.ones(ESCAPE);
            bits.put(value & u64::from(u32::MAX), 32);
            bits.put(value >> 32, 32);
        }
    }
    bits.finish()
}

/// Reads `count` numbers.
pub(crate) fn unpack(bytes: &[u8], count: usize) -> Result<Vec<u64>, WireError> {
    if count == 0 {
        return if bytes.is_empty() {
            Ok(Vec::new())
        } else {
            Err(WireError::Column)
        };
    }
    let (mode, body) = bytes.split_first().ok_or(WireError::Column)?;
    if *mode == EQUAL {
        let mut value = [0; 8];
        value
            .get_mut(..body.len())
            .ok_or(WireError::Column)?
            .copy_from_slice(body);
        return Ok(vec![u64::from_le_bytes(value); count]);
    }
    let (k, body) = body.split_first().ok_or(WireError::Column)?;
    if *k > 63 {
        return Err(WireError::Column);
    }
    if *mode == PLAIN {
        return unrice(body, u32::from(*k), count);
    }
    let (first, body) = body.split_first_chunk().ok_or(WireError::Column)?;
    let mut value = u64::from_le_bytes(*first);
    let steps = unrice(body, u32::from(*k), count - 1)?;
    let mut values = Vec::with_capacity(count);
    values.push(value);
    for step in steps {
        value = match *mode {
            ASCENDING => value.checked_add(step).ok_or(WireError::Column)?,
            STEPS => value.wrapping_add(super::unzigzag(step).cast_unsigned()),
            _ => return Err(WireError::Column),
        };
        values.push(value);
    }
    Ok(values)
}

fn unrice(bytes: &[u8], k: u32, count: usize) -> Result<Vec<u64>, WireError> {
    let mut bits = BitReader {
        bytes,
        held: 0,
        count: 0,
    };
    let mut values = Vec::with_capacity(count.min(bytes.len() * 8 + 1));
    for _ in 0..count {
        let quotient = bits.ones(ESCAPE)?;
        values.push(if quotient == ESCAPE {
            bits.take(32)? | bits.take(32)? << 32
        } else {
            u64::from(quotient)
                .checked_shl(k)
                .ok_or(WireError::Column)?
                | bits.take_wide(k)?
        });
    }
    Ok(values)
}

struct BitWriter {
    out: Vec<u8>,
    held: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the low `width` bits (0 to 63), lowest first.
    fn put(&mut self, value: u64, width: u32) {
        if width > 32 {
            self.put(value & u64::from(u32::MAX), 32);
            return self.put(value >> 32, width - 32);
        }
        self.held |= value << self.count;
        self.count += width;
        while self.count >= 8 {
            self.out.push((self.held & 0xFF) as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    fn ones(&mut self, count: u32) {
        self.put((1_u64 << count) - 1, count);
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.out.push((self.held & 0xFF) as u8);
        }
        self.out
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    held: u64,
    count: u32,
}

impl BitReader<'_> {
    /// Holds as many bits as fit without losing one.
    fn fill(&mut self) {
        while self.count <= 56 {
            let Some((byte, rest)) = self.bytes.split_first() else {
                return;
            };
            self.held |= u64::from(*byte) << self.count;
            self.count += 8;
            self.bytes = rest;
        }
    }

    /// Takes up to 32 bits.
    fn take(&mut self, width: u32) -> Result<u64, WireError> {
        self.fill();
        if self.count < width {
            return Err(WireError::Column);
        }
        let value = self.held & ((1_u64 << width) - 1);
        self.held >>= width;
        self.count -= width;
        Ok(value)
    }

    fn take_wide(&mut self, width: u32) -> Result<u64, WireError> {
        if width <= 32 {
            return self.take(width);
        }
        Ok(self.take(32)? | self.take(width - 32)? << 32)
    }

    /// Counts ones up to `most`; a zero behind fewer is taken too.
    fn ones(&mut self, most: u32) -> Result<u32, WireError> {
        self.fill();
        let ones = self.held.trailing_ones().min(most);
        let width = if ones == most { ones } else { ones + 1 };
        if self.count < width {
            return Err(WireError::Column);
        }
        self.held >>= width;
        self.count -= width;
        Ok(ones)
    }
}

/// A column of texts or bytes, as it stands in a section.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Blobs {
    /// How many values are written; the column's own number where each is written, fewer where `index` names them.
    distinct: u32,
    /// Which of the written values each place has; empty where they are in order.
    index: Vec<u8>,
    /// 1 for a text of 1 to 18 digits, 0 for anything else.
    is_digits: Vec<u8>,
    /// The digits, read with a 1 in front so that leading zeros stay.
    digits: Vec<u8>,
    /// The lengths of the others.
    lengths: Vec<u8>,
    /// The others, one after another.
    bytes: Vec<u8>,
}

impl Blobs {
    /// Writes values in their order.
    pub(crate) fn pack(values: &[&[u8]]) -> Self {
        let mut places: HashMap<&[u8], u64> = HashMap::with_capacity(values.len());
        let mut distinct: Vec<&[u8]> = Vec::new();
        let index: Vec<u64> = values
            .iter()
            .map(|value| {
                *places.entry(value).or_insert_with(|| {
                    distinct.push(value);
                    distinct.len() as u64 - 1
                })
            })
            .collect();
        if distinct.len() * 2 <= values.len() {
            Self {
                index: pack(&index),
                ..Self::pack_each(&distinct)
            }
        } else {
            Self::pack_each(values)
        }
    }

    fn pack_each(values: &[&[u8]]) -> Self {
        let numbers: Vec<Option<u64>> =
            values.iter().map(|value| digits_to_number(value)).collect();
        let others = || {
            values
                .iter()
                .zip(&numbers)
                .filter(|(_, number)| number.is_none())
                .map(|(value, _)| *value)
        };
        Self {
            distinct: u32::try_from(values.len()).unwrap_or(u32::MAX),
            index: Vec::new(),
            is_digits: pack(
                &numbers
                    .iter()
                    .map(|number| u64::from(number.is_some()))
                    .collect::<Vec<_>>(),
            ),
            digits: pack(&numbers.iter().flatten().copied().collect::<Vec<_>>()),
            lengths: pack(&others().map(|value| value.len() as u64).collect::<Vec<_>>()),
            bytes: others().flatten().copied().collect(),
        }
    }

    /// Reads `count` values.
    pub(crate) fn unpack(&self, count: usize) -> Result<Vec<Vec<u8>>, WireError> {
        let written = self.distinct as usize;
        if written > count || (self.index.is_empty() && written != count) {
            return Err(WireError::Column);
        }
        let values = self.unpack_each(written)?;
        if self.index.is_empty() {
            return Ok(values);
        }
        unpack(&self.index, count)?
            .into_iter()
            .map(|place| values.get(usize::try_from(place).ok()?).cloned())
            .collect::<Option<_>>()
            .ok_or(WireError::Column)
    }

    fn unpack_each(&self, count: usize) -> Result<Vec<Vec<u8>>, WireError> {
        let is_digits = unpack(&self.is_digits, count)?;
        let digit_count = is_digits.iter().filter(|flag| **flag == 1).count();
        let mut numbers = unpack(&self.digits, digit_count)?.into_iter();
        let mut lengths = unpack(&self.lengths, count - digit_count)?.into_iter();
        let mut bytes = self.bytes.as_slice();
        let mut values = Vec::with_capacity(count);
        for flag in is_digits {
            values.push(match flag {
                1 => number_to_digits(numbers.next().ok_or(WireError::Column)?)?,
                0 => {
                    let length = lengths
                        .next()
                        .and_then(|length| usize::try_from(length).ok());
                    let (value, rest) = bytes
                        .split_at_checked(length.ok_or(WireError::Column)?)
                        .ok_or(WireError::Column)?;
                    bytes = rest;
                    value.to_vec()
                }
                _ => return Err(WireError::Column),
            });
        }
        if bytes.is_empty() {
            Ok(values)
        } else {
            Err(WireError::Column)
        }
    }
}

fn digits_to_number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value.iter().try_fold(1_u64, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

fn number_to_digits(number: u64) -> Result<Vec<u8>, WireError> {
    let digits = number.to_string().into_bytes();
    match digits.split_first() {
        Some((b'1', rest)) if (1..=18).contains(&rest.len()) => Ok(rest.to_vec()),
        _ => Err(WireError::Column),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_read_back_as_written(values in prop::collection::vec(any::<u64>(), 0..300), shift in 0_u32..64) {
            let values: Vec<u64> = values.into_iter().map(|v| v >> shift).collect();
            prop_assert_eq!(unpack(&pack(&values), values.len()).unwrap(), values);
        }

        #[test]
        fn ascending_numbers_read_back_as_written(mut values in prop::collection::vec(any::<u64>(), 0..300)) {
            values.sort_unstable();
            prop_assert_eq!(unpack(&pack(&values), values.len()).unwrap(), values);
        }

        #[test]
        fn texts_read_back_as_written(values in prop::collection::vec("[0-9]{0,20}|[a-c]{0,3}|\\PC{0,8}", 0..100)) {
            let bytes: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
            let read = Blobs::pack(&bytes).unpack(values.len()).unwrap();
            prop_assert_eq!(read, bytes);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..5_000) {
            let _ = unpack(&bytes, count);
        }
    }

    #[test]
    fn gaps_of_random_codes_come_near_their_entropy() {
        // 2,000 codes of 13 digits: the gaps carry about 33 bits each.
        let mut state = 1_u64;
        let mut codes: Vec<u64> = (0..2_000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                10_000_000_000_000 + (state >> 16) % 10_000_000_000_000
            })
            .collect();
        codes.sort_unstable();

        let bits = pack(&codes).len() * 8;

        assert!(bits < 2_000 * 35, "{} bits a code", bits / 2_000);
    }
}
