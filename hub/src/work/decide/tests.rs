//! The rules of entries, as laws over whatever facts come and go.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOON: TimeMs = TimeMs(1_763_812_800_000);
const DAY: i64 = 86_400_000;

fn shop(number: u8) -> ShopId {
    format!("S{number:03}").parse().unwrap()
}

/// Stock below zero of a barcode in a shop.
fn negative(of: u8, barcode: u16, by: i64) -> Fact {
    Fact {
        kind: Kind::NegativeStock,
        cause: format!("{}/{barcode}", shop(of)),
        shop: Some(shop(of)),
        barcode: Some(barcode.to_string()),
        weight: by,
        level: Level::Manager,
        presence: Presence::Stands,
        evidence: json!({ "on_hand": -by }),
    }
}

fn silent(of: u8, presence: Presence) -> Fact {
    Fact {
        kind: Kind::ShopSilent,
        cause: shop(of).to_string(),
        shop: Some(shop(of)),
        barcode: None,
        weight: 1,
        level: Level::Manager,
        presence,
        evidence: json!({}),
    }
}

/// A list of entries that is written as the store writes it.
#[derive(Default)]
struct List {
    entries: Vec<Entry>,
}

/// The name of the n-th entry.
fn id(number: usize) -> [u8; 16] {
    u128::try_from(number).unwrap().to_be_bytes()
}

impl List {
    /// The latest entry of each cause.
    fn latest(&self) -> Vec<Entry> {
        let mut latest: BTreeMap<(Kind, String), Entry> = BTreeMap::new();
        for entry in &self.entries {
            latest.insert((entry.kind, entry.cause.clone()), entry.clone());
        }
        latest.into_values().collect()
    }

    fn look(&mut self, facts: Vec<Fact>, now: TimeMs) -> Vec<Step> {
        let steps = decide(facts, &self.latest(), now);
        for step in &steps {
            self.take(step.clone(), now);
        }
        steps
    }

    fn entry(&mut self, id: [u8; 16]) -> &mut Entry {
        let found = self.entries.iter_mut().find(|entry| entry.id == id);
        found.expect("a step of an entry")
    }

    fn take(&mut self, step: Step, now: TimeMs) {
        let is_gone = matches!(step, Step::Resolve(_) | Step::Fade(_));
        let (id, fact, state) = match step {
            Step::Open(fact) => {
                let id = id(self.entries.len() + 1);
                self.entries.push(Entry {
                    id,
                    kind: fact.kind,
                    cause: fact.cause.clone(),
                    state: State::Open,
                    stands: true,
                    weight: 0,
                    level: Level::Manager,
                    snoozed_until: None,
                    updated_at: now,
                    evidence: Value::Null,
                });
                (id, Some(fact), Some(State::Open))
            }
            Step::Reopen(id, fact) | Step::Escalate(id, fact) => {
                (id, Some(fact), Some(State::Open))
            }
            Step::Update(id, fact) => (id, Some(fact), None),
            Step::Wake(id) => (id, None, Some(State::Open)),
            Step::Resolve(id) => (id, None, Some(State::Resolved)),
            Step::Fade(id) => (id, None, None),
        };
        let entry = self.entry(id);
        entry.updated_at = now;
        entry.stands = !is_gone;
        entry.state = state.unwrap_or(entry.state);
        if let Some(fact) = fact {
            (entry.weight, entry.level, entry.evidence) = (fact.weight, fact.level, fact.evidence);
        }
    }

    fn unresolved(&self) -> Vec<&Entry> {
        let is_open = |entry: &&Entry| entry.state != State::Resolved;
        self.entries.iter().filter(is_open).collect()
    }

    fn causes(&self) -> Vec<&str> {
        let mut causes: Vec<_> = self
            .unresolved()
            .iter()
            .map(|entry| entry.cause.as_str())
            .collect();
        causes.sort_unstable();
        causes
    }

