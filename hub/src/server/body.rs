//! A body that is made while it is taken: who does not take it holds a piece of it, never all.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Frame;

/// So many bytes are made at once. Small parts are put together: a write for each would cost more than the copy.
pub(crate) const PIECE_BYTES: usize = 64 << 10;
/// The same where they are packed, which takes far longer.
const PACKED_PIECE_BYTES: usize = 8 << 10;

/// A body of these parts, packed where it is said how well.
pub(crate) fn made_while_taken<P: AsRef<[u8]>>(
    parts: impl Iterator<Item = P> + Send + Unpin + 'static,
    packing: Option<Compression>,
) -> Body {
    Body::new(Pieces {
        parts: Some(parts),
        packer: packing.map(|level| GzEncoder::new(Vec::new(), level)),
        is_rested: true,
    })
}

struct Pieces<I> {
    /// What is still to come.
    parts: Option<I>,
    packer: Option<GzEncoder<Vec<u8>>>,
    /// Others had their turn since the last piece: a fast reader of a long body must not keep a thread for himself.
    is_rested: bool,
}

impl<P: AsRef<[u8]>, I: Iterator<Item = P>> Pieces<I> {
    /// The next piece; nothing when it was the last. Writing into memory cannot fail.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        while let Some(part) = self.parts.as_mut()?.next() {
            let is_enough = if let Some(packer) = &mut self.packer {
                let _ = packer.write_all(part.as_ref());
                packer.get_ref().len() >= PACKED_PIECE_BYTES
            } else {
                plain.extend_from_slice(part.as_ref());
                plain.len() >= PIECE_BYTES
            };
            if is_enough {
                return Some(match &mut self.packer {
                    Some(packer) => std::mem::take(packer.get_mut()),
                    None => plain,
                });
            }
        }
        self.parts = None;
        let last = match self.packer.take() {
            Some(packer) => packer.finish().unwrap_or_default(),
            None => plain,
        };
        (!last.is_empty()).then_some(last)
    }
}

impl<P: AsRef<[u8]>, I: Iterator<Item = P> + Unpin> hyper::body::Body for Pieces<I> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !std::mem::replace(&mut self.is_rested, false) {
            self.is_rested = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece.into()))))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http_body_util::BodyExt as _;

    use super::*;

    fn parts() -> impl Iterator<Item = Vec<u8>> + Send + Unpin + 'static {
        (0..40_000_u32)
            .map(|number| format!("part {}\n", number.wrapping_mul(2_654_435_769)).into())
    }

    /// The body's pieces.
    async fn taken(mut body: Body) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
        }
        pieces
    }

    #[tokio::test]
    async fn small_parts_come_together_and_all_of_them_come() {
        let pieces = taken(made_while_taken(parts(), None)).await;

        assert_eq!(pieces.concat(), parts().collect::<Vec<_>>().concat());
        let (last, others) = pieces.split_last().unwrap();
        assert!(last.len() <= PIECE_BYTES && !others.is_empty());
        for piece in others {
            assert!((PIECE_BYTES..PIECE_BYTES + 100).contains(&piece.len()));
        }
        assert!(
            taken(made_while_taken(parts().take(0), None))
                .await
                .is_empty()
        );
    }

    #[tokio::test]
    async fn a_packed_body_is_one_archive_of_many_pieces() {
        let body = made_while_taken(parts(), Some(Compression::fast()));
        let pieces = taken(body).await;

        let (packed, mut plain) = (pieces.concat(), Vec::new());
        let mut unpacker = flate2::read::GzDecoder::new(&*packed);
        unpacker.read_to_end(&mut plain).unwrap();
        assert_eq!(plain, parts().collect::<Vec<_>>().concat());
        assert!(pieces.len() > 4, "{}", pieces.len());
        assert!(
            pieces
                .iter()
                .all(|piece| piece.len() < 8 * PACKED_PIECE_BYTES)
        );
    }
}
