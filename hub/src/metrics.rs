//! What the hub counts, and what it re-exports of the shops: a till behind LTE cannot be scraped.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use vitrina_shared::TimeMs;
use vitrina_shared::freshness::age_ms;

use crate::board::ShopCell;
use crate::view::View;

/// The media type of what [`Metrics::text`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From half a millisecond, where a merge should be, to ten seconds.
const MERGE_BUCKETS_S: [f64; 11] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0,
];

/// From a hundredth of a second to a day: a shop may have had no line.
const VISIBLE_BUCKETS_S: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3_600.0, 86_400.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByShop {
    shop: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Info {
    shop: String,
    version: String,
    source: &'static str,
    confidence: &'static str,
}

type ShopGauge = Family<ByShop, Gauge<f64, AtomicU64>>;

/// The counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    exchanges: Family<ByOutcome, Counter>,
    forks: Counter,
    repairs: Counter,
    merge: Histogram,
    visible: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            exchanges: Family::default(),
            forks: Counter::default(),
            repairs: Counter::default(),
            merge: Histogram::new(MERGE_BUCKETS_S),
            visible: Histogram::new(VISIBLE_BUCKETS_S),
        }
    }
}

impl Metrics {
    /// An exchange ended so.
    pub(crate) fn exchange(&self, outcome: &'static str) {
        self.exchanges.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// A history forked.
    pub(crate) fn fork(&self) {
        self.forks.inc();
    }

    /// Rows whose sender was wrong about their total.
    pub(crate) fn repairs(&self, rows: u64) {
        self.repairs.inc_by(rows);
    }

    /// A merge took so long.
    pub(crate) fn merge_took(&self, took: Duration) {
        self.merge.observe(took.as_secs_f64());
    }

    /// A sale was visible so long after it happened.
    pub(crate) fn sale_visible(&self, took: Duration) {
        self.visible.observe(took.as_secs_f64());
    }

    /// Everything as OpenMetrics text, at `now`.
    pub(crate) fn text(&self, view: &View, now: TimeMs) -> String {
        let mut registry = Registry::default();
        let exchanges = self.exchanges.clone();
        registry.register("vitrina_hub_exchange", "Exchanges by outcome", exchanges);
        registry.register(
            "vitrina_hub_forks",
            "Histories that forked",
            self.forks.clone(),
        );
        registry.register(
            "vitrina_hub_repairs",
            "Totals that were repaired from the log",
            self.repairs.clone(),
        );
        registry.register(
            "vitrina_hub_merge_seconds",
            "From an exchange's bytes to its commit",
            self.merge.clone(),
        );
        let visible = self.visible.clone();
        registry.register(
            "vitrina_sale_visible_seconds",
            "From a sale to the website's view of it",
            visible,
        );
        let cursor: Gauge<i64> = Gauge::default();
        cursor.set(i64::try_from(view.head().pos).unwrap_or(i64::MAX));
        registry.register(
            "vitrina_hub_feed_cursor",
            "The feed's last position",
            cursor,
        );
        let ahead = Gauge::<f64, AtomicU64>::default();
        ahead.set(seconds(view.board.hub_clock_ahead_ms().unwrap_or(0)));
        registry.register(
            "vitrina_hub_clock_ahead_seconds",
            "The hub's clock less that of most shops where it is wrong, else 0",
            ahead,
        );
        register_shops(&mut registry, &view.board.all(), now);
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => text,
            // Only a broken writer fails, and a String is none.
            Err(_) => String::new(),
        }
    }
}

fn register_shops(registry: &mut Registry, shops: &[Arc<ShopCell>], now: TimeMs) {
    let family = |registry: &mut Registry, name: &str, help: &str| {
        let family = ShopGauge::default();
        registry.register(name, help, family.clone());
        family
    };
    let lag = family(
        registry,
        "vitrina_shop_lag_seconds",
        "Since the shop's log was known to be complete",
    );
    let source = family(
        registry,
        "vitrina_shop_source_age_seconds",
        "Since the shop's own ledger proved itself",
    );
    let pending = family(
        registry,
        "vitrina_shop_pending_movements",
        "Movements the hub does not have",
    );
    let quarantined = family(
        registry,
        "vitrina_shop_quarantined",
        "Open records in quarantine",
    );
    let skew = family(
        registry,
        "vitrina_shop_clock_skew_seconds",
        "The shop's clock less the hub's",
    );
    let disk = family(
        registry,
        "vitrina_shop_disk_free_bytes",
        "Free bytes where the shop's ledger lies",
    );
    let info: Family<Info, Gauge<i64>> = Family::default();
    registry.register(
        "vitrina_shop_info",
        "What the shop runs and how far it can be relied on",
        info.clone(),
    );
    for cell in shops {
        let (known, shop) = (
            cell.known(),
            ByShop {
                shop: cell.shop.to_string(),
            },
        );
        let set = |family: &ShopGauge, value: Option<f64>| {
            if let Some(value) = value {
                family.get_or_create(&shop).set(value);
            }
        };
        let age = |at: Option<TimeMs>| at.and_then(|at| age_ms(at, now)).map(seconds);
        set(&lag, age(known.heard.complete));
        set(&source, age(known.heard.source));
        if known.heard.exchange.is_some() {
            set(&pending, Some(count(known.health.pending)));
            set(&quarantined, Some(count(known.health.quarantined)));
            set(&skew, Some(seconds(known.health.skew_ms)));
            set(&disk, known.health.disk_free.map(count));
        }
        let labels = Info {
            shop: shop.shop.clone(),
            version: known.health.version.clone(),
            source: known.row.settings.source.word(),
            confidence: cell.confidence().word(),
        };
        info.get_or_create(&labels).set(1);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; 52 bits of milliseconds are 140,000 years"
)]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Change, ShopHealth};
    use crate::view::sample;
    use vitrina_shared::freshness::Heard;

    #[test]
    fn the_names_are_those_of_the_interface() {
        let metrics = Metrics::default();
        metrics.exchange("merged");
        metrics.fork();
        metrics.repairs(2);
        metrics.merge_took(Duration::from_millis(2));
        metrics.sale_visible(Duration::from_millis(900));
        let (view, noon) = (sample::view(1), TimeMs(1_763_812_800_000));
        let heard = Heard {
            exchange: Some(noon),
            complete: Some(noon),
            source: Some(noon),
            source_every_ms: None,
        };
        let status = ShopHealth {
            disk_free: Some(7),
            version: "0.1.0".into(),
            ..ShopHealth::default()
        };
        view.apply(
            &sample::head(5),
            vec![Change::Heard {
                shop: 0,
                heard,
                status,
            }],
        );

        let text = metrics.text(&view, noon.plus(1_500));

        for line in [
            "vitrina_hub_exchange_total{outcome=\"merged\"} 1",
            "vitrina_hub_forks_total 1",
            "vitrina_hub_repairs_total 2",
            "vitrina_hub_merge_seconds_count 1",
            "vitrina_sale_visible_seconds_count 1",
            "vitrina_hub_feed_cursor 5",
            "vitrina_shop_lag_seconds{shop=\"S000\"} 1.5",
            "vitrina_shop_source_age_seconds{shop=\"S000\"} 1.5",
            "vitrina_shop_pending_movements{shop=\"S000\"} 0",
            "vitrina_shop_quarantined{shop=\"S000\"} 0",
            "vitrina_shop_clock_skew_seconds{shop=\"S000\"} 0",
            "vitrina_shop_disk_free_bytes{shop=\"S000\"} 7",
            "vitrina_shop_info{shop=\"S000\",version=\"0.1.0\",source=\"movements\",confidence=\"live\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
