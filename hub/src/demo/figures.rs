//! What the demo measured.

use std::time::{Duration, Instant};

/// Counts and times of a run.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Units on the website when every shop was open.
    pub(super) opened: i64,
    /// Sales answered by the local API, a unit each.
    pub(super) sales: u64,
    /// Returns answered by the local API, a unit each.
    pub(super) returns: u64,
    /// Files dropped.
    pub(super) files: u64,
    /// Units that files took away, one a line.
    pub(super) sold_by_files: u64,
    /// Units that files brought, one a line.
    pub(super) brought_by_files: u64,
    /// Sale answered → on the website, online.
    pub(super) sale: Vec<Duration>,
    /// File dropped → on the website, online, for each line.
    pub(super) file: Vec<Duration>,
    /// Sales made while the line was cut.
    pub(super) offline: u64,
    /// When the last of these came to the website.
    pub(super) offline_seen: Option<Instant>,
    /// Agent dialled again after the line was given back; and from there to the last offline sale on the website.
    pub(super) caught_up: Option<(Duration, Duration)>,
    /// From the last file of the silent shop to the website's word `stale`.
    pub(super) stale_after: Option<Duration>,
}

/// The value below which so many of a hundred lie; `None` of nothing.
pub(super) fn percentile(of: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied()
}

/// `4.7 ms`, `2,310 ms`, or a dash.
pub(super) fn ms(of: Option<Duration>) -> String {
    let Some(time) = of else {
        return "–".to_owned();
    };
    let tenths = time.as_micros().div_ceil(100);
    if tenths < 1_000 {
        format!("{}.{} ms", tenths / 10, tenths % 10)
    } else {
        format!("{} ms", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();

        assert_eq!(percentile(&times, 50), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&times, 99), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&times[..1], 99), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn times_are_shown_as_finely_as_they_matter() {
        assert_eq!(ms(Some(Duration::from_micros(4_650))), "4.7 ms");
        assert_eq!(ms(Some(Duration::from_millis(2_310))), "2310 ms");
        assert_eq!(ms(None), "–");
    }
}
