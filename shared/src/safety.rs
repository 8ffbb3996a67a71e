//! Safety stock: how much of a level is kept back from web orders, by the word of head office.

use std::collections::{BTreeMap, HashMap};

use crate::{Barcode, ShopId, planted};

/// The most units that a rule keeps back of a level.
pub const MAX_UNITS: u32 = 1_000_000;

/// Of what a rule speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Goods {
    /// Of every piece.
    All,
    /// Of the barcodes of an article.
    Article(Box<str>),
    /// Of one barcode.
    Barcode(Barcode),
}

/// Where a rule speaks, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// In this shop; nothing: in all of them.
    pub shop: Option<ShopId>,
    /// Of this.
    pub goods: Goods,
}

/// The rule that speaks for a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What it speaks of: `barcode`, `article` or `everything`.
    pub of: &'static str,
    /// It speaks of the shop, not of the chain.
    pub is_of_shop: bool,
    /// So many units are kept back.
    pub units: u32,
}

/// Every rule of the chain.
///
/// Of the rules that fit a level the most specific one speaks, alone: what is said of the barcode before what is said of its
/// article, that before what is said of everything; and of the same goods what is said of the shop before what is said of the
/// chain. Zero is an answer as any other: it frees a barcode, or a shop, of what is kept back elsewhere.
///
/// ```
/// use vitrina_shared::safety::{Goods, SafetyStock, Scope};
///
/// let mut rules = SafetyStock::default();
/// let everywhere = |goods| Scope { shop: None, goods };
/// rules.set(&everywhere(Goods::All), Some(1));
/// rules.set(&everywhere(Goods::Article("K-1234".into())), Some(0));
///
/// let (shop, barcode) = ("S017".parse()?, "2000018987155".parse()?);
/// assert_eq!(rules.units(&shop, &barcode, Some("K-77")), 1);
/// assert_eq!(rules.units(&shop, &barcode, Some("K-1234")), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SafetyStock {
    all: Kept,
    articles: HashMap<Box<str>, Kept>,
    barcodes: HashMap<Barcode, Kept>,
}

/// What is kept back of the same goods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    everywhere: Option<u32>,
    at: BTreeMap<ShopId, u32>,
}

impl Kept {
    /// So many, and whether that is said of the shop.
    fn at(&self, shop: &ShopId) -> Option<(u32, bool)> {
        let of_shop = self.at.get(shop).map(|units| (*units, true));
        let of_chain = self.everywhere.map(|units| (units, false));
        if planted::is("the_chains_safety_stock_wins") {
            return of_chain.or(of_shop);
        }
        of_shop.or(of_chain)
    }

    fn set(&mut self, shop: Option<&ShopId>, units: Option<u32>) {
        match (shop, units) {
            (None, units) => self.everywhere = units,
            (Some(shop), Some(units)) => {
                self.at.insert(shop.clone(), units);
            }
            (Some(shop), None) => {
                self.at.remove(shop);
            }
        }
    }

    fn says_nothing(&self) -> bool {
        self.everywhere.is_none() && self.at.is_empty()
    }
}

impl SafetyStock {
    /// Sets a rule; nothing takes it away.
    pub fn set(&mut self, scope: &Scope, units: Option<u32>) {
        let shop = scope.shop.as_ref();
        match &scope.goods {
            Goods::All => self.all.set(shop, units),
            Goods::Article(article) => {
                let kept = self.articles.entry(article.clone()).or_default();
                kept.set(shop, units);
                if kept.says_nothing() {
                    self.articles.remove(article);
                }
            }
            Goods::Barcode(barcode) => {
                let kept = self.barcodes.entry(barcode.clone()).or_default();
                kept.set(shop, units);
                if kept.says_nothing() {
                    self.barcodes.remove(barcode);
                }
            }
        }
    }

