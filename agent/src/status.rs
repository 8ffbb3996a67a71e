//! How the shop stands, in one object: for `status`, `GET /v1/status` and the metrics.

use std::path::PathBuf;

use serde::Serialize;
use vitrina_host::config::Period;
use vitrina_host::output::Lang;
use vitrina_host::{say, when};
use vitrina_shared::TimeMs;
use vitrina_shared::registers::Source;

use crate::core::{Core, now};
use crate::ledger::LedgerError;
use crate::ledger::lost::Lost;
use crate::ledger::numbers::{self, Numbers};
use crate::ledger::state;
use crate::situation::{HubState, Waiting};
use crate::words;

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Status {
    /// The shop; none before the enrolment.
    pub(crate) shop: Option<String>,
    /// Its name for people; none until the hub has said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    shop_name: Option<String>,
    /// The replica that is written.
    pub(crate) replica: Option<String>,
    /// Its last movement.
    pub(crate) seq: u64,
    /// The hub holds it up to here.
    pub(crate) acked_seq: u64,
    /// Movements of all replicas that the hub has not acknowledged.
    pub(crate) pending: u64,
    /// The last finished exchange.
    pub(crate) last_exchange_at: Option<String>,
    /// The shop's 1C last proved itself.
    pub(crate) source_as_of: Option<String>,
    /// Open records in quarantine.
    pub(crate) quarantined: u64,
    /// Barcodes on which 1C and ledger disagree.
    pub(crate) disagreements: u64,
    /// Web orders that ask for a piece and are not answered.
    pub(crate) holds_requested: u64,
    /// Pieces that are kept for web orders.
    pub(crate) holds_confirmed: u64,
    /// Sales of files over a hold, of which nobody has said whose they were.
    pub(crate) questions: u64,
    /// Answers to web orders that the hub has not heard yet.
    answers_pending: u64,
    /// Who keeps the books.
    source: Source,
    /// Who should, where a person has yet to change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_wanted: Option<Source>,
    /// The shop's 1C is silent for longer than head office expects.
    source_overdue: bool,
    /// How often it should prove itself.
    #[serde(skip)]
    source_every: Period,
    /// The time of the opening.
    opened_at: Option<String>,
    /// How many replicas have movements.
    replicas: u64,
    /// Movements of all of them.
    movements: u64,
    /// The hub's life.
    hub_life: Option<String>,
    /// How far the hub's clock is ahead, in milliseconds.
    clock_skew_ms: Option<i64>,
    /// Why the replica may not be the only continuation of its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<String>,
    /// This ledger was put back or copied, and the hub has not given back yet what it lacks.
    pub(crate) behind: bool,
    /// Rows that were not what the movements say, and were written anew from them.
    repaired: u64,
    /// When the last of them was.
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired_at: Option<String>,
    /// What of the books a person must look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) books: Option<String>,
    /// What was recorded on this machine and is not held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) lost: Vec<Lost>,
    /// The line to the hub.
    pub(crate) hub: HubState,
    /// Files that lie in their drop folders and wait.
    pub(crate) waiting: Vec<Waiting>,
    /// Drop folders that cannot be read.
    pub(crate) unreachable: Vec<Unreachable>,
    /// The program's version.
    version: &'static str,
}

/// A drop folder that cannot be read.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Unreachable {
    pub(crate) folder: PathBuf,
    pub(crate) why: String,
}

/// Reads it.
///
/// # Errors
///
/// [`LedgerError`].
pub(crate) fn of(core: &Core) -> Result<Status, LedgerError> {
    let (numbers, name) =
        core.read(|conn| Ok((numbers::numbers(conn)?, state::settings(conn)?.name)))?;
    let situation = core.situation();
    let folders = situation.folders().into_iter();
    Ok(Status::new(
        (numbers, name),
        situation.hub_state(),
        situation.waiting(),
        folders
            .map(|(folder, why)| Unreachable { folder, why })
            .collect(),
    ))
}

