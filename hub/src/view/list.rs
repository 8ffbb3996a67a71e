//! Pages of levels by shop, article, city, size and distance.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use vitrina_shared::ShopId;
use vitrina_shared::distance::distance_km;
use vitrina_shared::stock::Channel;

use crate::board::ShopCell;
use crate::error::{ApiError, Code};
use crate::feed::Subject;
use crate::view::View;
use crate::view::face::Face;
use crate::view::flat::Row;
use crate::view::item::Item;
use crate::view::level::Level;

/// Which levels, and how many.
#[derive(Clone, Debug, Default)]
pub(crate) struct StockQuery {
    /// Of this shop.
    pub(crate) shop: Option<ShopId>,
    /// Of this article.
    pub(crate) article: Option<String>,
    /// Of the shops of this city, in whatever case.
    pub(crate) city: Option<String>,
    /// Of this size; `17,5` is `17.5`.
    pub(crate) size: Option<String>,
    /// Only what is available.
    pub(crate) available: bool,
    /// What `available` means to the reader.
    pub(crate) channel: Channel,
    /// Sorted by the shops' distance from here, in degrees north and east.
    pub(crate) near: Option<(f64, f64)>,
    /// Not farther than this.
    pub(crate) radius_km: Option<f64>,
    /// At most so many.
    pub(crate) limit: usize,
    /// Those after.
    pub(crate) after: Option<Place>,
}

/// A place in the list: the shop's rank is found again by its number, then the level's feed position. A level that
/// changes while the list is read moves to the end of its shop, so that it is shown again and never left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    shop: u32,
    pos: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shop, self.pos)
    }
}

impl FromStr for Place {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let read = || {
            let (shop, pos) = text.split_once('.')?;
            Some(Self {
                shop: shop.parse().ok()?,
                pos: pos.parse().ok()?,
            })
        };
        read().ok_or_else(|| ApiError::malformed("the cursor is not one of this list"))
    }
}

/// A shop that the query allows, by the store's number.
struct Allowed {
    cell: Arc<ShopCell>,
    km: Option<f64>,
}

struct Hit {
    rank: usize,
    shop: u32,
    pos: u64,
    item: Arc<Item>,
}

impl View {
    /// A page of levels as JSON: `{"items":[…],"next_cursor":…}`.
    ///
    /// # Errors
    ///
    /// 404 `unknown_shop`; 400 for a cursor of another list.
    pub(crate) fn list(&self, query: &StockQuery) -> Result<Vec<u8>, ApiError> {
        let shops = self.allowed(query)?;
        let ranks = Ranks::of(&shops, query.near.is_some());
        let after = match query.after {
            None => None,
            Some(place) => {
                let rank = ranks.of_shop(place.shop);
                Some((
                    rank.ok_or_else(|| ApiError::malformed("the cursor is not one of this list"))?,
                    place.pos,
                ))
            }
        };
        let mut search = Search {
            query,
            ranks,
            after,
            hits: Vec::new(),
        };
        match &query.article {
            Some(article) => search.items(&self.article(article)),
            None => search.feed(self),
        }
        Ok(search.into_json(&shops))
    }

    fn allowed(&self, query: &StockQuery) -> Result<Vec<Allowed>, ApiError> {
        let city = query.city.as_deref().map(str::trim).map(str::to_lowercase);
        let mut shops = Vec::new();
        for cell in self.board.all().into_iter().filter(|cell| cell.is_shown()) {
            let known = cell.known();
            let place = known.row.lat.zip(known.row.lon);
            let km = query
                .near
                .zip(place)
                .map(|(from, to)| distance_km(from, to));
            let wanted = query.shop.as_ref().is_none_or(|shop| cell.shop == *shop)
                && city.as_ref().is_none_or(|city| known.city == *city)
                && (query.near.is_none()
                    || km.is_some_and(|km| query.radius_km.is_none_or(|radius| km <= radius)));
            if wanted {
                shops.push(Allowed { cell, km });
            }
        }
        if let Some(shop) = query.shop.as_ref().filter(|_| shops.is_empty())
            && !self.board.find(shop).is_some_and(|cell| cell.is_shown())
        {
            return Err(ApiError::new(Code::UnknownShop, ""));
        }
        shops.sort_by(|left, right| left.km.unwrap_or(0.0).total_cmp(&right.km.unwrap_or(0.0)));
        Ok(shops)
    }
}

