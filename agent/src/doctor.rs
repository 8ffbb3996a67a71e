//! `doctor`: looks at everything a shop's agent depends on, and says what to do.

mod line;

use serde::Serialize;
use vitrina_host::db::Check;
use vitrina_host::os;
use vitrina_host::output::Lang;
use vitrina_host::room;
use vitrina_host::say;

use crate::core::{Core, now};
use crate::inbox;
use crate::ledger::LedgerError;
use crate::ledger::lost::Lost;
use crate::ledger::numbers::{self, Numbers};
use crate::ledger::query::{self, BelowZero};
use crate::situation::in_words;
use crate::status::{self, Status};

/// A clock that is further off makes certificates fail and reports lie.
const SKEW_MS: i64 = 60_000;

/// One thing looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// A stable word.
    pub(crate) check: &'static str,
    /// Whether it is well.
    pub(crate) ok: bool,
    /// What was found.
    pub(crate) found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
}

impl Finding {
    fn well(check: &'static str, found: String) -> Self {
        Self {
            check,
            ok: true,
            found,
            advice: None,
        }
    }

    fn ill(check: &'static str, found: String, advice: String) -> Self {
        Self {
            check,
            ok: false,
            found,
            advice: Some(advice),
        }
    }
}

/// Looks at everything.
///
/// # Errors
///
/// [`LedgerError`] when the ledger cannot even be read.
pub(crate) async fn look(core: &Core, lang: Lang) -> Result<Vec<Finding>, LedgerError> {
    let of = core.clone();
    let looked = tokio::task::spawn_blocking(move || look_here(&of, lang)).await;
    let mut findings = looked.unwrap_or_else(|_| Ok(Vec::new()))?;
    findings.extend(line::look(core, lang).await);
    Ok(findings)
}

fn look_here(core: &Core, lang: Lang) -> Result<Vec<Finding>, LedgerError> {
    let numbers = core.read(numbers::numbers)?;
    let mut findings = vec![
        clock(&numbers, lang),
        disk(core, lang),
        rights(core, lang),
        source(&numbers, lang),
        ledger(core, lang),
    ];
    findings.extend(folders(core, lang)?);
    findings.extend(books(core, lang)?);
    Ok(findings)
}

fn clock(numbers: &Numbers, lang: Lang) -> Finding {
    let Some(skew) = numbers.skew_ms else {
        return Finding::well(
            "clock",
            say!(
                lang,
                "not compared with the hub yet",
                "ещё не сверены с хабом"
            ),
        );
    };
    let seconds = skew / 1_000;
    let found = say!(
        lang,
        "when it was last heard, the hub's clock was {seconds} s ahead of this one",
        "при последней связи часы хаба были впереди на {seconds} с"
    );
    if skew.abs() <= SKEW_MS {
        return Finding::well("clock", found);
    }
    let advice = say!(
        lang,
        "set this PC's clock, its date and its time zone; switch the time service on; where every shop says so, it is the hub's clock",
        "исправьте часы, дату и часовой пояс этого компьютера; включите службу времени; если так во всех магазинах, неверны часы хаба"
    );
    Finding::ill("clock", found, advice)
}

fn disk(core: &Core, lang: Lang) -> Finding {
    let Some(space) = os::disk_space(core.folder().path()) else {
        return Finding::well(
            "disk",
            say!(
                lang,
                "free space is not known",
                "свободное место неизвестно"
            ),
        );
    };
    let (free, total) = (space.free_bytes >> 20, space.total_bytes >> 20);
    let found = say!(
        lang,
        "{free} MiB of {total} MiB free",
        "свободно {free} из {total} МиБ"
    );
    if space.free_bytes >= room::NEARLY_FULL {
        return Finding::well("disk", found);
    }
    Finding::ill(
        "disk",
        found,
        say!(
            lang,
            "make room: without it no sale can be booked; old files of done/ and log/ are deleted meanwhile",
            "освободите место: иначе продажи не запишутся; пока удаляются старые файлы из done/ и log/"
        ),
    )
}

fn rights(core: &Core, lang: Lang) -> Finding {
    let open: Vec<_> = ["device.key", "hub.json", "terminal.token"]
        .into_iter()
        .filter(|name| matches!(os::is_private(&core.folder().join(name)), Ok(Some(false))))
        .collect();
    if open.is_empty() {
        return Finding::well(
            "rights",
            say!(
                lang,
                "the keys are for this account only",
                "ключи доступны только этой учётной записи"
            ),
        );
    }
    let names = open.join(", ");
    Finding::ill(
        "rights",
        say!(
            lang,
            "others can read {names}",
            "другие могут прочитать {names}"
        ),
        say!(
            lang,
            "take the rights of others away from the data folder",
            "уберите права других на папку данных"
        ),
    )
}

