//! Files with what is written apart from what is durable, and what a power cut may leave of them.
//!
//! What was written and not flushed survives as any part of it: in any order, torn at sectors, or as garbage, but never
//! outside the bytes that were written (SQLite's `POWERSAFE_OVERWRITE`, which its own VFS claims too). Names are made
//! and taken away in their order, as a journal of the file system keeps it, and are durable once a file that was made
//! has been flushed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Unplugged;
use crate::sim::random::Random;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Files by their names below the mounted folder.
pub type Image = BTreeMap<String, Arc<Vec<u8>>>;

/// Which file, whatever its name is.
pub(super) type Inode = u32;

/// One thing that was done to the disk.
#[derive(Clone, Debug)]
pub enum Op {
    /// A file was made.
    Create {
        /// Its name.
        name: String,
        /// Which file it is from now on.
        file: u32,
    },
    /// A file that was made and flushed under another name took the place of one, and the folder was flushed.
    Replace {
        /// The name.
        name: String,
        /// Which file it is from now on.
        file: u32,
        /// What is in it.
        bytes: Arc<[u8]>,
    },
    /// A name was taken away.
    Delete {
        /// The name.
        name: String,
    },
    /// Bytes were written.
    Write {
        /// Where to.
        file: u32,
        /// From here on.
        at: u64,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// A file was shortened.
    Truncate {
        /// Which.
        file: u32,
        /// To so many bytes.
        length: u64,
    },
    /// A file was made durable.
    Sync {
        /// Which.
        file: u32,
    },
    /// Making a file durable failed: what was not flushed never will be.
    FailedSync {
        /// Which.
        file: u32,
        /// The system shows what is durable from now on.
        forgets: bool,
    },
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, file } => write!(f, "make {name} as {file}"),
            Self::Replace { name, file, .. } => write!(f, "put {file} in the place of {name}"),
            Self::Delete { name } => write!(f, "delete {name}"),
            Self::Write { file, at, bytes } => {
                write!(f, "write {} bytes to {file} at {at}", bytes.len())
            }
            Self::Truncate { file, length } => write!(f, "cut {file} to {length} bytes"),
            Self::Sync { file } => write!(f, "flush {file}"),
            Self::FailedSync { file, .. } => write!(f, "fail to flush {file}"),
        }
    }
}

/// A change that is not durable yet; the number says when it was made.
#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Arc<[u8]> },
    Truncate { length: usize },
}

#[derive(Clone, Debug)]
enum Naming {
    Made(String, Inode),
    Gone(String),
}

#[derive(Clone, Debug, Default)]
struct File {
    seen: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<(u64, Change)>,
}

/// The files of a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    names: BTreeMap<String, Inode>,
    durable_names: BTreeMap<String, Inode>,
    namings: Vec<Naming>,
    inodes: BTreeMap<Inode, File>,
    last: Inode,
    clock: u64,
}

impl Files {
    pub(super) fn of(image: &Image) -> Self {
        let mut files = Self::default();
        for (name, bytes) in image {
            files.last += 1;
            files.names.insert(name.clone(), files.last);
            let file = File {
                seen: bytes.to_vec(),
                durable: bytes.to_vec(),
                changes: Vec::new(),
            };
            files.inodes.insert(files.last, file);
        }
        files.durable_names = files.names.clone();
        files
    }

    pub(super) fn seen(&self) -> Image {
        self.image(&self.names, |file| file.seen.clone())
    }

    pub(super) fn durable(&self) -> Image {
        self.image(&self.durable_names, |file| file.durable.clone())
    }

