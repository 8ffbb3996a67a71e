//! Transfers on the wire: what the hub has worked out of the movements of several shops, told to those that it concerns.

use serde::{Deserialize, Serialize};

use crate::barcode::MAX_BARCODE_BYTES;
use crate::transfer::State;
use crate::wire::WireError;
use crate::{Barcode, HoldId, LegId, ShopId, TimeMs, TransferId};

/// The most transfers of a frame, and the most pieces that are to be sent.
pub const MAX_TRANSFERS: usize = 200;
/// The most lines of all of them.
pub const MAX_TRANSFER_LINES: usize = 1_000;
/// The most bytes of a document's name: what a movement keeps of it.
const MAX_DOCUMENT_BYTES: usize = 200;

/// How far an agent knows of transfers: that it says so means that it takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransfersV1 {
    /// They are held up to here, in the life of the frame's `HELLO`.
    pub held: u64,
}

/// Transfers that a hub gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubTransfersV1 {
    /// Those that concern the shop and changed after the place that the request named, whole; at most [`MAX_TRANSFERS`].
    pub list: Vec<TransferV1>,
    /// Where pieces that the shop keeps are to go; at most [`MAX_TRANSFERS`].
    pub ship: Vec<ShipV1>,
    /// The agent now holds them up to here.
    pub upto: u64,
}

/// One transfer as one shop needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferV1 {
    /// Its name.
    pub id: [u8; 16],
    /// What the sender calls it, at most 200 bytes.
    pub document: Option<String>,
    /// The sending shop, by the movements' word.
    pub from: Option<String>,
    /// The shop that it goes to.
    pub to: Option<String>,
    /// `transfer::State`'s number.
    pub state: u8,
    /// When it left, or where nothing did when it came.
    pub since: i64,
    /// The order whose piece it is, where it is of one.
    pub hold: Option<[u8; 16]>,
    /// Its barcodes; all transfers of a frame have at most [`MAX_TRANSFER_LINES`].
    pub lines: Vec<TransferLineV1>,
    /// It has more lines than these.
    pub is_cut: bool,
}

/// One barcode of a transfer, in units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferLineV1 {
    /// The barcode.
    pub barcode: String,
    /// Sent.
    pub sent: i64,
    /// Come, anywhere.
    pub received: i64,
    /// Of these, come to the frame's shop.
    pub here: i64,
    /// Still on their way to the frame's shop.
    pub awaited: i64,
}

/// Where the piece of a leg is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipV1 {
    /// The leg.
    pub leg: [u8; 16],
    /// The shop.
    pub to: String,
}

/// A transfer as one shop needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub id: TransferId,
    /// What the sender calls it.
    pub document: Option<String>,
    /// The sending shop, by the movements' word.
    pub from: Option<String>,
    /// The shop that it goes to.
    pub to: Option<ShopId>,
    /// How it stands.
    pub state: State,
    /// When it left, or where nothing did when it came.
    pub since: TimeMs,
    /// The order whose piece it is.
    pub hold: Option<HoldId>,
    /// Its barcodes.
    pub lines: Vec<(Barcode, TransferLineV1)>,
    /// It has more lines than these.
    pub is_cut: bool,
}

impl HubTransfersV1 {
    /// How many things it tells of; more than allowed are refused.
    pub(in crate::wire) fn fits(&self) -> bool {
        let lines: usize = self.list.iter().map(|transfer| transfer.lines.len()).sum();
        self.list.len() <= MAX_TRANSFERS
            && self.ship.len() <= MAX_TRANSFERS
            && lines <= MAX_TRANSFER_LINES
    }
}

impl TransferV1 {
    /// What it says.
    ///
    /// # Errors
    ///
    /// [`WireError::Malformed`]: something in it is out of its range. None where a later version has a state of its own.
    pub fn read(&self) -> Result<Option<Told>, WireError> {
        let texts = [&self.document, &self.from];
        let is_long = |text: &String| text.len() > MAX_DOCUMENT_BYTES;
        if texts.into_iter().flatten().any(is_long) {
            return Err(WireError::Malformed);
        }
        let Some(state) = State::of_number(self.state) else {
            return Ok(None);
        };
        let since = TimeMs(self.since);
        if !since.is_writable() {
            return Err(WireError::Malformed);
        }
        let line = |line: &TransferLineV1| {
            if line.barcode.len() > MAX_BARCODE_BYTES {
                return Err(WireError::Malformed);
            }
            let barcode = Barcode::try_from(line.barcode.clone());
            let barcode = barcode.map_err(|_| WireError::Malformed)?;
            Ok((barcode, line.clone()))
        };
        Ok(Some(Told {
            id: TransferId(self.id),
            document: self.document.clone(),
            from: self.from.clone(),
            to: self.to.as_ref().and_then(|to| to.parse().ok()),
            state,
            since,
            hold: self.hold.map(HoldId),
            lines: self.lines.iter().map(line).collect::<Result<_, _>>()?,
            is_cut: self.is_cut,
        }))
    }
}

impl ShipV1 {
    /// The leg, and where its piece is to go.
    ///
    /// # Errors
    ///
    /// [`WireError::Malformed`]: that is no shop.
    pub fn read(&self) -> Result<(LegId, ShopId), WireError> {
        let to = self.to.parse().map_err(|_| WireError::Malformed)?;
        Ok((LegId(self.leg), to))
    }
}
