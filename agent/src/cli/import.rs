//! `import`: takes files now, in the foreground.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use vitrina_host::output::{Exit, Out};
use vitrina_host::say;

use super::Ctx;
use crate::inbox::millis;
use crate::ingest::{self, Incoming, IngestError, Report, Taken, Wishes};
use crate::ledger::file::Counts;
use crate::situation::in_words;
use crate::sync;
use crate::words;

/// Which files, and how.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The files; they stay where they are
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A balances file is to be the opening
    #[arg(long)]
    opening: bool,
    /// Keeps nothing: only says what would happen
    #[arg(long)]
    dry_run: bool,
}

#[derive(Default)]
struct Total {
    counts: Counts,
    disagreements: u64,
    wrong_check_digits: u64,
    waiting: u64,
    failed: bool,
}

pub(super) fn import(ctx: &Ctx, args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let wishes = Wishes {
        opening: args.opening,
        dry_run: args.dry_run,
        lang: out.lang(),
    };
    let mut total = Total::default();
    let progress = out.progress(args.files.len() as u64, "import");
    for path in &args.files {
        match patiently(ctx, &ctx.request.file(path), wishes, out) {
            Ok(Taken::In(report)) => total.add(&report, out),
            Ok(Taken::WaitsForHub) => {
                total.waiting += 1;
                let name = path.display();
                out.note(say!(
                    out.lang(),
                    "{name}: the opening waits until the hub has shown what it holds of this shop: run sync and import again",
                    "{name}: ввод остатков ждёт, пока хаб не покажет, что он знает об этом магазине: выполните sync и повторите"
                ));
            }
            Err(error) => {
                total.failed = true;
                out.error_as(error.as_ref(), words::said);
                if let Some(IngestError::Unusable { source, .. }) = error.downcast_ref() {
                    let cure = words::cure_of_file(out.lang(), source);
                    out.note(words::cure_in_words(out.lang(), cure));
                }
            }
        }
        progress.advance(1);
    }
    drop(progress);
    total.print(ctx, out)?;
    Ok(if total.failed || total.waiting > 0 {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// Takes a file; where it waits for what the hub has to show, the hub is asked.
fn patiently(ctx: &Ctx, path: &Path, wishes: Wishes, out: &mut Out) -> anyhow::Result<Taken> {
    let taken = one(ctx, path, wishes)?;
    if let Taken::In(_) = taken {
        return Ok(taken);
    }
    if let Err(error) = ctx.runtime.block_on(sync::now(&ctx.core)) {
        out.note(words::said(out.lang(), &in_words(&error)));
        return Ok(taken);
    }
    one(ctx, path, wishes)
}

fn one(ctx: &Ctx, path: &Path, wishes: Wishes) -> anyhow::Result<Taken> {
    let cannot_read = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot_read)?;
    let about = file.metadata().with_context(cannot_read)?;
    anyhow::ensure!(about.is_file(), "{} is no file", path.display());
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let incoming = Incoming::new(file, name, about.modified().ok().and_then(millis));
    Ok(ingest::ingest(&ctx.core, &incoming, wishes)?)
}

impl Total {
    fn add(&mut self, report: &Report, out: &mut Out) {
        self.counts.imported += report.counts.imported;
        self.counts.duplicates += report.counts.duplicates;
        self.counts.quarantined += report.counts.quarantined;
        self.disagreements += report.disagreements;
        self.wrong_check_digits += report.wrong_check_digits();
        if report.is_clean() {
            report
                .notes()
                .for_each(|note| out.note(format!("{}: {note}", report.name)));
        } else {
            out.note(report.text());
        }
    }

    fn print(&self, ctx: &Ctx, out: &mut Out) -> anyhow::Result<()> {
        let Counts {
            imported,
            duplicates,
            quarantined,
        } = self.counts;
        let Self {
            disagreements,
            wrong_check_digits,
            waiting,
            ..
        } = self;
        if ctx.json {
            out.json(&json!({
                "imported": imported, "duplicates": duplicates, "quarantined": quarantined,
                "disagreements": disagreements, "wrong_check_digits": wrong_check_digits, "waiting": waiting,
            }))?;
        } else {
            out.line(say!(
                out.lang(),
                "imported {imported}, duplicates {duplicates}, quarantined {quarantined}, disagreements {disagreements}",
                "принято {imported}, повторов {duplicates}, в карантине {quarantined}, расхождений {disagreements}"
            ))?;
        }
        Ok(())
    }
}
