//! What became of a file, for the person who wrote it: counts, each bad line with its reason, what else is to be said.

use std::borrow::Cow;
use std::collections::BTreeSet;

use vitrina_host::output::Lang;
use vitrina_host::{say, when};
use vitrina_shared::barcode::CheckDigit;
use vitrina_shared::{Barcode, TimeMs};

use crate::ledger::file::Counts;
use crate::ledger::quarantine::Entry;
use crate::receipt::Invalid;
use crate::words;

/// How many bad lines a report names; the quarantine has them all.
const MAX_LINES: usize = 1_000;
/// How many lines with a wrong check digit are named.
const MAX_WRONG_DIGITS: usize = 5;
/// How much of a record is shown.
const MAX_RECORD: usize = 200;

/// A line that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) line: u64,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) record: String,
}

/// Lines whose barcode is not what GS1 would have printed: taken as they are, because shops print such codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WrongDigits {
    count: u64,
    /// With their lines, where they were read one by one.
    first: Vec<(Option<u64>, Barcode)>,
}

impl WrongDigits {
    /// A code that is taken.
    pub(super) fn look_at(&mut self, line: Option<u64>, code: &Barcode) {
        if matches!(code.check_digit(), CheckDigit::Wrong { .. }) {
            self.count += 1;
            self.name(line, code.clone());
        }
    }

    fn name(&mut self, line: Option<u64>, code: Barcode) {
        if self.first.len() < MAX_WRONG_DIGITS {
            self.first.push((line, code));
        }
    }

    fn add(&mut self, more: Self) {
        self.count += more.count;
        for (line, code) in more.first {
            self.name(line, code);
        }
    }

    fn note(&self, lang: Lang) -> Option<String> {
        let Self { count, first } = self;
        if first.is_empty() {
            return None;
        }
        let named = first.iter().map(|(line, code)| match line {
            Some(line) => say!(lang, "line {line}: {code}", "строка {line}: {code}"),
            None => code.to_string(),
        });
        let mut named = named.collect::<Vec<_>>().join(", ");
        if *count > first.len() as u64 {
            named.push_str(", …");
        }
        Some(say!(
            lang,
            "barcodes with a wrong check digit, taken as they are: {count} ({named})",
            "штрихкодов с неверной контрольной цифрой, приняты как есть: {count} ({named})"
        ))
    }
}

/// What became of a file.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Its name.
    pub(crate) name: String,
    /// Its lines.
    pub(crate) counts: Counts,
    /// Barcodes on which it and the ledger disagree.
    pub(crate) disagreements: u64,
    /// Why the file as a whole is held back.
    pub(crate) held: Option<String>,
    wrong_digits: WrongDigits,
    bad: Vec<BadLine>,
    unnamed: u64,
    notes: Vec<String>,
    is_rehearsal: bool,
    lang: Lang,
}

impl Report {
    pub(crate) fn new(name: &str, lang: Lang) -> Self {
        Self {
            name: name.to_owned(),
            is_rehearsal: false,
            counts: Counts::default(),
            disagreements: 0,
            held: None,
            wrong_digits: WrongDigits::default(),
            bad: Vec::new(),
            unnamed: 0,
            notes: Vec::new(),
            lang,
        }
    }

    /// Nothing is kept: the report says what would become of the file.
    pub(super) fn of_rehearsal(self) -> Self {
        Self {
            is_rehearsal: true,
            ..self
        }
    }

    /// Whether everything is in.
    pub(crate) fn is_clean(&self) -> bool {
        self.bad.is_empty() && self.held.is_none()
    }

    /// How many lines were set aside.
    pub(super) fn named(&self) -> u64 {
        self.bad.len() as u64 + self.unnamed
    }

    /// The language of what is noted.
    pub(crate) fn lang(&self) -> Lang {
        self.lang
    }

    /// A line was set aside.
    pub(crate) fn bad(&mut self, bad: BadLine) {
        if self.bad.len() < MAX_LINES {
            self.bad.push(bad);
        } else {
            self.unnamed += 1;
        }
    }

    /// Something to be said once.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Lines whose barcode has a wrong check digit.
    pub(super) fn add_wrong_digits(&mut self, more: WrongDigits) {
        self.wrong_digits.add(more);
    }

    /// How many lines have a barcode with a wrong check digit.
    pub(crate) fn wrong_check_digits(&self) -> u64 {
        self.wrong_digits.count
    }

    /// What is to be said of them.
    pub(crate) fn wrong_digits_note(&self) -> Option<String> {
        self.wrong_digits.note(self.lang)
    }