    /// So many units of a barcode, which is of `article` where that is known, are kept back at a shop.
    pub fn units(&self, shop: &ShopId, barcode: &Barcode, article: Option<&str>) -> i64 {
        let ruling = self.ruling(shop, barcode, article);
        ruling.map_or(0, |ruling| ruling.units.into())
    }

    /// The rule that says so; none where nothing is said.
    pub fn ruling(
        &self,
        shop: &ShopId,
        barcode: &Barcode,
        article: Option<&str>,
    ) -> Option<Ruling> {
        let of_barcode = || self.barcodes.get(barcode)?.at(shop);
        let of_article = || self.articles.get(article?)?.at(shop);
        let said = |of, (units, is_of_shop)| Ruling {
            of,
            is_of_shop,
            units,
        };
        let of_all = self.all.at(shop).map(|kept| said("everything", kept));
        if of_all.is_some() && planted::is("what_is_said_of_everything_wins") {
            return of_all;
        }
        { of_barcode().map(|kept| said("barcode", kept)) }
            .or_else(|| of_article().map(|kept| said("article", kept)))
            .or(of_all)
    }

    /// Whether what is kept back depends on the article.
    pub fn asks_for_articles(&self) -> bool {
        !self.articles.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: &str = "2000018987155";

    fn scope(shop: Option<&str>, goods: Goods) -> Scope {
        Scope {
            shop: shop.map(|shop| shop.parse().unwrap()),
            goods,
        }
    }

    /// Every scope that fits the ring of K-1 at S001, the least specific first.
    fn scopes() -> [Scope; 6] {
        let article = || Goods::Article("K-1".into());
        let barcode = || Goods::Barcode(RING.parse().unwrap());
        [
            scope(None, Goods::All),
            scope(Some("S001"), Goods::All),
            scope(None, article()),
            scope(Some("S001"), article()),
            scope(None, barcode()),
            scope(Some("S001"), barcode()),
        ]
    }

    fn units(rules: &SafetyStock, shop: &str, barcode: &str, article: Option<&str>) -> i64 {
        rules.units(&shop.parse().unwrap(), &barcode.parse().unwrap(), article)
    }

    #[test]
    fn the_most_specific_rule_speaks_alone_in_whatever_order_they_were_set() {
        for said in 0_u32..64 {
            for is_reversed in [false, true] {
                let mut set: Vec<(usize, Scope)> = scopes().into_iter().enumerate().collect();
                set.retain(|(number, _)| said & (1 << number) != 0);
                if is_reversed {
                    set.reverse();
                }
                let mut rules = SafetyStock::default();
                for (number, scope) in &set {
                    rules.set(scope, Some(u32::try_from(*number).unwrap() + 1));
                }

                let last = set.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
                let kept = units(&rules, "S001", RING, Some("K-1"));
                assert_eq!(kept, i64::try_from(last).unwrap(), "{set:?}");
            }
        }
    }

    #[test]
    fn a_rule_of_another_shop_article_or_barcode_says_nothing() {
        let mut rules = SafetyStock::default();
        for scope in scopes().iter().skip(1) {
            rules.set(scope, Some(5));
        }
        rules.set(&scope(None, Goods::Article("K-1".into())), None);
        rules.set(&scope(None, Goods::Barcode(RING.parse().unwrap())), None);

        assert_eq!(units(&rules, "S002", RING, Some("K-1")), 0);
        assert_eq!(units(&rules, "S001", "2000018987162", Some("K-1")), 5);
        assert_eq!(units(&rules, "S002", "2000018987162", Some("K-2")), 0);
        assert_eq!(units(&rules, "S002", "2000018987162", None), 0);
    }

    #[test]
    fn nothing_is_left_of_rules_that_were_taken_away() {
        let mut rules = SafetyStock::default();
        for scope in scopes() {
            rules.set(&scope, Some(0));
        }
        assert!(rules.asks_for_articles());
        for scope in scopes() {
            rules.set(&scope, None);
        }
        assert_eq!(rules, SafetyStock::default());
    }
}
