//! `transfer`: what is to be sent and what is on its way here; a parcel goes out or comes in.

use anyhow::Context as _;
use vitrina_host::output::{Exit, Out};
use vitrina_host::sign;

use super::{Ctx, refused};
use crate::ledger::transfer::Which;
use crate::local_api::movements::Answer;
use crate::local_api::transfers::{self, CancelRequest, ReceiveRequest, ShipRequest};

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Lists what is to be sent and what is on its way
    List {
        /// What is over too
        #[arg(long)]
        all: bool,
    },
    /// A piece leaves for another shop
    Ship {
        /// The code as scanned
        barcode: String,
        /// The shop that it goes to; a piece that the hub asks for goes where the hub says
        #[arg(long, value_name = "SHOP", required_unless_present = "hold")]
        to: Option<String>,
        /// How many
        #[arg(long, default_value_t = 1)]
        qty: i64,
        /// The document; what leaves for one shop on one day is one transfer otherwise
        #[arg(long, value_name = "ID")]
        transfer: Option<String>,
        /// The order's hold whose piece it is
        #[arg(long, value_name = "HOLD")]
        hold: Option<String>,
        /// An idempotency key: the same one books once
        #[arg(long, value_name = "K")]
        key: Option<String>,
    },
    /// A piece has come
    Receive {
        /// The code as scanned
        barcode: String,
        /// The transfer's id or document; the one that waits for the piece otherwise
        #[arg(long, value_name = "ID")]
        transfer: Option<String>,
        /// The shop that sent it, where the hub has not told of it yet
        #[arg(long, value_name = "SHOP")]
        from: Option<String>,
        /// How many
        #[arg(long, default_value_t = 1)]
        qty: i64,
        /// It cannot be sold as it came
        #[arg(long)]
        damaged: bool,
        /// Takes in what is not awaited all the same; head office is told
        #[arg(long)]
        force: bool,
        /// An idempotency key: the same one books once
        #[arg(long, value_name = "K")]
        key: Option<String>,
    },
    /// What was sent stays here, as long as none of it has come
    Cancel {
        /// The transfer's id or document
        transfer: String,
        /// Only this of it
        #[arg(long, value_name = "CODE")]
        barcode: Option<String>,
    },
}

pub(super) fn transfer(ctx: &Ctx, verb: &Verb, out: &mut Out) -> anyhow::Result<Exit> {
    match verb {
        Verb::List { all } => list(ctx, if *all { Which::All } else { Which::Open }, out),
        Verb::Ship {
            barcode,
            to,
            qty,
            transfer,
            hold,
            key,
        } => {
            let request = ShipRequest {
                barcode: barcode.clone(),
                qty: Some(*qty),
                to: to.clone(),
                transfer: transfer.clone(),
                hold: hold.clone(),
                ..ShipRequest::default()
            };
            let key = key_of(key.as_ref())?;
            let answer = ctx
                .core
                .write_blocking(move |conn| transfers::ship(conn, &request, &key))?;
            tell(ctx, answer, out)
        }
        Verb::Receive {
            barcode,
            transfer,
            from,
            qty,
            damaged,
            force,
            key,
        } => {
            let request = ReceiveRequest {
                barcode: barcode.clone(),
                qty: Some(*qty),
                transfer: transfer.clone(),
                from: from.clone(),
                damaged: *damaged,
                force: *force,
                at: None,
            };
            let key = key_of(key.as_ref())?;
            let answer = ctx
                .core
                .write_blocking(move |conn| transfers::receive(conn, &request, &key))?;
            tell(ctx, answer, out)
        }
        Verb::Cancel { transfer, barcode } => {
            let request = CancelRequest {
                transfer: transfer.clone(),
                barcode: barcode.clone(),
            };
            match ctx
                .core
                .write_blocking(move |conn| transfers::cancel(conn, &request))?
            {
                Ok(value) if ctx.json => out.json(&value)?,
                Ok(value) => {
                    let count = value.get("cancelled").map(ToString::to_string);
                    out.line(count.unwrap_or_default())?;
                }
                Err(problem) => return Ok(refused(&problem, out)),
            }
            Ok(Exit::Done)
        }
    }
}

fn key_of(given: Option<&String>) -> anyhow::Result<String> {
    match given {
        Some(key) => Ok(key.clone()),
        None => Ok(format!("cli-{}", sign::hex(&sign::random_bytes::<12>()?))),
    }
}

/// What was booked: all of it as JSON, else the new on-hand.
fn tell(ctx: &Ctx, answer: Answer, out: &mut Out) -> anyhow::Result<Exit> {
    let body = match answer {
        Answer::Made(body) | Answer::Again(_, body) => body,
        Answer::Refused(problem) => {
            return Ok(refused(&problem, out));
        }
    };
    let booked: serde_json::Value =
        serde_json::from_slice(&body).context("the answer cannot be read back")?;
    if ctx.json {
        out.json(&booked)?;
    } else {
        let on_hand = booked.get("on_hand").map(ToString::to_string);
        out.line(on_hand.unwrap_or_default())?;
    }
    Ok(Exit::Done)
}

fn list(ctx: &Ctx, which: Which, out: &mut Out) -> anyhow::Result<Exit> {
    let items = ctx.core.read(move |conn| transfers::items(conn, which))?;
    if ctx.json {
        out.json(&serde_json::json!({"items": items, "next_cursor": null}))?;
        return Ok(Exit::Done);
    }
    let rows = items.into_iter().flat_map(|item| {
        let head = [
            item.direction.to_owned(),
            item.document.or(item.hold).or(item.id).unwrap_or_default(),
            item.from.unwrap_or_default(),
            item.to.unwrap_or_default(),
            item.state.to_owned(),
        ];
        item.lines.into_iter().map(move |line| {
            let units = [line.sent, line.received, line.awaited].map(|units| units.to_string());
            let about = [line.barcode, line.name.unwrap_or_default()];
            head.clone().into_iter().chain(about).chain(units)
        })
    });
    let names = [
        "direction",
        "transfer",
        "from",
        "to",
        "state",
        "barcode",
        "name",
        "sent",
        "received",
        "awaited",
    ];
    out.table(&names, rows)?;
    Ok(Exit::Done)
}
