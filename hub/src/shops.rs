//! Shops as head office adds and sets them, and their one-time codes.

use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use vitrina_host::config::Period;
use vitrina_host::sign;
use vitrina_shared::hold::{Promise, PromiseError};
use vitrina_shared::hours::Hours;
use vitrina_shared::registers::{HoldPolicy, Settings, Source, Warehouse};
use vitrina_shared::{ShopId, TimeMs};

use crate::audit::By;
use crate::change::ShopRow;
use crate::core::Core;
use crate::enrol::code_hash;
use crate::store::StoreError;

/// A code is good for so long.
const CODE_LIFE_MS: i64 = 24 * 3_600_000;
/// The most shops added at once.
const MAX_SHOPS: usize = 10_000;
/// The most local prefixes or warehouses of a shop.
const MAX_LIST: usize = 100;

/// Why a shop was not added or set. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    /// A field cannot be so.
    #[error("{field} of {shop}: {reason}")]
    Field {
        /// The shop.
        shop: ShopId,
        /// The field, as the public interface calls it.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// More than are taken at once.
    #[error("more than {MAX_SHOPS} shops at once")]
    TooMany,
    /// The same shop twice.
    #[error("{0} is there twice")]
    Twice(ShopId),
    /// There is one of that name.
    #[error("there is a shop {0} already; `shop set {0} …` changes it")]
    Exists(ShopId),
    /// There is none of that name.
    #[error("there is no shop {0}")]
    Unknown(ShopId),
    /// The store did not write it.
    #[error("the shop was not written")]
    Store(#[from] StoreError),
    /// The operating system gives no random bytes.
    #[error("no random bytes")]
    Random(#[from] sign::SignError),
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// A shop, or a warehouse that sells online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShopType {
    /// A shop.
    Shop,
    /// A warehouse.
    Warehouse,
}

/// Who keeps the books of a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SourceChoice {
    /// The agent's movements; balances files only verify.
    Movements,
    /// The shop's 1C.
    Balances,
}

/// How a shop answers a web order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HoldChoice {
    /// By stock, at once.
    Auto,
    /// After a person scanned the piece.
    Scan,
}

/// What is promised of a shop that is not heard from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(crate) enum PromiseChoice {
    /// What the chain's settings say.
    Chain,
    /// This.
    Own(Promise),
}

/// The word that takes a shop's own promise back.
const CHAIN: &str = "chain";

/// Not a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; or chain: what [holds] of hub.toml says")]
pub(crate) struct PromiseChoiceError(PromiseError);

/// A choice as JSON says it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Units(i64),
    Word(String),
}

impl TryFrom<Written> for PromiseChoice {
    type Error = PromiseChoiceError;

    fn try_from(written: Written) -> Result<Self, PromiseChoiceError> {
        match written {
            Written::Units(units) => units.to_string().parse(),
            Written::Word(word) => word.parse(),
        }
    }
}

impl From<PromiseChoice> for Written {
    fn from(choice: PromiseChoice) -> Self {
        match choice {
            PromiseChoice::Chain => Self::Word(CHAIN.to_owned()),
            PromiseChoice::Own(Promise::AllBut(units)) => Self::Units(units.into()),
            PromiseChoice::Own(word) => Self::Word(word.to_string()),
        }
    }
}

impl FromStr for PromiseChoice {
    type Err = PromiseChoiceError;

    fn from_str(text: &str) -> Result<Self, PromiseChoiceError> {
        if text == CHAIN {
            return Ok(Self::Chain);
        }
        text.parse().map(Self::Own).map_err(PromiseChoiceError)
    }
}

impl PromiseChoice {
    fn own(self) -> Option<Promise> {
        match self {
            Self::Chain => None,
            Self::Own(promise) => Some(promise),
        }
    }
}

