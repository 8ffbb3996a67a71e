//! Ready answers: the bytes of an item, and for what they still stand.

use std::io::Write as _;

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use vitrina_shared::TimeMs;
use vitrina_shared::stock::Channel;

/// A body under so many bytes does not get smaller by packing.
pub(super) const GZIP_FROM_BYTES: usize = 400;

/// How well bodies are packed.
pub(crate) const GZIP_LEVEL: Compression = Compression::new(4);

/// What changes whenever the item says something new.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    /// As a number, to make one tag of several.
    pub(crate) hash: u64,
    /// As a weak entity tag.
    pub(crate) etag: HeaderValue,
}

impl Tag {
    pub(crate) fn of(hash: u64) -> Self {
        let text = format!("W/\"{hash:016x}\"");
        let etag =
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("W/\"0\""));
        Self { hash, etag }
    }
}

/// For what an answer is made.
pub(crate) struct Occasion<'a> {
    /// The board's epoch, read before anything of its shops is.
    pub(crate) epoch: u64,
    /// The board's beats, read at the same time.
    pub(crate) beats: u64,
    /// The ordinal of the hub's life.
    pub(crate) life: u64,
    /// The cursor of a feed position.
    pub(crate) cursor: &'a dyn Fn(u64) -> String,
}

/// The item as an answer.
pub(crate) struct Answer {
    /// What says whether it is news.
    pub(crate) tag: Tag,
    /// The earliest moment up to which one of its shops is known.
    pub(crate) as_of: Option<TimeMs>,
    /// The bytes; nothing when the caller has them.
    pub(crate) body: Option<Bytes>,
    /// Whether they are packed.
    pub(crate) is_gzip: bool,
}

/// How the caller wants the answer.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// `If-None-Match`.
    pub(crate) none_match: Option<&'a [u8]>,
    /// The caller takes gzip.
    pub(crate) gzip: bool,
    /// What `available` means to the caller.
    pub(crate) channel: Channel,
}

impl Wanted<'_> {
    /// What says to a channel whether there is news, and no bytes.
    pub(crate) fn tag_of(channel: Channel) -> Self {
        Self {
            none_match: Some(b"*"),
            gzip: false,
            channel,
        }
    }

    /// The bytes, for a channel.
    pub(crate) fn body_for(channel: Channel) -> Self {
        Self {
            channel,
            ..Self::default()
        }
    }
}

/// A ready answer.
#[derive(Debug)]
pub(super) struct Kept {
    /// Made when it is first asked for: a caller that has it needs the tag only.
    pub(super) body: Option<Body>,
    /// The same, packed.
    pub(super) gzip: Option<Bytes>,
    /// What says whether it is news.
    pub(super) tag: Tag,
    /// Somebody asked since the last tidying.
    pub(super) asked: bool,
    /// The board's epoch, the hub's life and the sum of the shops' versions for which it stands.
    pub(super) epoch: u64,
    pub(super) life: u64,
    pub(super) looks: u64,
    pub(super) news: u64,
    /// How far the shops are known.
    pub(super) least: Least,
}

/// The least `as_of` of an item's shops.
#[derive(Clone, Copy, Debug)]
pub(super) struct Least {
    /// The board's beats for which it stands.
    pub(super) beats: u64,
    /// The moment; none where no shop has one.
    pub(super) as_of: Option<TimeMs>,
    /// The place of its level.
    pub(super) place: usize,
}

/// The bytes of an item.
#[derive(Debug)]
pub(super) struct Body {
    /// All of them.
    pub(super) bytes: Bytes,
    /// Where each level's `as_of` is written.
    pub(super) stamps: Box<[usize]>,
    /// The sum of the shops' versions that it shows.
    pub(super) looks: u64,
}

impl Kept {
    /// An answer whose body nobody asked for yet.
    pub(super) fn new(
        tag: Tag,
        least: Least,
        occasion: &Occasion<'_>,
        looks: u64,
        news: u64,
    ) -> Self {
        Self {
            body: None,
            gzip: None,
            tag,
            asked: true,
            epoch: occasion.epoch,
            life: occasion.life,
            looks,
            news,
            least,
        }
    }
}

/// Whether `If-None-Match` names the tag; weakly, as the tags are weak.
pub(crate) fn matches(none_match: &[u8], etag: &HeaderValue) -> bool {
    let ours = etag.as_bytes();
    if none_match == ours {
        return true;
    }
    let bare = |tag: &[u8]| {
        tag.trim_ascii()
            .strip_prefix(b"W/")
            .unwrap_or(tag.trim_ascii())
            .to_vec()
    };
    let ours = bare(ours);
    none_match
        .split(|byte| *byte == b',')
        .any(|theirs| theirs.trim_ascii() == b"*" || bare(theirs) == ours)
}

/// Packs a body. Writing into memory cannot fail.
pub(crate) fn gzip(body: &[u8]) -> Bytes {
    let mut packer = GzEncoder::new(Vec::with_capacity(body.len() / 4), GZIP_LEVEL);
    let done = packer.write_all(body).and_then(|()| packer.finish());
    done.map(Bytes::from).unwrap_or_default()
}
