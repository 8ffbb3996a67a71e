//! The locks of one file and of its log's index, among the handles of this process.

use rusqlite::ffi;

/// The locks of an index: `SQLITE_SHM_NLOCK`.
const SHM_LOCKS: usize = 8;
/// One piece of an index.
pub(super) const REGION_BYTES: usize = 32 * 1024;

/// Who asks: a number of an open handle.
pub(super) type Handle = u64;

/// The locks of one file.
#[derive(Debug, Default)]
pub(super) struct Locks {
    shared: Vec<Handle>,
    reserved: Option<Handle>,
    pending: Option<Handle>,
    exclusive: Option<Handle>,
    index: [Slot; SHM_LOCKS],
    /// The index, while somebody uses it. The pieces never move.
    regions: Vec<Box<[u64]>>,
    users: Vec<Handle>,
}

#[derive(Debug, Default)]
struct Slot {
    shared: Vec<Handle>,
    exclusive: Option<Handle>,
}

/// Somebody else has the lock.
#[derive(Debug)]
pub(super) struct Busy;

impl Locks {
    /// Raises a handle's lock to `level`.
    pub(super) fn raise(&mut self, who: Handle, level: i32) -> Result<(), Busy> {
        let is_others = |holder: Option<Handle>| holder.is_some_and(|holder| holder != who);
        if level >= ffi::SQLITE_LOCK_SHARED && !self.shared.contains(&who) {
            if is_others(self.pending) || is_others(self.exclusive) {
                return Err(Busy);
            }
            self.shared.push(who);
        }
        if level == ffi::SQLITE_LOCK_RESERVED {
            if is_others(self.reserved) {
                return Err(Busy);
            }
            self.reserved = Some(who);
        }
        if level > ffi::SQLITE_LOCK_RESERVED {
            if is_others(self.reserved) || is_others(self.pending) {
                return Err(Busy);
            }
            self.pending = Some(who);
            if level == ffi::SQLITE_LOCK_EXCLUSIVE {
                if self.shared.iter().any(|holder| *holder != who) {
                    return Err(Busy);
                }
                self.exclusive = Some(who);
            }
        }
        Ok(())
    }

    /// Lowers a handle's lock to `level`.
    pub(super) fn lower(&mut self, who: Handle, level: i32) {
        for holder in [&mut self.reserved, &mut self.pending, &mut self.exclusive] {
            if *holder == Some(who) {
                *holder = None;
            }
        }
        if level < ffi::SQLITE_LOCK_SHARED {
            self.shared.retain(|holder| *holder != who);
        }
    }

    /// Whether somebody is about to write.
    pub(super) fn is_reserved(&self) -> bool {
        self.reserved.is_some() || self.pending.is_some() || self.exclusive.is_some()
    }

    /// A piece of the index; `None` where it is not there and is not to be made.
    pub(super) fn region(&mut self, who: Handle, number: usize, make: bool) -> Option<*mut u64> {
        if !self.users.contains(&who) {
            self.users.push(who);
        }
        while make && self.regions.len() <= number {
            self.regions.push(vec![0; REGION_BYTES / 8].into());
        }
        self.regions
            .get_mut(number)
            .map(|region| region.as_mut_ptr())
    }

    /// Takes or gives back `count` locks of the index from `first` on.
    pub(super) fn index(
        &mut self,
        who: Handle,
        (first, count): (usize, usize),
        flags: i32,
    ) -> Result<(), Busy> {
        let slots = &mut self.index[first..first + count];
        let is_shared = flags & ffi::SQLITE_SHM_SHARED != 0;
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            for slot in slots {
                slot.leave(who);
            }
            return Ok(());
        }
        if !slots.iter().all(|slot| slot.is_free(who, is_shared)) {
            return Err(Busy);
        }
        for slot in slots {
            if is_shared {
                slot.shared.push(who);
            } else {
                slot.exclusive = Some(who);
            }
        }
        Ok(())
    }

    /// The handle uses the index no more; when nobody does it is gone.
    pub(super) fn leave_index(&mut self, who: Handle) {
        for slot in &mut self.index {
            slot.leave(who);
        }
        self.users.retain(|user| *user != who);
        if self.users.is_empty() {
            self.regions.clear();
        }
    }
}

impl Slot {
    fn is_free(&self, who: Handle, is_shared: bool) -> bool {
        let others = self.exclusive.is_some_and(|holder| holder != who);
        !others && (is_shared || self.shared.iter().all(|holder| *holder == who))
    }

    fn leave(&mut self, who: Handle) {
        self.shared.retain(|holder| *holder != who);
        if self.exclusive == Some(who) {
            self.exclusive = None;
        }
    }
}
