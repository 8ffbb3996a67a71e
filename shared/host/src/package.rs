//! What an exchange brings in one go: archives, kinds of files, and the order in which to take them.
//!
//! Decides nothing about their content.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

/// The most entries of an archive.
pub const MAX_ENTRIES: usize = 1_000;

/// What a file is, by its first bytes. Its name is not asked: 1C names archives and texts as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A zip archive.
    Zip,
    /// XML; whether it is CommerceML, [`crate::cml::check`] says.
    Xml,
    /// Anything else; whether it is CSV, [`crate::csv::check`] says.
    Text,
}

/// Tells what a file is from its first bytes; 64 are plenty.
pub fn file_kind(head: &[u8]) -> FileKind {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return FileKind::Zip;
    }
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    // In UTF-16 every second byte of ASCII is a NUL, in front of or behind the mark's half.
    let mut letters = text
        .iter()
        .filter(|byte| !matches!(byte, 0 | 0xFE | 0xFF) && !byte.is_ascii_whitespace());
    if letters.next() == Some(&b'<') {
        FileKind::Xml
    } else {
        FileKind::Text
    }
}

/// Compares two names of one exchange by the order in which they must be taken: classifier and import, offers, prices,
/// rests, anything else; within each numbers count as numbers, so that `import0_10.xml` follows `import0_2.xml`.
pub fn exchange_order(left: &str, right: &str) -> Ordering {
    let (left_lower, right_lower) = (left.to_lowercase(), right.to_lowercase());
    rank(&left_lower)
        .cmp(&rank(&right_lower))
        .then_with(|| natural_order(stem(&left_lower), stem(&right_lower)))
        .then_with(|| left.cmp(right))
}

fn rank(name: &str) -> usize {
    let file = base_name(name);
    ["classifier", "import", "offers", "prices", "rests"]
        .iter()
        .position(|prefix| file.starts_with(prefix))
        .unwrap_or(5)
}

fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// The name without its ending, so that the classifier `import.xml` comes before `import0_1.xml`.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn natural_order(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let ((left_text, left_rest), (right_text, right_rest)) = (piece(left), piece(right));
        let order = match (number(left_text), number(right_text)) {
            (Some(left), Some(right)) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
            _ => left_text.cmp(right_text),
        };
        if order.is_ne() || left_text.is_empty() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The first run of digits, or of anything else, and the rest.
fn piece(text: &str) -> (&str, &str) {
    let is_number = text.starts_with(|letter: char| letter.is_ascii_digit());
    let end = text
        .find(|letter: char| letter.is_ascii_digit() != is_number)
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A run of digits without its leading zeros, so that the longer one is the greater.
fn number(piece: &str) -> Option<&str> {
    piece
        .starts_with(|letter: char| letter.is_ascii_digit())
        .then(|| piece.trim_start_matches('0'))
}

/// Why an archive was not unpacked. The files that were written are removed again.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The archive cannot be read, or the folder not written; trying again may help.
    #[error("cannot unpack the archive")]
    Io(#[source] io::Error),
    /// It is cut, damaged, encrypted or packed in a way that 1C does not use.
    #[error("the archive is damaged or of an unknown kind")]
    Damaged(#[source] ZipError),
    /// Parts of it overlap, or two have the same name: made by an attacker.
    #[error("the archive has entries that overlap or have the same name")]
    Overlapping,
    /// More than [`MAX_ENTRIES`].
    #[error("the archive has {count} entries, at most {MAX_ENTRIES} are read")]
    TooManyEntries {
        /// How many it says to have.
        count: usize,
    },
    /// Unpacked it is larger than the caller allows.
    #[error("the archive holds more than {limit_bytes} bytes")]
    TooLarge {
        /// What the caller allows.
        limit_bytes: u64,
    },
    /// An entry's name leads out of the folder, or it is a link.
    #[error("the entry {name:?} of the archive leads elsewhere")]
    Escaping {
        /// As the archive has it, shortened.
        name: String,
    },
    /// An archive within the archive.
    #[error("the entry {name:?} is an archive itself")]
    Nested {
        /// As the archive has it, shortened.
        name: String,
    },
}

impl From<ZipError> for PackageError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => Self::from(error),
            other => Self::Damaged(other),
        }
    }
}

impl From<io::Error> for PackageError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // So the unpacker calls broken streams and wrong check sums.
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => Self::Damaged(ZipError::Io(error)),
            _ => Self::Io(error),
        }
    }
}

