//! Bytes of strangers: the kept corpus of the fuzzer, damaged in every way a careless or clever sender may think of.

use sha2::{Digest, Sha256};

use crate::binaries::workspace;
use crate::http::Http;
use crate::sim::random::Random;

/// Numbers and marks at which readers break.
const NASTY: [&[u8]; 16] = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\"",
    b";;;;;;;;",
    b"\r\n",
    b"<!--",
    b"]]>",
    b"&#x110000;",
    b"9223372036854775808",
    b"-0",
    b"1e999",
    b"{\"a\":[",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xfb\xff\xff",
    b"\xd0",
];

/// The corpus of a target of the fuzzer, in the order of its names.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = workspace().join("fixtures/fuzz").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// One of the corpus with up to six damages; the same seed damages in the same way.
pub fn damaged(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = corpus[random.place(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        damage(&mut bytes, corpus, &mut random);
    }
    bytes
}

/// A right header around a body.
pub fn framed(codec: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"VTRN\x01".to_vec();
    bytes.extend_from_slice(&[codec, 0, 0]);
    let length = u32::try_from(body.len()).unwrap();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&Sha256::digest(body));
    bytes.extend_from_slice(&[0; 64]);
    bytes.extend_from_slice(body);
    bytes
}

/// Posts damaged bodies over one connection: every answer names the caller's fault or does what was asked.
pub fn post_all(http: &mut Http, target: &str, paths: &[&str], headers: &str, seeds: u64) {
    let corpus = corpus(target);
    let bodies = corpus
        .iter()
        .cloned()
        .chain((0..seeds).map(|seed| damaged(&corpus, seed)));
    for (number, body) in bodies.enumerate() {
        for path in paths {
            let key = format!("Idempotency-Key: {target}-{number}\r\n");
            let reply = http.call("POST", path, &(key + headers), &body);
            assert!(
                (200..500).contains(&reply.status),
                "{path}: {} {} to {body:?}",
                reply.status,
                reply.text()
            );
            if reply.status >= 400 {
                let problem = reply.json();
                let code = problem.get("code").and_then(|code| code.as_str());
                assert!(
                    code.is_some_and(|code| code != "internal_error"),
                    "{path}: {problem}"
                );
            }
        }
    }
}

fn damage(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.place(bytes.len() + 1);
    let to = at + random.place((bytes.len() - at).min(64) + 1);
    let byte = random.bits().to_le_bytes()[0];
    match random.below(7) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..to)),
        2 => bytes.splice(at..at, [byte]).for_each(drop),
        3 => {
            if let Some(hit) = bytes.get_mut(at) {
                *hit ^= 1 << (byte % 8);
            }
        }
        4 => {
            let nasty = NASTY[random.place(NASTY.len())];
            bytes.splice(at..to, nasty.iter().copied()).for_each(drop);
        }
        5 => {
            let again = bytes[at..to].repeat(1 + random.place(40));
            bytes.splice(at..at, again).for_each(drop);
        }
        _ => {
            let other = &corpus[random.place(corpus.len())];
            let from = random.place(other.len() + 1);
            bytes
                .splice(at..to, other[from..].iter().copied())
                .for_each(drop);
        }
    }
}
