//! Frames on a stick, for a shop without a line: the same frames as on the line, signed the same way, in a file.
//!
//! It owns no bytes of the file ([`vitrina_host::stick`]) and no row of the ledger. A stick is looked at to its end
//! before anything of it is applied, and may come before, after or between exchanges, any number of times.

use std::path::Path;

use vitrina_host::sign::{self, PublicKey, Signature};
use vitrina_host::stick::{Bound, StickError, StickReader, StickWriter};
use vitrina_shared::wire::{StickAnswer, WireError, frame};

use crate::core::{Core, now};
use crate::hub_client::HubError;
use crate::identity::Identity;
use crate::ledger::{
    Ask, Asked, Heard, LedgerError, OnStick, Show, StickFrom, answer, ask, register,
};
use crate::sync::exchange::{self, Surroundings};
use crate::sync::{SyncError, decisions};

/// Why a stick was not written or not taken. Nothing of it was applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FramesError {
    /// The file.
    #[error("the frames were not carried")]
    File(#[from] StickError),
    /// There was no enrolment, so that nothing can be signed or compared.
    #[error("this agent is not enrolled: vitrina-agent enrol --hub URL --code CODE")]
    NotEnrolled,
    /// A frame cannot be made or signed.
    #[error("a frame cannot be made")]
    Frame(#[source] SyncError),
    /// A frame of the stick cannot be read.
    #[error(
        "the stick is damaged, or of a later version: copy it or export it again, else update the agent"
    )]
    Wire(#[from] WireError),
    /// It is for another shop.
    #[error(
        "the stick is for the shop {found}, this is {own}: export it at the hub with --shop {own}"
    )]
    OtherShop {
        /// Whose it is.
        found: String,
        /// Whose ledger this is.
        own: String,
    },
    /// It is not the hub's word.
    #[error(
        "the stick is not signed by the hub at which this shop is enrolled: take one that `vitrina-hub frames export` made there"
    )]
    NotTheHub,
    /// The ledger failed.
    #[error("the ledger did not take the stick: import it again, it goes on where it was")]
    Ledger(#[from] LedgerError),
}

/// What was put on a stick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Frames.
    pub(crate) frames: u32,
    /// Movements in them.
    pub(crate) movements: u64,
}

/// What a stick of the hub changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    /// It says nothing that is not known here by something later: nothing was changed.
    pub(crate) older: bool,
    /// Movements that the hub acknowledged with it.
    pub(crate) acked: u64,
    /// Movements that are new here.
    pub(crate) taken: u64,
    /// The ledger goes on under a new name: it is not the only one of the one before.
    pub(crate) minted: bool,
    /// The shop's settings changed.
    pub(crate) settings_changed: bool,
}

/// Puts on a stick what the hub has not acknowledged, or everything, of every replica.
///
/// # Errors
///
/// [`FramesError`]; then there is no new file.
pub(crate) fn export(core: &Core, target: &Path, from: StickFrom) -> Result<Exported, FramesError> {
    let identity = core.identity().ok_or(FramesError::NotEnrolled)?;
    let mut stick = StickWriter::create(target, Bound::ToHub)?;
    let mut done = OnStick::default();
    let mut exported = Exported::default();
    loop {
        let (frame, asked) = next_frame(core, &identity, from, &done)?;
        let movements = asked.deltas.iter().map(|delta| delta.entries.len() as u64);
        exported.movements += movements.sum::<u64>();
        done.add(&asked);
        stick.frame(&frame)?;
        if !asked.more || (asked.deltas.is_empty() && asked.legs.legs.is_empty()) {
            break;
        }
    }
    exported.frames = stick.finish()?;
    Ok(exported)
}

/// The next frame, with as many movements as fit.
fn next_frame(
    core: &Core,
    identity: &Identity,
    from: StickFrom,
    done: &OnStick,
) -> Result<(Vec<u8>, Asked), FramesError> {
    let mut movements = exchange::MOVEMENTS;
    loop {
        let wanted = Ask {
            show: Show::All,
            movements,
            bytes: exchange::BYTES,
            now: now(),
        };
        let (before, surroundings) = (done.clone(), Surroundings::of(core, false));
        let (mut asked, health) = core.read(move |conn| {
            let asked = ask::stick(conn, &wanted, from, &before)?;
            let health = surroundings.health(conn, asked.pending)?;
            Ok::<_, LedgerError>((asked, health))
        })?;
        if *done != OnStick::default() {
            // Said by the first frame.
            (asked.quarantine, asked.disagreements) = (Vec::new(), None);
        }
        let request = exchange::request(identity, core.boot(), &asked, health, 0);
        match exchange::seal(&request, identity) {
            Ok(frame) => return Ok((frame, asked)),
            Err(SyncError::Hub(HubError::Frame(WireError::TooLarge))) if movements > 1 => {
                movements /= 2;
            }
            Err(error) => return Err(FramesError::Frame(error)),
        }
    }
}

/// Takes a stick that the hub made for this shop.
///
/// # Errors
///
/// [`FramesError`]; where the ledger failed in the middle, importing it again goes on.
pub(crate) fn import(core: &Core, path: &Path) -> Result<Imported, FramesError> {
    let identity = core.identity().ok_or(FramesError::NotEnrolled)?;
    let mut checked = StickReader::open(path, Bound::ToShop)?;
    while let Some(frame) = checked.frame()? {
        read(&identity, &frame)?;
    }
    let mut imported = Imported::default();
    let mut stick = StickReader::open(path, Bound::ToShop)?;
    while let Some(frame) = stick.frame()? {
        let answer = read(&identity, &frame)?;
        let decisions = answer.answer.decisions.clone();
        let heard = Heard {
            now: now(),
            skew_ms: None,
        };
        let taken = core.write_background(move |conn| answer::apply_stick(conn, &answer, heard))?;
        imported.older |= taken.older;
        imported.acked += taken.acked;
        imported.taken += taken.taken;
        imported.minted |= taken.minted.is_some();
        imported.settings_changed |= taken.settings_changed;
        if taken.older {
            break;
        }
        decisions::carry_out_here(core, decisions);
    }
    while !core.write_background(register::tidy)? {}
    Ok(imported)
}

/// Reads a frame of a stick, if it is this shop's hub that speaks to this shop.
fn read(identity: &Identity, bytes: &[u8]) -> Result<StickAnswer, FramesError> {
    let opened = frame::open(bytes)?;
    let stick = StickAnswer::read(&opened)?;
    let certificate = &identity.enrolment.certificate;
    // The hub's key is the one under which the shop's own certificate is right: no other is.
    let hub = PublicKey(stick.about.hub);
    let given = certificate.signature.as_slice().try_into();
    let is_the_hub = given.is_ok_and(|given| {
        sign::verify(&hub, &certificate.signed_bytes(), &Signature(given))
            && sign::verify(&hub, opened.signed, &Signature(opened.signature))
    });
    if !is_the_hub {
        return Err(FramesError::NotTheHub);
    }
    if stick.about.shop != certificate.shop {
        return Err(FramesError::OtherShop {
            found: stick.about.shop,
            own: certificate.shop.clone(),
        });
    }
    Ok(stick)
}
