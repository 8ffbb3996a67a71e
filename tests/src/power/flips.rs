//! Bits of a database that change by themselves.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::bench::{Bench, Seen};
use super::day::Side;
use crate::sim::random::Random;
use crate::vfs::Image;

/// What SQLite writes at once.
const PAGE_BYTES: usize = 4_096;

/// What became of the flipped bits.
#[derive(Clone, Debug, Default)]
pub struct Flipped {
    /// How many, each in a fresh copy.
    pub bits: u64,
    /// How many the program noticed, by how.
    pub by: BTreeMap<&'static str, u64>,
    /// Those that changed nothing that anybody reads.
    pub harmless: u64,
    /// Those that changed a word, a price, a kept answer: there is no hash of them.
    pub words: u64,
    /// Those after which the books were read otherwise without a word: where.
    pub silent: Vec<String>,
}

/// Flips some bits of every page of a file of the image, one in each copy.
///
/// # Panics
///
/// Where the image is not in order before.
pub fn flip(
    (side, image): (Side, &Image),
    name: &str,
    (home, high_water): (&Path, Option<&str>),
    per_page: usize,
) -> Flipped {
    let bench = Bench::new(home);
    let whole = bench.look(side, image, high_water);
    assert!(
        whole.noticed.is_none() && whole.damage.is_none(),
        "{:?}",
        whole.noticed
    );
    let mut random = Random::new(23);
    let mut flipped = Flipped::default();
    let bytes = &image[name];
    for page in 0..bytes.len().div_ceil(PAGE_BYTES) {
        for _ in 0..per_page {
            let from = page * PAGE_BYTES;
            let place = from + random.place(bytes.len().min(from + PAGE_BYTES) - from);
            let bit = random.below(8);
            let mut changed = bytes.to_vec();
            changed[place] ^= 1 << bit;
            let mut image = image.clone();
            image.insert(name.to_owned(), Arc::new(changed));
            let seen = bench.look(side, &image, high_water);
            flipped.judge(&whole, &seen, || {
                format!("bit {bit} of byte {place} of {name}")
            });
        }
    }
    flipped
}

impl Flipped {
    fn judge(&mut self, whole: &Seen, seen: &Seen, at: impl Fn() -> String) {
        self.bits += 1;
        if let Some((how, _)) = &seen.noticed {
            *self.by.entry(how).or_default() += 1;
        } else if seen.dump == whole.dump && seen.damage.is_none() {
            self.harmless += 1;
        } else if seen.books() == whole.books() && seen.damage.is_none() {
            self.words += 1;
        } else {
            let (now, was) = (&seen.rows, &whole.rows);
            let other: Vec<_> = now
                .iter()
                .filter(|row| !was.contains(row))
                .chain(was.iter().filter(|row| !now.contains(row)))
                .collect();
            // The same rows in another order: a key that is no row's, by which only the way to them is found.
            if other.is_empty() && now.len() == was.len() && seen.damage.is_none() {
                self.harmless += 1;
                return;
            }
            let damage = seen
                .damage
                .as_deref()
                .unwrap_or("the books say something else");
            self.silent.push(format!("{}: {damage} {other:?}", at()));
        }
    }
}
