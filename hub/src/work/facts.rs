//! What the hub knows, as facts for a decision: pure, but for reading what is in memory.
//!
//! The evidence of a fact stays the same while nothing happens: otherwise each look would be a change.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vitrina_host::when;
use vitrina_shared::movement::Kind as MovementKind;
use vitrina_shared::transfer::State;
use vitrina_shared::{Key, ShopId, TimeMs};

use super::decide::{Fact, Presence};
use super::watch::Alerts;
use super::{Kind, Level};
use crate::board::Known as KnownShop;
use crate::change::ShopRow;
use crate::store::{Asked, Conflict, DisagreementRow, Explained, Held, Known, TransferRow, Twice};

/// A shop says so of itself when two machines use its key.
const TWO_MACHINES: &str = "two_machines";
/// And when movements are lost that it had recorded; what follows says how many and which.
const LOST_MOVEMENTS: &str = "lost_movements: ";

/// A shop says so of the last file of which it took nothing.
const FILES_REJECTED: &str = "files_rejected: ";

/// When shops are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    /// Now.
    pub(super) now: TimeMs,
    /// Since when this hub listens: what it did not hear before is its own silence.
    pub(super) listens_since: TimeMs,
    /// When a person is told.
    pub(super) alerts: &'a Alerts,
    /// Shops that the hub found by their certificates, and when.
    pub(super) found: &'a BTreeMap<ShopId, TimeMs>,
}

fn fact(kind: Kind, cause: impl Into<String>, shop: Option<&ShopId>, evidence: Value) -> Fact {
    Fact {
        kind,
        cause: cause.into(),
        shop: shop.cloned(),
        barcode: None,
        weight: 1,
        level: Level::Manager,
        presence: Presence::Stands,
        evidence,
    }
}

fn time(at: TimeMs) -> String {
    when::rfc3339_ms(at.0)
}

/// What is to be said of a shop; `is_connected`: it has a call open here.
pub(super) fn of_shop(shop: &KnownShop, is_connected: bool, look: Look<'_>) -> Vec<Fact> {
    let (row, heard) = (&shop.row, &shop.heard);
    if !row.enrolled || row.revoked || row.settings.closed {
        return Vec::new();
    }
    let mut facts: Vec<Fact> = look
        .found
        .get(&row.shop)
        .map(|at| found(row, *at))
        .into_iter()
        .flatten()
        .collect();
    if shop.health.problems.iter().any(|code| code == TWO_MACHINES) {
        let cause = row.shop.as_str();
        facts.push(fact(Kind::TwoMachines, cause, Some(&row.shop), json!({})));
    }
    let mut problems = shop.health.problems.iter();
    if let Some(file) = problems.find_map(|words| words.strip_prefix(FILES_REJECTED)) {
        let (cause, evidence) = (row.shop.as_str(), json!({ "file": file }));
        facts.push(fact(Kind::FilesRejected, cause, Some(&row.shop), evidence));
    }
    let problems = shop.health.problems.iter();
    let lost: Vec<_> = problems
        .filter_map(|told| told.strip_prefix(LOST_MOVEMENTS))
        .collect();
    if !lost.is_empty() {
        let (cause, evidence) = (row.shop.as_str(), json!({ "found": lost.join(", ") }));
        facts.push(fact(Kind::LostMovements, cause, Some(&row.shop), evidence));
    }
    if !is_connected && let Some(silent) = silence(shop, look) {
        facts.push(silent);
    } else if heard.exchange.is_some()
        && let Some(silent) = source_silence(shop, look)
    {
        facts.push(silent);
    }
    facts
}

/// A shop that was found by its certificate, until it has a name or is on the website.
fn found(row: &ShopRow, at: TimeMs) -> Option<Fact> {
    let name = row.shop.as_str();
    if row.publish || row.settings.name != name {
        return None;
    }
    let advice = format!("vitrina-hub shop set {name} --name … --publish on");
    let evidence = json!({ "since": time(at), "advice": advice });
    Some(fact(Kind::ShopFound, name, Some(&row.shop), evidence))
}

