//! The demo chain of `fixtures/`: a dozen shops, their goods and the files that their 1C and tills would write.
//!
//! Everything comes from one seed and fixed dates, so that the same files come out on every machine. The files stand in
//! the repository too; a test compares.

mod bad;
mod balances;
mod catalogue;
mod goods;
mod pos;
mod random;
mod shops;

use encoding_rs::WINDOWS_1251;

use goods::Piece;
use random::Random;
use shops::Place;

/// As of when the balances are, as Russian CSV writes it (shop time).
const STAMP_RU: &str = "20.11.2026 09:00:00";
/// The same for CommerceML and English CSV.
const STAMP: &str = "2026-11-20T09:00:00";

/// A file of `fixtures/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixture {
    /// Its path in `fixtures/`, with `/`.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// How a text file is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf8Bom,
    Windows1251,
}

/// The chain before it is written down.
#[derive(Debug)]
struct World {
    places: Vec<Place>,
    pieces: Vec<Piece>,
    /// For each place the pieces it holds: (index into `pieces`, how many).
    stock: Vec<Vec<(usize, u32)>>,
}

/// The folders that hold nothing but what [`files`] gives.
pub const FOLDERS: [&str; 2] = ["chain", "bad"];

/// Every generated file.
pub fn files() -> Vec<Fixture> {
    let mut random = Random::new(20_261_122);
    let places = shops::places();
    let pieces = goods::pieces(&mut random);
    let stock = balances::spread(&pieces, places.len(), &mut random);
    let world = World {
        places,
        pieces,
        stock,
    };
    let mut files = vec![shops::file(&world.places)];
    files.extend(catalogue::files(&world.pieces));
    files.extend(balances::files(&world));
    files.extend(pos::files(&world));
    files.extend(bad::files(&world));
    files
}

impl Fixture {
    fn new(path: impl Into<String>, text: &str, encoding: Encoding) -> Self {
        let bytes = match encoding {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf8Bom => format!("\u{feff}{text}").into_bytes(),
            Encoding::Windows1251 => {
                let (bytes, _, has_lost) = WINDOWS_1251.encode(text);
                assert!(!has_lost, "windows-1251 cannot say all of {text}");
                bytes.into_owned()
            }
        };
        Self {
            path: path.into(),
            bytes,
        }
    }
}

/// One line of CSV; quotes where they are needed.
fn csv_line(fields: &[&str], separator: char) -> String {
    let quoted: Vec<String> = fields
        .iter()
        .map(|field| {
            if field.contains([separator, '"', '\n']) {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                (*field).to_owned()
            }
        })
        .collect();
    let mut line = quoted.join(&separator.to_string());
    line.push_str("\r\n");
    line
}

/// A text for XML.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
