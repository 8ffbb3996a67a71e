//! What people decided at the hub about this shop's quarantine and disagreements, carried out here.

use std::error::Error;

use vitrina_shared::wire::v1::DecisionV1;
use vitrina_shared::{Barcode, TimeMs};

use crate::core::{Core, now};
use crate::ingest::retry;
use crate::ledger::{Desk, Force, LedgerError, disagreement};

/// Does all of them; one that fails comes again with the next answer.
pub(super) async fn carry_out(core: &Core, decisions: Vec<DecisionV1>) {
    if decisions.is_empty() {
        return;
    }
    let core = core.clone();
    let done = tokio::task::spawn_blocking(move || carry_out_here(&core, decisions));
    if done.await.is_err() {
        tracing::error!("carrying out what was decided at the hub panicked");
    }
}

/// The same, on the calling thread.
pub(crate) fn carry_out_here(core: &Core, decisions: Vec<DecisionV1>) {
    for decision in decisions {
        if let Err(error) = carry_out_one(core, decision) {
            tracing::warn!(
                error = &error as &dyn Error,
                "what was decided at the hub was not done"
            );
        }
    }
}

fn carry_out_one(core: &Core, decision: DecisionV1) -> Result<(), LedgerError> {
    match decision {
        DecisionV1::Retry { id, force } => {
            let force = if force { Force::Anyway } else { Force::Rules };
            retry::retry(core, id, force).map(drop)
        }
        DecisionV1::Drop { id } => retry::drop_entry(core, id).map(drop),
        DecisionV1::Adopt { barcode, at } => {
            let Ok(barcode) = Barcode::from_key(&barcode) else {
                return Ok(());
            };
            core.write_blocking(move |conn| {
                disagreement::adopt(&mut Desk::open(conn, now())?, &barcode, Some(TimeMs(at)))
                    .map(drop)
            })
        }
        DecisionV1::Dismiss { barcode, at } => {
            let Ok(barcode) = Barcode::from_key(&barcode) else {
                return Ok(());
            };
            core.write_blocking(move |conn| {
                disagreement::dismiss(conn, &barcode, Some(TimeMs(at))).map(drop)
            })
        }
    }
}