/// The web orders that a shop has not answered: each that waits for too long in opening hours, and all of a shop that is not
/// heard from as one.
pub(super) fn of_orders(
    shop: &KnownShop,
    asked: &[&Asked],
    is_connected: bool,
    look: Look<'_>,
) -> Vec<Fact> {
    let alerts = look.alerts;
    let mut facts = Vec::new();
    for order in asked {
        let waited = shop.open_ms(order.at, look.now);
        if waited <= alerts.unanswered_after.as_millis() {
            continue;
        }
        let of_order = shop.open_ms(order.ordered_at, look.now);
        let is_high = of_order > alerts.director_after.as_millis();
        let evidence = json!({
            "order": order.order,
            "hold": order.hold,
            "leg": order.leg,
            "since": time(order.at),
        });
        facts.push(Fact {
            barcode: Some(order.barcode.clone()),
            level: if is_high {
                Level::Director
            } else {
                Level::Manager
            },
            ..fact(
                Kind::HoldUnanswered,
                order.leg.as_str(),
                Some(&order.shop),
                evidence,
            )
        });
    }
    let silent = (!is_connected).then(|| silence(shop, look)).flatten();
    if let (Some(silent), false) = (silent, asked.is_empty()) {
        let orders: Vec<&str> = asked.iter().map(|order| order.order.as_str()).collect();
        let evidence = json!({ "order": orders, "since": silent.evidence.get("since") });
        facts.push(Fact {
            weight: i64::try_from(orders.len()).unwrap_or(i64::MAX),
            presence: silent.presence,
            ..fact(
                Kind::HoldOnSilentShop,
                shop.row.shop.as_str(),
                Some(&shop.row.shop),
                evidence,
            )
        });
    }
    facts
}

/// A silence of so long, measured in opening hours; `last` is when it was broken last.
fn silent_since(shop: &KnownShop, last: TimeMs, after_ms: i64, now: TimeMs) -> Option<Presence> {
    if now.since(last) <= after_ms {
        return None;
    }
    let is_long = shop.is_open(now) && shop.open_ms(last, now) > after_ms;
    Some(if is_long {
        Presence::Stands
    } else {
        Presence::Lingers
    })
}

fn silence(shop: &KnownShop, look: Look<'_>) -> Option<Fact> {
    let exchange = shop.heard.exchange;
    let after_ms = look.alerts.silent_after.as_millis();
    // What is older than this run of the hub keeps an entry, and opens none before this hub has listened as long.
    let presence = silent_since(shop, exchange.unwrap_or(TimeMs(0)), after_ms, look.now)?;
    let listened = exchange.map_or(look.listens_since, |at| at.max(look.listens_since));
    let presence = match silent_since(shop, listened, after_ms, look.now) {
        Some(Presence::Stands) => presence,
        _ => Presence::Lingers,
    };
    let evidence = json!({ "since": exchange.map(time), "goodbye": shop.health.goodbye });
    let shop = &shop.row.shop;
    Some(Fact {
        presence,
        ..fact(Kind::ShopSilent, shop.as_str(), Some(shop), evidence)
    })
}

fn source_silence(shop: &KnownShop, look: Look<'_>) -> Option<Fact> {
    let every = shop.heard.source_every_ms?;
    let after_ms = every
        .saturating_add(every / 2)
        .max(look.alerts.silent_after.as_millis());
    let source = shop.heard.source;
    let presence = silent_since(
        shop,
        source.unwrap_or(look.listens_since),
        after_ms,
        look.now,
    )?;
    let evidence = json!({ "since": source.map(time), "every_s": every / 1_000 });
    let shop = &shop.row.shop;
    Some(Fact {
        presence,
        ..fact(Kind::SourceSilent, shop.as_str(), Some(shop), evidence)
    })
}

/// Stock below zero of a barcode in a shop.
pub(super) fn negative(shop: &ShopId, barcode: &str, on_hand: i64) -> Fact {
    Fact {
        barcode: Some(barcode.to_owned()),
        weight: on_hand.saturating_neg(),
        ..fact(
            Kind::NegativeStock,
            format!("{shop}/{barcode}"),
            Some(shop),
            json!({ "on_hand": on_hand }),
        )
    }
}

