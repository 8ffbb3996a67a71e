//! `quarantine`: records that were set aside.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vitrina_host::output::{Exit, Lang, Out};
use vitrina_host::sign::NamePrefix;
use vitrina_host::{say, sign, when};

use super::Ctx;
use crate::ingest::retry::{self, Retried};
use crate::ledger::Force;
use crate::ledger::quarantine::{self, Entry, State};
use crate::words;

/// How many entries are read at once.
const PAGE: usize = 1_000;
/// How much of a record fits into a table.
const RECORD: usize = 100;

/// How many entries are named where a beginning fits several.
const NAMED: usize = 10;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Lists the open ones
    List,
    /// Shows one
    Show {
        /// Its name, or the beginning of it
        id: NamePrefix,
    },
    /// Tries again
    Retry {
        /// Their names, or the beginnings of them
        #[arg(required = true)]
        id: Vec<NamePrefix>,
        /// Even though a rule holds them back
        #[arg(long)]
        force: bool,
    },
    /// Drops them
    Drop {
        /// Their names, or the beginnings of them
        #[arg(required = true)]
        id: Vec<NamePrefix>,
    },
}

pub(super) fn quarantine(ctx: &Ctx, verb: &Verb, out: &mut Out) -> anyhow::Result<Exit> {
    match verb {
        Verb::List => list(ctx, out),
        Verb::Show { id } => show(ctx, id, out),
        Verb::Retry { id, force } => {
            let force = if *force { Force::Anyway } else { Force::Rules };
            each(ctx, id, out, |id| {
                Ok(match retry::retry(&ctx.core, id, force)? {
                    Retried::Booked => ("booked", None),
                    Retried::Still(why) => ("open", Some(why)),
                    Retried::NotOpen => ("not_found", None),
                })
            })
        }
        Verb::Drop { id } => each(ctx, id, out, |id| {
            Ok((
                if retry::drop_entry(&ctx.core, id)? {
                    "dropped"
                } else {
                    "not_found"
                },
                None,
            ))
        }),
    }
}

fn list(ctx: &Ctx, out: &mut Out) -> anyhow::Result<Exit> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.changed);
        let page = ctx
            .core
            .read(move |conn| quarantine::list(conn, State::Open, after, PAGE))?;
        let is_last = page.len() < PAGE;
        entries.extend(page);
        if is_last {
            break;
        }
    }
    if ctx.json {
        let items: Vec<_> = entries.iter().map(entry_json).collect();
        out.json(&json!({"items": items, "next_cursor": null}))?;
        return Ok(Exit::Done);
    }
    let lang = out.lang();
    let lines = entries.iter().map(|entry| {
        let record = entry.record.lines().next().unwrap_or_default();
        [
            sign::hex(&entry.id),
            entry.reason.clone(),
            entry.file.clone().unwrap_or_default(),
            entry.line.map(|line| line.to_string()).unwrap_or_default(),
            words::said(lang, &entry.message).into_owned(),
            record
                .get(..record.floor_char_boundary(RECORD))
                .unwrap_or_default()
                .to_owned(),
        ]
    });
    out.table(
        &["id", "reason", "file", "line", "message", "record"],
        lines,
    )?;
    let reasons: BTreeSet<&str> = entries.iter().map(|entry| entry.reason.as_str()).collect();
    for reason in reasons {
        if let Some(cure) = words::cure(lang, reason) {
            out.note(format!("{reason}: {cure}"));
        }
    }
    Ok(Exit::Done)
}

