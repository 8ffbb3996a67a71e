//! `verify`, `backup`, `restore`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use vitrina_host::config::DataFolder;
use vitrina_host::control::{self, ControlError, Place};
use vitrina_host::db::{self, Check};
use vitrina_host::output::{Exit, Lang, Out};
use vitrina_host::{os, say};
use vitrina_shared::ShopId;
use vitrina_shared::digest::Trial;

use super::Context;
use crate::audit::{By, What};
use crate::core::{Core, Init, database};
use crate::store::{Checked, LOG_ADVICE, Problem, StoreError};

/// Problems that are printed.
const SHOWN: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Only this shop
    #[arg(long)]
    shop: Option<ShopId>,
    /// Puts right what the movements say otherwise
    #[arg(long)]
    repair: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The copy
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The copy, as `backup` wrote it
    file: PathBuf,
}

pub(super) async fn verify(args: VerifyArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    context.known(args.shop.as_ref()).await?;
    let core = Arc::clone(context.core);
    let shop = args.shop.clone();
    let mut checked = tokio::task::spawn_blocking(move || look(&core, shop.as_ref())).await??;
    let mut repaired = 0;
    if args.repair && !checked.problems.is_empty() {
        repaired = repair(context.core, &checked).await?;
        let core = Arc::clone(context.core);
        checked = tokio::task::spawn_blocking(move || look(&core, args.shop.as_ref())).await??;
    }
    let ok = checked.problems.is_empty();
    if context.json {
        let problems = checked.problems.iter().take(SHOWN).collect::<Vec<_>>();
        context.out.json(&serde_json::json!({ "ok": ok, "checked": checked, "problems": problems, "repaired": repaired }))?;
    } else {
        for problem in checked.problems.iter().take(SHOWN) {
            let shop = problem.shop.as_ref().map_or("", ShopId::as_str);
            context
                .out
                .line(format!("{} {shop} {}", problem.code, problem.detail))?;
        }
        let Checked {
            shops,
            replicas,
            movements,
            totals,
            ..
        } = &checked;
        let text = if ok {
            say!(
                context.lang(),
                "the books balance: {shops} shops, {replicas} replicas, {movements} movements, {totals} totals",
                "всё сходится: магазинов {shops}, реплик {replicas}, движений {movements}, итогов {totals}"
            )
        } else {
            say!(context.lang(), "something is wrong", "есть расхождения")
        };
        context.out.line(text)?;
        for advice in advice(&checked, context.lang()) {
            context.out.note(advice);
        }
    }
    Ok(if ok { Exit::Done } else { Exit::Wrong })
}

/// What a person does about what was found.
fn advice(checked: &Checked, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    if checked.problems.iter().any(Problem::is_of_the_log) {
        lines.push(LOG_ADVICE.to_owned());
    } else if !checked.problems.is_empty() {
        lines.push(say!(
            lang,
            "vitrina-hub verify --repair writes anew what the movements explain; what is wrong still, a backup mends: the shops fill in what it lacks",
            "vitrina-hub verify --repair запишет заново то, что объясняют движения; остальное исправит копия: недостающее пришлют магазины"
        ));
    }
    lines
}

/// Puts right what the tables say otherwise than the movements; a log that is damaged itself is left to a person.
async fn repair(core: &Core, checked: &Checked) -> Result<u64, StoreError> {
    if checked
        .problems
        .iter()
        .any(|problem| problem.code == "database")
    {
        core.store.reindex().await?;
    }
    let is_damaged = |shop: &ShopId| {
        let of_it = |problem: &&Problem| problem.shop.as_ref() == Some(shop);
        checked
            .problems
            .iter()
            .filter(of_it)
            .any(Problem::is_of_the_log)
    };
    let mut done: BTreeSet<&ShopId> = BTreeSet::new();
    let mut rows = 0;
    for problem in &checked.problems {
        let Some(shop) = problem.shop.as_ref().filter(|shop| !is_damaged(shop)) else {
            continue;
        };
        if done.insert(shop) {
            rows += core
                .store
                .repair(By::CommandLine, shop.clone(), problem.detail.clone())
                .await?;
            if let Some(row) = core.store.shop(shop.clone()).await? {
                // The next comparison with the shop judges anew.
                core.store.set_books_alert(row.index, None).await?;
                core.set_trial(row.index, Trial::Equal);
            }
        }
    }
    core.metrics.repairs(rows);
    Ok(rows)
}

/// The tables against the movements, and the view against the tables.
pub(crate) fn look(core: &Core, shop: Option<&ShopId>) -> Result<Checked, StoreError> {
    let mut checked = core.store.verify(shop)?;
    let is_spoilt = checked
        .problems
        .iter()
        .any(|problem| problem.code == "database");
    match compare_view(core, shop, &mut checked) {
        // What the file's damage leads to is no news beside the damage.
        Err(error) if is_spoilt => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "not all could be read"
            );
        }
        compared => compared?,
    }
    Ok(checked)
}