/// A single piece that several places, or one place several times, have on hand.
pub(super) fn in_two_places(barcode: &str, places: &[(ShopId, i64)]) -> Option<Fact> {
    let here: Vec<_> = places.iter().filter(|(_, on_hand)| *on_hand > 0).collect();
    let pieces = here
        .iter()
        .fold(0_i64, |sum, (_, on_hand)| sum.saturating_add(*on_hand));
    if pieces < 2 {
        return None;
    }
    let names: Vec<&str> = here.iter().map(|(shop, _)| shop.as_str()).collect();
    let levels: Vec<Value> = here
        .iter()
        .map(|(shop, on_hand)| json!({ "shop": shop.as_str(), "on_hand": on_hand }))
        .collect();
    let evidence = json!({ "places": names, "levels": levels });
    Some(Fact {
        barcode: Some(barcode.to_owned()),
        weight: pieces,
        ..fact(Kind::UniqueInTwoPlaces, barcode, None, evidence)
    })
}

/// A single piece that was sold more often than it came back.
pub(super) fn sold_twice(barcode: &str, story: &[Explained]) -> Option<Fact> {
    let is_sale = |kind| matches!(kind, MovementKind::Sale | MovementKind::Return);
    let sales: Vec<_> = story
        .iter()
        .map(|explained| &explained.row)
        .filter(|row| row.counts && is_sale(row.movement.kind))
        .collect();
    let sold = sales.iter().fold(0_i64, |sum, row| {
        sum.saturating_sub(row.movement.qty.units())
    });
    if sold < 2 {
        return None;
    }
    let mut names: Vec<&str> = sales.iter().map(|row| row.shop.as_str()).collect();
    names.dedup();
    let last = sales.len().saturating_sub(20);
    let shown: Vec<Value> = sales
        .iter()
        .skip(last)
        .map(|row| {
            let (till, receipt) = match &row.movement.key {
                Key::Receipt { till, receipt, .. } => (Some(till), Some(receipt)),
                _ => (None, None),
            };
            json!({
                "shop": row.shop.as_str(),
                "id": row.id.to_string(),
                "qty": row.movement.qty.units(),
                "at": time(row.movement.at),
                "till": till,
                "receipt": receipt,
            })
        })
        .collect();
    let evidence = json!({ "places": names, "sales": shown });
    Some(Fact {
        barcode: Some(barcode.to_owned()),
        weight: sold,
        ..fact(Kind::UniqueSoldTwice, barcode, None, evidence)
    })
}

/// What the tables say.
pub(super) fn of_tables(known: &Known, now: TimeMs, alerts: &Alerts) -> Vec<Fact> {
    let mut facts = held(&known.held);
    facts.extend(known.conflicts.iter().map(conflict));
    facts.extend(known.twice.iter().map(twice));
    facts.extend(known.disagreements.iter().map(disagreement));
    facts.extend(known.books.iter().map(|books| {
        let evidence = json!({ "found": books.found, "since": time(books.at) });
        fact(
            Kind::BooksDiffer,
            books.shop.as_str(),
            Some(&books.shop),
            evidence,
        )
    }));
    for hook in &known.hooks {
        let Some(since) = hook.failing_since else {
            continue;
        };
        let is_dead = now.since(since) >= alerts.dead_after.as_millis();
        let evidence = json!({ "webhook": hook.name, "since": time(since), "error": hook.error });
        facts.push(Fact {
            presence: if is_dead {
                Presence::Stands
            } else {
                Presence::Lingers
            },
            ..fact(Kind::WebhookDead, hook.name.as_str(), None, evidence)
        });
    }
    facts
}

/// What is to be said of transfers at this look. A shop that nobody knows receives nothing: that says why the parcel does
/// not come.
pub(super) fn of_transfers(
    to_look_at: &[TransferRow],
    to_strangers: &[(TransferRow, Vec<String>)],
) -> Vec<Fact> {
    let is_told = |row: &&TransferRow| to_strangers.iter().any(|(other, _)| other.id == row.id);
    let others = to_look_at.iter().filter(|row| !is_told(row));
    let mut facts: Vec<Fact> = others.map(of_transfer).collect();
    facts.extend(to_strangers.iter().map(|(row, names)| {
        let mut fact = Fact {
            kind: Kind::TransferToStranger,
            ..of_transfer(row)
        };
        if let Some(members) = fact.evidence.as_object_mut() {
            members.insert("unknown".into(), names.clone().into());
        }
        fact
    }));
    facts
}

