//! What the rows of work items promise: one entry for a cause, told in the transaction that makes it so, a story that only grows.

use rusqlite::Connection;
use serde_json::json;
use vitrina_host::sign;

use super::*;
use crate::store::work::{self, Raised};
use crate::webhook::{Hook, Outcome};
use crate::work::decide::{Fact, Presence, Step};
use crate::work::owner::{Owner, Rule};
use crate::work::{Deed, Done, Kind as WorkKind, Level, State};

fn raised(cause: &str, order: &str) -> Raised {
    Raised {
        kind: WorkKind::CancelledAndBought,
        cause: cause.into(),
        shop: Some(shop("S1")),
        barcode: Some("A".into()),
        evidence: json!({ "order": order }),
    }
}

fn negative(barcode: &str) -> Fact {
    Fact {
        kind: WorkKind::NegativeStock,
        cause: format!("S1/{barcode}"),
        shop: Some(shop("S1")),
        barcode: Some(barcode.into()),
        weight: 1,
        level: Level::Manager,
        presence: Presence::Stands,
        evidence: json!({ "on_hand": -1 }),
    }
}

fn hook(name: &str) -> Hook {
    Hook {
        name: name.into(),
        url: "http://127.0.0.1:1/".into(),
        salt: [1; 16],
        kinds: Vec::new(),
        only_owned: false,
        internal: false,
        added_at: TimeMs(0),
        delivered_at: None,
        failing_since: None,
        error: None,
        dropped: 0,
        waiting: 0,
    }
}

impl Hub {
    fn raise(&self, raised: Raised) -> bool {
        let Store::Sqlite(store) = &self.store;
        store
            .write_blocking(move |txn| work::raise(txn, &raised))
            .unwrap()
    }

    fn take(&self, steps: Vec<Step>) {
        wait(self.store.take_work(steps)).unwrap();
    }

    fn work(&self) -> Vec<WorkItem> {
        let filter = WorkFilter {
            all: true,
            limit: 100,
            ..WorkFilter::default()
        };
        wait(self.store.work_items(filter)).unwrap()
    }

    fn resolve(&self, id: [u8; 16]) -> Done {
        let deed = (id, Deed::Resolve, Some("seen".to_owned()));
        wait(self.store.act_on_work(By::CommandLine, deed)).unwrap()
    }

    fn file(&self) -> Connection {
        Connection::open(self.folder.path().join("hub.sqlite3")).unwrap()
    }

    /// What waits for a receiver and may be delivered now: the types.
    fn due(&self, name: &str) -> Vec<(i64, String)> {
        let due = wait(self.store.parcels(name.to_owned())).unwrap();
        let what = |body: &str| {
            let body: Value = serde_json::from_str(body).unwrap();
            body["type"].as_str().unwrap().to_owned()
        };
        due.iter()
            .map(|parcel| (parcel.n, what(&parcel.body)))
            .collect()
    }
}

#[test]
fn what_is_raised_again_is_one_entry_also_after_it_was_resolved() {
    let hub = Hub::new();
    assert!(hub.raise(raised("leg", "1024")));
    assert!(!hub.raise(raised("leg", "1025")));
    assert!(hub.raise(raised("other leg", "7")));

    let first = hub
        .work()
        .into_iter()
        .find(|item| item.cause == "leg")
        .unwrap();
    assert_eq!(first.evidence, json!({ "order": "1025" }));
    assert!(matches!(hub.resolve(first.id), Done::Is(item) if item.state == State::Resolved));
    assert!(matches!(hub.resolve(first.id), Done::Is(_)), "a repeat");
    assert!(!hub.raise(raised("leg", "1026")));

    let again = wait(hub.store.work_item(first.id)).unwrap().unwrap();
    assert_eq!(again.0.evidence, json!({ "order": "1025" }));
    let story: Vec<_> = again.1.iter().map(|told| told.what.as_str()).collect();
    assert_eq!(story, ["opened", "resolved"]);
    assert_eq!(again.1[1].detail, json!({ "note": "seen" }));
    let deed = ([7; 16], Deed::Acknowledge, None);
    let unknown = wait(hub.store.act_on_work(By::CommandLine, deed)).unwrap();
    assert_eq!(unknown, Done::Unknown);
}

#[test]
fn what_the_hub_saw_end_is_opened_again_and_what_a_person_resolved_is_not() {
    let hub = Hub::new();
    hub.raise(raised("leg", "1024"));
    let id = hub.work()[0].id;
    let again = || {
        let Store::Sqlite(store) = &hub.store;
        store
            .write_blocking(|txn| work::raise_again(txn, &raised("leg", "1024")))
            .unwrap();
        hub.work()
    };

    hub.take(vec![Step::Resolve(id)]);
    let reopened = again();
    assert_eq!((reopened.len(), reopened[0].times), (1, 2));
    assert_eq!((reopened[0].id, reopened[0].state), (id, State::Open));

    hub.resolve(id);
    assert_eq!(again()[0].state, State::Resolved);
}

