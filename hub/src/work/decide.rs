//! Which entries should be open, given the facts: pure, so that every path to it is tried by properties.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vitrina_shared::{ShopId, TimeMs};

use super::{Kind, Level, Many, State};

/// More than so many of one kind are one entry of their shop, or of the chain.
pub(crate) const MANY: usize = 20;
/// A cause that comes back within this is the same entry again.
pub(crate) const SAME_AGAIN_MS: i64 = 86_400_000;
/// The cause of the entry of all shops.
pub(crate) const CHAIN: &str = "*";

/// How sure a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It opens an entry.
    Stands,
    /// It keeps an open entry, and opens none: a silent shop that has closed for the night was still not heard from.
    Lingers,
}

/// Something that a person must look at, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fact {
    /// What.
    pub(crate) kind: Kind,
    /// What makes it one and the same.
    pub(crate) cause: String,
    /// In which shop.
    pub(crate) shop: Option<ShopId>,
    /// Of which barcode.
    pub(crate) barcode: Option<String>,
    /// How bad it is, in its own measure; more is worse.
    pub(crate) weight: i64,
    /// Whom it is taken to.
    pub(crate) level: Level,
    /// How sure it is.
    pub(crate) presence: Presence,
    /// What is known, as a JSON object that stays the same while nothing happens.
    pub(crate) evidence: Value,
}

/// The latest entry of a cause.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) id: [u8; 16],
    /// What.
    pub(crate) kind: Kind,
    /// What makes it one and the same.
    pub(crate) cause: String,
    /// How far it is.
    pub(crate) state: State,
    /// Its fact stood when it was last looked at; of a resolved one: a person resolved it all the same.
    pub(crate) stands: bool,
    /// How bad it was then.
    pub(crate) weight: i64,
    /// Whom it was taken to.
    pub(crate) level: Level,
    /// When it comes back.
    pub(crate) snoozed_until: Option<TimeMs>,
    /// When it last changed.
    pub(crate) updated_at: TimeMs,
    /// What was known.
    pub(crate) evidence: Value,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A new entry.
    Open(Fact),
    /// The cause of a resolved entry is back.
    Reopen([u8; 16], Fact),
    /// The same cause, and something else is known.
    Update([u8; 16], Fact),
    /// The same cause, and it is taken higher.
    Escalate([u8; 16], Fact),
    /// It was put off until now.
    Wake([u8; 16]),
    /// The cause is gone.
    Resolve([u8; 16]),
    /// The cause of what a person had resolved is gone too.
    Fade([u8; 16]),
}

/// Decides. `facts` are all there are of the kinds that stand; `entries` the latest of each cause.
///
/// Rules: one unresolved entry for each cause. It ends when its fact does. A fact that comes back within a day opens the same
/// entry again, later a new one. What a person resolved while its fact stood stays so until the fact is gone or worse.
pub(crate) fn decide(facts: Vec<Fact>, entries: &[Entry], now: TimeMs) -> Vec<Step> {
    let known: BTreeMap<(Kind, &str), &Entry> = entries
        .iter()
        .map(|entry| ((entry.kind, entry.cause.as_str()), entry))
        .collect();
    let facts = gathered(facts, &known);
    let mut steps = Vec::new();
    for entry in entries {
        let is_due =
            entry.state == State::Snoozed && entry.snoozed_until.is_none_or(|until| until <= now);
        let has_fact = facts.contains_key(&(entry.kind, entry.cause.clone()));
        if has_fact || !entry.kind.stands() {
            if is_due {
                steps.push(Step::Wake(entry.id));
            }
        } else if entry.state != State::Resolved {
            steps.push(Step::Resolve(entry.id));
        } else if entry.stands {
            steps.push(Step::Fade(entry.id));
        }
    }
    for ((kind, cause), fact) in facts {
        steps.extend(step(fact, known.get(&(kind, cause.as_str())).copied(), now));
    }
    steps
}

fn step(fact: Fact, entry: Option<&Entry>, now: TimeMs) -> Option<Step> {
    let is_sure = fact.presence == Presence::Stands;
    let Some(entry) = entry else {
        return is_sure.then_some(Step::Open(fact));
    };
    if !is_sure {
        return None;
    }
    if entry.state != State::Resolved {
        return if fact.level > entry.level {
            Some(Step::Escalate(entry.id, fact))
        } else if fact.weight != entry.weight || fact.evidence != entry.evidence {
            Some(Step::Update(entry.id, fact))
        } else {
            None
        };
    }
    if entry.stands {
        return (fact.weight > entry.weight).then_some(Step::Reopen(entry.id, fact));
    }
    Some(if now.since(entry.updated_at) <= SAME_AGAIN_MS {
        Step::Reopen(entry.id, fact)
    } else {
        Step::Open(fact)
    })
}

/// The facts by cause, with many of a kind taken together.
fn gathered(
    facts: Vec<Fact>,
    known: &BTreeMap<(Kind, &str), &Entry>,
) -> BTreeMap<(Kind, String), Fact> {
    let mut groups: BTreeMap<(Kind, String), Vec<Fact>> = BTreeMap::new();
    let mut kept = BTreeMap::new();
    for fact in facts {
        let group = match (fact.kind.many(), &fact.shop) {
            (Many::OfShop, Some(shop)) => shop.to_string(),
            (Many::OfChain, _) => CHAIN.to_owned(),
            (Many::Apart | Many::OfShop, _) => {
                kept.insert((fact.kind, fact.cause.clone()), fact);
                continue;
            }
        };
        groups.entry((fact.kind, group)).or_default().push(fact);
    }
    for ((kind, group), facts) in groups {
        let is_sure = |fact: &&Fact| fact.presence == Presence::Stands;
        let sure = facts.iter().filter(is_sure).count();
        let entry = known.get(&(kind, group.as_str()));
        let is_one = entry.is_some_and(|entry| entry.state != State::Resolved);
        // Half of it keeps what is one already: otherwise one fact more or less would part and join them all day.
        if sure > MANY || (is_one && facts.len() > MANY / 2) {
            kept.insert((kind, group.clone()), together(kind, group, facts));
        } else {
            kept.extend(
                facts
                    .into_iter()
                    .map(|fact| ((kind, fact.cause.clone()), fact)),
            );
        }
    }
    kept
}

/// One fact of many.
fn together(kind: Kind, group: String, mut facts: Vec<Fact>) -> Fact {
    facts.sort_by(|left, right| left.cause.cmp(&right.cause));
    let first: Vec<&str> = facts
        .iter()
        .take(MANY)
        .map(|fact| fact.barcode.as_deref().unwrap_or(&fact.cause))
        .collect();
    let evidence = json!({ "count": facts.len(), "first": first });
    let is_of_shop = kind.many() == Many::OfShop;
    let shop = facts.iter().find_map(|fact| fact.shop.clone());
    Fact {
        kind,
        cause: group,
        shop: shop.filter(|_| is_of_shop),
        barcode: None,
        weight: i64::try_from(facts.len()).unwrap_or(i64::MAX),
        level: facts
            .iter()
            .map(|fact| fact.level)
            .max()
            .unwrap_or_default(),
        presence: Presence::Stands,
        evidence,
    }
}

#[cfg(test)]
mod tests;