/// What is to be said of a transfer that is under way for too long, or of which other things came than were sent.
fn of_transfer(row: &TransferRow) -> Fact {
    let transfer = &row.transfer;
    let names = |shops: &mut dyn Iterator<Item = &ShopId>| -> Vec<String> {
        shops.map(ToString::to_string).collect()
    };
    let (kind, shop) = match transfer.state {
        State::OtherThanSent | State::NotSent => {
            (Kind::TransferOther, transfer.received_by.first().cloned())
        }
        _ => {
            let from = row.from.as_ref().and_then(|from| from.parse().ok());
            (Kind::TransferStuck, from)
        }
    };
    let differs: Vec<String> = transfer
        .lines
        .iter()
        .filter(|(_, line)| line.outstanding > 0 || line.over > 0 || line.astray > 0)
        .map(|(code, line)| format!("{code} {}/{}", line.received, line.sent))
        .collect();
    let evidence = json!({
        "transfer": row.id.to_string(),
        "document": row.document,
        "state": transfer.state.word(),
        "from": row.from,
        "to": names(&mut transfer.to.iter()),
        "received_by": names(&mut transfer.received_by.iter()),
        "since": time(row.since),
        "differs": differs.iter().take(20).collect::<Vec<_>>(),
    });
    let mut only = transfer.lines.keys();
    let barcode = match (only.next(), only.next()) {
        (Some(only), None) => Some(only.to_string()),
        _ => None,
    };
    let units = transfer.lines.values().map(|line| {
        let away = line.outstanding.saturating_add(line.over);
        away.saturating_add(line.astray)
    });
    Fact {
        barcode,
        weight: units.fold(0, i64::saturating_add).max(1),
        ..fact(kind, row.id.to_string(), shop.as_ref(), evidence)
    }
}

/// One fact for what a shop holds back, by reason.
fn held(list: &[Held]) -> Vec<Fact> {
    let mut shops: BTreeMap<&ShopId, Vec<&Held>> = BTreeMap::new();
    for held in list {
        shops.entry(&held.shop).or_default().push(held);
    }
    let of_one = |(shop, list): (&ShopId, Vec<&Held>)| {
        let records: u64 = list.iter().map(|held| held.records).sum();
        let reasons: Vec<&str> = list.iter().map(|held| held.reason.as_str()).collect();
        let by_reason: BTreeMap<&str, u64> = list
            .iter()
            .map(|held| (held.reason.as_str(), held.records))
            .collect();
        let oldest = list.iter().map(|held| held.oldest_at).min();
        let evidence = json!({
            "records": records,
            "reasons": reasons,
            "by_reason": by_reason,
            "oldest_at": oldest.map(time),
        });
        Fact {
            weight: i64::try_from(records).unwrap_or(i64::MAX),
            ..fact(Kind::Quarantine, shop.as_str(), Some(shop), evidence)
        }
    };
    shops.into_iter().map(of_one).collect()
}

fn conflict(row: &Conflict) -> Fact {
    let evidence = json!({
        "what": row.message,
        "record_id": row.id,
        "record": row.record,
        "file": row.file,
        "line": row.line,
        "at": time(row.at),
    });
    let cause = format!("{}/{}", row.shop, row.id);
    fact(Kind::ReceiptConflict, cause, Some(&row.shop), evidence)
}

