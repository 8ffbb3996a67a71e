//! A till that sells through the local API, and a 1C that writes files, at a human pace.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use encoding_rs::WINDOWS_1251;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use vitrina_host::clock;

use super::error::DemoError;
use super::goods::{Place, local, utc};
use super::random::Random;
use super::shop::Shop;
use super::website::{Origin, Website};

/// How often a till asks again before the demo gives up.
const TRIES: u32 = 5;
/// Of so many sales of a piece that is kept for a web order one is made all the same.
const FORCED_ONE_IN: usize = 6;

/// The people and programs of one shop.
#[derive(Debug)]
pub(super) struct Staff {
    pub(super) shop: Arc<Shop>,
    pub(super) website: Arc<Website>,
    pub(super) stop: CancellationToken,
    /// Whether the shop's 1C has stopped writing.
    pub(super) is_silent: Arc<AtomicBool>,
    pub(super) seed: u64,
}

impl Staff {
    /// Sells piece after piece until told to stop.
    pub(super) async fn sell(self: Arc<Self>) -> Result<(), DemoError> {
        let mut random = Random::new(self.seed);
        let mut number = 0_u64;
        while self.pause(random.pause(120, 700)).await {
            let (kind, by) = if random.below(20) == 0 {
                ("return", 1)
            } else {
                ("sale", -1)
            };
            let Some((piece, on_hand)) = self.shop.book().change(by, &mut random) else {
                continue;
            };
            number += 1;
            self.website
                .expect(&self.shop, &piece, on_hand, Origin::Till);
            let key = format!("demo {} {number}", self.shop.id());
            // The shop's own agent takes the code as it is printed.
            let code = piece.split('@').next().unwrap_or_default();
            let body = json!({ "type": kind, "barcode": code, "qty": 1 });
            let mut is_booked = self.book(&key, &body, on_hand).await?;
            if !is_booked && random.below(FORCED_ONE_IN) == 0 {
                let forced = json!({ "type": kind, "barcode": code, "qty": 1, "force": true });
                let key = format!("{key} forced");
                is_booked = self.book(&key, &forced, on_hand).await?;
            }
            if !is_booked {
                self.website.forget(&self.shop, &piece);
                self.shop.book().undo(&piece);
                continue;
            }
            self.website.done(&self.shop, &piece, Instant::now());
            self.website.figures(|figures| {
                if by < 0 {
                    figures.sales += 1;
                } else {
                    figures.returns += 1;
                }
            });
        }
        Ok(())
    }

    /// Books until it is answered, under one key, as a till does; false where the piece is kept for a web order.
    async fn book(&self, key: &str, body: &Value, on_hand: i64) -> Result<bool, DemoError> {
        let mut tries = 0;
        let (status, answer) = loop {
            tries += 1;
            let call = self
                .shop
                .call(Method::POST, "/v1/movements", Some((key, body.to_string())));
            match call.await {
                Ok(answer) => break answer,
                Err(error) if tries == TRIES => return Err(error),
                Err(_) => {}
            }
        };
        let is_right = answer.get("on_hand").and_then(Value::as_i64) == Some(on_hand);
        if status == StatusCode::CREATED && is_right {
            return Ok(true);
        }
        let is_kept = answer.get("code").and_then(Value::as_str) == Some("hold_conflict");
        if status == StatusCode::CONFLICT && is_kept {
            return Ok(false);
        }
        let call = format!(
            "POST /v1/movements {body} at {} (on hand must be {on_hand})",
            self.shop.id()
        );
        Err(DemoError::answer(call, &format!("{status} {answer}")))
    }

