//! Whose a work item is: the responsibility map. Pure.

use serde_json::{Value, json};
use vitrina_shared::ShopId;

use super::{Kind, Level};

/// Who looks after an entry, and where he is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The person.
    pub(crate) person: String,
    /// The webhook that reaches him; none: whichever takes everything.
    pub(crate) channel: Option<String>,
}

impl Owner {
    /// The object of the interface.
    pub(crate) fn json(&self) -> Value {
        json!({ "person": self.person, "channel": self.channel })
    }
}

/// One line of the map: what it says nothing of does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Its name for ever.
    pub(crate) id: [u8; 16],
    /// Who.
    pub(crate) owner: Owner,
    /// Whom it stands for.
    pub(crate) level: Level,
    /// Of this kind.
    pub(crate) kind: Option<Kind>,
    /// Of goods of this category.
    pub(crate) category: Option<String>,
    /// Of goods of this brand.
    pub(crate) brand: Option<String>,
    /// In this city.
    pub(crate) city: Option<String>,
    /// In these shops: ids, or beginnings of them with a `*`. None: in all.
    pub(crate) shops: Vec<String>,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    /// Its kind.
    pub(crate) kind: Option<Kind>,
    /// Whom it is taken to.
    pub(crate) level: Level,
    /// The shop.
    pub(crate) shop: Option<&'a ShopId>,
    /// The shop's city.
    pub(crate) city: Option<&'a str>,
    /// The category of the goods.
    pub(crate) category: Option<&'a str>,
    /// Their brand.
    pub(crate) brand: Option<&'a str>,
}

impl Rule {
    /// How many things it asks for, where all of them are so.
    fn fits(&self, about: &About<'_>) -> Option<usize> {
        let same = |asked: &Option<String>, found: Option<&str>| match asked {
            None => Some(0),
            Some(asked) => found
                .is_some_and(|found| asked.to_lowercase() == found.to_lowercase())
                .then_some(1),
        };
        let kind = match self.kind {
            None => 0,
            Some(kind) => usize::from((Some(kind) == about.kind).then_some(true)?),
        };
        let shops = if self.shops.is_empty() {
            0
        } else {
            let shop = about.shop?.as_str();
            let is_it = |group: &String| match group.strip_suffix('*') {
                Some(beginning) => shop.starts_with(beginning),
                None => shop == group,
            };
            usize::from(self.shops.iter().any(is_it).then_some(true)?)
        };
        Some(
            kind + shops
                + same(&self.category, about.category)?
                + same(&self.brand, about.brand)?
                + same(&self.city, about.city)?,
        )
    }
}

/// Whose it is: the rule that asks for the most and fits; of equals the first. Where nobody stands for a higher level, it
/// stays with whoever had it.
pub(crate) fn owner<'r>(rules: &'r [Rule], about: &About<'_>) -> Option<&'r Owner> {
    let best_at = |level: Level| {
        let at = rules.iter().filter(|rule| rule.level == level);
        let fitting = at.filter_map(|rule| Some((rule.fits(about)?, rule)));
        // The first of the greatest: `max_by_key` gives the last of equals.
        fitting
            .rev()
            .max_by_key(|(asked, _)| *asked)
            .map(|(_, rule)| &rule.owner)
    };
    let higher = match about.level {
        Level::Director => best_at(Level::Director),
        Level::Manager => None,
    };
    higher.or_else(|| best_at(Level::Manager))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(person: &str) -> Rule {
        Rule {
            id: [0; 16],
            owner: Owner {
                person: person.into(),
                channel: None,
            },
            level: Level::Manager,
            kind: None,
            category: None,
            brand: None,
            city: None,
            shops: Vec::new(),
        }
    }

    fn who<'r>(rules: &'r [Rule], about: &About<'_>) -> Option<&'r str> {
        owner(rules, about).map(|owner| owner.person.as_str())
    }

    #[test]
    fn the_rule_that_asks_for_the_most_wins_and_of_equals_the_first() {
        let shop: ShopId = "S017".parse().unwrap();
        let rules = [
            rule("all"),
            Rule {
                shops: vec!["S01*".into(), "S030".into()],
                ..rule("group")
            },
            Rule {
                category: Some("Кольца".into()),
                ..rule("rings")
            },
            Rule {
                category: Some("кольца".into()),
                brand: Some("Vitrina".into()),
                ..rule("our rings")
            },
        ];
        let mut about = About {
            shop: Some(&shop),
            ..About::default()
        };

        assert_eq!(who(&rules, &About::default()), Some("all"));
        assert_eq!(who(&rules, &about), Some("group"));
        about.category = Some("кольца");
        assert_eq!(who(&rules, &about), Some("group"), "the first of equals");
        about.brand = Some("VITRINA");
        assert_eq!(who(&rules, &about), Some("our rings"));
        assert_eq!(who(&rules[3..], &About::default()), None);
    }

    #[test]
    fn what_is_taken_higher_goes_to_whoever_stands_higher_if_anybody_does() {
        let director = Rule {
            level: Level::Director,
            city: Some("Moscow".into()),
            ..rule("director")
        };
        let rules = [rule("manager"), director];
        let about = |level, city| About {
            level,
            city,
            ..About::default()
        };

        let moscow = Some("moscow");
        assert_eq!(who(&rules, &about(Level::Manager, moscow)), Some("manager"));
        assert_eq!(
            who(&rules, &about(Level::Director, moscow)),
            Some("director")
        );
        assert_eq!(who(&rules, &about(Level::Director, None)), Some("manager"));
    }
}
