//! Safety stock as head office sets it: what is named is looked up, the rule is written, the feed's readers are told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vitrina_shared::safety::{Goods, MAX_UNITS, Scope};
use vitrina_shared::{Barcode, ShopId};

use crate::audit::By;
use crate::core::Core;
use crate::error::{ApiError, Code};
use crate::store::{SafetySet, StoreError};
use crate::view::View;

/// So long whoever sets a rule waits until every level has its new place in the feed.
const TELL_TIME: Duration = Duration::from_secs(20);
/// The most bytes of an article.
const MAX_ARTICLE_BYTES: usize = 255;

/// A scope as it is named: nothing of it, and it is the chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    /// In this shop.
    pub(crate) shop: Option<ShopId>,
    /// Of this article.
    pub(crate) article: Option<String>,
    /// Of this barcode, or of another code of it.
    pub(crate) barcode: Option<String>,
}

/// A rule that was set or taken away.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Of what it speaks.
    pub(crate) scope: Scope,
    /// What it said before.
    pub(crate) before: Option<u32>,
    /// Every level that it changed has its new place in the feed; otherwise they get it within a minute.
    pub(crate) is_told: bool,
}

impl Named {
    /// What is named, as goods. What nobody knows any more can still be taken away.
    fn goods(&self, view: &View, must_be_known: bool) -> Result<Goods, ApiError> {
        match (&self.article, &self.barcode) {
            (Some(_), Some(_)) => Err(ApiError::invalid("say an article or a barcode, not both")),
            (None, None) => Ok(Goods::All),
            (Some(article), None) => {
                if article.is_empty() || article.len() > MAX_ARTICLE_BYTES {
                    let words = format!("an article has 1 to {MAX_ARTICLE_BYTES} bytes");
                    return Err(ApiError::invalid(words));
                }
                if must_be_known && view.article(article).is_empty() {
                    let words = format!("{article}: no item is of this article");
                    return Err(ApiError::new(Code::UnknownArticle, words));
                }
                Ok(Goods::Article(article.as_str().into()))
            }
            (None, Some(text)) => match view.find(text) {
                Ok(item) => Ok(Goods::Barcode(item.barcode.clone())),
                Err(error) if must_be_known => Err(error),
                Err(error) => match Barcode::from_key(text) {
                    Ok(barcode) => Ok(Goods::Barcode(barcode)),
                    Err(_) => Err(error),
                },
            },
        }
    }
}

/// Sets a rule; nothing takes it away.
///
/// # Errors
///
/// What is named is not known, is two things, or more is kept back than there can be. Nothing was written.
pub(crate) async fn set(
    core: &Arc<Core>,
    by: By,
    named: Named,
    units: Option<u32>,
) -> Result<Done, ApiError> {
    if units.is_some_and(|units| units > MAX_UNITS) {
        let words = format!("units is a number from 0 to {MAX_UNITS}");
        return Err(ApiError::invalid(words));
    }
    let filling = Arc::clone(core);
    let view = tokio::task::spawn_blocking(move || filling.view()).await;
    let view = view.map_err(|error| ApiError::internal(&error))??;
    let scope = Scope {
        goods: named.goods(&view, units.is_some())?,
        shop: named.shop,
    };
    let before = match core.store.set_safety(by, scope.clone(), units).await? {
        SafetySet::Is { before } => before,
        SafetySet::UnknownShop => return Err(ApiError::new(Code::UnknownShop, "")),
    };
    let is_told = tell(core, TELL_TIME).await?;
    Ok(Done {
        scope,
        before,
        is_told,
    })
}

/// Gives levels their new places in the feed until none is left, or the time is over; whether none is left.
pub(crate) async fn tell(core: &Core, time: Duration) -> Result<bool, StoreError> {
    let began = Instant::now();
    while core.store.tell_safety().await? {
        if began.elapsed() > time {
            return Ok(false);
        }
    }
    Ok(true)
}