    fn image(
        &self,
        names: &BTreeMap<String, Inode>,
        mut bytes: impl FnMut(&File) -> Vec<u8>,
    ) -> Image {
        let named = names
            .iter()
            .filter_map(|(name, inode)| Some((name, self.inodes.get(inode)?)));
        named
            .map(|(name, file)| (name.clone(), Arc::new(bytes(file))))
            .collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<Inode> {
        self.names.get(name).copied()
    }

    pub(super) fn next(&self) -> Inode {
        self.last + 1
    }

    pub(super) fn bytes(&self, inode: Inode) -> &[u8] {
        self.inodes.get(&inode).map_or(&[], |file| &file.seen)
    }

    /// Does what an operation says.
    pub(super) fn apply(&mut self, op: &Op, lies: bool) {
        self.clock += 1;
        match op {
            Op::Create { name, file } => {
                self.last = *file;
                self.inodes.insert(*file, File::default());
                self.names.insert(name.clone(), *file);
                self.namings.push(Naming::Made(name.clone(), *file));
            }
            Op::Replace { name, file, bytes } => self.replace(name, *file, bytes, lies),
            Op::Delete { name } => {
                self.names.remove(name);
                self.namings.push(Naming::Gone(name.clone()));
            }
            Op::Write { file, at, bytes } => {
                let change = Change::Write {
                    at: usize::try_from(*at).unwrap(),
                    bytes: Arc::clone(bytes),
                };
                self.change(*file, change);
            }
            Op::Truncate { file, length } => {
                let length = usize::try_from(*length).unwrap();
                self.change(*file, Change::Truncate { length });
            }
            Op::Sync { file } if !lies => self.sync(*file),
            Op::Sync { .. } => {}
            Op::FailedSync { file, forgets } => {
                let file = self.inodes.get_mut(file).unwrap();
                file.changes.clear();
                if *forgets {
                    file.seen.clone_from(&file.durable);
                }
            }
        }
    }

    fn replace(&mut self, name: &str, inode: Inode, bytes: &Arc<[u8]>, lies: bool) {
        self.last = inode;
        self.inodes.insert(inode, File::default());
        self.names.insert(name.to_owned(), inode);
        self.namings.push(Naming::Made(name.to_owned(), inode));
        let change = Change::Write {
            at: 0,
            bytes: Arc::clone(bytes),
        };
        self.change(inode, change);
        if !lies {
            self.sync(inode);
        }
    }

    fn change(&mut self, inode: Inode, change: Change) {
        let file = self.inodes.get_mut(&inode).unwrap();
        change.apply(&mut file.seen);
        file.changes.push((self.clock, change));
    }

    fn sync(&mut self, inode: Inode) {
        let file = self.inodes.get_mut(&inode).unwrap();
        for (_, change) in file.changes.drain(..) {
            change.apply(&mut file.durable);
        }
        // The first flush of a file that was made also flushes its folder.
        let is_new = |naming: &Naming| matches!(naming, Naming::Made(_, made) if *made == inode);
        if self.namings.iter().any(is_new) {
            let namings = std::mem::take(&mut self.namings);
            for naming in namings {
                naming.apply(&mut self.durable_names);
            }
        }
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(to, *at, bytes),
            Self::Truncate { length } => to.truncate(*length),
        }
    }
}

impl Naming {
    fn apply(&self, to: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Made(name, file) => to.insert(name.clone(), *file),
            Self::Gone(name) => to.remove(name),
        };
    }
}

fn write(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

/// What becomes of what was not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// All of it survives: only the program ended.
    Killed,
    /// Nothing of it survives.
    Nothing,
    /// What was written first survives, the last of it torn.
    Torn,
    /// What was written last survives, and nothing else.
    LastOnly,
    /// Any sectors survive.
    Some,
    /// Any sectors survive, others are garbage or zeros.
    Garbage,
}

impl Cut {
    /// What it leaves, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Killed => "all survived: only the program ended",
            Self::Nothing => "nothing that was not flushed survived",
            Self::Torn => "the first survived, the last of it torn",
            Self::LastOnly => "only the last survived",
            Self::Some => "any sectors survived",
            Self::Garbage => "any sectors survived, others are garbage",
        }
    }

    /// The ways to lose power.
    pub const POWER: [Self; 5] = [
        Self::Nothing,
        Self::Torn,
        Self::LastOnly,
        Self::Some,
        Self::Garbage,
    ];
}

