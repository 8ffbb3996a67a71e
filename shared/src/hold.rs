//! Holds: a piece in a shop kept for a web order (DESIGN §6).
//!
//! A hold is an order's list of *legs*. A leg asks one shop for one barcode and is a pair of one-way registers: the
//! hub's side and the shop's. Each only goes forward, so copies join by the greater whatever order they come in, and
//! nothing that was said is unsaid. What a leg comes to is a pure function of the pair ([`effect()`]); what the hub does
//! about a hold is one of its legs ([`settle()`]). The rest are the decisions: whether a leg may be opened ([`grant()`]) and
//! where ([`choose`]), what the shop answers ([`answer()`]), what becomes of a sale over a hold ([`sale`]).

mod answer;
mod grant;
mod leg;
mod settle;
mod side;
mod source;
mod state;
mod till;

pub use answer::{
    OwnStock, Promised, Response, answer, confirmed, declined, is_second, promised, sold_over,
    uncovered,
};
pub use grant::{Caps, Holding, Offer, Policy, Promise, PromiseError, Refusal, grant, promisable};
pub use leg::{Leg, MAX_CALLER_BYTES, MAX_ORDER_BYTES, Purpose, RETURN_MS, Terms};
pub use settle::{
    ANSWER_MS, ASK_AGAIN_MS, Act, Known, NotOpen, expire, extend, is_open, is_unanswered, release,
    settle, word,
};
pub use side::{DeclineReason, HubSide, HubState, ShopSide};
pub use source::{Candidate, Choice, Wanted, Why, choose};
pub use state::{Duty, Effect, Facts, Merged, Word, WorkKind, effect, held};
pub use till::{GRACE_MS, Sale, Verdict, Way, minds, sale};
