//! A balances file that a person has to confirm: one entry in the quarantine, its lines put down already.

use vitrina_host::output::Lang;
use vitrina_host::{say, sign};

use super::retry;
use super::{Context, IngestError, Report};
use crate::core::now;
use crate::ledger::quarantine::{self, New, Origin};
use crate::ledger::stage::BalancesFile;
use crate::source::Hold;

/// The reason, as a stable code.
pub(super) const REASON: &str = "held_file";

/// Sets the file aside as a whole; in a rehearsal that is only said.
pub(super) fn set_aside(
    context: &Context<'_>,
    file: &BalancesFile,
    hold: &Hold,
    report: &mut Report,
) -> Result<(), IngestError> {
    report.counts.quarantined += 1;
    let lang = report.lang();
    let why = in_words(hold, lang);
    if context.wishes.dry_run {
        report.held = Some(why);
        return Ok(());
    }
    let of_entry = in_words(hold, Lang::En);
    let new = New {
        origin: Origin::File(file.key),
        reason: REASON,
        message: format!("{of_entry}; quarantine retry --force takes it all the same"),
        file: Some(file.name.clone()),
        line: None,
        record: String::new(),
        retry: retry::of_file(file, context.wishes.opening),
    };
    let id = sign::hex(&quarantine::id_of(&new.origin, new.reason));
    context
        .core
        .write_background(move |conn| quarantine::put(conn, &new, now()))?;
    report.held = Some(say!(
        lang,
        "{why}; vitrina-agent quarantine retry {id} --force takes it all the same",
        "{why}; принять всё равно: vitrina-agent quarantine retry {id} --force"
    ));
    Ok(())
}

/// Why, for people.
pub(super) fn in_words(hold: &Hold, lang: Lang) -> String {
    match hold {
        Hold::TakesAway { units, of } => {
            say!(
                lang,
                "it would take away {units} of {of} units",
                "он убрал бы {units} из {of} шт."
            )
        }
        Hold::Doubles { units, of } => {
            say!(
                lang,
                "it would add {units} units to {of}",
                "он добавил бы {units} шт. к {of}"
            )
        }
        Hold::ForeignWarehouse(id) => say!(
            lang,
            "it speaks of the warehouse {id}, which is none of this shop's",
            "он говорит о складе {id}, который не относится к этому магазину"
        ),
        Hold::Ahead { ms } => {
            let minutes = ms / 60_000;
            say!(
                lang,
                "its time is {minutes} minutes ahead",
                "его время опережает наше на {minutes} мин."
            )
        }
        Hold::TooMany { barcode } => say!(
            lang,
            "it states more units of {barcode} than one movement may carry",
            "штук {barcode} в нём больше, чем может быть в одном движении"
        ),
    }
}