fn twice(twice: &Twice) -> Fact {
    let lines: Vec<Value> = twice
        .lines
        .iter()
        .map(|(id, movement)| {
            json!({
                "id": id.to_string(),
                "type": movement.kind.to_string(),
                "barcode": movement.barcode.as_str(),
                "qty": movement.qty.units(),
                "at": time(movement.at),
            })
        })
        .collect();
    let what: Vec<String> = twice
        .lines
        .iter()
        .map(|(_, movement)| format!("{} × {}", movement.barcode, movement.qty.units()))
        .collect();
    let key = twice.lines.first().map(|(_, movement)| &movement.key);
    let receipt = match key {
        Some(Key::Receipt {
            till,
            receipt,
            line,
            ..
        }) => json!({ "till": till, "receipt": receipt, "line": line }),
        _ => Value::Null,
    };
    let evidence = json!({
        "what": what,
        "line": receipt,
        "lines": lines,
        "record_id": twice.records.first(),
    });
    let cause = format!("{}/{}", twice.shop, twice.key);
    fact(Kind::ReceiptConflict, cause, Some(&twice.shop), evidence)
}

fn disagreement(row: &DisagreementRow) -> Fact {
    let evidence = json!({
        "stated": row.stated,
        "on_hand": row.on_hand,
        "condition": row.condition,
        "at": time(row.at),
        "uncertain": row.uncertain,
        "file": row.file,
    });
    let cause = format!("{}/{}/{}", row.shop, row.barcode, row.condition);
    Fact {
        barcode: Some(row.barcode.clone()),
        weight: row
            .stated
            .saturating_sub(row.on_hand)
            .checked_abs()
            .unwrap_or(i64::MAX),
        ..fact(Kind::Disagreement, cause, Some(&row.shop), evidence)
    }
}

#[cfg(test)]
mod tests {
    use vitrina_shared::freshness::Heard;

    use super::*;
    use crate::board::Board;
    use crate::change::{ShopHealth, ShopRow};
    use crate::view::sample;

    /// Saturday noon in Moscow.
    const NOON: TimeMs = TimeMs(1_763_802_000_000);
    const MINUTE: i64 = 60_000;

    /// A shop that opens from ten to eight, heard of so many minutes ago.
    fn heard(ago: Option<i64>, source_ago: Option<i64>) -> std::sync::Arc<KnownShop> {
        let board = Board::default();
        let mut row = sample::shop(0, "S000");
        row.settings.hours = Some("10:00-20:00".into());
        let cell = board.set(row);
        let exchange = ago.map(|minutes| NOON.plus(-minutes * MINUTE));
        let heard = Heard {
            exchange,
            complete: exchange,
            source: source_ago.map(|minutes| NOON.plus(-minutes * MINUTE)),
            source_every_ms: source_ago.map(|_| 30 * MINUTE),
        };
        board.heard(0, heard, ShopHealth::default());
        cell.known()
    }

    /// What is said of it, where the hub listens for so many minutes.
    fn said(shop: &KnownShop, listens: i64, later: i64) -> Vec<(Kind, Presence)> {
        let now = NOON.plus(later * MINUTE);
        let look = Look {
            now,
            listens_since: now.plus(-listens * MINUTE),
            found: &BTreeMap::new(),
            alerts: &Alerts::default(),
        };
        let facts = of_shop(shop, false, look);
        facts
            .iter()
            .map(|fact| (fact.kind, fact.presence))
            .collect()
    }

    #[test]
    fn a_shop_is_silent_after_ten_minutes_of_opening_hours() {
        let silent = |presence| vec![(Kind::ShopSilent, presence)];
        let hours = 60;

        assert_eq!(said(&heard(Some(10), None), 600, 0), []);
        assert_eq!(
            said(&heard(Some(11), None), 600, 0),
            silent(Presence::Stands)
        );
        // At night, and in the morning before it has been open for ten minutes.
        assert_eq!(
            said(&heard(Some(0), None), 6_000, 10 * hours),
            silent(Presence::Lingers)
        );
        assert_eq!(
            said(&heard(Some(-7 * hours), None), 6_000, 22 * hours + 5),
            silent(Presence::Stands)
        );
        assert_eq!(
            said(&heard(Some(-8 * hours), None), 6_000, 22 * hours + 5),
            silent(Presence::Lingers)
        );
        assert_eq!(
            said(&heard(Some(-8 * hours), None), 6_000, 22 * hours + 11),
            silent(Presence::Stands)
        );
    }

