//! The other ways to name an item: its alias, its `external_id`, its bare local code, its article.

use std::sync::Arc;

use foldhash::HashMap;
use vitrina_shared::Barcode;

use crate::view::face::Face;
use crate::view::item::Item;

type Many = HashMap<Box<str>, Vec<Arc<Item>>>;

/// Other names to items.
#[derive(Debug, Default)]
pub(crate) struct Index {
    aliases: HashMap<Box<str>, Barcode>,
    externals: Many,
    locals: Many,
    articles: Many,
}

impl Index {
    /// Takes or drops an alias.
    pub(crate) fn set_alias(&mut self, alias: String, barcode: Option<Barcode>) {
        match barcode {
            Some(barcode) => self.aliases.insert(alias.into(), barcode),
            None => self.aliases.remove(alias.as_str()),
        };
    }

    /// Takes an item that was not there before.
    pub(crate) fn enter(&mut self, item: &Arc<Item>) {
        if let (code, Some(_)) = item.barcode.split_local() {
            self.locals
                .entry(code.into())
                .or_default()
                .push(Arc::clone(item));
        }
    }

    /// Moves an item from the names that it had to those that it has.
    pub(crate) fn rename(&mut self, item: &Arc<Item>, before: &Face, after: &Face) {
        shift(
            &mut self.articles,
            item,
            before.article.as_deref(),
            after.article.as_deref(),
        );
        shift(
            &mut self.externals,
            item,
            before.external_id.as_deref(),
            after.external_id.as_deref(),
        );
    }

    /// The barcode that an alias means.
    pub(crate) fn alias(&self, text: &str) -> Option<&Barcode> {
        self.aliases.get(text)
    }

    /// The items of an `external_id`.
    pub(crate) fn by_external(&self, text: &str) -> &[Arc<Item>] {
        self.externals.get(text).map_or(&[], Vec::as_slice)
    }

    /// The items whose key is this code at some shop.
    pub(crate) fn by_local(&self, code: &str) -> &[Arc<Item>] {
        self.locals.get(code).map_or(&[], Vec::as_slice)
    }

    /// The items of an article.
    pub(crate) fn by_article(&self, article: &str) -> &[Arc<Item>] {
        self.articles.get(article).map_or(&[], Vec::as_slice)
    }
}

fn shift(map: &mut Many, item: &Arc<Item>, before: Option<&str>, after: Option<&str>) {
    if before == after {
        return;
    }
    if let Some(before) = before
        && let Some(items) = map.get_mut(before)
    {
        items.retain(|known| !Arc::ptr_eq(known, item));
        if items.is_empty() {
            map.remove(before);
        }
    }
    if let Some(after) = after {
        map.entry(after.into()).or_default().push(Arc::clone(item));
    }
}