/// The entry that a name or its beginning means; several are an error that names them.
fn meant(ctx: &Ctx, name: &NamePrefix, lang: Lang) -> anyhow::Result<Option<Entry>> {
    let range = name.range();
    let mut found = ctx
        .core
        .read(move |conn| quarantine::between(conn, range, NAMED + 1))?;
    let open = found
        .iter()
        .filter(|entry| entry.state == State::Open)
        .count();
    // What is decided already stands in nobody's way.
    if found.len() <= 1 || open == 1 {
        found.truncate(1);
        return Ok(found.pop());
    }
    let mut lines: String = found.iter().take(NAMED).map(line_of).collect();
    if found.len() > NAMED {
        lines.push_str("\n  …");
    }
    anyhow::bail!(say!(
        lang,
        "several entries begin with {name}; give more digits:{lines}",
        "с {name} начинаются несколько записей; укажите больше цифр:{lines}"
    ))
}

/// A line that tells an entry from others.
fn line_of(entry: &Entry) -> String {
    let (id, file) = (sign::hex(&entry.id), entry.file.as_deref().unwrap_or("–"));
    let (state, reason) = (word(entry.state), &entry.reason);
    let line = entry.line.map(|line| format!(":{line}"));
    format!(
        "\n  {id} {state} {reason} {file}{}",
        line.unwrap_or_default()
    )
}

fn show(ctx: &Ctx, id: &NamePrefix, out: &mut Out) -> anyhow::Result<Exit> {
    let Some(entry) = meant(ctx, id, out.lang())? else {
        out.note(say!(
            out.lang(),
            "there is no entry {id}",
            "нет записи {id}"
        ));
        return Ok(Exit::Failed);
    };
    if ctx.json {
        out.json(&entry_json(&entry))?;
        return Ok(Exit::Done);
    }
    let rows = [
        ["id".to_owned(), sign::hex(&entry.id)],
        ["state".to_owned(), word(entry.state).to_owned()],
        ["at".to_owned(), when::rfc3339_ms(entry.at.0)],
        ["reason".to_owned(), entry.reason.clone()],
        [
            "message".to_owned(),
            words::said(out.lang(), &entry.message).into_owned(),
        ],
        ["file".to_owned(), entry.file.clone().unwrap_or_default()],
        [
            "line".to_owned(),
            entry.line.map(|line| line.to_string()).unwrap_or_default(),
        ],
        ["record".to_owned(), entry.record.clone()],
    ];
    let cure = words::cure(out.lang(), &entry.reason);
    let cure = cure.map(|cure| ["advice".to_owned(), cure.to_owned()]);
    out.table(&["", ""], rows.into_iter().chain(cure))?;
    Ok(Exit::Done)
}

/// What became of one entry: its state now, and why it is still open.
type Came = (&'static str, Option<String>);

fn each(
    ctx: &Ctx,
    names: &[NamePrefix],
    out: &mut Out,
    act: impl Fn([u8; 16]) -> anyhow::Result<Came>,
) -> anyhow::Result<Exit> {
    // All before the first is decided: of a list with one unclear name nothing is done.
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        ids.push((name, meant(ctx, name, out.lang())?.map(|entry| entry.id)));
    }
    let mut items: Vec<Value> = Vec::new();
    let mut all_done = true;
    for (name, id) in ids {
        let (state, why) = id.map_or(Ok(("not_found", None)), &act)?;
        let id = id.map_or_else(|| name.to_string(), |id| sign::hex(&id));
        all_done &= matches!(state, "booked" | "dropped");
        if !ctx.json {
            out.line(format!(
                "{id} {state}{}",
                why.as_deref()
                    .map(|why| format!(": {}", words::said(out.lang(), why)))
                    .unwrap_or_default()
            ))?;
        }
        items.push(json!({"id": id, "state": state, "message": why}));
    }
    if ctx.json {
        out.json(&json!({"items": items, "next_cursor": null}))?;
    }
    Ok(if all_done { Exit::Done } else { Exit::Failed })
}

fn word(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Booked => "booked",
        State::Dropped => "dropped",
    }
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "id": sign::hex(&entry.id),
        "state": word(entry.state),
        "at": when::rfc3339_ms(entry.at.0),
        "reason": entry.reason,
        "message": entry.message,
        "file": entry.file,
        "line": entry.line,
        "record": entry.record,
    })
}
