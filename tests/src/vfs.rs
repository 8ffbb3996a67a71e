//! A disk that breaks, under SQLite: a VFS whose files are in memory, with what is written apart from what is durable.
//!
//! A folder is mounted ([`Disk::mount`]), and every database below it that is opened through the VFS [`NAME`] lies on
//! that disk, with its log and the index of the log. What SQLite does to the disk is recorded as a list of
//! [`image::Op`]s; [`image::Replay`] tells what may be left of the files when the power goes between two of them. Faults
//! of single calls are set by [`Plan`].
//!
//! Files that really are there, and files below no mounted folder, are the system's: a copy that the product writes
//! beside a mounted database is a real file.

mod ffi;
pub mod image;
mod locks;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vitrina_host::db::Vfs;
use vitrina_host::os::OsError;

use image::{Files, Inode};
pub use image::{Image, Op};
use locks::Locks;

/// The name under which SQLite knows this VFS.
pub const NAME: &str = "vitrina-disk";

/// This VFS for the product's databases.
pub const VFS: Vfs = Vfs { name: NAME, renew };

/// What SQLite asks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Opening or making a file.
    Open,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Shortening.
    Truncate,
    /// Making durable.
    Sync,
    /// Asking for the length.
    Size,
    /// Taking a lock of the file.
    Lock,
    /// Taking a piece of the log's index.
    ShmMap,
    /// Taking a lock of the log's index.
    ShmLock,
    /// Deleting a file.
    Delete,
    /// Asking whether a file is there.
    Access,
}

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails as SQLite's words for it have it, once. Of a failed flush nothing becomes durable ever, but the
    /// system goes on showing what was written, as Linux does.
    Error,
    /// As [`Fault::Error`]; a write is half done, and after a failed flush the system shows what is durable.
    Half,
    /// There is no room for this write, nor for any other, until there is.
    Full,
}

/// Which call fails, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Only calls of this kind are counted; of every kind otherwise.
    pub call: Option<Call>,
    /// The first call is 1.
    pub at: u64,
    /// How it fails.
    pub fault: Fault,
}

/// A disk, mounted at a folder until it is dropped.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    state: Arc<Mutex<State>>,
}

/// The files of a disk at one moment: what the end of a program leaves while the machine goes on.
#[derive(Clone, Debug)]
pub struct Unplugged(Files);

/// What the calls of SQLite work on.
#[derive(Debug, Default)]
struct State {
    files: Files,
    locks: BTreeMap<Inode, Locks>,
    /// How many handles are open.
    handles: usize,
    /// What was done, while it is recorded.
    record: Option<Vec<Op>>,
    counts: BTreeMap<Call, u64>,
    plan: Option<Plan>,
    /// Calls that the plan has counted.
    counted: u64,
    /// The planned call came: what it was.
    hit: Option<Call>,
    is_full: bool,
    /// A flush does nothing and says that it did.
    lies: bool,
}

/// The mounted disks by their folders.
static MOUNTED: Mutex<BTreeMap<PathBuf, Arc<Mutex<State>>>> = Mutex::new(BTreeMap::new());