    /// A person resolves what is open.
    fn resolve_all(&mut self, now: TimeMs) {
        for entry in &mut self.entries {
            if entry.state != State::Resolved {
                (entry.state, entry.updated_at) = (State::Resolved, now);
            }
        }
    }
}

#[test]
fn a_silent_shop_is_one_entry_and_it_ends_when_the_shop_is_heard() {
    let mut list = List::default();
    for _ in 0..400 {
        list.look(vec![silent(1, Presence::Stands)], NOON);
    }
    assert_eq!(list.causes(), ["S001"]);

    // It shuts for the night, and was still not heard from.
    assert_eq!(list.look(vec![silent(1, Presence::Lingers)], NOON), []);
    list.look(Vec::new(), NOON);

    assert_eq!(list.causes(), [""; 0]);
    assert_eq!(list.entries.len(), 1);
}

#[test]
fn what_lingers_opens_nothing() {
    assert_eq!(decide(vec![silent(1, Presence::Lingers)], &[], NOON), []);
}

#[test]
fn a_cause_that_comes_back_is_the_same_entry_for_a_day() {
    let mut list = List::default();
    list.look(vec![negative(1, 7, 1)], NOON);
    list.look(Vec::new(), NOON);

    list.look(vec![negative(1, 7, 1)], NOON.plus(DAY));
    assert_eq!((list.entries.len(), list.causes().len()), (1, 1));
    list.look(Vec::new(), NOON.plus(DAY));
    list.look(vec![negative(1, 7, 1)], NOON.plus(2 * DAY + 1));

    assert_eq!((list.entries.len(), list.causes().len()), (2, 1));
}

#[test]
fn what_a_person_resolved_stays_so_until_it_is_gone_or_worse() {
    let mut list = List::default();
    list.look(vec![negative(1, 7, 1)], NOON);
    list.resolve_all(NOON);

    assert_eq!(list.look(vec![negative(1, 7, 1)], NOON), []);
    list.look(vec![negative(1, 7, 2)], NOON);
    assert_eq!(list.causes(), ["S001/7"], "worse");

    list.resolve_all(NOON);
    list.look(Vec::new(), NOON);
    list.look(vec![negative(1, 7, 1)], NOON);
    assert_eq!(list.causes(), ["S001/7"], "gone, and back");
}

#[test]
fn what_was_put_off_comes_back_at_its_time_and_ends_with_its_cause() {
    let mut list = List::default();
    let facts = || vec![negative(1, 7, 1)];
    list.look(facts(), NOON);
    let entry = list.entry(id(1));
    (entry.state, entry.snoozed_until) = (State::Snoozed, Some(NOON.plus(DAY)));

    assert_eq!(list.look(facts(), NOON.plus(DAY - 1)), []);
    assert_eq!(list.look(facts(), NOON.plus(DAY)), [Step::Wake(id(1))]);
    list.entry(id(1)).state = State::Snoozed;
    assert_eq!(list.look(Vec::new(), NOON), [Step::Resolve(id(1))]);
}

#[test]
fn many_of_a_shop_are_one_and_stay_one_until_they_are_few() {
    let mut list = List::default();
    let facts = |count: u16| (0..count).map(|barcode| negative(1, barcode, 1)).collect();
    list.look(facts(20), NOON);
    assert_eq!(list.causes().len(), 20);

    list.look(facts(400), NOON);
    assert_eq!(list.causes(), ["S001"]);
    assert_eq!(list.unresolved()[0].evidence["count"], 400);
    list.look(facts(11), NOON);
    assert_eq!(list.causes(), ["S001"]);
    list.look(facts(10), NOON);
    assert_eq!(list.causes().len(), 10);

    let everywhere = (0..240).map(|of| silent(of, Presence::Stands)).collect();
    list.look(everywhere, NOON);
    assert_eq!(list.causes(), [CHAIN]);
}