/// What can be said of a shop; what is not said stays as it is. An empty text takes a text away.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fields {
    /// The name for people
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The city
    #[arg(long)]
    pub(crate) city: Option<String>,
    /// Where it is, for people
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Degrees north
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) lat: Option<f64>,
    /// Degrees east
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) lon: Option<f64>,
    /// The time zone, such as Europe/Moscow (the default)
    #[arg(long)]
    pub(crate) tz: Option<String>,
    /// Opening hours, such as "Mo-Fr 10:00-22:00; Sa,Su 11:00-20:00"; none: always open
    #[arg(long)]
    pub(crate) hours: Option<String>,
    /// A shop, or a warehouse
    #[arg(long = "type", value_name = "TYPE")]
    #[serde(rename = "type")]
    pub(crate) shop_type: Option<ShopType>,
    /// The ERP's id of it
    #[arg(long, value_name = "GUID")]
    pub(crate) external_id: Option<String>,
    /// A place of the shop's 1C that is this shop: ID, or ID=unavailable for what cannot be sold
    #[arg(long = "warehouse", value_name = "ID[=unavailable]")]
    #[serde(rename = "warehouse", alias = "warehouses")]
    pub(crate) warehouses: Option<Vec<String>>,
    /// Who keeps the books: the agent's movements, or the shop's 1C
    #[arg(long)]
    pub(crate) source: Option<SourceChoice>,
    /// How often the shop's 1C proves itself, such as 30m; 0s: it is never overdue
    #[arg(long, value_name = "PERIOD")]
    pub(crate) source_every: Option<Period>,
    /// How web orders are answered
    #[arg(long)]
    pub(crate) holds: Option<HoldChoice>,
    /// What is promised while it is stale: all, nothing, or how many pieces of each level are kept back; chain: as hub.toml says
    #[arg(long, value_name = "PROMISE")]
    pub(crate) promise_stale: Option<PromiseChoice>,
    /// The same while it is unknown
    #[arg(long, value_name = "PROMISE")]
    pub(crate) promise_unknown: Option<PromiseChoice>,
    /// Codes that begin so are numbered by the shop itself
    #[arg(long = "local-prefix", value_name = "PREFIX")]
    #[serde(rename = "local_prefix", alias = "local_prefixes")]
    pub(crate) local_prefixes: Option<Vec<String>>,
    /// Whether the website shows it
    #[arg(long)]
    pub(crate) publish: Option<Switch>,
}

/// A shop to be added.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewShop {
    /// Its name for ever.
    pub(crate) shop: ShopId,
    /// What is said of it.
    #[serde(flatten)]
    pub(crate) fields: Fields,
}

/// A one-time code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EnrolCode {
    /// The shop that it opens.
    pub(crate) shop: ShopId,
    /// The code, for `vitrina-agent enrol`.
    pub(crate) code: String,
    /// It is good until then, once.
    #[serde(serialize_with = "crate::store::rfc3339")]
    pub(crate) expires_at: TimeMs,
}

/// Adds a shop and gives its code.
pub(crate) async fn add(core: &Core, by: By, new: NewShop) -> Result<EnrolCode, ShopError> {
    let mut codes = add_all(core, by, vec![new]).await?;
    codes
        .pop()
        .ok_or(ShopError::Store(StoreError::Damaged("a shop has no code")))
}

/// Adds shops, all or none, and gives a code for each.
pub(crate) async fn add_all(
    core: &Core,
    by: By,
    new: Vec<NewShop>,
) -> Result<Vec<EnrolCode>, ShopError> {
    let rows = check_all(new)?;
    let expires_at = core.now().plus(CODE_LIFE_MS);
    let mut codes = Vec::with_capacity(rows.len());
    let mut hashed = Vec::with_capacity(rows.len());
    for row in rows {
        let code = sign::random_bytes::<16>()?;
        codes.push(EnrolCode {
            shop: row.shop.clone(),
            code: sign::code_from_bytes(&code),
            expires_at,
        });
        hashed.push((row, code_hash(&code)));
    }
    match core.store.add_shops(by, hashed, expires_at).await? {
        Ok(()) => Ok(codes),
        Err(exists) => Err(ShopError::Exists(exists)),
    }
}