fn compare_view(
    core: &Core,
    shop: Option<&ShopId>,
    checked: &mut Checked,
) -> Result<(), StoreError> {
    let view = core.view()?;
    for level in core.store.levels()? {
        let cell = view.board.cell(level.shop);
        if let (Some(shop), Some(cell)) = (shop, &cell)
            && cell.shop != *shop
        {
            continue;
        }
        let item = view.item(level.barcode.as_str());
        let mut shown = None;
        if let Some(item) = &item {
            item.with_level_alone(level.shop, |found, _| {
                shown = Some((found.pos, found.numbers));
            });
        }
        // A level that changed meanwhile is another one.
        let is_same = shown.is_some_and(|(pos, numbers)| {
            pos != level.pos
                || (numbers.on_hand == level.on_hand && numbers.unavailable == level.unavailable)
        });
        if !is_same {
            let detail = format!(
                "the answers show another number of {} than the tables",
                level.barcode
            );
            checked.problems.push(Problem {
                code: "view",
                shop: cell.map(|cell| cell.shop.clone()),
                detail,
            });
        }
    }
    Ok(())
}

pub(super) async fn backup(args: BackupArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    let target = context.file(&args.file);
    // Before the copy is made, so that the copy tells of itself.
    let store = &context.core.store;
    let name = target.file_name().map(|name| name.to_string_lossy());
    let detail = json!({ "file": name });
    store.note(By::CommandLine, What::Backup, detail).await?;
    store
        .backup(&target)
        .await
        .with_context(|| format!("cannot write {}", target.display()))?;
    if context.json {
        context.out.json(&serde_json::json!({ "file": target }))?;
    } else {
        let file = target.display().to_string();
        context.out.line(say!(
            context.lang(),
            "{file} is a copy of this life",
            "{file}: копия записана"
        ))?;
        context.out.note(say!(
            context.lang(),
            "keep hub.key and token.key beside it: they are not in the copy",
            "храните рядом hub.key и token.key: в копии их нет"
        ));
    }
    Ok(Exit::Done)
}

/// Puts a copy in the database's place; the database before stays beside it.
pub(super) async fn restore(
    data: DataFolder,
    args: RestoreArgs,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let _lock = match control::find(data.path())? {
        Place::Alone(lock) => lock,
        Place::Beside(client) => {
            let pid = Some(client.pid());
            return Err(ControlError::Running {
                data: data.path().to_path_buf(),
                pid,
            }
            .into());
        }
    };
    let source = args.file;
    let target = database(&data);
    tokio::task::spawn_blocking(move || replace(&source, &target)).await??;
    let core = Core::open(data, Init::Restored).await?;
    let life = core.store.head().life.ordinal;
    core.close().await;
    out.line(say!(
        out.lang(),
        "restored; life {life} of the hub begins, and the shops fill in what the copy does not know",
        "восстановлено; начинается жизнь {life}, магазины дополнят недостающее"
    ))?;
    out.note(say!(
        out.lang(),
        "repeat what was revoked since the copy was made: shops (shop revoke) and keys (key revoke)",
        "повторите отзывы, сделанные после копии: магазины (shop revoke) и ключи (key revoke)"
    ));
    out.note(say!(
        out.lang(),
        "shops that were enrolled since come back by themselves, nameless and off the website: alert list names them \
         (vitrina-hub shop set S --name … --publish on)",
        "магазины, подключённые после копии, вернутся сами, без имени и без показа на сайте: их называет alert list \
         (vitrina-hub shop set S --name … --publish on)"
    ));
    Ok(Exit::Done)
}

fn replace(source: &Path, target: &Path) -> anyhow::Result<()> {
    let mut settings = db::Settings::new(source);
    settings.missing = db::Missing::Refuse;
    let conn = db::connect_read_only(&settings)
        .with_context(|| format!("cannot open {}", source.display()))?;
    let problems = db::check(&conn, Check::Full)
        .with_context(|| format!("cannot check {}", source.display()))?;
    if let Some(first) = problems.first() {
        anyhow::bail!("{} is damaged: {first}", source.display());
    }
    drop(conn);
    let folder = target.parent().context("the database has no folder")?;
    let copy = os::place_copy(source, folder, "hub.restored")?;
    if target.exists() {
        os::move_into(target, folder, "hub.before-restore.sqlite3")?;
    }
    for log in ["hub.sqlite3-wal", "hub.sqlite3-shm"] {
        match std::fs::remove_file(folder.join(log)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    std::fs::rename(&copy, target)
        .with_context(|| format!("cannot put {} into place", copy.display()))?;
    os::sync_dir(folder)?;
    Ok(())
}
