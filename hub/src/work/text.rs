//! What a work item says to a person, in a line.

use serde_json::Value;
use vitrina_host::output::Lang;
use vitrina_host::say;

use super::{Kind, WorkItem};

/// The line.
pub(crate) fn of(item: &WorkItem, lang: Lang) -> String {
    let what = what(item, lang);
    match (&item.shop, &item.barcode) {
        (Some(shop), Some(barcode)) => format!("{shop}, {barcode}: {what}"),
        (Some(shop), None) => format!("{shop}: {what}"),
        (None, Some(barcode)) => format!("{barcode}: {what}"),
        (None, None) => what,
    }
}

/// A member of the evidence, as text.
fn said(evidence: &Value, name: &str) -> String {
    match evidence.get(name) {
        None | Some(Value::Null) => "?".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|one| match one {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            texts.collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

fn what(item: &WorkItem, lang: Lang) -> String {
    let evidence = &item.evidence;
    if let Some(count) = evidence
        .get("count")
        .filter(|_| item.kind.many() != super::Many::Apart)
    {
        return many(item.kind, count, lang);
    }
    let said = |name| said(evidence, name);
    match item.kind {
        Kind::NegativeStock => say!(
            lang,
            "sold more than there was: {} on hand",
            "продано больше, чем было: остаток {}";
            said("on_hand")
        ),
        Kind::ReceiptConflict => say!(
            lang,
            "one receipt line says two things: {}",
            "строка чека говорит два разных: {}";
            said("what")
        ),
        Kind::Disagreement => say!(
            lang,
            "the shop's 1C states {}, the ledger {}",
            "1С магазина показывает {}, учёт {}";
            said("stated"),
            said("on_hand")
        ),
        Kind::UniqueInTwoPlaces => say!(
            lang,
            "a single piece is on hand in {}",
            "единственное изделие числится в {}";
            said("places")
        ),
        Kind::UniqueSoldTwice => say!(
            lang,
            "a single piece was sold twice, in {}",
            "единственное изделие продано дважды, в {}";
            said("places")
        ),
        Kind::TransferToStranger => say!(
            lang,
            "sent to {}, a shop that the hub does not know: vitrina-hub shop add, or vitrina-agent transfer cancel {}",
            "отправлено в {}: такого магазина хаб не знает; vitrina-hub shop add или vitrina-agent transfer cancel {}";
            said("unknown"),
            said("document")
        ),
        Kind::TransferStuck => say!(
            lang,
            "sent to {} and not received since {}",
            "отправлено в {} и не принято с {}";
            said("to"),
            said("since")
        ),
        Kind::TransferOther => say!(
            lang,
            "{} has received other than {} sent: {}",
            "{} принял не то, что отправил {}: {}";
            said("received_by"),
            said("from"),
            said("differs")
        ),
        kind => of_machines(kind, evidence, lang),
    }
}

/// Those of shops and receivers.
fn of_machines(kind: Kind, evidence: &Value, lang: Lang) -> String {
    let said = |name| said(evidence, name);
    match kind {
        Kind::Quarantine => say!(
            lang,
            "{} records wait for a decision: {}",
            "записей ждут решения: {} ({})";
            said("records"),
            said("reasons")
        ),
        Kind::ShopSilent if evidence.get("since").is_none_or(Value::is_null) => {
            say!(lang, "not heard from yet", "ещё не выходил на связь")
        }
        Kind::ShopSilent => say!(
            lang,
            "not heard from since {}",
            "нет связи с {}";
            said("since")
        ),
        Kind::SourceSilent => say!(
            lang,
            "the shop's 1C is silent since {}",
            "1С магазина молчит с {}";
            said("since")
        ),
        Kind::TwoMachines => say!(
            lang,
            "two machines use the shop's key",
            "ключом магазина пользуются два компьютера"
        ),
        Kind::BooksDiffer => say!(
            lang,
            "the numbers of shop and hub differ: {}",
            "числа магазина и хаба расходятся: {}";
            said("found")
        ),
        Kind::FilesRejected => say!(
            lang,
            "nothing was taken of a file, such as {}; in the shop vitrina-agent doctor says why",
            "из файла ничего не принято, например {}; причину в магазине назовёт vitrina-agent doctor";
            said("file")
        ),
        Kind::ShopFound => say!(
            lang,
            "enrolled after the copy that the hub was restored from, and off the website: {}",
            "подключён после копии, из которой восстановлен хаб; на сайте его нет: {}";
            said("advice")
        ),
        Kind::LostMovements => say!(
            lang,
            "movements that were recorded in the shop are lost, count the shelf: {}",
            "движения, записанные в магазине, потеряны, пересчитайте полку: {}";
            said("found")
        ),
        Kind::WebhookDead => say!(
            lang,
            "the webhook {} takes nothing since {}: {}",
            "вебхук {} ничего не принимает с {}: {}";
            said("webhook"),
            said("since"),
            said("error")
        ),
        kind => of_hold(kind, &said("order"), lang),
    }
}

/// Those of web orders.
fn of_hold(kind: Kind, order: &str, lang: Lang) -> String {
    match kind {
        Kind::HoldUnanswered => say!(
            lang,
            "order {order} is not answered",
            "заказ {order} без ответа"
        ),
        Kind::HoldOnSilentShop => say!(
            lang,
            "order {order} waits, and the shop is not heard from",
            "заказ {order} ждёт, а магазин без связи"
        ),
        Kind::SoldOverHold => say!(
            lang,
            "sold by a file while kept for order {order}: whose sale is it?",
            "продано файлом, хотя отложено под заказ {order}: чья это продажа?"
        ),
        Kind::CancelledAndBought => say!(
            lang,
            "order {order} was cancelled, and its buyer has the piece",
            "заказ {order} отменён, а изделие куплено"
        ),
        Kind::BoughtAfterEnd => say!(
            lang,
            "order {order} was bought here after its end",
            "заказ {order} куплен здесь после его окончания"
        ),
        Kind::HoldBroken => say!(
            lang,
            "what was kept for order {order} is not there",
            "отложенного под заказ {order} нет на месте"
        ),
        Kind::PutBack => say!(
            lang,
            "order {order} is over: back into the window",
            "заказ {order} окончен: вернуть на витрину"
        ),
        Kind::TravelsUnwanted => say!(
            lang,
            "travels for order {order}, which does not want it",
            "едет под заказ {order}, которому уже не нужно"
        ),
        other => other.word().replace('_', " "),
    }
}

fn many(kind: Kind, count: &Value, lang: Lang) -> String {
    match kind {
        Kind::NegativeStock => say!(
            lang,
            "stock below zero of {count} barcodes: was the shop opened?",
            "отрицательный остаток по {count} штрихкодам: введены ли остатки магазина?"
        ),
        Kind::ReceiptConflict => say!(
            lang,
            "{count} receipt lines say two things each",
            "строк чеков с двумя значениями: {count}"
        ),
        Kind::Disagreement => say!(
            lang,
            "the shop's 1C and the ledger differ about {count} barcodes",
            "1С магазина и учёт расходятся по {count} штрихкодам"
        ),
        Kind::HoldUnanswered => say!(
            lang,
            "{count} orders are not answered",
            "заказов без ответа: {count}"
        ),
        Kind::TransferStuck => say!(
            lang,
            "{count} transfers are not received",
            "перемещений не принято: {count}"
        ),
        Kind::ShopSilent => say!(
            lang,
            "{count} shops are not heard from: is it the hub's line?",
            "нет связи с магазинами: {count}; не линия ли хаба?"
        ),
        Kind::SourceSilent => say!(
            lang,
            "the 1C of {count} shops is silent",
            "молчит 1С магазинов: {count}"
        ),
        Kind::ShopFound => say!(
            lang,
            "{count} shops came back that the hub's copy did not know, off the website: vitrina-hub shop set",
            "магазинов, которых нет в копии хаба: {count}; на сайте их нет: vitrina-hub shop set"
        ),
        other => format!("{}: {count}", other.word().replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vitrina_shared::TimeMs;

    use super::*;
    use crate::work::{Level, State};

    fn item(kind: Kind, evidence: Value) -> WorkItem {
        WorkItem {
            id: [0; 16],
            kind,
            cause: String::new(),
            shop: Some("S017".parse().unwrap()),
            barcode: None,
            state: State::Open,
            level: Level::Manager,
            owner: None,
            evidence,
            opened_at: TimeMs(0),
            updated_at: TimeMs(0),
            snoozed_until: None,
            times: 1,
        }
    }

    #[test]
    fn a_line_names_the_place_and_what_is_known() {
        let one = WorkItem {
            barcode: Some("2000018987155".into()),
            ..item(Kind::NegativeStock, json!({ "on_hand": -2 }))
        };
        assert_eq!(
            of(&one, Lang::En),
            "S017, 2000018987155: sold more than there was: -2 on hand"
        );
        let many = item(Kind::NegativeStock, json!({ "count": 400, "first": [] }));
        assert!(of(&many, Lang::Ru).starts_with("S017: отрицательный остаток по 400"));
    }

    #[test]
    fn every_kind_has_words_of_its_own_in_both_languages() {
        let mut lines = std::collections::BTreeSet::new();
        for kind in Kind::ALL {
            for lang in [Lang::En, Lang::Ru] {
                lines.insert(of(&item(*kind, json!({})), lang));
            }
        }
        assert_eq!(lines.len(), 2 * Kind::ALL.len());
    }
}