impl Status {
    fn new(
        (numbers, name): (Numbers, String),
        hub: HubState,
        waiting: Vec<Waiting>,
        unreachable: Vec<Unreachable>,
    ) -> Self {
        let time = |at: TimeMs| when::rfc3339_ms(at.0);
        let source_overdue = numbers.is_source_overdue(now());
        Self {
            shop: numbers.shop.map(Into::into),
            shop_name: Some(name).filter(|name| !name.is_empty()),
            replica: numbers.replica.map(|replica| replica.to_string()),
            seq: numbers.seq.0,
            acked_seq: numbers.acked_seq.0,
            pending: numbers.pending,
            last_exchange_at: numbers.last_exchange_at.map(time),
            source_as_of: numbers.source_as_of.map(time),
            quarantined: numbers.quarantined,
            disagreements: numbers.disagreements,
            holds_requested: numbers.holds.requested,
            holds_confirmed: numbers.holds.confirmed,
            questions: numbers.holds.questions,
            answers_pending: numbers.holds.unheard,
            source: numbers.source,
            source_wanted: (numbers.source != numbers.source_wanted)
                .then_some(numbers.source_wanted),
            source_overdue,
            source_every: Period::from_millis(
                numbers
                    .source_every_ms
                    .and_then(|every| every.try_into().ok())
                    .unwrap_or_default(),
            ),
            opened_at: numbers.opened_at.map(time),
            replicas: numbers.replicas,
            movements: numbers.movements,
            hub_life: numbers.life.map(|life| life.to_string()),
            clock_skew_ms: numbers.skew_ms,
            doubt: numbers.doubt,
            behind: numbers.is_behind,
            repaired: numbers.repairs.rows,
            repaired_at: numbers.repairs.last_at.map(time),
            books: numbers.repairs.alert,
            lost: numbers.lost,
            hub,
            waiting,
            unreachable,
            version: vitrina_host::commands::VERSION,
        }
    }

    fn source_in_words(&self, lang: Lang) -> String {
        let now = self.source.word();
        match self.source_wanted.map(Source::word) {
            None => now.to_owned(),
            Some(wanted) => say!(
                lang,
                "{now}; head office set {wanted}: vitrina-agent source follow changes it, and what is on hand stays",
                "{now}; в офисе выбрано {wanted}: переключает vitrina-agent source follow, остатки не меняются"
            ),
        }
    }

    fn source_as_of_in_words(&self, lang: Lang) -> String {
        let at = self.source_as_of.as_deref().unwrap_or("–");
        let every = self.source_every;
        if self.source_overdue {
            say!(
                lang,
                "{at}, overdue: a sign of life is expected every {every}",
                "{at}, просрочено: признак жизни ожидается каждые {every}"
            )
        } else {
            at.to_owned()
        }
    }

    /// What happened to the ledger, where it is out of the ordinary.
    fn history(&self, lang: Lang) -> Vec<[String; 2]> {
        let row = |name: &str, value: String| [name.to_owned(), value];
        let mut rows = Vec::new();
        rows.extend(self.doubt.as_ref().map(|doubt| {
            let told = say!(
                lang,
                "{doubt}: this ledger may not be the only or the newest one of its name; it goes on under a new one",
                "{doubt}: возможно, этот журнал не единственный или не самый новый с его именем; он продолжит под новым"
            );
            row("doubt", told)
        }));
        if self.behind {
            rows.push(row("behind", behind_in_words(lang)));
        }
        rows.extend(
            self.lost
                .iter()
                .map(|lost| row("lost", lost_in_words(lost, lang))),
        );
        if let Some(at) = &self.repaired_at {
            let count = self.repaired;
            let told = say!(
                lang,
                "{count} rows were not what the movements say, and were written anew from them, last at {at}",
                "строк, не совпадавших с движениями и записанных по ним заново: {count}, последний раз {at}"
            );
            rows.push(row("repaired", told));
        }
        rows.extend(self.books.clone().map(|books| row("books", books)));
        if self.replicas > 1 {
            let count = self.replicas;
            let mut told = say!(
                lang,
                "this ledger was restored, copied or enrolled anew and wrote under {count} names",
                "журнал восстанавливали, копировали или подключали заново, имён у него {count}"
            );
            if self.lost.is_empty() && !self.behind {
                told.push_str(&say!(
                    lang,
                    "; every movement is kept and counts once",
                    "; каждое движение сохранено и учтено один раз"
                ));
            }
            rows.push(row("history", told));
        }
        rows
    }