    /// Writes file after file until told to stop.
    pub(super) async fn write(self: Arc<Self>) -> Result<(), DemoError> {
        let mut random = Random::new(self.seed ^ 0xF11E);
        let mut number = 0_u32;
        while self.pause(random.pause(1_200, 2_400)).await {
            if self.is_silent.load(Ordering::SeqCst) {
                continue;
            }
            let by = if self.shop.book().is_low() { 1 } else { -1 };
            let mut pieces = Vec::new();
            for _ in 0..=random.below(3) {
                pieces.extend(self.shop.book().change(by, &mut random));
            }
            if pieces.is_empty() {
                continue;
            }
            number += 1;
            for (piece, on_hand) in &pieces {
                self.website
                    .expect(&self.shop, piece, *on_hand, Origin::File);
            }
            let (name, content) = self.file(number, by, &pieces);
            self.shop.drop_file(&name, &content)?;
            let now = Instant::now();
            for (piece, _) in &pieces {
                self.website.done(&self.shop, piece, now);
            }
            let lines = u64::try_from(pieces.len()).unwrap_or(0);
            self.website.figures(|figures| {
                figures.files += 1;
                if by < 0 {
                    figures.sold_by_files += lines;
                } else {
                    figures.brought_by_files += lines;
                }
            });
        }
        Ok(())
    }

    /// The file of this shop's 1C.
    fn file(&self, number: u32, by: i64, pieces: &[(String, i64)]) -> (String, Vec<u8>) {
        let now_ms = clock::now_ms();
        let place = &self.shop.place;
        if place.is_balances {
            let text = statement(place, now_ms, pieces);
            (format!("offers-changes-{number:06}.xml"), text.into_bytes())
        } else if number.is_multiple_of(2) {
            let at = local(now_ms, &place.zone, "%d.%m.%Y %H:%M:%S");
            let text = russian(number, by, &at, pieces);
            (
                format!("prodazhi-{number:06}.csv"),
                WINDOWS_1251.encode(&text).0.into_owned(),
            )
        } else {
            (
                format!("sales-{number:06}.csv"),
                english(number, by, &utc(now_ms), pieces).into_bytes(),
            )
        }
    }

    /// Waits; false when it is time to go home.
    async fn pause(&self, how_long: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(how_long) => true,
        }
    }
}

fn codes(pieces: &[(String, i64)]) -> impl Iterator<Item = (usize, &str)> {
    let codes = pieces
        .iter()
        .map(|(piece, _)| piece.split('@').next().unwrap_or_default());
    codes.enumerate().map(|(at, code)| (at + 1, code))
}

/// A modern till: UTF-8, English.
fn english(receipt: u32, by: i64, at: &str, pieces: &[(String, i64)]) -> String {
    let kind = if by < 0 { "sale" } else { "receipt" };
    let mut text = String::from("type,till,receipt,line,barcode,qty,price,at\n");
    for (line, code) in codes(pieces) {
        let _ = writeln!(text, "{kind},2,{receipt},{line},{code},1,19990.00,{at}");
    }
    text
}

/// An old 1C: to become windows-1251, Russian.
fn russian(receipt: u32, by: i64, at: &str, pieces: &[(String, i64)]) -> String {
    let kind = if by < 0 {
        "Продажа"
    } else {
        "Поступление"
    };
    let mut text = String::from("Тип;Касса;Чек;Строка;Штрихкод;Количество;Цена;Дата\r\n");
    for (line, code) in codes(pieces) {
        let _ = write!(
            text,
            "{kind};2;{receipt};{line};{code};1;19 990,00;{at}\r\n"
        );
    }
    text
}

/// A 1C that is the ledger: CommerceML with what there is now.
fn statement(place: &Place, now_ms: i64, pieces: &[(String, i64)]) -> String {
    let mut text = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<КоммерческаяИнформация ВерсияСхемы=\"2.07\" ДатаФормирования=\"{}\">\r\n<ПакетПредложений СодержитТолькоИзменения=\"true\"><Ид>demo#</Ид><Предложения>\r\n",
        utc(now_ms)
    );
    for (piece, on_hand) in pieces {
        let id = place.external_ids.get(piece).unwrap_or(piece);
        let _ = write!(
            text,
            "<Предложение><Ид>{id}</Ид><Штрихкод>{piece}</Штрихкод><Количество>{on_hand}</Количество><Склад ИдСклада=\"{}\" КоличествоНаСкладе=\"{on_hand}\"/></Предложение>\r\n",
            place.warehouse
        );
    }
    text + "</Предложения></ПакетПредложений></КоммерческаяИнформация>\r\n"
}