fn source(numbers: &Numbers, lang: Lang) -> Finding {
    if numbers.source != numbers.source_wanted {
        let (now, wanted) = (numbers.source.word(), numbers.source_wanted.word());
        return Finding::ill(
            "source",
            say!(
                lang,
                "the books are kept by the rules of {now}, and head office set {wanted}",
                "учёт ведётся по правилам {now}, а в офисе выбрано {wanted}"
            ),
            say!(
                lang,
                "vitrina-agent source follow, once the hub has everything: what is on hand stays",
                "vitrina-agent source follow, когда хаб получит всё: остатки при этом не меняются"
            ),
        );
    }
    let found = numbers.source_as_of.map_or_else(
        || {
            say!(
                lang,
                "nothing came from the shop's 1C or from a till yet",
                "из 1С магазина и с касс ещё ничего не приходило"
            )
        },
        |as_of| {
            let age = age(now().since(as_of), lang);
            say!(
                lang,
                "the last word of the shop's 1C, or of a till, is {age} old",
                "последняя запись из 1С магазина или с кассы: {age} назад"
            )
        },
    );
    if !numbers.is_source_overdue(now()) {
        return Finding::well("source", found);
    }
    let advice = say!(
        lang,
        "look whether 1C still writes its files, and where; a file NAME.ok is enough as a sign of life",
        "проверьте, пишет ли 1С файлы и куда; как признак жизни достаточно файла ИМЯ.ok"
    );
    Finding::ill("source", found, advice)
}

/// A time that has passed, in the unit in which people say it.
fn age(ms: i64, lang: Lang) -> String {
    let minutes = ms.max(0) / 60_000;
    match (minutes / 60, minutes / 1_440) {
        (0 | 1, _) => say!(lang, "{minutes} min", "{minutes} мин."),
        (hours, 0 | 1) => say!(lang, "{hours} h", "{hours} ч"),
        (_, days) => say!(lang, "{days} days", "{days} дн."),
    }
}

fn ledger(core: &Core, lang: Lang) -> Finding {
    let db = core.ledger().db();
    let restore = || {
        say!(
            lang,
            "stop the agent, put the last backup in place and start it: the hub brings back what is missing",
            "остановите агента, положите последнюю копию и запустите его: недостающее вернёт хаб"
        )
    };
    if !db.is_in_place() {
        return Finding::ill(
            "ledger",
            say!(
                lang,
                "its file was taken away",
                "файл журнала подменён или удалён"
            ),
            restore(),
        );
    }
    match db.check_blocking(Check::Full) {
        Ok(wrong) if wrong.is_empty() => Finding::well("ledger", say!(lang, "whole", "цел")),
        Ok(wrong) => Finding::ill(
            "ledger",
            wrong.first().cloned().unwrap_or_default(),
            restore(),
        ),
        Err(error) => Finding::ill("ledger", in_words(&error), restore()),
    }
}

fn folders(core: &Core, lang: Lang) -> Result<Vec<Finding>, LedgerError> {
    let status = status::of(core)?;
    let mut findings: Vec<_> = status
        .unreachable
        .iter()
        .map(|one| {
            let found = format!("{}: {}", one.folder.display(), one.why);
            Finding::ill(
                "drop",
                found,
                say!(
                    lang,
                    "bring the folder back, or change agent.toml",
                    "верните папку или исправьте agent.toml"
                ),
            )
        })
        .collect();
    findings.extend(
        status.waiting.iter().map(|file| {
            Finding::well("drop", format!("{}: {}", file.file.display(), file.message))
        }),
    );
    Ok(findings)
}

/// Whether the numbers here are those at the hub, and what the movements say.
fn numbers_differ(alert: Option<&String>, lang: Lang) -> Vec<Finding> {
    let finding = |alert: &String| {
        let advice = say!(
            lang,
            "vitrina-agent verify names all of it; verify --repair writes anew what the movements can explain",
            "vitrina-agent verify назовёт всё; verify --repair запишет заново то, что объясняют движения"
        );
        Finding::ill("books", alert.clone(), advice)
    };
    alert.map(finding).into_iter().collect()
}

