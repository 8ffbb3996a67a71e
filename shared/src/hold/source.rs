//! The best shop for a leg, and why the others are not: shown to whoever asks why the order went there.

use super::grant::{Offer, Refusal, promisable};
use crate::freshness::Confidence;
use crate::{Barcode, ShopId};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// What was ordered.
    pub barcode: &'a Barcode,
    /// Its article, where it is known.
    pub article: Option<&'a str>,
    /// Its size.
    pub size: Option<&'a str>,
    /// How many.
    pub units: i64,
    /// Another barcode of the same article and size will do.
    pub allow_variant: bool,
}

/// A barcode at a shop that may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The shop.
    pub shop: ShopId,
    /// The barcode there.
    pub barcode: Barcode,
    /// Its article.
    pub article: Option<Box<str>>,
    /// Its size.
    pub size: Option<Box<str>>,
    /// Its numbers.
    pub offer: Offer,
    /// How far the shop is from where the piece is wanted, in metres; unknown is farthest.
    pub distance_m: Option<u32>,
    /// The hold has asked this shop before.
    pub was_asked: bool,
}

/// Why a candidate was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its shop has said no, or lost it.
    AskedBefore,
    /// It is another barcode, and the order takes no other.
    VariantNotAllowed,
    /// It is of another article, or one of the two is unknown.
    OtherArticle,
    /// It is of another size, or one of the two is unknown.
    OtherSize,
    /// It may not be promised there.
    Refused(Refusal),
    /// The very barcode is to be had elsewhere.
    ExactElsewhere,
    /// Another shop is surer.
    LessSure(Confidence),
    /// Another shop is nearer.
    Farther,
    /// It is as good, or nobody knows how far it is, and another shop comes before it.
    LaterInOrder,
}

/// The shop that was chosen, and why each other was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The best; none where nobody can.
    pub best: Option<&'a Candidate>,
    /// All others, in the order in which they came.
    pub rejected: Vec<(&'a Candidate, Why)>,
}

/// Chooses by confidence, then distance, then name: among those with the very barcode, else, where the order takes
/// them, among those of the same article and size.
pub fn choose<'a>(wanted: &Wanted<'_>, candidates: &'a [Candidate]) -> Choice<'a> {
    let rank = |candidate: &Candidate| {
        (
            candidate.barcode != *wanted.barcode,
            std::cmp::Reverse(candidate.offer.confidence),
            candidate.distance_m.unwrap_or(u32::MAX),
        )
    };
    let full = |one: &Candidate| (rank(one), one.shop.clone(), one.barcode.clone());
    let fit = candidates.iter().filter(|one| unfit(wanted, one).is_none());
    let best = fit.min_by_key(|one| full(one));
    let why = |one: &'a Candidate| -> Option<(&'a Candidate, Why)> {
        if let Some(why) = unfit(wanted, one) {
            return Some((one, why));
        }
        let best = best.filter(|best| !std::ptr::eq(*best, one))?;
        let why = if rank(one).0 != rank(best).0 {
            Why::ExactElsewhere
        } else if one.offer.confidence != best.offer.confidence {
            Why::LessSure(one.offer.confidence)
        } else {
            match (one.distance_m, best.distance_m) {
                (Some(here), Some(there)) if here > there => Why::Farther,
                _ => Why::LaterInOrder,
            }
        };
        Some((one, why))
    };
    Choice {
        best,
        rejected: candidates.iter().filter_map(why).collect(),
    }
}

/// Why a candidate cannot be taken at all.
fn unfit(wanted: &Wanted<'_>, one: &Candidate) -> Option<Why> {
    if one.was_asked && !crate::planted::is("a_shop_that_said_no_is_asked_again") {
        return Some(Why::AskedBefore);
    }
    if one.barcode != *wanted.barcode {
        let same = |here: &Option<Box<str>>, there: Option<&str>| {
            there.is_some() && here.as_deref() == there
        };
        if !wanted.allow_variant {
            return Some(Why::VariantNotAllowed);
        }
        if !same(&one.article, wanted.article) {
            return Some(Why::OtherArticle);
        }
        if !same(&one.size, wanted.size) {
            return Some(Why::OtherSize);
        }
    }
    match promisable(&one.offer) {
        Err(refusal) => Some(Why::Refused(refusal)),
        Ok(available) if available < wanted.units => {
            Some(Why::Refused(Refusal::Insufficient { available }))
        }
        Ok(_) => None,
    }
}
