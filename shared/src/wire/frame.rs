//! The frame: one header, then a list of sections (`PROTOCOL.md` §3, §4).

use std::cell::RefCell;

use sha2::{Digest, Sha256};
use zstd::bulk::{Compressor, Decompressor};

use crate::wire::WireError;

/// The bytes before the body.
pub const HEADER_BYTES: usize = 108;

/// The most bytes of a frame on the line.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// The most bytes of a body once unpacked.
pub const MAX_BODY_BYTES: usize = 8 << 20;

/// The most sections of a frame.
pub const MAX_SECTIONS: usize = 256;

const MAGIC: &[u8; 4] = b"VTRN";
const VERSION: u8 = 1;
const PLAIN: u8 = 1;
const ZSTD: u8 = 2;
/// How hard the packer tries.
const LEVEL: i32 = 3;
/// What is shorter goes as it is: with its headers it is one packet on the line, packed or not.
const PACKED_FROM_BYTES: usize = 1_024;
/// What the signature covers: the header up to it, the body's digest included.
const SIGNED_BYTES: usize = 44;

/// Set in a section's kind where a reader that does not know it must refuse the frame.
pub const MUST_UNDERSTAND: u16 = 0x8000;

/// One part of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is, with [`MUST_UNDERSTAND`].
    pub kind: u16,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A frame whose header was checked; its signature was not yet.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// The sections in their order.
    pub sections: Vec<Section>,
    /// What the signature must cover.
    pub signed: &'a [u8],
    /// The signature; all zeros where there is none.
    pub signature: [u8; 64],
}

/// Builds a frame. `sign` is given the bytes to sign and gives the signature, or zeros where the frame has none.
///
/// # Errors
///
/// [`WireError::TooLarge`] when the body or the frame would be beyond its limit: send less at once.
pub fn seal(
    sections: &[Section],
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Result<Vec<u8>, WireError> {
    let mut body = Vec::new();
    for section in sections {
        body.extend_from_slice(&section.kind.to_le_bytes());
        body.extend_from_slice(
            &u32::try_from(section.bytes.len())
                .map_err(|_| WireError::TooLarge)?
                .to_le_bytes(),
        );
        body.extend_from_slice(&section.bytes);
    }
    if body.len() > MAX_BODY_BYTES || sections.len() > MAX_SECTIONS {
        return Err(WireError::TooLarge);
    }
    let is_long = body.len() >= PACKED_FROM_BYTES;
    let (codec, body) = match is_long.then(|| pack(&body)).flatten() {
        Some(packed) if packed.len() < body.len() => (ZSTD, packed),
        _ => (PLAIN, body),
    };
    if HEADER_BYTES + body.len() > MAX_FRAME_BYTES {
        return Err(WireError::TooLarge);
    }
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.extend_from_slice(MAGIC);
    frame.extend_from_slice(&[VERSION, codec, 0, 0]);
    frame.extend_from_slice(
        &u32::try_from(body.len())
            .map_err(|_| WireError::TooLarge)?
            .to_le_bytes(),
    );
    frame.extend_from_slice(&Sha256::digest(&body));
    let signature = sign(&frame);
    frame.extend_from_slice(&signature);
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Opens a frame: size, magic, version, length and digest are checked before the body is unpacked, and the body's
/// size before room is made for it.
///
/// # Errors
///
/// [`WireError`]: what is wrong; nothing of the frame may be used.
pub fn open(frame: &[u8]) -> Result<Opened<'_>, WireError> {
    if frame.len() > MAX_FRAME_BYTES {
        return Err(WireError::TooLarge);
    }
    let (header, body) = frame
        .split_at_checked(HEADER_BYTES)
        .ok_or(WireError::Short)?;
    let (signed, signature) = header
        .split_at_checked(SIGNED_BYTES)
        .ok_or(WireError::Short)?;
    let signature: [u8; 64] = signature.try_into().map_err(|_| WireError::Short)?;
    let Some(([m0, m1, m2, m3, version, codec, reserved @ ..], lengths)) =
        signed.split_first_chunk::<8>()
    else {
        return Err(WireError::Short);
    };
    if [*m0, *m1, *m2, *m3] != *MAGIC {
        return Err(WireError::Magic);
    }
    if *version != VERSION || *reserved != [0, 0] {
        return Err(WireError::Version(*version));
    }
    let (length, digest) = lengths.split_first_chunk().ok_or(WireError::Short)?;
    if u32::from_le_bytes(*length) as usize != body.len() {
        return Err(WireError::Length);
    }
    if Sha256::digest(body).as_slice() != digest {
        return Err(WireError::Digest);
    }
    let sections = match *codec {
        PLAIN => split(body)?,
        ZSTD => split(&unpack(body)?)?,
        other => return Err(WireError::Codec(other)),
    };
    Ok(Opened {
        sections,
        signed,
        signature,
    })
}

// To make a packer ready costs more than to pack what most exchanges say, so every thread keeps its own.
thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The body packed; nothing where that fails.
fn pack(body: &[u8]) -> Option<Vec<u8>> {
    PACKER.with_borrow_mut(|kept| {
        let packer = match kept {
            Some(packer) => packer,
            None => kept.insert(Compressor::new(LEVEL).ok()?),
        };
        packer.compress(body).ok()
    })
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, WireError> {
    UNPACKER.with_borrow_mut(|kept| {
        let unpacker = match kept {
            Some(unpacker) => unpacker,
            None => kept.insert(Decompressor::new().map_err(|_| WireError::Unpack)?),
        };
        let body = unpacker.decompress(body, MAX_BODY_BYTES);
        body.map_err(|_| WireError::Unpack)
    })
}

fn split(mut body: &[u8]) -> Result<Vec<Section>, WireError> {
    let mut sections = Vec::new();
    while !body.is_empty() {
        let (kind, rest) = body.split_first_chunk().ok_or(WireError::Short)?;
        let (length, rest) = rest.split_first_chunk().ok_or(WireError::Short)?;
        let (bytes, rest) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or(WireError::Short)?;
        if sections.len() == MAX_SECTIONS {
            return Err(WireError::TooLarge);
        }
        sections.push(Section {
            kind: u16::from_le_bytes(*kind),
            bytes: bytes.to_vec(),
        });
        body = rest;
    }
    Ok(sections)
}
