//! Frames in a file, for a shop without a line: one small header, each frame behind its length, and an end that says how
//! many there were and what all of it hashes to. It knows nothing of what a frame says.
//!
//! A stick is written under another name and renamed: one that is there is whole. It is read as a stream, twice by who
//! means to apply it: first to its end, because nothing of a damaged one may be used.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::os::{self, OsError};
use crate::sign::Sha256;

/// What a stick begins with; the last byte is the version.
const MAGIC: &[u8; 8] = b"VTRNSTK\x01";
/// The most bytes of one frame.
const MAX_FRAME_BYTES: u32 = 1 << 20;
/// The most frames of one stick: more movements than a shop makes in its life.
const MAX_FRAMES: u32 = 100_000;

/// Who a stick is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A shop's movements, for the hub.
    ToHub,
    /// The hub's word, for one shop.
    ToShop,
}

impl Bound {
    fn byte(self) -> u8 {
        match self {
            Self::ToHub => 1,
            Self::ToShop => 2,
        }
    }
}

/// Why a stick was not written or read. Nothing of it may be used.
#[derive(Debug, thiserror::Error)]
pub enum StickError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be written; an older one of that name is untouched.
    #[error("cannot write the frames")]
    Write(#[from] OsError),
    /// It begins as no stick of ours does.
    #[error("{} holds no frames of Vitrina, or those of a later version", path.display())]
    NotAStick {
        /// Which file.
        path: PathBuf,
    },
    /// It was made by the other side.
    #[error("{} is bound for {}: import it there", path.display(), if *to_hub { "the hub" } else { "a shop" })]
    OtherWay {
        /// Which file.
        path: PathBuf,
        /// Where it is to go.
        to_hub: bool,
    },
    /// It is not what was written.
    #[error("{} is damaged or cut short: nothing of it was used; copy or export it again", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// There is more to carry than one stick takes.
    #[error("a stick takes at most {MAX_FRAMES} frames")]
    TooMany,
}

/// A stick that is being written. Dropped before its end it leaves nothing.
#[derive(Debug)]
pub struct StickWriter {
    target: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    frames: u32,
    is_finished: bool,
}

impl StickWriter {
    /// Begins a stick that will be `target`.
    ///
    /// # Errors
    ///
    /// [`StickError::Write`].
    pub fn create(target: &Path, bound: Bound) -> Result<Self, StickError> {
        let mut name = std::ffi::OsString::from(target);
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        let _ = std::fs::remove_file(&temporary);
        let file = os::create_private_file(&temporary)?;
        let mut writer = Self {
            target: target.to_path_buf(),
            temporary,
            file: BufWriter::new(file),
            hash: Sha256::new(),
            frames: 0,
            is_finished: false,
        };
        writer.put(MAGIC)?;
        writer.put(&[bound.byte(), 0, 0, 0])?;
        Ok(writer)
    }

    /// Adds a frame.
    ///
    /// # Errors
    ///
    /// [`StickError::Write`], [`StickError::TooMany`].
    pub fn frame(&mut self, frame: &[u8]) -> Result<(), StickError> {
        let length = u32::try_from(frame.len())
            .ok()
            .filter(|length| (1..=MAX_FRAME_BYTES).contains(length));
        let Some(length) = length.filter(|_| self.frames < MAX_FRAMES) else {
            return Err(StickError::TooMany);
        };
        self.frames += 1;
        self.put(&length.to_le_bytes())?;
        self.put(frame)
    }

    /// Ends it and puts it in place; how many frames it has.
    ///
    /// # Errors
    ///
    /// [`StickError::Write`]; then there is no new file.
    pub fn finish(mut self) -> Result<u32, StickError> {
        let frames = self.frames;
        self.put(&0_u32.to_le_bytes())?;
        self.put(&frames.to_le_bytes())?;
        let digest = std::mem::take(&mut self.hash).finish();
        let target = self.target.clone();
        let failed = |source| OsError::Io {
            doing: "write",
            path: target,
            source,
        };
        let written = self.file.write_all(&digest);
        written
            .and_then(|()| self.file.flush())
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&self.temporary, &self.target))
            .map_err(failed)?;
        self.is_finished = true;
        let folder = self
            .target
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        os::sync_dir(folder.unwrap_or(Path::new(".")))?;
        Ok(frames)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StickError> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(|source| {
            StickError::Write(OsError::Io {
                doing: "write",
                path: self.target.clone(),
                source,
            })
        })
    }
}

