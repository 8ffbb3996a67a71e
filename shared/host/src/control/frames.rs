//! How the server sends what a command prints: kind, length, bytes.

use std::io::{self, Read};

/// No frame is longer; a longer text is several frames.
pub(super) const FRAME_MAX: usize = 64 * 1024;

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Nothing new, but the command still runs.
    Alive,
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// The end, with the exit code.
    Exit(u8),
}

impl Frame {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, bytes): (u8, &[u8]) = match self {
            Self::Alive => (0, &[]),
            Self::Stdout(bytes) => (1, bytes),
            Self::Stderr(bytes) => (2, bytes),
            Self::Exit(code) => (3, std::slice::from_ref(code)),
        };
        // Longer pieces are never made: see `FRAME_MAX`.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut frame = vec![kind];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(bytes);
        frame
    }

    /// The next frame of a stream; one that ends before its exit frame is an error.
    pub(super) fn read(reader: &mut impl Read) -> io::Result<Self> {
        let mut kind = [0; 1];
        let mut length = [0; 4];
        reader.read_exact(&mut kind)?;
        reader.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > FRAME_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        match (kind, bytes.as_slice()) {
            ([0], []) => Ok(Self::Alive),
            ([1], _) => Ok(Self::Stdout(bytes)),
            ([2], _) => Ok(Self::Stderr(bytes)),
            ([3], [code]) => Ok(Self::Exit(*code)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_a_cut_one_is_an_error() {
        let frames = [
            Frame::Alive,
            Frame::Stdout(b"x".to_vec()),
            Frame::Stderr(Vec::new()),
            Frame::Exit(3),
        ];
        for frame in frames {
            let bytes = frame.encode();
            assert_eq!(Frame::read(&mut bytes.as_slice()).unwrap(), frame);
            let cut = bytes.get(..bytes.len() - 1).unwrap();
            assert!(Frame::read(&mut &*cut).is_err());
        }
    }

    #[test]
    fn a_huge_length_is_refused_before_memory_is_taken() {
        assert!(Frame::read(&mut &[1, 255, 255, 255, 255][..]).is_err());
    }
}
