//! The token: the hub's authenticator of its last answer to a shop. An authentic one that this database does not know
//! proves that the database is an older copy.

use vitrina_host::sign::TagKey;
use vitrina_shared::{HubLife, Position, ReplicaId, Seq, ShopId};

const VERSION: u8 = 1;
const TAG_BYTES: usize = 32;
/// Of a chain so much is enough to tell two histories apart.
const CHAIN_BYTES: usize = 16;

/// What the hub once said to a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The life in which it said so.
    pub(crate) life: HubLife,
    /// A place in the feed.
    pub(crate) pos: u64,
    /// The tag there.
    pub(crate) tag: u64,
    /// Every position of the shop.
    pub(crate) positions: Vec<Claim>,
}

/// One position of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Whose log.
    pub(crate) replica: ReplicaId,
    /// Up to here.
    pub(crate) seq: Seq,
    /// The first bytes of the chain there.
    pub(crate) chain: [u8; CHAIN_BYTES],
}

impl Claims {
    /// What the hub says now.
    pub(crate) fn new(
        life: HubLife,
        (pos, tag): (u64, u64),
        positions: &[(ReplicaId, Position)],
    ) -> Self {
        let claim = |(replica, at): &(ReplicaId, Position)| {
            let mut chain = [0; CHAIN_BYTES];
            chain
                .iter_mut()
                .zip(at.chain.0)
                .for_each(|(to, from)| *to = from);
            Claim {
                replica: *replica,
                seq: at.seq,
                chain,
            }
        };
        Self {
            life,
            pos,
            tag,
            positions: positions.iter().map(claim).collect(),
        }
    }

    /// The token's bytes: the claims, then their tag for this shop.
    pub(crate) fn seal(&self, key: &TagKey, shop: &ShopId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(41 + self.positions.len() * 40 + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.life.ordinal.to_le_bytes());
        bytes.extend_from_slice(&self.life.random);
        bytes.extend_from_slice(&self.pos.to_le_bytes());
        bytes.extend_from_slice(&self.tag.to_le_bytes());
        for claim in &self.positions {
            bytes.extend_from_slice(&claim.replica.0);
            bytes.extend_from_slice(&claim.seq.0.to_le_bytes());
            bytes.extend_from_slice(&claim.chain);
        }
        let tag = key.tag(&message(&bytes, shop));
        bytes.extend_from_slice(&tag);
        bytes
    }

    /// Reads a token; `None` where it is not this hub's word to this shop.
    pub(crate) fn open(token: &[u8], key: &TagKey, shop: &ShopId) -> Option<Self> {
        let (mut bytes, tag) = token.split_at_checked(token.len().checked_sub(TAG_BYTES)?)?;
        if !key.verify(&message(bytes, shop), tag) {
            return None;
        }
        if take::<1>(&mut bytes)? != [VERSION] {
            return None;
        }
        let life = HubLife {
            ordinal: u64::from_le_bytes(take(&mut bytes)?),
            random: take(&mut bytes)?,
        };
        let (pos, tag) = (
            u64::from_le_bytes(take(&mut bytes)?),
            u64::from_le_bytes(take(&mut bytes)?),
        );
        let mut positions = Vec::new();
        while !bytes.is_empty() {
            positions.push(Claim {
                replica: ReplicaId(take(&mut bytes)?),
                seq: Seq(u64::from_le_bytes(take(&mut bytes)?)),
                chain: take(&mut bytes)?,
            });
        }
        Some(Self {
            life,
            pos,
            tag,
            positions,
        })
    }
}

/// What the tag covers: the claims and the shop they were made to.
fn message(claims: &[u8], shop: &ShopId) -> Vec<u8> {
    [
        b"vitrina.token.1\0",
        claims,
        b"\0",
        shop.as_str().as_bytes(),
    ]
    .concat()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_hubs_word_to_one_shop() {
        let key = TagKey::new(&[7; 32]);
        let shop: ShopId = "S1".parse().unwrap();
        let life = HubLife {
            ordinal: 3,
            random: [9; 16],
        };
        let replica = ReplicaId([1; 16]);
        let claims = Claims::new(life, (17, 42), &[(replica, replica.origin())]);

        let token = claims.seal(&key, &shop);

        assert_eq!(Claims::open(&token, &key, &shop), Some(claims));
        assert_eq!(Claims::open(&token, &key, &"S2".parse().unwrap()), None);
        assert_eq!(Claims::open(&token, &TagKey::new(&[8; 32]), &shop), None);
        for at in 0..token.len() {
            let mut forged = token.clone();
            forged[at] ^= 1;
            assert_eq!(Claims::open(&forged, &key, &shop), None, "byte {at}");
        }
    }
}
