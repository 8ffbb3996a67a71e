//! The two sides of a leg: one-way registers, each with its own writers, whose join is the greater.

use crate::{MovementId, TimeMs, planted};

/// How far the hub has gone with a leg. Written by the hub only; it only goes down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HubState {
    /// The shop is asked to keep the piece.
    Requested,
    /// The order goes on elsewhere: the shop's no was taken, or another leg stays.
    Ended,
    /// The time was over.
    Expired,
    /// The website let it go.
    Released,
}

impl HubState {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Requested, Self::Ended, Self::Expired, Self::Released];

    /// The word of the public interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::Released => "released",
        }
    }

    /// 0 to 3, as stored and on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The state of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// The hub's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HubSide {
    /// How far it went.
    pub state: HubState,
    /// When the hub lets it go by itself, by the hub's clock. Only ever later.
    pub expires_at: TimeMs,
}

impl HubSide {
    /// The join: the greater of each.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        let expires_at = if planted::is("extending_may_shorten") {
            other.expires_at
        } else {
            self.expires_at.max(other.expires_at)
        };
        Self {
            state: self.state.max(other.state),
            expires_at,
        }
    }
}

/// Why a shop says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeclineReason {
    /// It is sold, or promised already.
    Sold,
    /// Nobody finds it.
    NotFound,
    /// It cannot be sold as it is.
    Damaged,
    /// It is on show and stays there.
    Showcase,
    /// Whatever else.
    Other,
}

impl DeclineReason {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [
        Self::Sold,
        Self::NotFound,
        Self::Damaged,
        Self::Showcase,
        Self::Other,
    ];

    /// The word of the public interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sold => "sold",
            Self::NotFound => "not_found",
            Self::Damaged => "damaged",
            Self::Showcase => "showcase",
            Self::Other => "other",
        }
    }

    /// The reason of a word of the public interface.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    /// 0 to 4, as stored and on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The reason of a number; one that a later version added is [`DeclineReason::Other`].
    pub fn of_number(number: u8) -> Self {
        let known = Self::ALL.get(usize::from(number));
        known.copied().unwrap_or(Self::Other)
    }
}

/// The shop's side. It only goes down this list, and two writers of one shop join: the one further down stands, with
/// what belongs to it; of two that stand equal, the one with the greater attachments, so that all agree.
///
/// The hub writes here in one case only: where a second machine confirmed what is there once, the merge breaks the leg
/// that it merged later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShopSide {
    /// Not answered.
    #[default]
    None,
    /// The shop said no.
    Declined {
        /// Why.
        reason: DeclineReason,
        /// When, by the shop's clock.
        at: TimeMs,
    },
    /// The shop keeps the piece.
    Confirmed {
        /// When.
        at: TimeMs,
    },
    /// The piece left for another shop.
    Moved {
        /// The `transfer_out`.
        movement: MovementId,
        /// When.
        at: TimeMs,
    },
    /// It was kept, and is not there after all.
    Broken {
        /// When.
        at: TimeMs,
    },
    /// The order's buyer has it.
    Fulfilled {
        /// The sale.
        movement: MovementId,
        /// When.
        at: TimeMs,
    },
}

impl ShopSide {
    /// The join: the greater.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        if planted::is("legs_take_what_came_last") {
            return other;
        }
        self.max(other)
    }

    /// The word of the public interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Declined { .. } => "declined",
            Self::Confirmed { .. } => "confirmed",
            Self::Moved { .. } => "moved",
            Self::Broken { .. } => "broken",
            Self::Fulfilled { .. } => "fulfilled",
        }
    }

    /// 0 to 5, as stored and on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Declined { .. } => 1,
            Self::Confirmed { .. } => 2,
            Self::Moved { .. } => 3,
            Self::Broken { .. } => 4,
            Self::Fulfilled { .. } => 5,
        }
    }

    /// The side of a number, as stored and on the wire, with what belongs to it; none where a movement is missing, or
    /// belongs to nothing.
    pub fn of_number(
        number: u8,
        at: TimeMs,
        reason: DeclineReason,
        movement: Option<MovementId>,
    ) -> Option<Self> {
        match (number, movement) {
            (0, None) => Some(Self::None),
            (1, None) => Some(Self::Declined { reason, at }),
            (2, None) => Some(Self::Confirmed { at }),
            (3, Some(movement)) => Some(Self::Moved { movement, at }),
            (4, None) => Some(Self::Broken { at }),
            (5, Some(movement)) => Some(Self::Fulfilled { movement, at }),
            _ => None,
        }
    }

    /// When the shop wrote it.
    pub fn at(self) -> Option<TimeMs> {
        match self {
            Self::None => None,
            Self::Declined { at, .. }
            | Self::Confirmed { at }
            | Self::Moved { at, .. }
            | Self::Broken { at }
            | Self::Fulfilled { at, .. } => Some(at),
        }
    }

    /// The movement that it stands on.
    pub fn movement(self) -> Option<MovementId> {
        match self {
            Self::Moved { movement, .. } | Self::Fulfilled { movement, .. } => Some(movement),
            Self::None | Self::Declined { .. } | Self::Confirmed { .. } | Self::Broken { .. } => {
                None
            }
        }
    }

    /// Why the shop said no, where it did.
    pub fn reason(self) -> Option<DeclineReason> {
        match self {
            Self::Declined { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Whether one writer may go on from here to there. What happened (a sale, a transfer) is a fact and always may;
    /// what is only said must not contradict what the same writer said before: no `confirmed` after `declined`.
    pub fn may_become(self, next: Self) -> bool {
        match next {
            Self::None => false,
            Self::Declined { .. } => self == Self::None,
            Self::Confirmed { .. } => {
                let is_planted = planted::is("confirmed_after_declined");
                self == Self::None || (is_planted && matches!(self, Self::Declined { .. }))
            }
            Self::Moved { .. } => matches!(self, Self::None | Self::Confirmed { .. }),
            Self::Broken { .. } => matches!(self, Self::Confirmed { .. }),
            Self::Fulfilled { .. } => !matches!(self, Self::Fulfilled { .. }),
        }
    }
}