    #[test]
    fn what_a_hub_did_not_hear_before_it_listened_is_no_silence_of_the_shop() {
        assert_eq!(
            said(&heard(Some(600), None), 5, 0),
            [(Kind::ShopSilent, Presence::Lingers)]
        );
        assert_eq!(
            said(&heard(None, None), 5, 0),
            [(Kind::ShopSilent, Presence::Lingers)]
        );
        assert_eq!(
            said(&heard(None, None), 11, 0),
            [(Kind::ShopSilent, Presence::Stands)]
        );
    }

    #[test]
    fn a_shop_whose_1c_is_silent_is_named_only_while_the_shop_itself_is_heard() {
        let silent = [(Kind::SourceSilent, Presence::Stands)];

        assert_eq!(said(&heard(Some(0), Some(45)), 600, 0), []);
        assert_eq!(said(&heard(Some(0), Some(46)), 600, 0), silent);
        assert_eq!(
            said(&heard(Some(60), Some(60)), 600, 0),
            [(Kind::ShopSilent, Presence::Stands)]
        );
    }

    #[test]
    fn a_shop_that_is_connected_revoked_or_not_enrolled_is_not_silent() {
        let shop = heard(Some(60), None);
        let look = Look {
            now: NOON,
            listens_since: TimeMs(0),
            found: &BTreeMap::new(),
            alerts: &Alerts::default(),
        };
        assert_eq!(of_shop(&shop, true, look), []);
        for change in [
            |row: &mut ShopRow| row.revoked = true,
            |row: &mut ShopRow| row.enrolled = false,
            |row: &mut ShopRow| row.settings.closed = true,
        ] {
            let mut other = KnownShop::clone(&shop);
            change(&mut other.row);
            assert_eq!(of_shop(&other, false, look), []);
        }
    }

    #[test]
    fn an_order_is_the_managers_after_a_quarter_of_an_hour_and_the_directors_after_four_hours() {
        let order = |minutes_ago: i64| Asked {
            leg: "aa".into(),
            hold: "bb".into(),
            shop: "S000".parse().unwrap(),
            barcode: "1".into(),
            order: "1024".into(),
            at: NOON.plus(-minutes_ago * MINUTE),
            ordered_at: NOON.plus(-minutes_ago * MINUTE),
        };
        let said = |shop: &KnownShop, minutes_ago: i64| -> Vec<(Kind, Level)> {
            let look = Look {
                now: NOON,
                listens_since: TimeMs(0),
                found: &BTreeMap::new(),
                alerts: &Alerts::default(),
            };
            let facts = of_orders(shop, &[&order(minutes_ago)], false, look);
            facts.iter().map(|fact| (fact.kind, fact.level)).collect()
        };
        let live = heard(Some(0), None);
        let hours = 60;

        assert_eq!(said(&live, 15), []);
        assert_eq!(said(&live, 16), [(Kind::HoldUnanswered, Level::Manager)]);
        // It has been open for two hours: the night before does not count.
        assert_eq!(
            said(&live, 15 * hours),
            [(Kind::HoldUnanswered, Level::Manager)]
        );
        assert_eq!(
            said(&live, 19 * hours),
            [(Kind::HoldUnanswered, Level::Director)]
        );
        assert_eq!(
            said(&heard(Some(20), None), 1),
            [(Kind::HoldOnSilentShop, Level::Manager)]
        );
    }

    #[test]
    fn one_piece_is_in_one_place() {
        let places = |list: &[(&str, i64)]| -> Vec<(ShopId, i64)> {
            let place = |(shop, on_hand): &(&str, i64)| (shop.parse().unwrap(), *on_hand);
            list.iter().map(place).collect()
        };

        assert_eq!(
            in_two_places("1", &places(&[("S1", 1), ("S2", 0), ("S3", -1)])),
            None
        );
        let two = in_two_places("1", &places(&[("S1", 1), ("S2", 1)])).unwrap();
        assert_eq!(
            (two.weight, &two.evidence["places"]),
            (2, &json!(["S1", "S2"]))
        );
        assert!(in_two_places("1", &places(&[("S1", 2)])).is_some());
    }
}
