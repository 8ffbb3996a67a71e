//! The deterministic simulator: a hub and its shops, a line that loses, repeats, delays and cuts, disks that are put
//! back and copied, programs that crash. One thread, one stream of random numbers, no clock: a seed is a run.
//!
//! The decisions are `vitrina_shared::decide`'s and every byte goes through the real codec; the stores are memory.

pub mod hub;
pub mod logs;
pub mod machine;
pub mod random;
mod world;

use std::collections::BTreeMap;

pub use world::run;

use random::Random;

/// How large a run is and which faults it has. A fault is off, or so likely (of a thousand steps).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many shops.
    pub shops: usize,
    /// How many steps before the faults stop.
    pub steps: usize,
    /// By fault.
    pub rates: BTreeMap<Fault, u64>,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal, $most:literal;)+) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])* $fault,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$fault),+];

            /// Its name in output and regressions.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)+
                }
            }

            /// The highest rate of a swarm.
            fn most(self) -> u64 {
                match self {
                    $(Self::$fault => $most,)+
                }
            }
        }
    };
}

faults! {
    /// A message is lost.
    Loss = "loss", 300;
    /// A request arrives twice.
    Repeat = "repeat", 300;
    /// A message waits while others pass it.
    Delay = "delay", 500;
    /// An answer is cut on its way.
    Cut = "cut", 100;
    /// A request of any earlier time arrives again: a stick, a proxy.
    LateFrame = "late_frame", 60;
    /// A shop has no line for a while.
    Partition = "partition", 30;
    /// The agent dies before a sale is on disk.
    CrashBefore = "crash_before", 60;
    /// The agent dies after a sale is on disk, before the till hears of it.
    CrashAfter = "crash_after", 60;
    /// A sale does not fit on the disk.
    DiskFull = "disk_full", 60;
    /// The shop's 1C is put back and gives receipt numbers a second time.
    ReceiptsAgain = "receipts_again", 60;
    /// A machine's clock is years off.
    Clock = "clock", 100;
    /// The hub dies before a merge is on disk.
    HubCrashBefore = "hub_crash_before", 60;
    /// The hub dies after a merge is on disk, before it answers.
    HubCrashAfter = "hub_crash_after", 60;
    /// A shop's ledger is put back from a copy, the program sees that the file is another.
    Restore = "restore", 20;
    /// The whole machine goes back to a snapshot, sidecar and all: nothing on it shows it.
    Revert = "revert", 20;
    /// A copy of a shop's disk runs on a second machine.
    Clone = "clone", 10;
    /// The hub's file is put back by hand: it does not know.
    HubRevert = "hub_revert", 10;
    /// The hub is restored by its command: a new life.
    HubRestore = "hub_restore", 10;
    /// The hub begins empty, with its keys.
    HubEmpty = "hub_empty", 6;
}

impl Config {
    /// The swarm's configuration of a seed: every fault is on in half of the seeds, at some rate.
    pub fn of_seed(seed: u64, shops: usize, steps: usize) -> Self {
        let shops = 1 + Random::new(seed ^ 0x5409).place(shops);
        let mut random = Random::new(seed ^ 0x5EED);
        let mut rates = BTreeMap::new();
        for fault in Fault::ALL {
            if random.chance(500) {
                rates.insert(*fault, 1 + random.below(fault.most()));
            }
        }
        Self {
            steps: shops * steps,
            shops,
            rates,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The hash of everything that happened: the same for the same seed.
    pub trace: u64,
    /// How often each fault and each branch of the protocol happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// The first promise that was broken, if one was.
    pub violation: Option<String>,
    /// The last events, oldest first.
    pub events: Vec<String>,
}
