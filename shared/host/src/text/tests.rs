use super::*;

/// Gives at most `step` bytes at a time, as a slow share does.
struct Dribble<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.len().min(self.step).min(out.len());
        out[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

fn read_all(bytes: &[u8], step: usize) -> Result<(String, SourceEncoding), TextError> {
    let mut reader = utf8(Dribble { bytes, step })?;
    let mut out = Vec::new();
    reader.read_to_end(&mut out).map_err(TextError::from_io)?;
    Ok((String::from_utf8(out).unwrap(), reader.encoding()))
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xFEFF)
        .chain(text.encode_utf16())
        .flat_map(to_bytes)
        .collect()
}

const TEXT: &str = "Штрихкод;Цена\r\n2000018987155;45 900,00\r\n№ 7 Иней\n";

#[test]
fn every_encoding_gives_the_same_text() {
    // In windows-1251 a capital И is an ordinary byte; only in UTF-8 does it contain the undefined one.
    let cp1251 = WINDOWS_1251.encode(TEXT).0.into_owned();
    let files = [
        (TEXT.as_bytes().to_vec(), SourceEncoding::Utf8),
        (
            [b"\xEF\xBB\xBF", TEXT.as_bytes()].concat(),
            SourceEncoding::Utf8Bom,
        ),
        (utf16(TEXT, u16::to_le_bytes), SourceEncoding::Utf16Le),
        (utf16(TEXT, u16::to_be_bytes), SourceEncoding::Utf16Be),
        (cp1251, SourceEncoding::Windows1251),
    ];
    for (bytes, encoding) in files {
        for step in [1, 2, 3, 7, 1_000_000] {
            let (text, found) = read_all(&bytes, step).unwrap();
            assert_eq!(text, TEXT, "{encoding:?} by {step}");
            assert_eq!(found, encoding);
        }
    }
}

#[test]
fn an_empty_file_is_empty_text() {
    for bytes in [&b""[..], b"\xEF\xBB\xBF", b"\xFF\xFE"] {
        assert_eq!(read_all(bytes, 1).unwrap().0, "");
    }
}

#[test]
fn russian_that_begins_late_in_a_file_of_digits_is_still_told_apart() {
    let digits = "2000018987155;1\n".repeat(10_000);
    let text = format!("{digits}Кольцо;1\n");

    let utf = read_all(text.as_bytes(), 5_000).unwrap();
    let legacy = read_all(&WINDOWS_1251.encode(&text).0, 5_000).unwrap();

    assert_eq!(utf, (text.clone(), SourceEncoding::Utf8));
    assert_eq!(legacy, (text, SourceEncoding::Windows1251));
}

#[test]
fn a_character_across_the_edge_of_the_window_does_not_make_the_file_windows_1251() {
    for lead in 0..4 {
        let text = format!("Я{}{}", "x".repeat(lead), "Ж".repeat(WINDOW));
        let (read, encoding) = read_all(text.as_bytes(), 100_000).unwrap();
        assert_eq!(encoding, SourceEncoding::Utf8);
        assert_eq!(read, text);
    }
}

#[test]
fn a_bad_byte_behind_the_window_is_named_by_its_offset() {
    let mut bytes = "Ж".repeat(WINDOW).into_bytes();
    bytes.extend_from_slice(b"\xFFabc");
    let error = read_all(&bytes, 10_000).unwrap_err();
    let at = 2 * WINDOW as u64;
    assert!(matches!(error, TextError::Invalid { encoding: "UTF-8", offset } if offset == at));
}

#[test]
fn a_file_cut_inside_a_character_is_an_error() {
    let error = read_all("Кольцо".as_bytes().split_last().unwrap().1, 4).unwrap_err();
    assert!(matches!(error, TextError::Invalid { offset: 10, .. }));
}

#[test]
fn utf_8_with_one_bad_byte_does_not_turn_into_soup() {
    let mut bytes = "Рубин, Изумруд".as_bytes().to_vec();
    bytes.insert(4, 0xFF);
    assert!(matches!(
        read_all(&bytes, 100),
        Err(TextError::Invalid {
            encoding: "windows-1251",
            ..
        })
    ));
}

#[test]
fn half_a_surrogate_pair_is_named_by_its_offset() {
    let error = read_all(b"\xFF\xFEa\x00\x00\xD8b\x00", 100).unwrap_err();
    assert!(matches!(
        error,
        TextError::Invalid {
            encoding: "UTF-16LE",
            offset: 4
        }
    ));
}

#[test]
fn lines_are_counted_in_every_mode() {
    let text = format!("{}Ж\nЖ\n", "1;2\n".repeat(30_000));
    for bytes in [
        text.as_bytes().to_vec(),
        WINDOWS_1251.encode(&text).0.into_owned(),
        utf16(&text, u16::to_le_bytes),
    ] {
        let mut reader = utf8(&bytes[..]).unwrap();
        let mut line = String::new();
        for expected in 1..=30_002_u64 {
            if expected % 100 < 2 || expected > 29_990 {
                assert_eq!(reader.line(), expected);
            }
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        assert_eq!(reader.line(), 30_003);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_valid_utf_8_or_an_error(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        step in 1_usize..20,
    ) {
        let _ = read_all(&bytes, step);
    }
}