/// Whether the ledger was put back, and the hub has not given back yet what it lacks.
fn behind(status: &Status, lang: Lang) -> Option<Finding> {
    status
        .behind
        .then(|| Finding::ill("behind", status::behind_in_words(lang), reach_the_hub(lang)))
}

fn reach_the_hub(lang: Lang) -> String {
    say!(
        lang,
        "let the agent reach the hub: it gives back what it has",
        "дайте агенту связаться с хабом: он вернёт то, что у него есть"
    )
}

/// What was recorded here and is nowhere any more.
fn lost(status: &Status, lang: Lang) -> Vec<Finding> {
    let finding = |lost: &Lost| {
        let advice = if lost.certain {
            say!(
                lang,
                "count the shelf, book what differs (vitrina-agent move count BARCODE --qty N), then vitrina-agent doctor --counted",
                "пересчитайте полку, запишите разницу (vitrina-agent move count ШТРИХКОД --qty N), затем vitrina-agent doctor --counted"
            )
        } else {
            reach_the_hub(lang)
        };
        Finding::ill("lost", status::lost_in_words(lost, lang), advice)
    };
    let open = status.lost.iter().filter(|lost| !lost.counted);
    open.map(finding).collect()
}

/// What waits for a person: none of it is a fault of the program.
fn books(core: &Core, lang: Lang) -> Result<Vec<Finding>, LedgerError> {
    let status = status::of(core)?;
    let below = core.read(query::below_zero)?;
    let mut findings = numbers_differ(status.books.as_ref(), lang);
    findings.extend(behind(&status, lang));
    findings.extend(lost(&status, lang));
    let rejected = inbox::rejected_whole(&core.folder().join("rejected"));
    if let Some(last) = rejected.last() {
        let count = rejected.len();
        findings.push(Finding::ill(
            "rejected",
            say!(
                lang,
                "files of which nothing was taken: {count}, such as {last}",
                "файлов, из которых ничего не принято: {count}, например {last}"
            ),
            say!(
                lang,
                "read rejected/{last}.report.txt, put the corrected file into drop/, then take file and report out of rejected/",
                "прочитайте rejected/{last}.report.txt, положите исправленный файл в drop/ и уберите файл с отчётом из rejected/"
            ),
        ));
    }
    if status.quarantined > 0 {
        let count = status.quarantined;
        findings.push(Finding::ill(
            "quarantine",
            say!(
                lang,
                "records that were not booked: {count}",
                "не записано и отложено: {count}"
            ),
            say!(
                lang,
                "vitrina-agent quarantine list, then retry ID or drop ID; a corrected file books its lines anew, and drop takes the old ones away",
                "vitrina-agent quarantine list, затем retry ID или drop ID; исправленный файл запишет строки заново, старые убирает drop"
            ),
        ));
    }
    if status.disagreements > 0 {
        let count = status.disagreements;
        findings.push(Finding::ill(
            "disagreements",
            say!(
                lang,
                "barcodes on which the shop's 1C and the ledger disagree: {count}",
                "штрихкодов, по которым 1С магазина и журнал расходятся: {count}"
            ),
            say!(
                lang,
                "vitrina-agent diff list, then diff adopt BARCODE where the 1C is right, diff dismiss BARCODE where the ledger is",
                "vitrina-agent diff list, затем diff adopt ШТРИХКОД, если права 1С, или diff dismiss ШТРИХКОД, если прав журнал"
            ),
        ));
    }
    findings.extend(below_zero(&below, lang));
    Ok(findings)
}

/// Barcodes of which more went than there was.
fn below_zero(below: &BelowZero, lang: Lang) -> Option<Finding> {
    let BelowZero { count, first } = below;
    if *count == 0 {
        return None;
    }
    let named = first
        .iter()
        .map(|(barcode, units)| format!("{barcode} ({units})"));
    let mut named = named.collect::<Vec<_>>().join(", ");
    if *count > first.len() as u64 {
        named.push_str(", …");
    }
    Some(Finding::ill(
        "below_zero",
        say!(
            lang,
            "barcodes of which more was sold than was here: {count}: {named}",
            "штрихкодов, проданных сверх остатка: {count}: {named}"
        ),
        say!(
            lang,
            "look for a mistyped barcode or quantity (vitrina-agent sales); then book what came (vitrina-agent move receipt BARCODE) or what is there (move count BARCODE --qty N)",
            "ищите ошибку в штрихкоде или количестве (vitrina-agent sales); затем запишите приход (vitrina-agent move receipt ШТРИХКОД) или пересчёт (move count ШТРИХКОД --qty N)"
        ),
    ))
}
