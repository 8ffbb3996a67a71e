//! The two calls of an agent, as it makes them.

use std::time::Duration;

use vitrina_host::config::DataFolder;
use vitrina_host::sign::KeyPair;
use vitrina_shared::decide::Shown;
use vitrina_shared::delta::Entry;
use vitrina_shared::registers::{Item, kind as register};
use vitrina_shared::wire::v1::{EnrolV1, EnrolledV1, HealthV1};
use vitrina_shared::wire::{Positions, positions_hash};
use vitrina_shared::{Condition, Delta, Key, Money, Movement, Position, Qty, ReplicaId};

use super::*;
use crate::audit::By;
use crate::core::Init;
use crate::enrol;
use crate::shops::{self, Fields, NewShop};
use crate::store::CatalogueRow;

const REPLICA: ReplicaId = ReplicaId([1; 16]);

struct Agent {
    key: KeyPair,
    certificate: CertificateV1,
    log: Vec<Movement>,
    acked: usize,
    /// What the hub's last answer said.
    life: Option<(u64, [u8; 16])>,
    token: Option<Vec<u8>>,
    registers: u64,
}

async fn hub(folder: &tempfile::TempDir) -> Arc<Core> {
    Core::open(DataFolder::existing(folder.path()).unwrap(), Init::Refuse)
        .await
        .unwrap()
}

async fn code(core: &Core, shop: &str) -> [u8; 16] {
    let new = NewShop {
        shop: shop.parse().unwrap(),
        fields: Fields::default(),
    };
    let code = shops::add(core, By::CommandLine, new).await.unwrap();
    sign::code_to_bytes(&code.code).unwrap()
}

async fn enrolled(core: &Arc<Core>, shop: &str, seed: u8) -> Agent {
    let code = code(core, shop).await;
    let key = KeyPair::from_seed(&[seed; 32]).unwrap();
    let answer = enrol::answer(core, enrol_frame(code, &key)).await.unwrap();
    let answer = EnrolledV1::read(&frame::open(&answer).unwrap()).unwrap();
    Agent {
        key,
        certificate: answer.certificate,
        log: Vec::new(),
        acked: 0,
        life: None,
        token: None,
        registers: 0,
    }
}

fn enrol_frame(code: [u8; 16], key: &KeyPair) -> Bytes {
    let request = EnrolV1 {
        code,
        device: key.public().0,
        version: "1".into(),
        shop: None,
    };
    request
        .seal(|bytes| key.sign(bytes).unwrap().0)
        .unwrap()
        .into()
}

fn sale(barcode: &str, n: u32) -> Movement {
    Movement {
        kind: Kind::Sale,
        condition: Condition::Sellable,
        key: Key::call(&n.to_string()),
        barcode: barcode.parse().unwrap(),
        scanned: None,
        qty: Qty::new(-1).unwrap(),
        at: TimeMs(5),
        target: None,
        rest: Box::default(),
    }
}

impl Agent {
    fn at(&self, n: usize) -> Position {
        self.log[..n].iter().fold(REPLICA.origin(), |at, movement| {
            at.then(&movement.to_bytes())
        })
    }

    fn delta(&self) -> Delta {
        let entries: Vec<Entry> = self.log[self.acked..]
            .iter()
            .cloned()
            .map(Entry::new)
            .collect();
        let all: Vec<Entry> = self.log.iter().cloned().map(Entry::new).collect();
        let touched = |barcode: &vitrina_shared::Barcode| {
            entries.iter().any(|e| e.movement.barcode == *barcode)
        };
        let totals = Delta::sums(&all)
            .unwrap()
            .into_iter()
            .filter(|((barcode, _), _)| touched(barcode))
            .map(
                |((barcode, condition), total)| vitrina_shared::delta::RowTotal {
                    barcode: barcode.clone(),
                    condition,
                    total,
                },
            )
            .collect();
        Delta {
            replica: REPLICA,
            base: self.at(self.acked),
            entries,
            totals,
        }
    }

