//! The table of figures: what was measured, beside what limits it.

/// Whether a target was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was.
    Ok,
    /// It was not.
    Missed,
    /// There is none: the figure stands beside another.
    Said,
    /// It could not be measured here.
    Skipped,
}

impl Verdict {
    /// Of a target that was met or not.
    pub(crate) fn of(is_met: bool) -> Self {
        if is_met { Self::Ok } else { Self::Missed }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missed => "MISSED",
            Self::Said => "",
            Self::Skipped => "skipped",
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The figure's number in the issue, and what was measured.
    pub(crate) figure: String,
    /// What came out.
    pub(crate) measured: String,
    /// The peer or the limit, of the same run.
    pub(crate) peer: String,
    /// Measured by peer.
    pub(crate) ratio: Option<f64>,
    /// What it must be.
    pub(crate) target: String,
    /// Whether it is.
    pub(crate) verdict: Verdict,
}

/// The rows so far.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Adds a row and says it at once: a long bench must not be silent.
    pub(crate) fn add(&mut self, row: Row) {
        eprintln!(
            "  {} | {} | {} | {} {}",
            row.figure,
            row.measured,
            row.peer,
            row.target,
            row.verdict.word()
        );
        self.0.push(row);
    }

    /// A figure without a target of its own.
    pub(crate) fn say(&mut self, figure: &str, measured: String, peer: &str) {
        self.add(Row {
            figure: figure.into(),
            measured,
            peer: peer.into(),
            ratio: None,
            target: String::new(),
            verdict: Verdict::Said,
        });
    }

    /// A figure that this machine cannot measure.
    pub(crate) fn skip(&mut self, figure: &str, why: &str) {
        self.add(Row {
            figure: figure.into(),
            measured: format!("skipped: {why}"),
            peer: String::new(),
            ratio: None,
            target: String::new(),
            verdict: Verdict::Skipped,
        });
    }

    /// How many targets were missed.
    pub(crate) fn missed(&self) -> usize {
        let is_missed = |row: &&Row| row.verdict == Verdict::Missed;
        self.0.iter().filter(is_missed).count()
    }

    /// Prints all of it to stdout.
    pub(crate) fn print(&self) {
        let head = ["figure", "measured", "peer or limit", "ratio", "target", ""];
        let mut lines: Vec<[String; 6]> = vec![head.map(str::to_owned)];
        lines.extend(self.0.iter().map(|row| {
            [
                row.figure.clone(),
                row.measured.clone(),
                row.peer.clone(),
                row.ratio
                    .map(|ratio| format!("{ratio:.2}"))
                    .unwrap_or_default(),
                row.target.clone(),
                row.verdict.word().to_owned(),
            ]
        }));
        let width = |column: usize| {
            let widths = lines.iter().map(|line| line[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..6).map(width).collect();
        for line in &lines {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            println!("{}", cells.join(" | ").trim_end());
        }
    }
}
