//! `hold`: the web orders that ask this shop, what it says to them, and whose a sale over a hold was.

use serde_json::{Value, json};
use vitrina_host::output::{Exit, Out};
use vitrina_host::{say, sign, when};
use vitrina_shared::{LegId, TimeMs};

use super::{Ctx, price, refused};
use crate::core::now;
use crate::hold_json::{self, HoldJson};
use crate::ledger::hold::{self, HoldRow, Which};
use crate::local_api::holds::{
    self, AnswerRequest, ConfirmRequest, DeclineRequest, FulfilRequest, Told,
};

/// How many rows are read at once.
const PAGE: usize = 1_000;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Lists those about which the shop has something to do
    List {
        /// Every one that ever was
        #[arg(long)]
        all: bool,
    },
    /// The piece is found and kept for the order
    Confirm {
        /// The hold
        id: String,
        /// The code on the piece
        #[arg(long, value_name = "CODE")]
        barcode: Option<String>,
    },
    /// It is not, or not any more
    Decline {
        /// The hold
        id: String,
        /// sold, not_found, damaged, showcase or other
        #[arg(long, default_value = "other")]
        reason: String,
    },
    /// The buyer takes it: books the sale, or links the receipt's
    Fulfil(FulfilArgs),
    /// Sales of files over a hold, of which nobody has said whose they were
    Questions,
    /// Says whose one was
    Answer {
        /// The question
        id: String,
        /// The order's buyer took it; of this hold, where several come into question
        #[arg(
            long,
            value_name = "HOLD",
            num_args = 0..=1,
            default_missing_value = "",
            required_unless_present = "other"
        )]
        order: Option<String>,
        /// Somebody else did
        #[arg(long, conflicts_with = "order")]
        other: bool,
    },
}

/// The sale.
#[derive(clap::Args)]
pub(super) struct FulfilArgs {
    /// The hold
    id: String,
    /// The receipt's number
    #[arg(long, value_name = "R")]
    receipt: Option<String>,
    /// The line on it; 1
    #[arg(long, value_name = "N", requires = "receipt")]
    line: Option<u32>,
    /// The till
    #[arg(long)]
    till: Option<String>,
    /// When it happened; now
    #[arg(long, value_name = "T")]
    at: Option<String>,
    /// The price of one, such as 45900.00
    #[arg(long)]
    price: Option<String>,
    /// The order was cancelled, and its buyer takes the piece all the same
    #[arg(long)]
    force: bool,
}

pub(super) fn hold(ctx: &Ctx, verb: &Verb, out: &mut Out) -> anyhow::Result<Exit> {
    match verb {
        Verb::List { all } => list(ctx, if *all { Which::All } else { Which::Open }, out),
        Verb::Confirm { id, barcode } => {
            let request = ConfirmRequest {
                barcode: barcode.clone(),
            };
            about(ctx, id, out, move |conn, id| {
                holds::confirm(conn, id, &request)
            })
        }
        Verb::Decline { id, reason } => {
            let request = DeclineRequest {
                reason: Some(reason.clone()),
            };
            about(ctx, id, out, move |conn, id| {
                holds::decline(conn, id, &request)
            })
        }
        Verb::Fulfil(args) => fulfil(ctx, args, out),
        Verb::Questions => questions(ctx, out),
        Verb::Answer { id, order, .. } => {
            let request = AnswerRequest {
                whose: if order.is_some() { "order" } else { "other" }.to_owned(),
                hold: order.clone().filter(|hold| !hold.is_empty()),
            };
            about(ctx, id, out, move |conn, id| {
                holds::settled(conn, id, &request)
            })
        }
    }
}

fn fulfil(ctx: &Ctx, args: &FulfilArgs, out: &mut Out) -> anyhow::Result<Exit> {
    let request = FulfilRequest {
        receipt: args.receipt.clone(),
        line: args.line,
        till: args.till.clone(),
        at: args.at.clone(),
        price: price(args.price.as_deref())?,
        force: args.force,
        ..FulfilRequest::default()
    };
    about(ctx, &args.id, out, move |conn, id| {
        holds::fulfil(conn, id, &request)
    })
}

