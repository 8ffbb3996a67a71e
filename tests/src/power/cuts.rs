//! What a power cut leaves of a recorded day, at every write and every flush, opened by the program's own start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::bench::{Bench, Seen};
use super::day::{Record, Side};
use super::dump::Dump;
use crate::sim::random::Random;
use crate::vfs::Op;
use crate::vfs::image::{Cut, Replay};

/// How the disk of a day behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honesty {
    /// What was flushed is durable.
    Honest,
    /// No flush did anything.
    Lying,
    /// As `synchronous=NORMAL` has it: the log is flushed before it is copied into the file, and not at a commit.
    FlushesLate,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// How many images were opened.
    pub points: u64,
    /// By what the cut left.
    pub cuts: BTreeMap<Cut, u64>,
    /// Cuts at which something was in the air that was not flushed.
    pub loose: u64,
    /// After which something that was acknowledged was not there, or something was half there, or the database was
    /// damaged.
    pub harmed: u64,
    /// Of these: those that the program noticed by itself.
    pub noticed: u64,
    /// Of those that it did not notice: those where a movement was lost, or SQLite's full check finds damage. The hub is
    /// told by its shops.
    pub silent: BTreeMap<Side, u64>,
    /// By how it noticed.
    pub by: BTreeMap<&'static str, u64>,
    /// What the agent did not notice, in words.
    pub unnoticed: Vec<String>,
    /// The first that should not have been, in words.
    pub first: Vec<String>,
}

/// Where a program stood at an operation: what it had last said, and what it may have committed since; nothing where
/// any state will do, because nobody was told anything yet and the program names itself by random bytes.
struct Place<'a> {
    high_water: Option<&'a str>,
    legal: Option<Vec<Dump>>,
    /// Movements that somebody was told of.
    movements: u64,
}

/// The states of the database after each operation, where the program alone ends there.
fn states(record: &Record, bench: &Bench) -> Result<Vec<Option<Dump>>, String> {
    let mut replay = Replay::of(&record.base);
    let mut states = vec![];
    let mut random = Random::new(0);
    let mut next = 0;
    for at in 0..=record.ops.len() {
        if at > 0 {
            replay.step(&record.ops[at - 1]);
        }
        while record.marks.get(next).is_some_and(|mark| mark.at <= at) {
            next += 1;
        }
        let image = replay.cut(Cut::Killed, &mut random);
        if image.is_empty() {
            states.push(None);
            continue;
        }
        let high_water = high_water(record, next);
        let seen = bench.look(record.side, &image, high_water);
        if let Some((how, what)) = seen.noticed {
            return Err(format!("ended after operation {at}: {how}: {what}"));
        }
        if let Some(damage) = seen.damage {
            return Err(format!("ended after operation {at}: {damage}"));
        }
        // What was said is there.
        if let Some(mark) = next.checked_sub(1).map(|last| &record.marks[last])
            && mark.at == at
            && seen.dump != Some(mark.dump)
        {
            return Err(format!(
                "ended after operation {at}: what was said is not there"
            ));
        }
        states.push(seen.dump);
    }
    Ok(states)
}

fn high_water(record: &Record, marks: usize) -> Option<&str> {
    let last = record.marks[..marks].last()?;
    last.high_water.as_deref()
}

