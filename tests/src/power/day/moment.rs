//! What lies on the disks of both sides at one moment.

use std::sync::Arc;

use super::{Day, Side};
use crate::vfs::Image;

/// What lies on both sides between two steps: the databases and the files beside them.
#[derive(Clone, Debug)]
pub struct Moment {
    agent: Image,
    hub: Image,
    beside: Vec<(Side, &'static str, Option<Vec<u8>>)>,
}

impl Moment {
    /// What lies there now.
    pub(super) fn now(day: &Day) -> Self {
        let beside = BESIDE.map(|(side, name)| {
            let bytes = std::fs::read(day.place(side).folder().join(name)).ok();
            (side, name, bytes)
        });
        Self {
            agent: day.agent_place.disk.image(),
            hub: day.hub_place.disk.image(),
            beside: beside.to_vec(),
        }
    }

    /// The shop's side of one moment and the hub's of another: one of them was put back.
    #[must_use]
    pub fn of(agent: &Self, hub: &Self) -> Self {
        let of = |moment: &Self, side| {
            let beside = moment.beside.iter();
            beside
                .filter(move |(whose, ..)| *whose == side)
                .cloned()
                .collect::<Vec<_>>()
        };
        Self {
            agent: agent.agent.clone(),
            hub: hub.hub.clone(),
            beside: [of(agent, Side::Agent), of(hub, Side::Hub)].concat(),
        }
    }

    /// The same with one bit flipped in a file, in the middle of the `part`-th of so many parts.
    #[must_use]
    pub fn with_a_flipped_bit(
        &self,
        side: Side,
        name: &str,
        (part, parts): (usize, usize),
    ) -> Self {
        let mut changed = self.clone();
        let image = match side {
            Side::Agent => &mut changed.agent,
            Side::Hub => &mut changed.hub,
        };
        let bytes = Arc::make_mut(image.get_mut(name).expect("it is there"));
        let place = (2 * part + 1) * bytes.len() / (2 * parts);
        bytes[place] ^= 1;
        changed
    }

    /// Puts one side back.
    pub(super) fn lay(&self, day: &Day, side: Side) {
        let place = day.place(side);
        place.disk.load(match side {
            Side::Agent => &self.agent,
            Side::Hub => &self.hub,
        });
        for (_, name, bytes) in self.beside.iter().filter(|(whose, ..)| *whose == side) {
            let path = place.folder().join(name);
            match bytes {
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None => {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
    }
}

/// Files beside the databases that a step may change.
const BESIDE: [(Side, &str); 5] = [
    (Side::Agent, "high-water"),
    (Side::Agent, "device.key"),
    (Side::Agent, "hub.json"),
    (Side::Agent, "terminal.token"),
    (Side::Hub, "life.json"),
];
