//! Each step of the day with one call of the disk failing: the caller hears of it, nothing is half done, the next try
//! works, and what was acknowledged then survives a power cut.

mod killed;

use std::collections::BTreeMap;

use vitrina_agent::rig::Failed;

use super::day::{Day, Moment, STEPS, Side, Step};
use super::dump;
use crate::vfs::{Call, Fault, Plan};

pub use killed::Killed;

/// How a day stood before a step, and what it came to.
struct Stage {
    step: &'static Step,
    before: Moment,
    after: Numbers,
}

/// What is on hand, as both sides have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Numbers {
    agent: Vec<(String, i64)>,
    hub: Vec<(u32, String, i64)>,
}

/// What was done, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Steps that met a call that failed.
    pub faults: u64,
    /// By the call.
    pub calls: BTreeMap<Call, u64>,
    /// Of these: steps that said that they were not done.
    pub refused: u64,
    /// Promises that were broken, in words.
    pub broken: Vec<String>,
}

impl Swept {
    /// Adds what came of another fault.
    pub fn add(&mut self, more: Self) {
        self.faults += more.faults;
        self.refused += more.refused;
        for (call, count) in more.calls {
            *self.calls.entry(call).or_default() += count;
        }
        self.broken.extend(more.broken);
    }
}

/// A day, ready to be gone through again and again.
pub struct Sweep {
    day: Day,
    stages: Vec<Stage>,
}

impl Sweep {
    /// Goes through the day once.
    ///
    /// # Panics
    ///
    /// Where a step fails on a disk that is well.
    pub fn prepare() -> Self {
        let mut day = Day::begin();
        let mut stages: Vec<Stage> = Vec::new();
        for step in STEPS {
            let now = day.moment();
            let before = match (step.put_back, stages.last()) {
                (Some(Side::Agent), Some(last)) => Moment::of(&last.before, &now),
                (Some(Side::Hub), Some(last)) => Moment::of(&now, &last.before),
                _ => now,
            };
            day.go_to(&before);
            start(&mut day, step);
            (step.run)(&mut day).unwrap_or_else(|error| panic!("{}: {error:?}", step.name));
            let after = numbers(&mut day).expect("a day on a disk that is well");
            stages.push(Stage {
                step,
                before,
                after,
            });
        }
        Self { day, stages }
    }

    /// Goes through every step on each side with this fault at every `stride`-th call, from the `first` on.
    pub fn go(
        &mut self,
        (call, fault): (Option<Call>, Fault),
        (first, stride): (u64, u64),
    ) -> Swept {
        let mut swept = Swept::default();
        for stage in &self.stages {
            for side in Side::BOTH {
                for at in (0..).map(|turn| first + turn * stride) {
                    let plan = Plan { call, at, fault };
                    if !one(&mut self.day, stage, (side, plan), &mut swept) {
                        break;
                    }
                }
            }
        }
        swept
    }
}

fn numbers(day: &mut Day) -> Result<Numbers, Failed> {
    let mut numbers = Numbers::default();
    if day.is_up(Side::Agent) {
        numbers.agent = day.stock()?;
    }
    if day.is_up(Side::Hub) {
        numbers.hub = day.levels()?;
    }
    Ok(numbers)
}

/// Starts what the step finds running.
fn start(day: &mut Day, step: &Step) {
    for side in Side::BOTH {
        let was_there = day.place(side).disk.image().contains_key(side.database());
        if was_there && step.put_back != Some(Side::Hub) {
            match side {
                Side::Agent => day.agent().map(drop).unwrap(),
                Side::Hub => day.hub().map(drop).unwrap(),
            }
        }
    }
}

/// One step with one call failing; false where the call did not come.
fn one(day: &mut Day, stage: &Stage, (side, plan): (Side, Plan), swept: &mut Swept) -> bool {
    day.go_to(&stage.before);
    start(day, stage.step);
    day.place(side).disk.plan(plan);
    let done = (stage.step.run)(day);
    let Some(met) = day.place(side).disk.heal() else {
        return false;
    };
    swept.faults += 1;
    *swept.calls.entry(met).or_default() += 1;
    swept.refused += u64::from(done.is_err());
    let at = format!(
        "{}, {side:?}, {:?} of {met:?} {}",
        stage.step.name, plan.fault, plan.at
    );
    if plan.fault == Fault::Full
        && let Err(error) = &done
        && !says_full(error.as_ref())
    {
        swept.broken.push(format!(
            "{at}: it is not said that the disk is full: {error:?}"
        ));
    }
    if let Err(error) = done
        && let Err(again) = (stage.step.run)(day)
    {
        swept
            .broken
            .push(format!("{at}: {error:?}, and then {again:?}"));
        return true;
    }
    if let Err(broken) = compare(day, stage) {
        swept.broken.push(format!("{at}: {broken}"));
    }
    // What was not flushed is lost now: nothing of it was promised.
    let left = day.place(side).disk.durable();
    day.stop();
    day.place(side).disk.load(&left);
    let trace = day.place(Side::Hub).folder().join("life.json");
    let _ = std::fs::remove_file(trace);
    if let Err(broken) = compare(day, stage) {
        swept
            .broken
            .push(format!("{at}, and a power cut: {broken}"));
    }
    true
}

fn says_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("full") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Both programs, running or started now, find their books in order and come to the same numbers as without a fault.
fn compare(day: &mut Day, stage: &Stage) -> Result<(), String> {
    let words = |error: Failed| format!("{error:?}");
    for side in Side::BOTH {
        if !day.place(side).disk.image().contains_key(side.database()) {
            continue;
        }
        let problems = day.problems(side).map_err(words)?;
        if let Some(problem) = problems.first() {
            return Err(format!("{side:?}: {problem}"));
        }
        let path = day.database(side);
        let damage = dump::open(&path).and_then(|conn| dump::check(&conn));
        match damage {
            Ok(damage) if damage.is_empty() => {}
            other => return Err(format!("{side:?}: {other:?}")),
        }
    }
    let found = numbers(day).map_err(words)?;
    if found != stage.after {
        return Err(format!("{found:?} instead of {:?}", stage.after));
    }
    Ok(())
}
