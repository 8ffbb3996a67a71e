//! Each step of the day with one flush failing, and the program killed right after: what it refused is still to be read,
//! and was never durable.

use super::{Stage, Sweep, compare, start};
use crate::power::bench::Bench;
use crate::power::day::{Day, Side};
use crate::sim::random::Random;
use crate::vfs::image::{Cut, Replay};
use crate::vfs::{Call, Fault, Op, Plan, Unplugged};

/// What was done, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Killed {
    /// Steps that were refused because a flush failed, and whose program was killed then.
    pub refused: u64,
    /// Of these: programs that left something to be read that is not durable.
    pub shown: u64,
    /// What power cuts in the middle of the next start left, opened.
    pub points: u64,
    /// Promises that were broken, in words.
    pub broken: Vec<String>,
}

impl Sweep {
    /// Goes through every step on each side with each flush failing once, and kills the program that it failed.
    pub fn kill_after_failed_flushes(&mut self) -> Killed {
        let mut killed = Killed::default();
        let bench = Bench::new(&self.day.database(Side::Agent));
        for stage in &self.stages {
            for side in Side::BOTH {
                for at in 1.. {
                    if !one(&mut self.day, stage, (side, at), &bench, &mut killed) {
                        break;
                    }
                }
            }
        }
        killed
    }
}

/// One step with one flush failing; false where there are no more.
fn one(
    day: &mut Day,
    stage: &Stage,
    (side, at): (Side, u64),
    bench: &Bench,
    killed: &mut Killed,
) -> bool {
    day.go_to(&stage.before);
    start(day, stage.step);
    day.place(side).disk.plan(Plan {
        call: Some(Call::Sync),
        at,
        fault: Fault::Error,
    });
    let done = (stage.step.run)(day);
    let left = day.place(side).disk.unplug();
    if day.place(side).disk.heal().is_none() {
        return false;
    }
    if done.is_ok() {
        return true;
    }
    let at = format!("{}, {side:?}, flush {at}", stage.step.name);
    day.stop();
    let disk = &day.place(side).disk;
    disk.plug(&left);
    killed.refused += 1;
    killed.shown += u64::from(disk.image() != disk.durable());
    disk.record();
    start(day, stage.step);
    let ops = day.place(side).disk.take_record();
    cut(day, (side, &left, &ops), bench, killed, &at);
    let again = (stage.step.run)(day).map_err(|error| format!("{error:?}"));
    if let Err(broken) = again.and_then(|()| compare(day, stage)) {
        killed.broken.push(format!("{at}: {broken}"));
    }
    // What was not flushed is lost now: nothing of it was promised.
    let left = day.place(side).disk.durable();
    day.stop();
    day.place(side).disk.load(&left);
    let trace = day.place(Side::Hub).folder().join("life.json");
    let _ = std::fs::remove_file(trace);
    if let Err(broken) = compare(day, stage) {
        killed
            .broken
            .push(format!("{at}, and a power cut: {broken}"));
    }
    true
}

/// Cuts the power at every operation of the start; what is left is whole, and the program has nothing to say against it.
fn cut(
    day: &Day,
    (side, left, ops): (Side, &Unplugged, &[Op]),
    bench: &Bench,
    killed: &mut Killed,
    at: &str,
) {
    let mut random = Random::new(killed.refused);
    let mut replay = Replay::from(left);
    let high_water = day.place(Side::Agent).folder().join("high-water");
    let high_water = std::fs::read_to_string(high_water).ok();
    for (done, op) in ops.iter().enumerate() {
        let mut during = replay.clone();
        during.step(op);
        let cut = Cut::POWER[random.place(Cut::POWER.len())];
        let image = during.cut(cut, &mut random);
        replay.step(op);
        if !image.contains_key(side.database()) {
            continue;
        }
        killed.points += 1;
        let seen = bench.look(side, &image, high_water.as_deref());
        let noticed = seen.noticed.map(|(how, what)| format!("{how}: {what}"));
        if let Some(what) = noticed.or(seen.damage) {
            let place = format!("{at}, and {cut:?} in operation {done} ({op}) of the start");
            killed.broken.push(format!("{place}: {what}"));
        }
    }
}