/// Opens what power cuts leave of a record: `rounds` times all ways of all operations.
///
/// # Errors
///
/// In words, where already the end of the program alone does harm.
pub fn explore(
    record: &Record,
    home: &Path,
    honesty: Honesty,
    (seed, rounds): (u64, usize),
) -> Result<Findings, String> {
    let states = states(record, &Bench::new(home))?;
    let findings = Mutex::new(Findings {
        points: states.len() as u64,
        cuts: BTreeMap::from([(Cut::Killed, states.len() as u64)]),
        ..Findings::default()
    });
    let next = AtomicUsize::new(0);
    let work = || {
        let bench = Bench::new(home);
        loop {
            let round = next.fetch_add(1, Ordering::Relaxed);
            if round >= rounds {
                return;
            }
            let found = one_round(record, &states, &bench, honesty, seed + round as u64);
            findings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(found);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    Ok(findings
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

fn one_round(
    record: &Record,
    states: &[Option<Dump>],
    bench: &Bench,
    honesty: Honesty,
    seed: u64,
) -> Findings {
    let mut findings = Findings::default();
    let mut random = Random::new(seed);
    let mut replay = Replay::of(&record.base);
    if honesty == Honesty::Lying {
        replay = replay.lying();
    }
    let mut marks = 0;
    let mut floor = 0;
    let log = logs(record);
    for (done, op) in record.ops.iter().enumerate() {
        while record.marks.get(marks).is_some_and(|mark| mark.at <= done) {
            floor = record.marks[marks].at;
            marks += 1;
        }
        // In the middle of this operation: it is begun, and nothing after it.
        let is_flush = matches!(op, Op::Sync { .. });
        let mut during = replay.clone();
        if !is_flush {
            during.step(op);
        }
        for cut in Cut::POWER {
            let image = during.cut(cut, &mut random);
            findings.points += 1;
            *findings.cuts.entry(cut).or_default() += 1;
            findings.loose += u64::from(during.loose() > 0);
            let is_young = marks == 0 && record.base.is_empty();
            let since = states[floor..=done + 1].iter().flatten();
            let place = Place {
                high_water: high_water(record, marks),
                movements: record.marks[..marks]
                    .last()
                    .map_or(0, |mark| mark.dump.movements),
                legal: (!is_young).then(|| since.copied().collect()),
            };
            let seen = bench.look(record.side, &image, place.high_water);
            findings.judge(record.side, &seen, &place, || {
                format!("{:?}, {cut:?} in operation {done} ({op})", record.side)
            });
        }
        let is_left_out = honesty == Honesty::FlushesLate
            && matches!(op, Op::Sync { file } if log.contains(file))
            && !matches!(record.ops.get(done + 1), Some(Op::Write { file, .. }) if !log.contains(file));
        if !is_left_out {
            replay.step(op);
        }
    }
    findings
}

/// The files that are write-ahead logs.
fn logs(record: &Record) -> BTreeSet<u32> {
    let old = (1..)
        .zip(record.base.keys())
        .filter(|(_, name)| name.ends_with("-wal"));
    let new = record.ops.iter().filter_map(|op| match op {
        Op::Create { name, file } | Op::Replace { name, file, .. } if name.ends_with("-wal") => {
            Some(*file)
        }
        _ => None,
    });
    old.map(|(file, _)| file).chain(new).collect()
}

impl Findings {
    fn judge(&mut self, side: Side, seen: &Seen, place: &Place<'_>, at: impl Fn() -> String) {
        let is_there = match (seen.dump, &place.legal) {
            (Some(dump), Some(legal)) => legal.contains(&dump),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let is_harmed = !is_there || seen.damage.is_some();
        if let Some((how, _)) = &seen.noticed {
            *self.by.entry(how).or_default() += 1;
        }
        self.harmed += u64::from(is_harmed);
        self.noticed += u64::from(is_harmed && seen.noticed.is_some());
        let is_short = seen
            .dump
            .is_none_or(|dump| dump.movements < place.movements);
        if seen.noticed.is_none() && (seen.damage.is_some() || is_short) {
            *self.silent.entry(side).or_default() += 1;
            if side == Side::Agent {
                let had = (place.movements, seen.dump.map(|dump| dump.movements));
                let damage = seen.damage.as_deref().unwrap_or("a movement is lost");
                self.unnoticed
                    .push(format!("not noticed: {}: {damage} {had:?}", at()));
            }
        }
        if (is_harmed || seen.noticed.is_some()) && self.first.len() < 5 {
            let what = match (&seen.noticed, &seen.damage) {
                (Some((how, what)), _) => format!("{how}: {what}"),
                (None, Some(damage)) => damage.clone(),
                (None, None) => "another state than any that was committed".to_owned(),
            };
            let text: String = format!("{}: {what}", at()).chars().take(600).collect();
            self.first.push(text);
        }
    }

    /// Adds what somebody else found.
    pub fn add(&mut self, more: Self) {
        self.points += more.points;
        self.loose += more.loose;
        self.harmed += more.harmed;
        self.noticed += more.noticed;
        for (cut, count) in more.cuts {
            *self.cuts.entry(cut).or_default() += count;
        }
        for (side, count) in more.silent {
            *self.silent.entry(side).or_default() += count;
        }
        for (how, count) in more.by {
            *self.by.entry(how).or_default() += count;
        }
        self.unnoticed.extend(more.unnoticed);
        self.first.extend(more.first);
    }

    /// Whether nothing was lost, doubled, half there or damaged, and nobody was alarmed for nothing.
    pub fn is_clean(&self) -> bool {
        self.harmed == 0 && self.by.is_empty()
    }
}