/// A disk's history, played again.
#[derive(Clone, Debug)]
pub struct Replay {
    files: Files,
    lies: bool,
}

impl Replay {
    /// From here on.
    pub fn of(image: &Image) -> Self {
        Self {
            files: Files::of(image),
            lies: false,
        }
    }

    /// The same, but no flush does anything.
    #[must_use]
    pub fn lying(mut self) -> Self {
        self.lies = true;
        self
    }

    /// From where a disk was unplugged, with what of it is not durable.
    pub fn from(unplugged: &Unplugged) -> Self {
        Self {
            files: unplugged.0.clone(),
            lies: false,
        }
    }

    /// Goes on by one operation.
    pub fn step(&mut self, op: &Op) {
        self.files.apply(op, self.lies);
    }

    /// How much is not durable: changes of files and of names.
    pub fn loose(&self) -> usize {
        let changes = self.files.inodes.values().map(|file| file.changes.len());
        changes.sum::<usize>() + self.files.namings.len()
    }

    /// What is left of the files.
    pub fn cut(&self, cut: Cut, random: &mut Random) -> Image {
        match cut {
            Cut::Killed => return self.files.seen(),
            Cut::Nothing => return self.files.durable(),
            _ => {}
        }
        let mut names = self.files.durable_names.clone();
        let kept = random.place(self.files.namings.len() + 1);
        for naming in &self.files.namings[..kept] {
            naming.apply(&mut names);
        }
        let moments: Vec<u64> = self
            .files
            .inodes
            .values()
            .flat_map(|file| file.changes.iter().map(|(moment, _)| *moment))
            .collect();
        let last = moments.iter().copied().max().unwrap_or(0);
        let torn = moments
            .get(random.place(moments.len().max(1)))
            .copied()
            .unwrap_or(0);
        self.files.image(&names, |file| {
            let mut left = file.durable.clone();
            for (moment, change) in &file.changes {
                match cut {
                    Cut::Torn if *moment < torn => change.apply(&mut left),
                    Cut::Torn if *moment == torn => tear(change, &mut left, random),
                    Cut::LastOnly if *moment == last => change.apply(&mut left),
                    Cut::Some => some(change, &mut left, 0, random),
                    Cut::Garbage => some(change, &mut left, 300, random),
                    _ => {}
                }
            }
            left
        })
    }
}

/// The first sectors of a write.
fn tear(change: &Change, left: &mut Vec<u8>, random: &mut Random) {
    if let Change::Write { at, bytes } = change {
        let sectors = bytes.len().div_ceil(SECTOR_BYTES);
        // Sectors lie on the disk, not in the write.
        let end = (at + random.place(sectors + 1) * SECTOR_BYTES) / SECTOR_BYTES * SECTOR_BYTES;
        let kept = end.saturating_sub(*at).min(bytes.len());
        write(left, *at, &bytes[..kept]);
    }
}

/// Any sectors of a change; of the others so many in a thousand are garbage.
fn some(change: &Change, left: &mut Vec<u8>, garbage: u64, random: &mut Random) {
    match change {
        Change::Truncate { .. } if random.chance(500) => change.apply(left),
        Change::Truncate { .. } => {}
        Change::Write { at, bytes } => {
            let mut from = 0;
            while from < bytes.len() {
                let to = ((at + from) / SECTOR_BYTES + 1) * SECTOR_BYTES - at;
                let to = to.min(bytes.len());
                if random.chance(500) {
                    write(left, at + from, &bytes[from..to]);
                } else if garbage > 0 && random.chance(garbage) {
                    let fill = if random.chance(500) { random.bits() } else { 0 };
                    let rotten: Vec<u8> = fill
                        .to_le_bytes()
                        .into_iter()
                        .cycle()
                        .take(to - from)
                        .collect();
                    write(left, at + from, &rotten);
                }
                from = to;
            }
        }
    }
}