/// Checks shops to be added, without adding them.
pub(crate) fn check_all(new: Vec<NewShop>) -> Result<Vec<ShopRow>, ShopError> {
    if new.len() > MAX_SHOPS {
        return Err(ShopError::TooMany);
    }
    let mut names = std::collections::BTreeSet::new();
    let mut rows = Vec::with_capacity(new.len());
    for NewShop { shop, fields } in new {
        if !names.insert(shop.clone()) {
            return Err(ShopError::Twice(shop));
        }
        let mut row = ShopRow {
            index: 0,
            settings: Settings::default(),
            address: None,
            lat: None,
            lon: None,
            external_id: None,
            publish: true,
            revoked: false,
            enrolled: false,
            pos: 0,
            shop,
        };
        fields.apply(&mut row)?;
        rows.push(row);
    }
    Ok(rows)
}

/// Sets what is said; the rest stays.
pub(crate) async fn set(
    core: &Core,
    by: By,
    (shop, fields): (ShopId, Fields),
) -> Result<ShopRow, ShopError> {
    let mut row = known(core, shop).await?;
    fields.apply(&mut row)?;
    let row = core.store.set_shop(by, row).await?;
    // Its settings are on their way at once.
    core.waiters.wake(&row.shop);
    Ok(row)
}

/// A new code; the one before opens nothing any more.
pub(crate) async fn recode(core: &Core, by: By, shop: ShopId) -> Result<EnrolCode, ShopError> {
    let row = known(core, shop).await?;
    let code = sign::random_bytes::<16>()?;
    let expires_at = core.now().plus(CODE_LIFE_MS);
    core.store
        .set_code(by, row.index, code_hash(&code), expires_at)
        .await?;
    Ok(EnrolCode {
        shop: row.shop,
        code: sign::code_from_bytes(&code),
        expires_at,
    })
}

/// Ends a shop's credentials; its agent sells on, and its levels are unknown.
pub(crate) async fn revoke(core: &Core, by: By, shop: ShopId) -> Result<(), ShopError> {
    let row = known(core, shop).await?;
    let row = core.store.revoke_shop(by, row).await?;
    // An agent that waits is told at once.
    core.waiters.wake(&row.shop);
    Ok(())
}

/// Takes a shop off the website for good.
pub(crate) async fn close(core: &Core, by: By, shop: ShopId) -> Result<(), ShopError> {
    let mut row = known(core, shop).await?;
    row.settings.closed = true;
    let row = core.store.set_shop(by, row).await?;
    core.waiters.wake(&row.shop);
    Ok(())
}

/// A shop by its name.
pub(crate) async fn known(core: &Core, shop: ShopId) -> Result<ShopRow, ShopError> {
    core.store
        .shop(shop.clone())
        .await?
        .ok_or(ShopError::Unknown(shop))
}

/// An empty text takes a text away.
fn text(field: Option<String>, into: &mut Option<String>) {
    if let Some(text) = field {
        let text = text.trim();
        *into = (!text.is_empty()).then(|| text.to_owned());
    }
}