    /// The same as lines for people: name and value.
    pub(crate) fn rows(&self, lang: Lang) -> Vec<[String; 2]> {
        let none = || "–".to_owned();
        let row = |name: &str, value: String| [name.to_owned(), value];
        let optional =
            |name: &str, value: &Option<String>| row(name, value.clone().unwrap_or_else(none));
        let mut rows = vec![
            optional("shop", &self.shop),
            row("hub", self.hub.word().to_owned()),
            row("pending", self.pending.to_string()),
            optional("last_exchange_at", &self.last_exchange_at),
            row("source", self.source_in_words(lang)),
            row("source_as_of", self.source_as_of_in_words(lang)),
            optional("opened_at", &self.opened_at),
            row("quarantined", self.quarantined.to_string()),
            row("disagreements", self.disagreements.to_string()),
            row("holds_requested", self.holds_requested.to_string()),
            row("holds_confirmed", self.holds_confirmed.to_string()),
            row("questions", self.questions.to_string()),
            optional("replica", &self.replica),
            row("replicas", self.replicas.to_string()),
            row("seq", self.seq.to_string()),
            row("acked_seq", self.acked_seq.to_string()),
            row("version", self.version.to_owned()),
        ];
        rows.extend(
            self.hub
                .detail()
                .map(|detail| row("hub_detail", words::said(lang, detail).into_owned())),
        );
        rows.extend(self.history(lang));
        rows.extend(self.waiting.iter().map(|file| {
            row(
                "waiting",
                format!("{}: {}", file.file.display(), file.message),
            )
        }));
        rows.extend(self.unreachable.iter().map(|one| {
            row(
                "unreachable",
                format!("{}: {}", one.folder.display(), one.why),
            )
        }));
        rows
    }
}

/// What a ledger lacks that was put back and has not heard the hub since, for people.
pub(crate) fn behind_in_words(lang: Lang) -> String {
    say!(
        lang,
        "this ledger was put back or copied: what was recorded after that copy comes back with the line to the hub, and until then what is on hand here may be too high: look at the shelf before a piece is promised",
        "журнал взят из копии: записанное после неё вернётся со связью с хабом, а до тех пор остатки здесь могут быть завышены: прежде чем обещать изделие, посмотрите на полку"
    )
}

/// What was recorded here and is not held, for people.
pub(crate) fn lost_in_words(lost: &Lost, lang: Lang) -> String {
    let count = lost.count();
    let Lost {
        replica,
        from_seq,
        to_seq,
        ..
    } = lost;
    let place = format!("({replica} {from_seq}-{to_seq})");
    match (lost.counted, lost.certain) {
        (true, _) => say!(
            lang,
            "at least {count} movements that were recorded on this machine are lost, and the shelf was counted {place}",
            "движений, записанных на этой машине и потерянных, не меньше {count}; полка пересчитана {place}"
        ),
        (false, true) => say!(
            lang,
            "at least {count} movements that were recorded on this machine are known to have existed and are lost: count the shelf {place}",
            "движений, которые были записаны на этой машине и потеряны, не меньше {count}; пересчитайте полку {place}"
        ),
        (false, false) => say!(
            lang,
            "at least {count} movements that were recorded on this machine are missing here, and the hub has not said yet whether it has them {place}",
            "движений, которые были записаны на этой машине и которых здесь нет, не меньше {count}; хаб ещё не ответил, есть ли они у него {place}"
        ),
    }
}