/// One file out of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Its name in the archive, with folders; for people and for [`exchange_order`].
    pub name: String,
    /// Where it lies now. The name on disk is a number and owes nothing to the archive.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
}

/// What an archive held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// The data files, in [`exchange_order`].
    pub files: Vec<Unpacked>,
    /// How many entries were passed over: pictures and the like.
    pub ignored: usize,
}

/// Unpacks the data files (`.xml`, `.csv`, `.txt`) of an archive into a folder that exists, at most `limit_bytes` in
/// all. Every check sum is verified; nothing is believed that the archive says about sizes.
///
/// # Errors
///
/// [`PackageError`]; the folder is as it was before.
pub fn unpack<R: Read + Seek>(
    archive: R,
    folder: &Path,
    limit_bytes: u64,
) -> Result<Package, PackageError> {
    let mut archive = open(archive)?;
    let mut package = Package::default();
    let result = unpack_all(&mut archive, folder, limit_bytes, &mut package);
    if let Err(error) = result {
        for file in &package.files {
            // What cannot be removed is found by whoever empties the folder next.
            let _ = std::fs::remove_file(&file.path);
        }
        return Err(error);
    }
    package
        .files
        .sort_by(|left, right| exchange_order(&left.name, &right.name));
    Ok(package)
}

fn open<R: Read + Seek>(archive: R) -> Result<ZipArchive<R>, PackageError> {
    let mut archive = ZipArchive::new(archive)?;
    let count = archive.len();
    if count > MAX_ENTRIES {
        return Err(PackageError::TooManyEntries { count });
    }
    if archive.has_duplicate_names() || archive.has_overlapping_entries()? {
        return Err(PackageError::Overlapping);
    }
    Ok(archive)
}

fn unpack_all<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    folder: &Path,
    limit_bytes: u64,
    package: &mut Package,
) -> Result<(), PackageError> {
    let mut left = limit_bytes;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if entry.is_symlink() || is_escaping(&name) {
            return Err(PackageError::Escaping { name: shown(&name) });
        }
        if has_ending(&name, &["zip"]) {
            return Err(PackageError::Nested { name: shown(&name) });
        }
        if entry.is_dir() || !has_ending(&name, &["xml", "csv", "txt"]) {
            package.ignored += usize::from(!entry.is_dir());
            continue;
        }
        let path = folder.join(format!("{index:04}"));
        // Listed before it is written, so that half a file is removed too.
        package.files.push(Unpacked {
            name: name.clone(),
            path: path.clone(),
            size_bytes: 0,
        });
        let size_bytes = spool(&mut archive.by_index(index)?, &path, left, limit_bytes)
            .map_err(|error| error.named(&name))?;
        left -= size_bytes;
        if let Some(file) = package.files.last_mut() {
            file.size_bytes = size_bytes;
        }
    }
    Ok(())
}

impl PackageError {
    /// Fills in the name where it was not at hand.
    fn named(self, entry: &str) -> Self {
        match self {
            Self::Nested { .. } => Self::Nested { name: shown(entry) },
            other => other,
        }
    }
}

fn spool(
    entry: &mut impl Read,
    path: &Path,
    left: u64,
    limit_bytes: u64,
) -> Result<u64, PackageError> {
    let mut head = Vec::with_capacity(64);
    entry.by_ref().take(64).read_to_end(&mut head)?;
    if file_kind(&head) == FileKind::Zip {
        return Err(PackageError::Nested {
            name: String::new(),
        });
    }
    let mut file = File::create_new(path).map_err(PackageError::Io)?;
    let mut rest = head.as_slice().chain(entry);
    let size = io::copy(&mut rest.by_ref().take(left), &mut file)?;
    // A read behind the last byte also verifies the check sum.
    if rest.read(&mut [0])? > 0 {
        return Err(PackageError::TooLarge { limit_bytes });
    }
    file.flush().map_err(PackageError::Io)?;
    Ok(size)
}

fn is_escaping(name: &str) -> bool {
    name.starts_with(['/', '\\'])
        || name.contains([':', '\0'])
        || name.split(['/', '\\']).any(|part| part == "..")
}

