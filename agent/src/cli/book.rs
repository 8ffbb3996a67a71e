//! `move`: one movement, as a till's call would book it.

use anyhow::Context as _;
use vitrina_host::output::{Exit, Out};
use vitrina_host::sign;

use super::{Ctx, price, refused};
use crate::local_api::movements::{self, Answer};
use crate::local_api::request::MovementRequest;

/// The movement.
#[derive(clap::Args)]
pub(super) struct Args {
    /// receipt, sale, return, transfer_out, transfer_in, adjustment, count, write_off, surplus or cancel
    #[arg(value_name = "TYPE")]
    kind: String,
    /// The code as scanned
    barcode: String,
    /// Positive, the type gives the direction; an adjustment signed; a count as observed
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    qty: i64,
    /// A note for people
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// The shop that a transfer goes to
    #[arg(long, value_name = "SHOP")]
    to: Option<String>,
    /// The shop that a transfer comes from
    #[arg(long, value_name = "SHOP", conflicts_with = "to")]
    from: Option<String>,
    /// The transfer's document
    #[arg(long, value_name = "ID")]
    transfer: Option<String>,
    /// The receipt's number
    #[arg(long, value_name = "R")]
    receipt: Option<String>,
    /// The line on it
    #[arg(long, value_name = "N")]
    line: Option<u32>,
    /// When it happened
    #[arg(long, value_name = "T")]
    at: Option<String>,
    /// The till
    #[arg(long)]
    till: Option<String>,
    /// An idempotency key: the same one books once
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// The price of one, such as 45900.00
    #[arg(long)]
    price: Option<String>,
    /// sellable or unavailable
    #[arg(long)]
    condition: Option<String>,
    /// The web order's hold that it is for
    #[arg(long, value_name = "HOLD")]
    hold: Option<String>,
    /// Books what a rule holds back, and sells what is held for a web order
    #[arg(long)]
    force: bool,
}

pub(super) fn book(ctx: &Ctx, args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let request = MovementRequest {
        kind: args.kind.clone(),
        barcode: Some(args.barcode.clone()),
        qty: Some(args.qty),
        receipt: args.receipt.clone(),
        line: args.line,
        till: args.till.clone(),
        reference: args.reference.clone(),
        price: price(args.price.as_deref())?,
        at: args.at.clone(),
        to: args.to.clone(),
        from: args.from.clone(),
        transfer: args.transfer.clone(),
        hold: args.hold.clone(),
        force: args.force,
        cashier: None,
        doc: None,
        condition: args.condition.clone(),
    };
    let is_natural = args.receipt.is_some() && args.line.is_some() && args.at.is_some();
    let key = match &args.key {
        None if !is_natural => Some(format!("cli-{}", sign::hex(&sign::random_bytes::<12>()?))),
        given => given.clone(),
    };
    let answer = ctx
        .core
        .write_blocking(move |conn| movements::book(conn, &request, key.as_deref()))?;
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
        out.line(
            booked
                .get("on_hand")
                .map(ToString::to_string)
                .unwrap_or_default(),
        )?;
    }
    Ok(Exit::Done)
}
