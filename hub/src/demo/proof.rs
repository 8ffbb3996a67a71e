//! The end of the demo: hub, agents, the website's copy and the demo's own books agree piece by piece.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::error::DemoError;
use super::process::Programs;
use super::shop::Shop;
use super::website::Website;

/// How long the last files and movements may take to arrive.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);
/// How many differences are named.
const NAMED: usize = 20;

/// Waits until `look` finds nothing more to wait for; fails with what it saw last.
pub(super) async fn until(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<String>, DemoError>,
) -> Result<(), DemoError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await? {
            None => return Ok(()),
            Some(seen) if Instant::now() > deadline => {
                return Err(DemoError::Waited {
                    what: what.to_owned(),
                    seen,
                });
            }
            Some(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Waits until every dropped file is taken, every movement acknowledged and the website's copy has it.
pub(super) async fn arrive(shops: &[Arc<Shop>], website: &Website) -> Result<(), DemoError> {
    for shop in shops {
        let id = shop.id();
        until(&format!("{id} has taken its files"), async || {
            let names = shop.dropped();
            Ok((!names.is_empty()).then(|| names.join(", ")))
        })
        .await?;
        until(&format!("{id} has nothing pending"), async || {
            let pending = shop.pending().await?;
            Ok((pending > 0).then(|| format!("{pending} pending")))
        })
        .await?;
    }
    for shop in shops {
        let id = shop.id();
        until(&format!("the website shows what {id} has"), async || {
            let (expected, shown) = (shop.book().stock().clone(), website.levels(id));
            let wrong = differences(&expected, &[("website", &shown)]);
            Ok((!wrong.is_empty()).then(|| wrong.join("; ")))
        })
        .await?;
    }
    Ok(())
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Pieces of all shops.
    pub(super) pieces: usize,
    /// Units of them.
    pub(super) units: i64,
    /// What is not the same, in words.
    pub(super) differences: Vec<String>,
}

/// Compares every barcode of every shop: own books, agent, hub, website's copy.
pub(super) async fn compare(
    shops: &[Arc<Shop>],
    office: &Website,
    website: &Website,
    programs: &Programs,
) -> Result<Compared, DemoError> {
    let mut compared = Compared::default();
    for shop in shops {
        let asked = programs
            .run("vitrina-agent", &shop.data, &["stock", "--json"])
            .await?
            .json()?;
        let mut agent = BTreeMap::new();
        collect(&asked, None, &mut agent)?;
        let hub = at_hub(shop.id(), office).await?;
        let copy = website.levels(shop.id());
        let book = shop.book().stock().clone();
        let views = [("agent", &agent), ("hub", &hub), ("website", &copy)];
        let wrong = differences(&book, &views);
        compared.differences.extend(
            wrong
                .into_iter()
                .map(|text| format!("{} {text}", shop.id())),
        );
        compared.pieces += book.len();
        compared.units += book.values().sum::<i64>();
    }
    Ok(compared)
}

impl Compared {
    /// Fails where something differs.
    pub(super) fn ok(&self) -> Result<(), DemoError> {
        if self.differences.is_empty() {
            return Ok(());
        }
        let mut text = format!("{} differences:", self.differences.len());
        for difference in self.differences.iter().take(NAMED) {
            let _ = write!(text, "\n  {difference}");
        }
        Err(DemoError::Disagreement(text))
    }
}

/// Every level of a shop, page after page.
async fn at_hub(shop: &str, office: &Website) -> Result<BTreeMap<String, i64>, DemoError> {
    let mut levels = BTreeMap::new();
    let mut path = format!("/v1/stock?shop={shop}&limit=1000");
    loop {
        let page = office.json(&path).await?;
        collect(&page, Some(shop), &mut levels)?;
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) => path = format!("/v1/stock?shop={shop}&limit=1000&cursor={cursor}"),
            None => return Ok(levels),
        }
    }
}

/// Takes `items` of `barcode` and `on_hand`; of other shops nothing.
fn collect(
    page: &Value,
    shop: Option<&str>,
    into: &mut BTreeMap<String, i64>,
) -> Result<(), DemoError> {
    let items = page.get("items").and_then(Value::as_array);
    let items = items.ok_or_else(|| DemoError::answer("the stock", page))?;
    for item in items {
        let barcode = item.get("barcode").and_then(Value::as_str);
        let on_hand = item.get("on_hand").and_then(Value::as_i64);
        let (Some(barcode), Some(on_hand)) = (barcode, on_hand) else {
            return Err(DemoError::answer("the stock", item));
        };
        if let (Some(asked), Some(of)) = (shop, item.get("shop").and_then(Value::as_str))
            && asked != of
        {
            return Err(DemoError::answer(format!("the stock of {asked}"), item));
        }
        into.insert(barcode.to_owned(), on_hand);
    }
    Ok(())
}

/// Where a view is not what the books say; a piece that a view does not know counts as 0.
fn differences(
    book: &BTreeMap<String, i64>,
    views: &[(&str, &BTreeMap<String, i64>)],
) -> Vec<String> {
    let mut pieces: BTreeSet<&String> = book.keys().collect();
    for (_, view) in views {
        pieces.extend(view.keys());
    }
    let of = |view: &BTreeMap<String, i64>, piece: &String| view.get(piece).copied().unwrap_or(0);
    let mut wrong = Vec::new();
    for piece in pieces {
        let expected = of(book, piece);
        for (name, view) in views {
            let found = of(view, piece);
            if found != expected {
                wrong.push(format!(
                    "{piece}: {expected} by the demo's books, {found} by the {name}"
                ));
            }
        }
    }
    wrong
}

/// `verify` at the hub and at every agent.
pub(super) async fn verify(
    shops: &[Arc<Shop>],
    hub: &Path,
    programs: &Programs,
) -> Result<(), DemoError> {
    programs.run("vitrina-hub", hub, &["verify"]).await?.ok()?;
    for shop in shops {
        programs
            .run("vitrina-agent", &shop.data, &["verify"])
            .await?
            .ok()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(levels: &[(&str, i64)]) -> BTreeMap<String, i64> {
        levels
            .iter()
            .map(|(piece, qty)| ((*piece).to_owned(), *qty))
            .collect()
    }

    #[test]
    fn a_piece_that_one_side_does_not_know_is_a_difference() {
        let book = stock(&[("a", 1), ("b", 0)]);

        assert_eq!(
            differences(&book, &[("hub", &stock(&[("a", 1)]))]),
            Vec::<String>::new()
        );
        assert_eq!(differences(&book, &[("hub", &stock(&[("b", 0)]))]).len(), 1);
        assert_eq!(
            differences(&book, &[("hub", &stock(&[("a", 1), ("c", 2)]))]).len(),
            1
        );
    }
}