fn has_ending(name: &str, endings: &[&str]) -> bool {
    base_name(name).rsplit_once('.').is_some_and(|(_, ending)| {
        endings
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::CompressionMethod;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    const PLENTY: u64 = 100 * 1024 * 1024;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        for (name, bytes) in entries {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn unpacked(bytes: &[u8], limit: u64) -> (Result<Package, PackageError>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let result = unpack(Cursor::new(bytes), folder.path(), limit);
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        (result, left)
    }

    #[test]
    fn an_exchange_is_taken_in_its_order() {
        let mut names = vec![
            "rests0_1.xml",
            "import0_10.xml",
            "prices0_1.xml",
            "webdata/000000001/goods/2/import___b.xml",
            "offers0_1.xml",
            "import1_1.xml",
            "movements.csv",
            "Import0_2.XML",
            "offers.xml",
            "classifier.xml",
            "import0_1.xml",
        ];
        names.sort_by(|left, right| exchange_order(left, right));
        assert_eq!(
            names,
            [
                "classifier.xml",
                "import0_1.xml",
                "Import0_2.XML",
                "import0_10.xml",
                "import1_1.xml",
                "webdata/000000001/goods/2/import___b.xml",
                "offers.xml",
                "offers0_1.xml",
                "prices0_1.xml",
                "rests0_1.xml",
                "movements.csv",
            ]
        );
    }

    #[test]
    fn the_first_bytes_tell_the_kind() {
        for (head, kind) in [
            (&b"PK\x03\x04..."[..], FileKind::Zip),
            (b"<?xml", FileKind::Xml),
            (b"\xEF\xBB\xBF\r\n <x", FileKind::Xml),
            (b"\xFF\xFE<\0?\0", FileKind::Xml),
            (b"\xFE\xFF\0<\0?", FileKind::Xml),
            (b"barcode;qty", FileKind::Text),
            (b"", FileKind::Text),
        ] {
            assert_eq!(file_kind(head), kind, "{head:?}");
        }
    }

    #[test]
    fn data_files_are_unpacked_in_order_and_pictures_are_not() {
        let bytes = archive(&[
            ("offers0_1.xml", b"<o/>"),
            ("import_files/5c/a.jpg", b"\xFF\xD8"),
            ("import0_1.xml", b"<i/>"),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let package = unpack(Cursor::new(bytes), folder.path(), PLENTY).unwrap();
        let names: Vec<_> = package
            .files
            .iter()
            .map(|file| file.name.as_str())
            .collect();
        assert_eq!(names, ["import0_1.xml", "offers0_1.xml"]);
        assert_eq!(package.ignored, 1);
        assert_eq!(std::fs::read(&package.files[0].path).unwrap(), b"<i/>");
        assert_eq!(package.files[1].size_bytes, 4);
    }

    #[test]
    fn an_archive_may_hold_exactly_what_is_allowed() {
        let bytes = archive(&[("a.xml", &[b'x'; 600]), ("b.xml", &[b'x'; 400])]);
        assert!(unpacked(&bytes, 1_000).0.is_ok());
        let (result, left) = unpacked(&bytes, 999);
        assert!(matches!(
            result,
            Err(PackageError::TooLarge { limit_bytes: 999 })
        ));
        assert_eq!(left, 0);
    }

    #[test]
    fn archives_that_mean_harm_are_refused_and_leave_nothing() {
        let inner = archive(&[("a.xml", b"<a/>")]);
        let many: Vec<_> = (0..=MAX_ENTRIES).map(|at| format!("{at}.xml")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
        let cases = [
            archive(&[("a.xml", b"<a/>"), ("../b.xml", b"")]),
            archive(&[("a.xml", b"<a/>"), ("x\\..\\..\\b.xml", b"")]),
            archive(&[("a.xml", b"<a/>"), ("c:b.xml", b"")]),
            archive(&[("a.xml", b"<a/>"), ("b.zip", &inner)]),
            archive(&[("a.xml", b"<a/>"), ("b.xml", &inner)]),
            archive(&many),
        ];
        for (at, bytes) in cases.iter().enumerate() {
            let (result, left) = unpacked(bytes, PLENTY);
            assert!(result.is_err(), "case {at}");
            assert_eq!(left, 0, "case {at}");
        }
    }

    #[test]
    fn a_cut_or_damaged_archive_is_damaged() {
        let text: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let bytes = archive(&[("a.xml", &text)]);
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 0x40;
        for damaged in [&bytes[..bytes.len() / 2], &flipped[..], b"", b"PK\x03\x04"] {
            let (result, left) = unpacked(damaged, PLENTY);
            assert!(
                matches!(result, Err(PackageError::Damaged(_))),
                "{result:?}"
            );
            assert_eq!(left, 0);
        }
    }
}