    /// Everything that was noted.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.iter().cloned().chain(self.wrong_digits_note())
    }

    pub(super) fn note_seen(&mut self, at: TimeMs) {
        let at = when::rfc3339_ms(at.0);
        self.note(say!(
            self.lang,
            "the same file was taken before, at {at}",
            "этот же файл уже был принят {at}"
        ));
    }

    pub(super) fn note_unknown_columns(&mut self, unknown: &[String]) {
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            self.note(say!(
                self.lang,
                "columns that are not read: {names}",
                "столбцы, которые не читаются: {names}"
            ));
        }
    }

    /// Adds the report of a part.
    pub(super) fn absorb(&mut self, part: Self) {
        add(&mut self.counts, part.counts);
        self.disagreements += part.disagreements;
        self.unnamed += part.unnamed;
        self.is_rehearsal |= part.is_rehearsal;
        if let Some(held) = part.held {
            self.held.get_or_insert(format!("{}: {held}", part.name));
        }
        for mut bad in part.bad {
            bad.message = format!("{}: {}", part.name, bad.message);
            self.bad(bad);
        }
        self.wrong_digits.add(part.wrong_digits);
        for note in part.notes {
            self.note(format!("{}: {note}", part.name));
        }
    }

    /// The text that is put beside a file of which something was set aside.
    pub(crate) fn text(&self) -> String {
        let Counts {
            imported,
            duplicates,
            quarantined,
        } = self.counts;
        let lang = self.lang;
        let mut text = format!("{}\n", self.name);
        let counts = say!(
            lang,
            "imported {imported}, duplicates {duplicates}, quarantined {quarantined}",
            "принято {imported}, повторов {duplicates}, в карантине {quarantined}"
        );
        text.push_str(&counts);
        text.push('\n');
        if let Some(held) = &self.held {
            text.push_str(&say!(
                lang,
                "held back: {held}\nNothing of it is in the ledger yet.\n",
                "задержан: {held}\nИз него ничего ещё не принято.\n"
            ));
        }
        for note in self.notes() {
            text.push_str(&note);
            text.push('\n');
        }
        let mut cured = BTreeSet::new();
        for BadLine {
            line,
            code,
            message,
            record,
        } in &self.bad
        {
            let message = words::said(lang, message);
            text.push_str(&say!(
                lang,
                "\nline {line}: {code}: {message}\n",
                "\nстрока {line}: {code}: {message}\n"
            ));
            text.push_str("    ");
            text.push_str(cut(record));
            text.push('\n');
            // Once each: a column that is wrong is wrong in every line.
            if let Some(cure) = words::cure(lang, code)
                && cured.insert(code)
            {
                text.push_str("    ");
                text.push_str(&words::cure_in_words(lang, cure));
                text.push('\n');
            }
        }
        if self.unnamed > 0 {
            let more = self.unnamed;
            text.push_str(&say!(
                lang,
                "\nand {more} more: see the quarantine\n",
                "\nи ещё {more}: см. карантин\n"
            ));
        }
        text.push_str(&self.advice());
        text
    }

    /// What to do, and what is in already.
    fn advice(&self) -> String {
        if self.is_rehearsal {
            return say!(
                self.lang,
                "\nThis was a dry run: nothing was kept.\n",
                "\nЭто пробный прогон: ничего не записано.\n"
            );
        }
        if self.counts.quarantined == 0 || self.held.is_some() {
            return String::new();
        }
        say!(
            self.lang,
            "\nAll other lines are in the ledger. Set right what is wrong and drop the file again: lines that are in count once. The entries in quarantine stay until vitrina-agent quarantine drop ID.\n",
            "\nВсе остальные строки уже в журнале. Исправьте ошибки и положите файл ещё раз: принятые строки не удвоятся. Записи карантина убирает vitrina-agent quarantine drop ID.\n"
        )
    }
}

impl BadLine {
    pub(super) fn new(line: u64, invalid: &Invalid, record: &str) -> Self {
        Self {
            line,
            code: invalid.code.into(),
            message: format!("{}: {}", invalid.field, invalid.message),
            record: cut(record).to_owned(),
        }
    }

    /// A line that was set aside before.
    pub(super) fn recalled(entry: Entry) -> Self {
        Self {
            line: entry.line.unwrap_or(0),
            record: cut(&entry.record).to_owned(),
            code: entry.reason.into(),
            message: entry.message,
        }
    }
}

/// Adds counts.
pub(super) fn add(to: &mut Counts, more: Counts) {
    to.imported += more.imported;
    to.duplicates += more.duplicates;
    to.quarantined += more.quarantined;
}

fn cut(record: &str) -> &str {
    let line = record.lines().next().unwrap_or_default();
    line.get(..line.floor_char_boundary(MAX_RECORD))
        .unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new("sales.csv", Lang::En);
        report.counts = Counts {
            imported: 2,
            duplicates: 0,
            quarantined: 1,
        };
        report.bad(BadLine::new(
            3,
            &Invalid::new("bad_quantity", "qty", "\"x\": this is not a number"),
            "sale;1;1;x",
        ));
        report
    }

    #[test]
    fn a_report_names_each_bad_line_and_why() {
        let text = report().text();

        assert!(
            text.contains("line 3: bad_quantity: qty: \"x\": this is not a number"),
            "{text}"
        );
        assert!(text.contains("sale;1;1;x"), "{text}");
        assert!(
            text.contains("imported 2, duplicates 0, quarantined 1"),
            "{text}"
        );
    }

    #[test]
    fn wrong_check_digits_are_counted_and_the_first_lines_named() {
        let mut digits = WrongDigits::default();
        for line in 2..10 {
            digits.look_at(Some(line), &"2000018987150".parse().unwrap());
        }
        digits.look_at(None, &"2000018987155".parse().unwrap());
        let mut report = report();

        report.add_wrong_digits(digits);

        assert_eq!(report.wrong_check_digits(), 8);
        let text = report.text();
        assert!(
            text.contains("as they are: 8 (line 2: 2000018987150, line 3"),
            "{text}"
        );
        assert!(text.contains("line 6: 2000018987150, …)"), "{text}");
    }

    #[test]
    fn a_report_of_an_archive_names_the_part() {
        let mut whole = Report::new("all.zip", Lang::En);

        whole.absorb(report());

        assert_eq!(whole.counts.imported, 2);
        assert!(whole.text().contains("sales.csv: qty"), "{}", whole.text());
    }
}
