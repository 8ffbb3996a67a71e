//! The only place that names `bincode`.
//!
//! The limit stops lengths that a peer made up before memory is taken; what is left over behind a value is refused,
//! because bincode itself does not look.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::WireError;

/// bincode charges 8 for a number of 64 bits: so more than the largest body.
const BUDGET: usize = 64 << 20;

const CONFIG: Configuration<LittleEndian, Varint, Limit<BUDGET>> =
    bincode::config::standard().with_limit::<BUDGET>();

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, WireError> {
    bincode::serde::encode_to_vec(value, CONFIG).map_err(|_| WireError::Encode)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, CONFIG).map_err(|_| WireError::Malformed)?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(WireError::Trailing)
    }
}
