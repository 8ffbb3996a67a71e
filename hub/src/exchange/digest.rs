//! What is done where a shop's rows here and there do not add up to the same, though both hold the same movements: this
//! side holds its rows against its log, once, and answers what it has then.

use std::sync::Arc;

use vitrina_shared::digest::{Digest, Step, Trial};
use vitrina_shared::wire::v1::DigestV1;

use super::ExchangeError;
use crate::audit::By;
use crate::change::ShopRow;
use crate::core::Core;
use crate::store::StoreError;

/// Compares; what this side's rows add up to afterwards.
///
/// # Errors
///
/// [`ExchangeError::Store`]; what was written stands.
pub(super) async fn settle(
    core: &Arc<Core>,
    shop: &ShopRow,
    theirs: DigestV1,
    ours: Digest,
) -> Result<DigestV1, ExchangeError> {
    let ours = ours.to_wire();
    let mut trial = trial(core, shop).await?;
    let step = trial.compared(ours == theirs);
    core.set_trial(shop.index, trial);
    match step {
        Step::Nothing => Ok(ours),
        Step::AllClear => {
            core.store.set_books_alert(shop.index, None).await?;
            Ok(ours)
        }
        Step::Alert => {
            let words = "the shop's numbers and the hub's differ, though both are what their movements say: \
                run verify on both sides and tell who looks after Vitrina";
            tracing::error!(shop.id = %shop.shop, "{words}");
            core.store
                .set_books_alert(shop.index, Some(words.to_owned()))
                .await?;
            Ok(ours)
        }
        Step::Recompute => {
            recompute(core, shop).await?;
            let now = core.store.digest(shop.index).await?;
            let ours = now.map_or(ours, Digest::to_wire);
            if ours == theirs {
                trial.compared(true);
                core.set_trial(shop.index, trial);
            }
            Ok(ours)
        }
    }
}

async fn trial(core: &Core, shop: &ShopRow) -> Result<Trial, ExchangeError> {
    if let Some(trial) = core.trial(shop.index) {
        return Ok(trial);
    }
    let alert = core.store.books_alert(shop.index).await?;
    Ok(match alert {
        Some(_) => Trial::Given,
        None => Trial::Equal,
    })
}

/// Holds the shop's rows against its log and writes anew those that differ.
async fn recompute(core: &Arc<Core>, shop: &ShopRow) -> Result<(), ExchangeError> {
    let (here, name) = (Arc::clone(core), shop.shop.clone());
    let look = tokio::task::spawn_blocking(move || here.store.examine(&name));
    let Ok(checked) = look.await else {
        return Ok(());
    };
    let checked = checked?;
    let Some(first) = checked.problems.first() else {
        return Ok(());
    };
    if let Some(damaged) = checked
        .problems
        .iter()
        .find(|problem| problem.is_of_the_log())
    {
        let words = format!("{}: {}", damaged.detail, crate::store::LOG_ADVICE);
        tracing::error!(shop.id = %shop.shop, "{words}");
        return Ok(core.store.set_books_alert(shop.index, Some(words)).await?);
    }
    let rows = repair(core, shop, &first.detail).await?;
    tracing::error!(
        shop.id = %shop.shop, rows,
        "rows of a shop were not what its movements say; they were written anew from the movements"
    );
    Ok(())
}

async fn repair(core: &Core, shop: &ShopRow, found: &str) -> Result<u64, StoreError> {
    let rows = core
        .store
        .repair(By::Hub, shop.shop.clone(), found.to_owned())
        .await?;
    core.metrics.repairs(rows);
    Ok(rows)
}