#[test]
fn a_step_that_comes_too_late_changes_nothing() {
    let hub = Hub::new();
    hub.take(vec![Step::Open(negative("A")), Step::Open(negative("A"))]);
    let id = hub.work()[0].id;
    assert_eq!(hub.work().len(), 1, "one for a cause");
    hub.resolve(id);

    hub.take(vec![
        Step::Update(id, negative("A")),
        Step::Escalate(id, negative("A")),
        Step::Wake(id),
        Step::Resolve(id),
    ]);
    assert_eq!(hub.work()[0].state, State::Resolved);
    hub.take(vec![
        Step::Open(negative("A")),
        Step::Reopen(id, negative("A")),
    ]);

    let open: Vec<_> = hub
        .work()
        .into_iter()
        .filter(|item| item.state == State::Open)
        .collect();
    assert_eq!(open.len(), 1);
    let entries = wait(hub.store.work_entries(TimeMs(0))).unwrap();
    assert_eq!(entries.len(), 1, "the latest of its cause");
    assert_eq!(entries[0].id, open[0].id);
}

#[test]
fn the_story_of_an_entry_only_grows() {
    let hub = Hub::new();
    hub.raise(raised("leg", "1"));

    for edit in [
        "UPDATE work_history SET by = 'nobody'",
        "DELETE FROM work_history",
    ] {
        let refused = hub.file().execute(edit, []).unwrap_err().to_string();
        assert!(refused.contains("only appended to"), "{edit}: {refused}");
    }
}

#[test]
fn each_receiver_has_its_copy_and_those_of_a_shop_go_one_after_the_other() {
    let hub = Hub::new();
    for name in ["one", "two"] {
        assert!(wait(hub.store.add_webhook(By::CommandLine, hook(name))).unwrap());
    }
    assert!(!wait(hub.store.add_webhook(By::CommandLine, hook("one"))).unwrap());
    hub.take(vec![Step::Open(negative("A")), Step::Open(negative("B"))]);
    hub.resolve(hub.work()[0].id);

    let (first, what) = hub.due("one").pop().unwrap();
    assert_eq!((hub.due("one").len(), what.as_str()), (1, "alert.opened"));
    let failed = Outcome::Failed {
        error: "it answered 500".into(),
        again_at: TimeMs(i64::MAX),
    };
    wait(hub.store.parcel_ended("one".into(), first, failed)).unwrap();
    assert_eq!(hub.due("one"), [(first, what)], "nothing overtakes it");
    for expected in ["alert.opened", "alert.opened", "alert.resolved"] {
        let (n, what) = hub.due("one").pop().unwrap();
        assert_eq!(what, expected);
        wait(hub.store.parcel_ended("one".into(), n, Outcome::Taken)).unwrap();
    }
    assert_eq!((hub.due("one").len(), hub.due("two").len()), (0, 1));

    let hooks = wait(hub.store.webhooks()).unwrap();
    assert_eq!((hooks[0].failing_since, hooks[1].waiting), (None, 3));
    assert!(wait(hub.store.remove_webhook(By::CommandLine, "two".into())).unwrap());
    assert_eq!(hub.due("two"), []);
}

#[test]
fn what_is_too_much_for_a_receiver_is_counted_and_not_kept_and_the_others_have_it() {
    let hub = Hub::new();
    wait(hub.store.add_webhook(By::CommandLine, hook("full"))).unwrap();
    wait(hub.store.add_webhook(By::CommandLine, hook("other"))).unwrap();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
        INSERT INTO outbox (id, webhook, key, body, made_at) SELECT 'msg_' || i, 'full', 'shop/S0', '{}', 0 FROM n";
    hub.file().execute_batch(fill).unwrap();

    hub.take(vec![Step::Open(negative("A"))]);

    let hooks = wait(hub.store.webhooks()).unwrap();
    let counts = hooks.iter().map(|hook| (hook.waiting, hook.dropped));
    assert_eq!(counts.collect::<Vec<_>>(), [(100_000, 1), (1, 0)]);
}

#[test]
fn a_write_that_fails_tells_nobody() {
    let hub = Hub::new();
    wait(hub.store.add_webhook(By::CommandLine, hook("one"))).unwrap();
    let Store::Sqlite(store) = &hub.store;

    let failed: Result<(), StoreError> = store.write_blocking(|txn| {
        work::raise(txn, &raised("leg", "1"))?;
        Err(StoreError::Overflow)
    });

    assert!(failed.is_err());
    assert_eq!((hub.work(), hub.due("one")), (Vec::new(), Vec::new()));
}

#[test]
fn who_is_responsible_follows_the_map() {
    let hub = Hub::new();
    let rule = |person: &str, shops: &[&str]| Rule {
        id: sign::random_bytes::<16>().unwrap(),
        owner: Owner {
            person: person.into(),
            channel: None,
        },
        level: Level::Manager,
        kind: None,
        category: None,
        brand: None,
        city: None,
        shops: shops.iter().map(|shop| (*shop).to_owned()).collect(),
    };
    let owner = || {
        hub.work()[0]
            .owner
            .as_ref()
            .map(|owner| owner.person.clone())
    };
    hub.take(vec![Step::Open(negative("A"))]);
    assert_eq!(owner(), None);

    let all = rule("All", &[]);
    wait(hub.store.add_owner(By::CommandLine, all.clone())).unwrap();
    assert_eq!(owner().as_deref(), Some("All"));
    let one = rule("One", &["S1"]);
    wait(hub.store.add_owner(By::CommandLine, one.clone())).unwrap();
    assert_eq!(owner().as_deref(), Some("One"));
    assert_eq!(wait(hub.store.owner_rules()).unwrap(), [all, one.clone()]);
    wait(hub.store.remove_owner(By::CommandLine, one.id)).unwrap();

    assert_eq!(owner().as_deref(), Some("All"));
    assert!(!wait(hub.store.remove_owner(By::CommandLine, one.id)).unwrap());
}
