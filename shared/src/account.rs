//! How a level came about, as a bank would tell it: what came and went, what of it does not count, what is taken off, and
//! what is left, each with the balance that it leads to.

use crate::movement::Kind;
use crate::stock::Level;

/// What a movement says about the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// What happened.
    pub kind: Kind,
    /// Its signed units.
    pub units: i64,
    /// It counts: no void names it, and it is no twin or earlier statement of one that does.
    pub counts: bool,
}

/// A step of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the books of the shop began with.
    Opening,
    /// Every other movement, whether it counts or not.
    Movements,
    /// What does not count, taken back. From here the balance is the level's on hand.
    Voids,
    /// Rows that the movements do not explain: the books do not balance.
    Unexplained,
    /// Promised to web orders.
    Holds,
    /// Damaged, in repair, on exhibition.
    Unavailable,
    /// Kept back by policy.
    Safety,
    /// What is left: its units lift a balance below zero to zero.
    Available,
}

impl Step {
    /// The word of the public interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Movements => "movements",
            Self::Voids => "voids",
            Self::Unexplained => "unexplained",
            Self::Holds => "holds",
            Self::Unavailable => "unavailable",
            Self::Safety => "safety",
            Self::Available => "available",
        }
    }
}

/// One line of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Which.
    pub step: Step,
    /// What it adds; mostly negative behind the movements.
    pub units: i64,
    /// What is left after it.
    pub balance: i64,
}

/// The account of a level with these movements. Each balance is the one before and the stage's units; the last is what the
/// level has available. A stage of what the movements do not explain is there only where there is such a thing.
pub fn account(postings: &[Posting], level: Level) -> Vec<Stage> {
    let sum = |fits: &dyn Fn(&Posting) -> bool| {
        let fitting = postings.iter().filter(|posting| fits(posting));
        fitting.fold(0_i64, |sum, posting| sum.saturating_add(posting.units))
    };
    let is_opening = |posting: &Posting| posting.kind == Kind::Opening;
    let mut stages = Stages::default();
    stages.add(Step::Opening, sum(&is_opening));
    stages.add(Step::Movements, sum(&|posting| !is_opening(posting)));
    stages.add(
        Step::Voids,
        sum(&|posting| !posting.counts).saturating_neg(),
    );
    let unexplained = level.on_hand.saturating_sub(stages.balance);
    if unexplained != 0 {
        stages.add(Step::Unexplained, unexplained);
    }
    stages.add(Step::Holds, level.held.saturating_neg());
    stages.add(Step::Unavailable, level.unavailable.saturating_neg());
    stages.add(Step::Safety, level.safety_stock.saturating_neg());
    let lift = level.available().saturating_sub(stages.balance);
    stages.add(Step::Available, lift);
    stages.list
}

#[derive(Default)]
struct Stages {
    list: Vec<Stage>,
    balance: i64,
}

impl Stages {
    fn add(&mut self, step: Step, units: i64) {
        self.balance = self.balance.saturating_add(units);
        self.list.push(Stage {
            step,
            units,
            balance: self.balance,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(kind: Kind, units: i64, counts: bool) -> Posting {
        Posting {
            kind,
            units,
            counts,
        }
    }

    fn told(postings: &[Posting], level: Level) -> Vec<(&'static str, i64, i64)> {
        let stages = account(postings, level).into_iter();
        stages
            .map(|stage| (stage.step.word(), stage.units, stage.balance))
            .collect()
    }

    #[test]
    fn every_balance_is_the_one_before_and_the_last_is_what_is_available() {
        let postings = [
            posting(Kind::Opening, 9, true),
            posting(Kind::Opening, 9, false),
            posting(Kind::Sale, -1, true),
            posting(Kind::Sale, -2, false),
            posting(Kind::Void, 0, true),
        ];
        let level = Level {
            on_hand: 8,
            held: 2,
            unavailable: 1,
            safety_stock: 3,
        };

        assert_eq!(
            told(&postings, level),
            [
                ("opening", 18, 18),
                ("movements", -3, 15),
                ("voids", -7, 8),
                ("holds", -2, 6),
                ("unavailable", -1, 5),
                ("safety", -3, 2),
                ("available", 0, 2),
            ]
        );
    }

    #[test]
    fn what_is_below_zero_is_shown_and_lifted_and_what_no_movement_explains_is_said() {
        let level = Level {
            on_hand: -1,
            safety_stock: 1,
            ..Level::default()
        };
        let sold = [posting(Kind::Sale, -1, true)];
        assert_eq!(told(&sold, level).last(), Some(&("available", 2, 0)));

        let stages = told(&[], level);
        assert_eq!(stages[3], ("unexplained", -1, -1));
        assert_eq!(stages.last(), Some(&("available", 2, 0)));
    }
}
