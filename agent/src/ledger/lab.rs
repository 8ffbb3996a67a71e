//! One ledger without its program, for the simulator: the real SQL over a database in memory, which can be copied as a
//! disk is.
#![expect(
    clippy::missing_panics_doc,
    reason = "a store that is led astray panics: that is how the simulator finds out"
)]

mod holds;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use vitrina_host::migrate::migrate;
use vitrina_shared::hold::Way;
use vitrina_shared::memory::{Applied, Booked, Logs};
use vitrina_shared::movement::Direction;
use vitrina_shared::wire::v1::{CertificateV1, HelloV1};
use vitrina_shared::wire::{Answer, Request};
use vitrina_shared::{
    Dot, HubLife, Key, Movement, MovementId, Position, ReplicaId, Seq, ShopId, TimeMs,
};

use super::booking::{At, Booking, Force, Outcome, Refusal};
use super::replica::{Greeting, HighWater, Home};
use super::{Desk, LedgerError, answer, ask, log, replica, schema, standing, state, verify};

const REGISTERS: &str = "SELECT kind, key, value FROM register";
const COUNTING: &str = "SELECT r.id, m.seq FROM movement m JOIN replica r ON r.no = m.replica
    WHERE m.counts = 1";

/// About how many bytes of movements one request brings.
const BYTES: usize = 600_000;

/// A ledger.
pub struct Lab {
    conn: Connection,
    shop: ShopId,
    now: TimeMs,
}

/// What [`Lab::apply`] must know of the request.
#[derive(Clone, Debug)]
pub struct Sent(ask::Sent);

impl Sent {
    /// Whether all positions were shown.
    pub fn all(&self) -> bool {
        self.0.all
    }
}

impl Lab {
    /// An enrolled ledger.
    pub fn new(shop: &ShopId, life: HubLife, file: [u8; 16], now: TimeMs) -> Self {
        let mut conn = Connection::open_in_memory().expect("memory");
        migrate(&mut conn, schema::STEPS).expect("our own steps");
        let lab = Self {
            conn,
            shop: shop.clone(),
            now,
        };
        lab.job(|conn| {
            replica::greet(conn, &home(file, None), now)?;
            state::enrol(conn, shop, b"{}", life, now)
        });
        lab
    }

