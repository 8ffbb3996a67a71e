//! Seeded randomness, and what a list of measurements comes to.

use std::collections::BTreeSet;
use std::time::Duration;

/// A seeded generator (splitmix64): the same run has the same codes everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One of a list.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let place = usize::try_from(self.below(list.len() as u64)).unwrap();
        &list[place]
    }

    /// One of a list of codes.
    pub(crate) fn code<'a>(&mut self, codes: &'a [String]) -> &'a str {
        self.pick::<String>(codes)
    }

    /// A random UUID (version 4) as text.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFF,
            0x8000 | ((low >> 48) & 0x3FFF),
            low & 0xFFFF_FFFF_FFFF
        )
    }
}

/// So many different EAN-13 codes: twelve random digits and the right check digit (a wrong one would be a warning a
/// line). An arithmetic progression would compress to nothing.
pub(crate) fn barcodes(random: &mut Random, count: usize) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut codes = Vec::with_capacity(count);
    while codes.len() < count {
        let code = ean13(100_000_000_000 + random.below(900_000_000_000));
        if seen.insert(code.clone()) {
            codes.push(code);
        }
    }
    codes
}

fn ean13(twelve: u64) -> String {
    let text = twelve.to_string();
    let sum: u32 = text
        .bytes()
        .zip([1, 3].iter().cycle())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    format!("{text}{}", (10 - sum % 10) % 10)
}

/// The value below which a share of all lies.
pub(crate) fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() as f64 * share) as usize;
    sorted[place.min(sorted.len() - 1)]
}

/// The middle of a few runs.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A duration in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
