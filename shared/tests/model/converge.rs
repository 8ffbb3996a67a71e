//! Any schedule of loss, repetition, delay, restores and copies ends with everybody holding the same, nothing that
//! anybody still held lost, and nothing counted twice. Peers talk through real frames.

use std::collections::BTreeSet;

use crate::common::{sale, shop};
use proptest::prelude::*;
use vitrina_shared::delta::Entry;
use vitrina_shared::memory::{Hub, Ledger};
use vitrina_shared::wire::{Answer, frame};
use vitrina_shared::{HubLife, MovementId, ReplicaId};

#[derive(Clone, Debug)]
enum Step {
    Sell(usize),
    /// A whole round trip.
    Exchange(usize),
    /// The request arrives, the answer is lost.
    AnswerLost(usize),
    /// The request is lost on the way, and arrives at some later time.
    Delayed(usize),
    /// A delayed or repeated request arrives, its answer goes nowhere.
    LateFrame(prop::sample::Index),
    /// The shop's disk is put aside.
    Snapshot(usize),
    /// The disk put aside is put back.
    Restore(usize),
    /// The disk put aside runs on a second machine.
    Clone,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let agent = 0_usize..3;
    let step = prop_oneof![
        6 => agent.clone().prop_map(Step::Sell),
        3 => agent.clone().prop_map(Step::Exchange),
        2 => agent.clone().prop_map(Step::AnswerLost),
        1 => agent.clone().prop_map(Step::Delayed),
        1 => any::<prop::sample::Index>().prop_map(Step::LateFrame),
        1 => agent.clone().prop_map(Step::Snapshot),
        1 => agent.prop_map(Step::Restore),
        1 => Just(Step::Clone),
    ];
    prop::collection::vec(step, 0..60)
}

struct World {
    hub: Hub,
    agents: Vec<Ledger>,
    disk: Option<Ledger>,
    frames: Vec<Vec<u8>>,
    minted: u8,
    sold: u32,
}

impl World {
    fn new() -> Self {
        let mut agent = Ledger::new(shop(), ReplicaId([1; 16]));
        agent.limit = 4;
        let mut hub = Hub::new(HubLife {
            ordinal: 1,
            random: [1; 16],
        });
        hub.limit = 3;
        Self {
            hub,
            agents: vec![agent],
            disk: None,
            frames: Vec::new(),
            minted: 1,
            sold: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Sell(agent) => {
                self.sold += 1;
                let movement = sale(
                    &format!("key {}", self.sold),
                    u8::try_from(self.sold % 3).unwrap(),
                );
                let agent = self.agent(*agent);
                agent.append(agent.own, Entry::new(movement));
            }
            Step::Exchange(agent) => {
                let index = agent % self.agents.len();
                self.exchange(index);
            }
            Step::AnswerLost(agent) => {
                let request = request(self.agent(*agent));
                self.answer(&request);
                self.frames.push(request);
            }
            Step::Delayed(agent) => {
                let request = request(self.agent(*agent));
                self.frames.push(request);
            }
            Step::LateFrame(index) => {
                if !self.frames.is_empty() {
                    let frame = index.get(&self.frames).clone();
                    self.answer(&frame);
                }
            }
            Step::Snapshot(agent) => self.disk = Some(self.agent(*agent).clone()),
            Step::Restore(agent) => {
                if let Some(disk) = self.disk.clone() {
                    *self.agent(*agent) = disk;
                }
            }
            Step::Clone => {
                if let Some(disk) = self.disk.clone().filter(|_| self.agents.len() < 3) {
                    self.agents.push(disk);
                }
            }
        }
    }

    fn agent(&mut self, index: usize) -> &mut Ledger {
        let count = self.agents.len();
        &mut self.agents[index % count]
    }

    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let exchanged = self.hub.exchange(&shop(), request, &mut || 0).unwrap();
        exchanged.answer.seal().unwrap()
    }

    fn exchange(&mut self, index: usize) {
        let (request, sent) = self.agents[index].ask(false);
        let answer = self.answer(&request.seal(|_| [0; 64]).unwrap());
        let answer = Answer::read(&frame::open(&answer).unwrap()).unwrap();
        let minted = &mut self.minted;
        self.agents[index].apply(&answer, &sent, &mut || {
            *minted += 1;
            ReplicaId([*minted; 16])
        });
    }

    /// Every id that somebody holds now.
    fn held(&self) -> BTreeSet<MovementId> {
        let agents = self.agents.iter().map(|agent| agent.logs.clone());
        agents
            .chain([self.hub.logs(&shop())])
            .flat_map(|logs| logs.all().map(|(_, held)| held.id).collect::<Vec<_>>())
            .collect()
    }
}

fn request(agent: &Ledger) -> Vec<u8> {
    agent.ask(false).0.seal(|_| [0; 64]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn whatever_happens_all_end_alike_and_nothing_is_lost_or_doubled(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        let held = world.held();

        let mut rounds = 0;
        loop {
            for agent in 0..world.agents.len() {
                world.exchange(agent);
            }
            rounds += 1;
            let hash = world.hub.logs(&shop()).hash();
            if world.agents.iter().all(|agent| agent.logs.hash() == hash) {
                break;
            }
            prop_assert!(rounds < 80, "no agreement after {} rounds", rounds);
        }

        let model = world.hub.logs(&shop()).model().unwrap();
        let voided = model.voided();
        let mut counts = BTreeSet::new();
        for replica in model.replicas() {
            for (entry, seq) in model.log(replica).iter().zip(1..) {
                if !voided.contains(&vitrina_shared::Dot { replica, seq: vitrina_shared::Seq(seq) }) {
                    prop_assert!(counts.insert(entry.movement.id(&shop())), "counted twice");
                }
            }
        }
        prop_assert_eq!(counts, held, "every sale that somebody held counts");
    }
}
