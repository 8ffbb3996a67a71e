//! CSV files: the check and the reading must agree, row by row.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitrina_host::csv::{self, CsvReader, Line, MAX_RAW_BYTES, MAX_RECORD_BYTES};

fuzz_target!(|bytes: &[u8]| {
    let checked = csv::check(bytes);
    let Ok(mut reader) = CsvReader::open(bytes) else {
        assert!(checked.is_err());
        return;
    };
    let (mut rows, mut bad) = (0, 0);
    let end = loop {
        match reader.next_line() {
            Ok(Some(Line::Row(row))) => {
                assert!(row.raw().len() <= MAX_RECORD_BYTES);
                rows += 1;
            }
            Ok(Some(Line::Bad(row))) => {
                assert!(row.raw.len() <= MAX_RAW_BYTES);
                bad += 1;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    match (end, checked) {
        (Ok(()), Ok(checked)) => assert_eq!((checked.rows, checked.bad), (rows, bad)),
        (Err(_), Err(_)) => {}
        (end, checked) => panic!("{end:?} and {checked:?}"),
    }
});
