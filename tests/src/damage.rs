//! Bytes of strangers: the kept corpus of the fuzzer, damaged in every way a careless or clever sender may think of.

use crate::binaries::workspace;
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