impl Fields {
    /// Sets what is said of a shop.
    fn apply(self, row: &mut ShopRow) -> Result<(), ShopError> {
        let shop = row.shop.clone();
        let wrong = |field, reason: String| ShopError::Field {
            shop: shop.clone(),
            field,
            reason,
        };
        let settings = &mut row.settings;
        if let Some(name) = &self.name {
            name.trim().clone_into(&mut settings.name);
        }
        text(self.city, &mut settings.city);
        text(self.address, &mut row.address);
        text(self.external_id, &mut row.external_id);
        text(self.hours, &mut settings.hours);
        if let Some(hours) = &settings.hours {
            Hours::from_str(hours).map_err(|error| wrong("hours", error.to_string()))?;
        }
        if let Some(tz) = self.tz {
            TimeZone::get(&tz).map_err(|_| {
                wrong(
                    "tz",
                    format!("\"{tz}\" is no time zone; one is Europe/Moscow"),
                )
            })?;
            settings.tz = tz;
        }
        for (field, most, degrees) in [("lat", 90.0, self.lat), ("lon", 180.0, self.lon)] {
            if degrees.is_some_and(|degrees| !(-most..=most).contains(&degrees)) {
                return Err(wrong(
                    field,
                    format!("degrees lie between -{most} and {most}"),
                ));
            }
        }
        row.lat = self.lat.or(row.lat);
        row.lon = self.lon.or(row.lon);
        if let Some(every) = self.source_every {
            let every_ms = every.as_millis();
            settings.source_every_ms = (every_ms > 0).then_some(every_ms);
        }
        if let Some(prefixes) = self.local_prefixes {
            settings.local_prefixes = prefixes
                .into_iter()
                .filter(|prefix| !prefix.is_empty())
                .collect();
        }
        if let Some(warehouses) = self.warehouses {
            settings.warehouses = warehouses
                .iter()
                .filter(|id| !id.is_empty())
                .map(|id| warehouse(id))
                .collect();
        }
        if settings.local_prefixes.len() > MAX_LIST || settings.warehouses.len() > MAX_LIST {
            return Err(wrong(
                "warehouse",
                format!("a shop has at most {MAX_LIST} of them"),
            ));
        }
        if let Some(choice) = self.promise_stale {
            settings.promise_stale = choice.own();
        }
        if let Some(choice) = self.promise_unknown {
            settings.promise_unknown = choice.own();
        }
        choices(settings, (self.shop_type, self.source, self.holds));
        if let Some(publish) = self.publish {
            row.publish = publish == Switch::On;
        }
        Ok(())
    }
}

fn choices(
    settings: &mut Settings,
    (shop_type, source, holds): (Option<ShopType>, Option<SourceChoice>, Option<HoldChoice>),
) {
    if let Some(shop_type) = shop_type {
        settings.shop_type = match shop_type {
            ShopType::Shop => "shop".into(),
            ShopType::Warehouse => "warehouse".into(),
        };
    }
    if let Some(source) = source {
        settings.source = match source {
            SourceChoice::Movements => Source::Movements,
            SourceChoice::Balances => Source::Balances,
        };
    }
    if let Some(holds) = holds {
        settings.holds = match holds {
            HoldChoice::Auto => HoldPolicy::Auto,
            HoldChoice::Scan => HoldPolicy::Scan,
        };
    }
}

/// `ID`, or `ID=unavailable`.
fn warehouse(text: &str) -> Warehouse {
    match text.strip_suffix("=unavailable") {
        Some(id) => Warehouse {
            id: id.to_owned(),
            unavailable: true,
        },
        None => Warehouse {
            id: text.to_owned(),
            unavailable: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(fields: Fields) -> Result<ShopRow, ShopError> {
        let new = NewShop {
            shop: "S017".parse().unwrap(),
            fields,
        };
        check_all(vec![new]).map(|mut rows| rows.remove(0))
    }

    #[test]
    fn what_is_not_said_has_the_defaults_of_the_contract() {
        let row = checked(Fields::default()).unwrap();

        assert_eq!(row.settings.tz, "Europe/Moscow");
        assert_eq!(
            (row.settings.hours, row.settings.source_every_ms),
            (None, None)
        );
        assert!(row.publish);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let wrong = |fields| checked(fields).unwrap_err().to_string();

        assert!(
            wrong(Fields {
                tz: Some("Moscow".into()),
                ..Fields::default()
            })
            .contains("tz of S017")
        );
        assert!(
            wrong(Fields {
                hours: Some("10-22".into()),
                ..Fields::default()
            })
            .contains("hours of S017")
        );
        assert!(
            wrong(Fields {
                lat: Some(91.0),
                ..Fields::default()
            })
            .contains("lat of S017")
        );
    }

    #[test]
    fn a_warehouse_may_hold_what_cannot_be_sold() {
        let places = Fields {
            warehouses: Some(vec!["W1".into(), "W2=unavailable".into()]),
            ..Fields::default()
        };

        let row = checked(places).unwrap();

        assert_eq!(
            row.settings
                .warehouses
                .iter()
                .map(|w| (w.id.as_str(), w.unavailable))
                .collect::<Vec<_>>(),
            [("W1", false), ("W2", true)]
        );
    }
}