impl Drop for StickWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// A stick that is being read.
#[derive(Debug)]
pub struct StickReader {
    path: PathBuf,
    file: BufReader<File>,
    hash: Sha256,
    frames: u32,
    is_over: bool,
}

impl StickReader {
    /// Opens a stick that is bound so.
    ///
    /// # Errors
    ///
    /// [`StickError`].
    pub fn open(path: &Path, bound: Bound) -> Result<Self, StickError> {
        let failed = |source| StickError::Read {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
        }
        let mut reader = Self {
            path: path.to_path_buf(),
            file: BufReader::new(file),
            hash: Sha256::new(),
            frames: 0,
            is_over: false,
        };
        let not_ours = |error| match error {
            StickError::Damaged { path } => StickError::NotAStick { path },
            other => other,
        };
        if reader.take::<8>().map_err(not_ours)? != *MAGIC {
            return Err(StickError::NotAStick { path: reader.path });
        }
        match reader.take::<4>()? {
            [byte, 0, 0, 0] if byte == bound.byte() => Ok(reader),
            [1 | 2, 0, 0, 0] => Err(StickError::OtherWay {
                to_hub: bound == Bound::ToShop,
                path: reader.path,
            }),
            _ => Err(StickError::Damaged { path: reader.path }),
        }
    }

    /// The next frame; none after the last, and then the whole stick is as it was written.
    ///
    /// # Errors
    ///
    /// [`StickError`]; nothing of the stick may be used.
    pub fn frame(&mut self) -> Result<Option<Vec<u8>>, StickError> {
        if self.is_over {
            return Ok(None);
        }
        let length = u32::from_le_bytes(self.take()?);
        if length == 0 {
            self.end()?;
            return Ok(None);
        }
        if length > MAX_FRAME_BYTES || self.frames == MAX_FRAMES {
            return Err(self.damaged());
        }
        let mut frame = vec![0; length as usize];
        self.fill(&mut frame)?;
        self.frames += 1;
        Ok(Some(frame))
    }

    fn end(&mut self) -> Result<(), StickError> {
        self.is_over = true;
        let frames = u32::from_le_bytes(self.take()?);
        let digest = std::mem::take(&mut self.hash).finish();
        let is_same = self.take::<32>()? == digest && frames == self.frames;
        let mut more = [0; 1];
        let is_at_end = matches!(self.file.read(&mut more), Ok(0));
        if is_same && is_at_end {
            Ok(())
        } else {
            Err(self.damaged())
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], StickError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StickError> {
        match self.file.read_exact(bytes) {
            Ok(()) => {
                self.hash.update(bytes);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged()),
            Err(source) => Err(StickError::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }

    fn damaged(&self) -> StickError {
        StickError::Damaged {
            path: self.path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, frames: &[&[u8]]) {
        let mut stick = StickWriter::create(path, Bound::ToHub).unwrap();
        for frame in frames {
            stick.frame(frame).unwrap();
        }
        assert_eq!(stick.finish().unwrap() as usize, frames.len());
    }

    fn read(path: &Path) -> Result<Vec<Vec<u8>>, StickError> {
        let mut stick = StickReader::open(path, Bound::ToHub)?;
        let mut frames = Vec::new();
        while let Some(frame) = stick.frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn a_stick_reads_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stick");
        write(&path, &[b"one", b"two and more"]);
        assert_eq!(
            read(&path).unwrap(),
            [b"one".to_vec(), b"two and more".to_vec()]
        );
        write(&path, &[]);
        assert_eq!(read(&path).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_stick_that_is_cut_or_has_one_flipped_bit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stick");
        write(&path, &[b"one", b"two"]);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path).is_err(), "cut to {length}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            assert!(read(&path).is_err(), "bit {bit}");
        }
        std::fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        assert!(matches!(read(&path), Err(StickError::Damaged { .. })));
    }

    #[test]
    fn a_stick_for_the_other_side_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stick");
        write(&path, &[b"one"]);
        let refused = StickReader::open(&path, Bound::ToShop).unwrap_err();
        assert!(
            refused.to_string().contains("bound for the hub"),
            "{refused}"
        );
        std::fs::write(&path, b"barcode;qty\n").unwrap();
        assert!(matches!(read(&path), Err(StickError::NotAStick { .. })));
    }

    #[test]
    fn a_stick_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut stick = StickWriter::create(&dir.path().join("stick"), Bound::ToShop).unwrap();
        stick.frame(b"one").unwrap();
        drop(stick);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
