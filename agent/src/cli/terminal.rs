//! `terminal`: the tokens of the tills.

use serde_json::json;
use vitrina_host::output::{Exit, Out};
use vitrina_host::{say, sign, when};

use super::Ctx;
use crate::core::now;
use crate::identity::new_token;
use crate::ledger::terminal;

/// How long a pairing code is good, in milliseconds.
const PAIRING_MS: i64 = 600_000;
/// The longest name of a till, in bytes.
const MAX_NAME: usize = 64;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Makes a token for a till; it is shown once
    Add {
        /// The till's name
        name: String,
    },
    /// The tills that have tokens
    List,
    /// Ends a till's tokens
    Revoke {
        /// The till's name
        name: String,
    },
}

pub(super) fn terminal(ctx: &Ctx, verb: &Verb, out: &mut Out) -> anyhow::Result<Exit> {
    match verb {
        Verb::Add { name } => add(ctx, name, out),
        Verb::List => list(ctx, out),
        Verb::Revoke { name } => revoke(ctx, name, out),
    }
}

fn add(ctx: &Ctx, name: &str, out: &mut Out) -> anyhow::Result<Exit> {
    let is_name = !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
    anyhow::ensure!(is_name, "a till's name has 1 to {MAX_NAME} bytes");
    let (token, hash) = new_token()?;
    let number = u32::from_le_bytes(sign::random_bytes::<4>()?) % 1_000_000;
    let code = format!("{number:06}");
    let (of, code_hash, expires) = (
        name.to_owned(),
        sign::sha256(code.as_bytes()),
        now().plus(PAIRING_MS),
    );
    ctx.core.write_blocking(move |conn| {
        terminal::add(conn, &of, &hash, now())?;
        terminal::offer_pairing(conn, &of, &code_hash, (now(), expires))
    })?;
    let until = when::rfc3339_ms(expires.0);
    if ctx.json {
        out.json(&json!({"name": name, "token": token, "code": code, "expires_at": until}))?;
        return Ok(Exit::Done);
    }
    out.line(&token)?;
    out.line(say!(
        out.lang(),
        "pairing code {code}, until {until}",
        "код для страницы {code}, до {until}"
    ))?;
    Ok(Exit::Done)
}

fn list(ctx: &Ctx, out: &mut Out) -> anyhow::Result<Exit> {
    let terminals = ctx.core.read(terminal::list)?;
    if ctx.json {
        let items: Vec<_> = terminals
            .iter()
            .map(|one| json!({"name": one.name, "made_at": when::rfc3339_ms(one.made_at.0), "tokens": one.tokens}))
            .collect();
        out.json(&json!({"items": items, "next_cursor": null}))?;
        return Ok(Exit::Done);
    }
    let lines = terminals.iter().map(|one| {
        [
            one.name.clone(),
            when::rfc3339_ms(one.made_at.0),
            one.tokens.to_string(),
        ]
    });
    out.table(&["name", "made_at", "tokens"], lines)?;
    Ok(Exit::Done)
}

fn revoke(ctx: &Ctx, name: &str, out: &mut Out) -> anyhow::Result<Exit> {
    let of = name.to_owned();
    let had = ctx
        .core
        .write_blocking(move |conn| terminal::revoke(conn, &of, now()))?;
    ctx.core.terminals_changed();
    if ctx.json {
        out.json(&json!({"name": name, "revoked": had}))?;
    } else if had {
        out.line(say!(out.lang(), "revoked {name}", "токены {name} отозваны"))?;
    } else {
        out.note(say!(
            out.lang(),
            "there is no till {name}",
            "нет кассы {name}"
        ));
    }
    Ok(if had { Exit::Done } else { Exit::Failed })
}
