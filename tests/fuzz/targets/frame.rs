//! Frames: as they come, and with a right header around them, so that more than the digest is tried.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use vitrina_shared::wire::v1::{EnrolV1, EnrolledV1};
use vitrina_shared::wire::{Answer, Request, frame};

fn framed(codec: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"VTRN\x01".to_vec();
    bytes.extend_from_slice(&[codec, 0, 0]);
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&Sha256::digest(body));
    bytes.extend_from_slice(&[0; 64]);
    bytes.extend_from_slice(body);
    bytes
}

fn read(frame: &[u8]) {
    let Ok(opened) = frame::open(frame) else {
        return;
    };
    let _ = (
        Request::certificate(&opened),
        EnrolV1::read(&opened),
        EnrolledV1::read(&opened),
        Answer::read(&opened),
    );
    if let Ok(request) = Request::read(&opened) {
        // What was read can be written, and says the same.
        let again = request.seal(|_| [0; 64]).expect("it fitted before");
        let again = frame::open(&again).expect("it was sealed here");
        assert_eq!(Request::read(&again).expect("it was read before"), request);
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&framed(1, bytes));
    read(&framed(2, bytes));
});