    fn request(&self, wait_ms: u32) -> Request {
        let head = self.at(self.log.len());
        let pending = self.log.len() - self.acked;
        Request {
            hello: HelloV1 {
                version: "1".into(),
                shop: self.certificate.shop.clone(),
                life: self.life,
                registers: self.registers,
                wait_ms,
                sent_at: vitrina_host::clock::now_ms(),
                ..HelloV1::default()
            },
            certificate: self.certificate.clone(),
            positions: Positions {
                own: REPLICA,
                hash: positions_hash([(REPLICA, head)]),
                all: true,
                list: vec![Shown {
                    replica: REPLICA,
                    acked: self.at(self.acked),
                    head,
                }],
            },
            deltas: if pending > 0 {
                vec![self.delta()]
            } else {
                Vec::new()
            },
            token: self.token.clone(),
            health: Some(HealthV1 {
                pending: pending as u64,
                ..HealthV1::default()
            }),
            quarantine: Vec::new(),
            disagreements: None,
            digest: None,
            legs: None,
            transfers: None,
        }
    }

    async fn exchange(&mut self, core: &Arc<Core>, wait_ms: u32) -> Result<Answer, ExchangeError> {
        let frame = self
            .request(wait_ms)
            .seal(|bytes| self.key.sign(bytes).unwrap().0)
            .unwrap();
        let answer = super::answer(core, frame.into(), || ()).await?;
        let answer = Answer::read(&frame::open(&answer).unwrap()).unwrap();
        self.life = Some(answer.welcome.life);
        self.token.clone_from(&answer.token);
        self.registers = answer
            .registers
            .as_ref()
            .map_or(self.registers, |registers| registers.upto);
        if answer.positions == [(REPLICA, self.at(self.log.len()))] {
            self.acked = self.log.len();
        }
        Ok(answer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_its_shop_once() {
    let folder = tempfile::tempdir().unwrap();
    let core = hub(&folder).await;
    let code = code(&core, "S1").await;
    let (first, second) = (
        KeyPair::from_seed(&[1; 32]).unwrap(),
        KeyPair::from_seed(&[2; 32]).unwrap(),
    );

    let used = enrol::answer(&core, enrol_frame(code, &first)).await;
    let again = enrol::answer(&core, enrol_frame(code, &second)).await;

    assert!(used.is_ok());
    assert!(matches!(again, Err(ExchangeError::Unauthorized(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_merged_acknowledged_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let core = hub(&folder).await;
    core.view().unwrap();
    let mut agent = enrolled(&core, "S1", 1).await;
    agent.log.push(sale("A", 1));

    let answer = agent.exchange(&core, 0).await.unwrap();

    assert_eq!(
        answer.replies,
        [Reply::Merged {
            replica: REPLICA.0,
            skip: 0
        }]
    );
    assert_eq!(answer.positions, [(REPLICA, agent.at(1))]);
    let kinds: Vec<u8> = answer
        .registers
        .unwrap()
        .list
        .iter()
        .map(|register| register.kind)
        .collect();
    assert_eq!(kinds, [register::SETTINGS, register::SHOP]);
    let item = crate::routes::item_json(&core.view().unwrap(), "A").unwrap();
    assert_eq!(
        (
            item["on_hand"].as_i64(),
            item["levels"][0]["confidence"].as_str()
        ),
        (Some(-1), Some("live"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_holder_of_the_key_speaks_for_the_shop() {
    let folder = tempfile::tempdir().unwrap();
    let core = hub(&folder).await;
    let agent = enrolled(&core, "S1", 1).await;
    let thief = KeyPair::from_seed(&[2; 32]).unwrap();

    let stolen = agent
        .request(0)
        .seal(|bytes| thief.sign(bytes).unwrap().0)
        .unwrap();
    let mut request = agent.request(0);
    request.certificate.shop = "S2".into();
    request.hello.shop = "S2".into();
    let other_shop = request
        .seal(|bytes| agent.key.sign(bytes).unwrap().0)
        .unwrap();

    for frame in [stolen, other_shop] {
        assert!(matches!(
            super::answer(&core, frame.into(), || ()).await,
            Err(ExchangeError::Unauthorized(_))
        ));
    }
}

/// Waits until an exchange of the shop is being answered.
async fn arrival(core: &Core, shop: &str) {
    let shop: ShopId = shop.parse().unwrap();
    let arrived = async {
        while !core.waiters.is_waiting(&shop) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), arrived)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_waits_is_told_of_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let core = hub(&folder).await;
    let mut agent = enrolled(&core, "S1", 1).await;
    agent.exchange(&core, 0).await.unwrap();

    let (set, waits) = (Arc::clone(&core), Arc::clone(&core));
    let waiting = tokio::spawn(async move { agent.exchange(&waits, 20_000).await });
    arrival(&core, "S1").await;
    let fields = Fields {
        city: Some("Moscow".into()),
        ..Fields::default()
    };
    shops::set(&set, By::CommandLine, ("S1".parse().unwrap(), fields))
        .await
        .unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    assert!(
        answer
            .registers
            .unwrap()
            .list
            .iter()
            .any(|register| register.kind == register::SETTINGS)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_put_back_from_a_copy_is_noticed_and_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let core = hub(&folder).await;
    let mut agent = enrolled(&core, "S1", 1).await;
    agent.log.push(sale("A", 1));
    agent.exchange(&core, 0).await.unwrap();
    let copy = folder.path().join("copy");
    core.store.backup(&copy).await.unwrap();
    agent.log.push(sale("A", 2));
    let before = agent.exchange(&core, 0).await.unwrap();
    core.close().await;
    drop(core);

    // By whatever means: the database alone goes back, and the traces with it.
    std::fs::rename(copy, folder.path().join("hub.sqlite3")).unwrap();
    std::fs::remove_file(folder.path().join("life.json")).unwrap();
    let core = hub(&folder).await;
    let after = agent.exchange(&core, 0).await.unwrap();
    agent.acked = 1;
    let filled = agent.exchange(&core, 0).await.unwrap();

    assert_eq!(after.welcome.life.0, before.welcome.life.0 + 1);
    assert_eq!(
        filled.replies,
        [Reply::Merged {
            replica: REPLICA.0,
            skip: 0
        }]
    );
    assert_eq!(filled.welcome.life, after.welcome.life);
    assert_eq!(core.store.levels().unwrap()[0].on_hand, -2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_put_back_behind_a_price_is_noticed_though_nothing_was_sold() {
    let folder = tempfile::tempdir().unwrap();
    let core = hub(&folder).await;
    let mut agent = enrolled(&core, "S1", 1).await;
    agent.exchange(&core, 0).await.unwrap();
    let copy = folder.path().join("copy");
    core.store.backup(&copy).await.unwrap();
    let priced = CatalogueRow::Item {
        barcodes: vec!["B".parse().unwrap()],
        says: Item {
            price: Some(Money::rub(900)),
            ..Item::default()
        },
    };
    core.store.write_catalogue(vec![priced]).await.unwrap();
    let before = agent.exchange(&core, 0).await.unwrap();
    assert_eq!(before.registers.unwrap().list.len(), 1);
    core.close().await;
    drop(core);

    std::fs::rename(copy, folder.path().join("hub.sqlite3")).unwrap();
    std::fs::remove_file(folder.path().join("life.json")).unwrap();
    let core = hub(&folder).await;
    let after = agent.exchange(&core, 0).await.unwrap();

    // Otherwise the shop would take the prices that are written next for older ones that it holds.
    assert_eq!(after.welcome.life.0, before.welcome.life.0 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_beside_the_traces_of_a_later_life_begins_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let core = hub(&folder).await;
    let copy = folder.path().join("copy");
    core.store.backup(&copy).await.unwrap();
    code(&core, "S1").await;
    let life = core.store.head().life;
    core.close().await;
    drop(core);

    std::fs::rename(copy, folder.path().join("hub.sqlite3")).unwrap();
    let core = hub(&folder).await;

    assert_eq!(core.store.head().life.ordinal, life.ordinal + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_beside_the_traces_of_a_life_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    hub(&folder).await.close().await;
    std::fs::remove_file(folder.path().join("hub.sqlite3")).unwrap();

    let data = || DataFolder::existing(folder.path()).unwrap();
    let refused = Core::open(data(), Init::Refuse).await;
    let begun = Core::open(data(), Init::NewLife).await.unwrap();

    assert!(refused.is_err_and(|error| error.to_string().contains("serve --init")));
    assert_eq!(begun.store.head().life.ordinal, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_revoked_while_it_waits_gets_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let core = hub(&folder).await;
    let mut agent = enrolled(&core, "S1", 1).await;
    agent.exchange(&core, 0).await.unwrap();

    let waits = Arc::clone(&core);
    let waiting = tokio::spawn(async move { agent.exchange(&waits, 20_000).await });
    arrival(&core, "S1").await;
    shops::revoke(&core, By::CommandLine, "S1".parse().unwrap())
        .await
        .unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(5), waiting)
        .await
        .unwrap()
        .unwrap();

    assert!(
        matches!(refused, Err(ExchangeError::Revoked)),
        "{refused:?}"
    );
}
