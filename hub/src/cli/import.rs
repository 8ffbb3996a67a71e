//! `import`.

use std::path::PathBuf;
use std::sync::Arc;

use vitrina_host::output::Exit;
use vitrina_host::package::exchange_order;
use vitrina_host::say;

use super::Context;
use crate::catalogue::{self, Mode};
use crate::store::ImportEnd;

/// Warnings that are printed of one file.
const SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// CommerceML, CSV or zip files; they stay where they are
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only reads and checks
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: ImportArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Write
    };
    let mut files: Vec<PathBuf> = args.files.iter().map(|file| context.file(file)).collect();
    // Goods before their offers, offers before their prices, whatever the shell's order.
    files.sort_by(|left, right| exchange_order(&left.to_string_lossy(), &right.to_string_lossy()));
    let mut ends = Vec::new();
    for file in files {
        let (core, path) = (Arc::clone(context.core), file.clone());
        let end = tokio::task::spawn_blocking(move || catalogue::import_path(&core, &path, mode))
            .await??;
        let name = file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if !context.json {
            for warning in end.warnings.iter().take(SHOWN) {
                context.out.note(warning);
            }
            let (rows, words, changed) = (end.rows, end.words, end.changed);
            let unknown = end.unknown.len();
            context.out.line(say!(
                context.out.lang(),
                "{name}: {rows} records, {words} new names, {changed} changes, {unknown} unknown codes",
                "{name}: записей {rows}, новых названий {words}, изменений {changed}, неизвестных кодов {unknown}"
            ))?;
        }
        ends.push(end);
    }
    if context.json {
        context.out.json(&total(&ends))?;
    }
    Ok(Exit::Done)
}

fn total(ends: &[ImportEnd]) -> ImportEnd {
    let mut total = ImportEnd::default();
    for end in ends {
        total.rows += end.rows;
        total.words += end.words;
        total.changed += end.changed;
        total.warnings.extend(end.warnings.iter().cloned());
        total.unknown.extend(end.unknown.iter().cloned());
    }
    total
}
