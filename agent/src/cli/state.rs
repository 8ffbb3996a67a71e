//! `status`, `sync`, `verify`, `doctor`, `backup`, `source`: how the shop stands.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use vitrina_host::output::{Exit, Out};
use vitrina_host::say;

use super::Ctx;
use crate::core::now;
use crate::ledger::source_change::{self, Changed};
use crate::ledger::{Desk, ask, digest, lost, numbers, state};
use crate::{doctor, status, sync, words};

/// How much is exchanged.
#[derive(clap::Args)]
pub(super) struct SyncArgs {
    /// Offers the whole history from seq 1 again
    #[arg(long)]
    full: bool,
}

/// How the books are looked at.
#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    /// Writes anew what is not as the movements say; the movements are never touched
    #[arg(long)]
    repair: bool,
}

/// What a person says first.
#[derive(clap::Args)]
pub(super) struct DoctorArgs {
    /// The shelf was counted: what is known to be lost is named no more
    #[arg(long)]
    counted: bool,
}

#[derive(clap::Subcommand)]
pub(super) enum SourceVerb {
    /// Shows who keeps them, and who should by head office's setting
    Show,
    /// Follows head office's setting; on hand stays
    Follow,
}

pub(super) fn status(ctx: &Ctx, out: &mut Out) -> anyhow::Result<Exit> {
    let status = status::of(&ctx.core)?;
    if ctx.json {
        out.json(&status)?;
    } else {
        out.table(&["", ""], status.rows(out.lang()))?;
    }
    Ok(Exit::Done)
}

pub(super) fn sync(ctx: &Ctx, args: &SyncArgs, out: &mut Out) -> anyhow::Result<Exit> {
    if args.full {
        ctx.core.write_blocking(ask::offer_again)?;
    }
    let summary = ctx.runtime.block_on(sync::now(&ctx.core))?;
    let pending = ctx.core.read(numbers::pending)?;
    let sync::Summary {
        acked,
        taken,
        exchanges,
    } = summary;
    if ctx.json {
        out.json(
            &json!({"acked": acked, "taken": taken, "exchanges": exchanges, "pending": pending}),
        )?;
    } else {
        out.line(say!(
            out.lang(),
            "acknowledged {acked}, taken {taken}, pending {pending}",
            "подтверждено {acked}, получено {taken}, ждёт отправки {pending}"
        ))?;
    }
    Ok(if pending == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

pub(super) fn verify(ctx: &Ctx, args: &VerifyArgs, out: &mut Out) -> anyhow::Result<Exit> {
    let ledger = ctx.core.ledger();
    let mut repaired = 0;
    if args.repair {
        repaired = ledger.repair_blocking(now())?.rows;
        // What was told of the books is judged anew below, and by the next comparison with the hub.
        ctx.core
            .write_background(|conn| digest::set_alert(conn, None, now()))?;
    }
    let verified = ledger.verify_blocking()?;
    if ctx.json {
        out.json(&json!({
            "ok": verified.ok, "checked": verified.checked, "problems": verified.problems, "repaired": repaired,
        }))?;
    } else {
        for (what, count) in &verified.checked {
            out.line(format!("{what} {count}"))?;
        }
        for problem in &verified.problems {
            out.line(problem)?;
        }
        if repaired > 0 {
            out.line(say!(
                out.lang(),
                "written anew from the movements: {repaired} rows",
                "записано заново по движениям: строк {repaired}"
            ))?;
        }
        if verified.ok {
            out.line(say!(out.lang(), "the books balance", "учёт сходится"))?;
        } else {
            out.note(verified.advice(out.lang()));
        }
    }
    Ok(if verified.ok { Exit::Done } else { Exit::Wrong })
}

pub(super) fn doctor(ctx: &Ctx, args: &DoctorArgs, out: &mut Out) -> anyhow::Result<Exit> {
    if args.counted {
        ctx.core.write_blocking(lost::set_counted)?;
    }
    let findings = ctx.runtime.block_on(doctor::look(&ctx.core, out.lang()))?;
    let ok = findings.iter().all(|finding| finding.ok);
    if ctx.json {
        out.json(&json!({"ok": ok, "checks": findings}))?;
    } else {
        for finding in &findings {
            let mark = if finding.ok { "ok" } else { "!!" };
            let found = words::said(out.lang(), &finding.found);
            out.line(format!("{mark} {}: {found}", finding.check))?;
            if let Some(advice) = &finding.advice {
                out.line(format!("   {advice}"))?;
            }
        }
    }
    Ok(if ok { Exit::Done } else { Exit::Wrong })
}

pub(super) fn backup(ctx: &Ctx, file: &Path, out: &mut Out) -> anyhow::Result<Exit> {
    let target = ctx.request.file(file);
    let written = ctx.core.ledger().backup_blocking(&target);
    written.with_context(|| format!("cannot write {}", target.display()))?;
    let size = std::fs::metadata(&target).map_or(0, |about| about.len());
    if ctx.json {
        out.json(&json!({"file": target, "bytes": size}))?;
    } else {
        let name = target.display();
        out.line(say!(
            out.lang(),
            "{name}: {size} bytes",
            "{name}: {size} байт"
        ))?;
    }
    Ok(Exit::Done)
}

pub(super) fn source(ctx: &Ctx, verb: &SourceVerb, out: &mut Out) -> anyhow::Result<Exit> {
    let source = ctx.core.read(state::source)?;
    match verb {
        SourceVerb::Show => {
            let shown = json!({"source": source.effective, "wanted": source.wanted});
            if ctx.json {
                out.json(&shown)?;
            } else {
                let (now, wanted) = (source.effective.word(), source.wanted.word());
                out.line(if source.effective == source.wanted {
                    now.to_owned()
                } else {
                    say!(
                        out.lang(),
                        "{now}; head office set {wanted}: source follow changes it",
                        "{now}; в офисе выбрано {wanted}: переключает source follow"
                    )
                })?;
            }
            Ok(Exit::Done)
        }
        SourceVerb::Follow => {
            let to = source.wanted;
            let change = move |conn: &rusqlite::Connection| {
                source_change::change(&mut Desk::open(conn, now())?, to)
            };
            follow(&ctx.core.write_background(change)?, out)
        }
    }
}

/// What the change came to.
fn follow(changed: &Changed, out: &mut Out) -> anyhow::Result<Exit> {
    let lang = out.lang();
    Ok(match changed {
        Changed::Same => {
            out.line(say!(lang, "it is so already", "уже так"))?;
            Exit::Done
        }
        Changed::NotLevel { pending } => {
            out.note(say!(
                lang,
                "the hub must have everything first ({pending} pending): run sync",
                "сначала хаб должен получить всё (ждёт отправки {pending}): выполните sync"
            ));
            Exit::Failed
        }
        Changed::Done { booked } => {
            out.line(say!(
                lang,
                "done, {booked} adjustments booked",
                "готово, записано корректировок: {booked}"
            ))?;
            Exit::Done
        }
    })
}