#[test]
fn what_is_taken_higher_is_open_again() {
    let mut list = List::default();
    list.look(vec![negative(1, 7, 1)], NOON);
    list.entry(id(1)).state = State::Acknowledged;

    let higher = Fact {
        level: Level::Director,
        ..negative(1, 7, 1)
    };
    let steps = list.look(vec![higher.clone()], NOON);

    assert_eq!(steps, [Step::Escalate(id(1), higher.clone())]);
    assert_eq!(list.look(vec![higher], NOON), []);
    assert_eq!(list.look(vec![negative(1, 7, 1)], NOON), [], "never down");
}

#[test]
fn what_happened_once_ends_by_a_person_alone() {
    let entry = Entry {
        id: [9; 16],
        kind: Kind::CancelledAndBought,
        cause: "leg".into(),
        state: State::Open,
        stands: true,
        weight: 0,
        level: Level::Manager,
        snoozed_until: None,
        updated_at: NOON,
        evidence: json!({}),
    };

    assert_eq!(decide(Vec::new(), &[entry], NOON), []);
}

/// One look: which facts there are, how much later, and whether a person resolves everything first.
fn looks() -> impl Strategy<Value = Vec<(Vec<Fact>, i64, bool)>> {
    let fact = (0_u8..3, 0_u16..30, 1_i64..3, any::<bool>(), any::<bool>()).prop_map(
        |(of, barcode, by, is_sure, is_silence)| {
            let presence = if is_sure {
                Presence::Stands
            } else {
                Presence::Lingers
            };
            if is_silence {
                silent(of * 30 + u8::try_from(barcode).unwrap(), presence)
            } else {
                Fact {
                    presence,
                    ..negative(of, barcode, by)
                }
            }
        },
    );
    let facts = prop::collection::vec(fact, 0..70).prop_map(|mut facts| {
        facts.sort_by(|left, right| (left.kind, &left.cause).cmp(&(right.kind, &right.cause)));
        facts.dedup_by(|left, right| (left.kind, &left.cause) == (right.kind, &right.cause));
        facts
    });
    prop::collection::vec((facts, 0..2 * DAY, prop::bool::weighted(0.2)), 1..8)
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_each_cause_has_one_entry_and_none_outlives_it(looks in looks()) {
        let (mut list, mut now) = (List::default(), NOON);
        for (facts, later, resolves) in looks {
            now = now.plus(later);
            if resolves {
                list.resolve_all(now);
            }
            list.look(facts.clone(), now);

            let mut causes: Vec<_> = list.unresolved().iter().map(|entry| (entry.kind, entry.cause.clone())).collect();
            causes.sort_unstable();
            let all = causes.len();
            causes.dedup();
            prop_assert_eq!(causes.len(), all, "one for a cause");
            for entry in list.unresolved() {
                let own = facts.iter().any(|fact| (fact.kind, &fact.cause) == (entry.kind, &entry.cause));
                let group = |fact: &&Fact| fact.kind == entry.kind
                    && (entry.cause == CHAIN || fact.shop.as_ref().is_some_and(|shop| shop.as_str() == entry.cause));
                prop_assert!(own || facts.iter().filter(group).count() > MANY / 2, "{:?} has no fact", entry);
            }
            let dismissed = |fact: &Fact| list.entries.iter().any(|entry| {
                entry.kind == fact.kind && entry.state == State::Resolved && entry.stands && entry.weight >= fact.weight.min(i64::try_from(MANY).unwrap())
            });
            for fact in facts.iter().filter(|fact| fact.presence == Presence::Stands) {
                let is_seen = list.unresolved().iter().any(|entry| entry.kind == fact.kind
                    && (entry.cause == fact.cause || entry.cause == CHAIN
                        || fact.shop.as_ref().is_some_and(|shop| shop.as_str() == entry.cause)));
                prop_assert!(is_seen || dismissed(fact), "{:?} is nobody's", fact);
            }
            prop_assert_eq!(list.look(facts.clone(), now), [], "the same facts again");
            let mut turned = facts;
            turned.reverse();
            prop_assert_eq!(list.look(turned, now), [], "in another order");
        }
    }
}