    /// A copy of the disk.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut conn = Connection::open_in_memory().expect("memory");
        let copied = Backup::new(&self.conn, &mut conn).expect("two databases");
        copied
            .run_to_completion(1_000, Duration::ZERO, None)
            .expect("a copy in memory");
        drop(copied);
        Self {
            conn,
            shop: self.shop.clone(),
            now: self.now,
        }
    }

    /// One job: a transaction, and on an error nothing of it.
    fn job<T>(&self, work: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> T {
        self.conn.execute_batch("BEGIN IMMEDIATE").expect("memory");
        let done = work(&self.conn);
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.conn.execute_batch(end).expect("memory");
        done.unwrap_or_else(|error| panic!("the ledger: {error:?}"))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> T {
        read(&self.conn).unwrap_or_else(|error| panic!("the ledger: {error:?}"))
    }

    /// The program starts on a file; whether it doubts.
    pub fn start(&self, file: [u8; 16], high_water: (ReplicaId, Seq)) -> bool {
        let (replica, seq) = high_water;
        let home = home(file, Some(HighWater { replica, seq }));
        matches!(
            self.job(|conn| replica::greet(conn, &home, self.now)),
            Greeting::Doubt(_)
        )
    }

    /// The replica that is written, and where its log ends.
    pub fn own(&self) -> (ReplicaId, Position) {
        self.read(|conn| {
            let current = replica::current_or_mint(conn, self.now)?;
            Ok((current.id, replica::head(conn, current.no, current.id)?))
        })
    }

    /// Books a movement as a till, a file or a person brings it. Where `way` says nothing, its key does.
    pub fn book(&self, movement: &Movement, way: Option<Way>) -> Booked {
        if movement.kind.direction() == Direction::Internal {
            return self.write(movement);
        }
        let by_key = if matches!(movement.key, Key::Receipt { .. }) {
            Way::File
        } else {
            Way::Call
        };
        let booking = Booking {
            kind: movement.kind,
            condition: movement.condition,
            key: movement.key.clone(),
            code: movement.scanned_text().clone(),
            qty: movement.qty.units().abs(),
            at: At::Said(movement.at),
            details: movement.details(),
            force: Force::Rules,
            way: way.unwrap_or(by_key),
        };
        let outcome = self.job(|conn| Desk::open(conn, self.now)?.book(&booking));
        match outcome {
            Outcome::Booked(_) => Booked::New,
            Outcome::Duplicate(_) => Booked::Again,
            Outcome::Refused(Refusal::VoidedBefore { .. }) => Booked::Voided,
            Outcome::Refused(Refusal::Conflict(_)) => Booked::Conflict,
            Outcome::Refused(
                Refusal::Held(_)
                | Refusal::HoldNotOpen(_)
                | Refusal::OtherPiece(_)
                | Refusal::UnknownHold,
            ) => Booked::Held,
            Outcome::Refused(other) => panic!("refused: {other:?}"),
        }
    }

    /// Writes what the agent itself works out, or a later version wrote.
    pub fn write(&self, movement: &Movement) -> Booked {
        let id = movement.id(&self.shop);
        self.job(|conn| {
            if standing::is_held(conn, id)? {
                return Ok(Booked::Again);
            }
            Desk::open(conn, self.now)?.write(movement.clone())?;
            Ok(Booked::New)
        })
    }

    /// What it shows, brings and asks.
    pub fn ask(&self, is_first: bool, movements: usize) -> (Request, Sent) {
        let show = if is_first {
            ask::Show::All
        } else {
            ask::Show::Changed
        };
        let ask = ask::Ask {
            show,
            movements,
            bytes: BYTES,
            now: self.now,
        };
        let asked = self.read(|conn| ask::ask(conn, &ask));
        let request = Request {
            hello: HelloV1 {
                shop: self.shop.to_string(),
                life: asked.life.map(|life| (life.ordinal, life.random)),
                registers: asked.registers,
                feed: asked.feed,
                sent_at: self.now.0,
                ..HelloV1::default()
            },
            certificate: CertificateV1::default(),
            positions: asked.positions,
            deltas: asked.deltas,
            token: asked.token,
            health: None,
            quarantine: asked.quarantine,
            disagreements: asked.disagreements,
            digest: None,
            legs: Some(asked.legs.section),
            transfers: Some(asked.transfers),
        };
        (request, Sent(asked.sent))
    }

    /// Applies the hub's answer.
    pub fn apply(&self, answer: &Answer, sent: &Sent) -> Applied {
        let heard = answer::Heard {
            now: self.now,
            skew_ms: None,
        };
        let taken = self.job(|conn| answer::apply(conn, answer, &sent.0, answer::Via::Line, heard));
        self.job(|conn| {
            while !super::register::tidy(conn)? {}
            Ok(())
        });
        Applied {
            minted: taken.minted.is_some(),
            branched: !taken.branched.is_empty(),
            taken: usize::try_from(taken.taken).unwrap_or(usize::MAX),
            life_changed: taken.life_changed,
            more: taken.more,
        }
    }

    /// Movements that the hub has not acknowledged.
    pub fn pending(&self) -> u64 {
        self.read(replica::pending)
    }

    /// The hub's life as last heard.
    pub fn life(&self) -> Option<HubLife> {
        self.read(|conn| Ok(state::hub_side(conn)?.life))
    }

    /// Up to where the hub has acknowledged.
    pub fn acked(&self) -> BTreeMap<ReplicaId, Seq> {
        let all = self.read(replica::all).into_iter();
        all.map(|held| (held.id, held.acked)).collect()
    }

    /// Every movement, as the tables hold it.
    pub fn logs(&self) -> Logs {
        let mut logs = Logs::new(self.shop.clone());
        self.read(|conn| {
            for held in replica::all(conn)? {
                for entry in log::entries(conn, held.no, Seq(0), usize::MAX)? {
                    logs.append(held.id, entry)?;
                }
            }
            Ok(())
        });
        logs
    }

    /// Whether some log holds the movement of an id.
    pub fn has(&self, id: MovementId) -> bool {
        self.read(|conn| standing::is_held(conn, id))
    }

    /// The dots that count, as the tables say.
    pub fn counting(&self) -> BTreeSet<Dot> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(COUNTING)?;
            let dots = query.query_map([], |row| {
                Ok(Dot {
                    replica: ReplicaId(row.get(0)?),
                    seq: Seq(super::uint(row.get(1)?)),
                })
            })?;
            Ok(dots.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Every register but the shop's own settings, by kind and key.
    pub fn registers(&self) -> BTreeMap<(u8, String), Vec<u8>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(REGISTERS)?;
            let rows = query.query_map([], |row| {
                let (kind, key): (u8, String) = (row.get(0)?, row.get(1)?);
                Ok(((kind, key), row.get::<_, String>(2)?.into_bytes()))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Units on hand of what the movements name, and everything that `verify` finds wrong.
    pub fn stock(&self, logs: &Logs) -> (BTreeMap<vitrina_shared::Barcode, i64>, Vec<String>) {
        self.read(|conn| {
            let mut stock = BTreeMap::new();
            for barcode in logs.index().barcodes() {
                let level = log::level(conn, &barcode)?;
                stock.insert(barcode, level.on_hand);
            }
            Ok((stock, verify::verify(conn)?.problems))
        })
    }
}

/// Where every ledger of the simulator lies; its file's identity tells copies apart.
fn home(file: [u8; 16], high_water: Option<HighWater>) -> Home {
    Home {
        file: Some(file),
        path: "/ledger".to_owned(),
        machine: Some("machine".to_owned()),
        high_water,
    }
}