impl Disk {
    /// Mounts an empty disk.
    pub fn mount(folder: &Path) -> Self {
        ffi::register();
        let state: Arc<Mutex<State>> = Arc::default();
        let before = lock(&MOUNTED).insert(folder.to_path_buf(), Arc::clone(&state));
        assert!(before.is_none(), "{} is mounted", folder.display());
        Self {
            folder: folder.to_path_buf(),
            state,
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Puts files in the place of all that are there, durable; nobody may have one open.
    pub fn load(&self, image: &Image) {
        let mut state = self.state();
        assert_eq!(state.handles, 0, "a file of the disk is open");
        state.files = Files::of(image);
        state.locks.clear();
        (state.plan, state.is_full, state.hit) = (None, false, None);
    }

    /// The files as a program sees them: what the end of the program alone, at this moment, would leave.
    pub fn image(&self) -> Image {
        self.state().files.seen()
    }

    /// The files that a power cut leaves where nothing that was not flushed survives.
    pub fn durable(&self) -> Image {
        self.state().files.durable()
    }

    /// Begins to record.
    pub fn record(&self) {
        self.state().record = Some(Vec::new());
    }

    /// How much was recorded so far.
    pub fn recorded(&self) -> usize {
        self.state().record.as_ref().map_or(0, Vec::len)
    }

    /// Ends the record and gives it.
    pub fn take_record(&self) -> Vec<Op> {
        self.state().record.take().unwrap_or_default()
    }

    /// How often SQLite called, by what it wanted.
    pub fn counts(&self) -> BTreeMap<Call, u64> {
        self.state().counts.clone()
    }

    /// From now on calls are counted for this plan.
    pub fn plan(&self, plan: Plan) {
        let mut state = self.state();
        (state.plan, state.counted) = (Some(plan), 0);
        (state.hit, state.is_full) = (None, false);
    }

    /// The disk is well again, and has room. Which call failed as planned, if it came.
    pub fn heal(&self) -> Option<Call> {
        let mut state = self.state();
        (state.plan, state.is_full) = (None, false);
        state.hit.take()
    }

    /// The files as they are, with what of them is not durable.
    pub fn unplug(&self) -> Unplugged {
        Unplugged(self.state().files.clone())
    }

    /// Puts files in the place of all that are there, as they were; nobody may have one open.
    pub fn plug(&self, unplugged: &Unplugged) {
        self.load(&Image::new());
        self.state().files = unplugged.0.clone();
    }

    /// From now on a flush does nothing and says that it did.
    pub fn lie(&self) {
        self.state().lies = true;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        lock(&MOUNTED).remove(&self.folder);
    }
}

impl State {
    fn note(&mut self, op: Op) {
        self.files.apply(&op, self.lies);
        if let Some(record) = &mut self.record {
            record.push(op);
        }
    }

    /// Counts a call; the fault that it meets, if it does.
    fn meet(&mut self, call: Call) -> Option<Fault> {
        *self.counts.entry(call).or_default() += 1;
        if self.is_full && matches!(call, Call::Write) {
            return Some(Fault::Full);
        }
        let plan = self.plan?;
        if self.hit.is_some() || plan.call.is_some_and(|kind| kind != call) {
            return None;
        }
        // What takes no room is not refused for want of it.
        if plan.fault == Fault::Full && call != Call::Write {
            return None;
        }
        self.counted += 1;
        if self.counted < plan.at {
            return None;
        }
        self.hit = Some(call);
        self.is_full = plan.fault == Fault::Full;
        Some(plan.fault)
    }
}

/// The disk on which a file of this path lies, and its name there.
fn find(path: &str) -> Option<(Arc<Mutex<State>>, String)> {
    let mounted = lock(&MOUNTED);
    Path::new(path).ancestors().find_map(|folder| {
        let state = mounted.get(folder)?;
        let name = Path::new(path).strip_prefix(folder).ok()?;
        Some((Arc::clone(state), name.to_str()?.to_owned()))
    })
}

/// A copy of a file takes its place, durable before it does.
fn renew(path: &Path) -> Result<(), OsError> {
    let Some((state, name)) = path.to_str().and_then(find) else {
        return Ok(());
    };
    let mut state = lock(&state);
    let inode = state.files.find(&name);
    let Some(inode) = inode.filter(|inode| !state.files.bytes(*inode).is_empty()) else {
        return Ok(());
    };
    for call in [Call::Write, Call::Sync] {
        if let Some(fault) = state.meet(call) {
            let source = match fault {
                Fault::Full => io::Error::new(io::ErrorKind::StorageFull, "the disk is full"),
                Fault::Error | Fault::Half => io::Error::other("a call failed"),
            };
            return Err(OsError::Io {
                doing: "renew",
                path: path.to_path_buf(),
                source,
            });
        }
    }
    let bytes = state.files.bytes(inode).into();
    let file = state.files.next();
    state.note(Op::Replace { name, file, bytes });
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