/// The order of the shops in the list, by the store's numbers: all alike, or by distance.
struct Ranks(Vec<Option<usize>>);

impl Ranks {
    fn of(shops: &[Allowed], by_distance: bool) -> Self {
        let mut ranks = Vec::new();
        for (rank, shop) in shops.iter().enumerate() {
            let index = usize::try_from(shop.cell.index).unwrap_or(0);
            if ranks.len() <= index {
                ranks.resize(index + 1, None);
            }
            if let Some(place) = ranks.get_mut(index) {
                *place = Some(if by_distance { rank } else { 0 });
            }
        }
        Self(ranks)
    }

    fn of_shop(&self, shop: u32) -> Option<usize> {
        *self.0.get(usize::try_from(shop).ok()?)?
    }
}

struct Search<'a> {
    query: &'a StockQuery,
    ranks: Ranks,
    after: Option<(usize, u64)>,
    hits: Vec<Hit>,
}

impl Search<'_> {
    fn feed(&mut self, view: &View) {
        // Without distances the list is in the feed's own order, and may begin and end in the middle of it.
        let by_distance = self.query.near.is_some();
        let mut pos = self
            .after
            .filter(|_| !by_distance)
            .map_or(0, |(_, pos)| pos);
        loop {
            let (entries, _) = view.entries(pos);
            let Some(last) = entries.last() else { break };
            pos = last.pos;
            for entry in &entries {
                let Subject::Level(item, shop) = &entry.subject else {
                    continue;
                };
                if self.ranks.of_shop(*shop).is_some() {
                    item.with_level_alone(*shop, |level, face| {
                        if level.pos == entry.pos {
                            self.meet(item, level, face);
                        }
                    });
                }
            }
            if !by_distance && self.hits.len() > self.query.limit {
                break;
            }
        }
    }

    fn items(&mut self, items: &[Arc<Item>]) {
        for item in items {
            item.with_levels(self.query.channel, |level, face, _, _| {
                self.meet(item, level, face);
            });
        }
    }

    fn meet(&mut self, item: &Arc<Item>, level: &Level, face: &Face) {
        let Some(rank) = self.ranks.of_shop(level.shop.index) else {
            return;
        };
        let size = || face.attributes.get("size").map(|size| same_size(size));
        let wanted = self.after.is_none_or(|after| (rank, level.pos) > after)
            && (!self.query.available || level.numbers.available_to(self.query.channel) > 0)
            && self
                .query
                .size
                .as_ref()
                .is_none_or(|wanted| size().is_some_and(|size| size == same_size(wanted)));
        if !wanted {
            return;
        }
        self.hits.push(Hit {
            rank,
            shop: level.shop.index,
            pos: level.pos,
            item: Arc::clone(item),
        });
        if self.hits.len() > 4 * (self.query.limit + 1) {
            self.keep_first();
        }
    }

    /// Keeps the first of what was found: one more than is asked for, to know whether there is more.
    fn keep_first(&mut self) {
        self.hits.sort_by_key(|hit| (hit.rank, hit.pos));
        self.hits.truncate(self.query.limit + 1);
    }

    fn into_json(mut self, shops: &[Allowed]) -> Vec<u8> {
        self.keep_first();
        let more = self.hits.len() > self.query.limit;
        self.hits.truncate(self.query.limit);
        let mut out = Vec::with_capacity(32 + 400 * self.hits.len());
        out.extend_from_slice(br#"{"items":["#);
        for (at, hit) in self.hits.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let km = self.query.near.and_then(|_| shops.get(hit.rank)?.km);
            let channel = self.query.channel;
            hit.item
                .with_level((hit.shop, channel), |level, face, item_available, price| {
                    Row {
                        item: &hit.item,
                        level,
                        face,
                        item_available,
                        price,
                        channel,
                    }
                    .write(&mut out, km);
                });
        }
        let next = self.hits.last().filter(|_| more).map(|hit| Place {
            shop: hit.shop,
            pos: hit.pos,
        });
        let next = next.map_or_else(|| "null".to_owned(), |place| format!("\"{place}\""));
        out.extend_from_slice(format!(r#"],"next_cursor":{next}}}"#).as_bytes());
        out
    }
}

/// A size as people write it, made comparable.
pub(super) fn same_size(size: &str) -> String {
    size.trim().replace(',', ".").to_lowercase()
}