/// Says something of one of them, and prints what it says now.
fn about(
    ctx: &Ctx,
    id: &str,
    out: &mut Out,
    say: impl FnOnce(&rusqlite::Connection, [u8; 16]) -> Result<Told, crate::ledger::LedgerError>
    + Send
    + 'static,
) -> anyhow::Result<Exit> {
    let Some(id) = sign::from_hex(id) else {
        out.note(say!(
            out.lang(),
            "{id}: an id is 32 hexadecimal digits; hold list shows them",
            "{id}: номер состоит из 32 шестнадцатеричных цифр, их показывает hold list"
        ));
        return Ok(Exit::Usage);
    };
    let told = ctx.core.write_blocking(move |conn| say(conn, id))?;
    match told {
        Ok(value) if ctx.json => out.json(&value)?,
        Ok(value) => out.line(word(&value))?,
        Err(problem) => return Ok(refused(&problem, out)),
    }
    Ok(Exit::Done)
}

/// The state of a hold, or whose a sale was.
fn word(value: &Value) -> String {
    let said = value.get("state").or_else(|| value.get("whose"));
    said.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn rows(ctx: &Ctx, which: Which) -> anyhow::Result<Vec<HoldRow>> {
    let mut rows: Vec<HoldRow> = Vec::new();
    loop {
        let after: Option<(TimeMs, LegId)> = rows.last().map(|row| row.leg.rank());
        let page = ctx
            .core
            .read(move |conn| hold::list(conn, which, after, (PAGE, now())))?;
        let is_last = page.len() < PAGE;
        rows.extend(page);
        if is_last {
            return Ok(rows);
        }
    }
}

fn list(ctx: &Ctx, which: Which, out: &mut Out) -> anyhow::Result<Exit> {
    let rows = rows(ctx, which)?;
    let holds = rows.iter().map(HoldJson::of);
    if ctx.json {
        let items: Vec<HoldJson> = holds.collect();
        out.json(&json!({"items": items, "next_cursor": null}))?;
        return Ok(Exit::Done);
    }
    let lines = holds.map(|hold| {
        [
            hold.id,
            hold.order,
            hold.barcode,
            hold.name.unwrap_or_default(),
            hold.qty.to_string(),
            hold.state.to_owned(),
            hold.created_at,
            hold.expires_at,
            hold.actions.join(", "),
        ]
    });
    let head = [
        "hold",
        "order",
        "barcode",
        "name",
        "qty",
        "state",
        "created_at",
        "expires_at",
        "actions",
    ];
    out.table(&head, lines)?;
    Ok(Exit::Done)
}

fn questions(ctx: &Ctx, out: &mut Out) -> anyhow::Result<Exit> {
    let rows = ctx.core.read(hold::questions)?;
    if ctx.json {
        let items: Vec<Value> = rows.iter().map(hold_json::question).collect();
        out.json(&json!({"items": items, "next_cursor": null}))?;
        return Ok(Exit::Done);
    }
    let lines = rows.iter().map(|row| {
        let sale = row.sale.as_ref();
        let receipt = sale.and_then(|sale| match &sale.key {
            vitrina_shared::Key::Receipt { receipt, .. } => Some(receipt.to_string()),
            _ => None,
        });
        let orders: Vec<&str> = row.holds.iter().map(|row| &*row.leg.terms.order).collect();
        [
            row.question.sale.to_string(),
            row.question.barcode.to_string(),
            sale.map(|sale| (-sale.qty).to_string()).unwrap_or_default(),
            receipt.unwrap_or_default(),
            sale.map(|sale| when::rfc3339_ms(sale.at.0))
                .unwrap_or_default(),
            orders.join(", "),
        ]
    });
    out.table(
        &["question", "barcode", "qty", "receipt", "sold_at", "orders"],
        lines,
    )?;
    Ok(Exit::Done)
}
