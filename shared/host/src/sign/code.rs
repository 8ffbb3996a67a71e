//! Codes that people read out and type: Crockford's base 32 in groups of four.

/// Digits and letters without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters in a group.
const GROUP: usize = 4;

/// Why a typed code is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// A letter that no code has.
    #[error("{0:?} does not occur in codes")]
    Letter(char),
    /// Too short or too long.
    #[error("the code has {found} letters instead of {wanted}")]
    Length {
        /// Letters of a whole code, without dashes.
        wanted: usize,
        /// Letters that were typed.
        found: usize,
    },
    /// The last letter has bits that no code has: there is another one in its place.
    #[error("the code is mistyped: its last letter is another one")]
    Last,
}

/// `ABCD-EFGH-…` of the bytes; 5 bits a letter, the last one filled up with zeros.
pub fn code_from_bytes(bytes: &[u8]) -> String {
    let mut code = String::new();
    let mut bits: u32 = 0;
    let mut count = 0;
    let mut letters = 0;
    let mut push = |five: u32| {
        if letters > 0 && letters % GROUP == 0 {
            code.push('-');
        }
        letters += 1;
        let at = usize::try_from(five & 31).unwrap_or_default();
        code.push(char::from(ALPHABET.get(at).copied().unwrap_or(b'0')));
    };
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            push(bits >> count);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        push(bits << (5 - count));
    }
    code
}

/// The `N` bytes of a typed code: any case, dashes and spaces ignored, O read as 0, I and L as 1.
///
/// # Errors
///
/// [`CodeError`] says which letter or how many.
pub fn code_to_bytes<const N: usize>(code: &str) -> Result<[u8; N], CodeError> {
    let mut bytes = [0; N];
    let mut free = bytes.iter_mut();
    let mut bits: u32 = 0;
    let mut count = 0;
    let mut found = 0;
    for letter in code.chars().filter(|c| !(*c == '-' || c.is_whitespace())) {
        bits = bits << 5 | value_of(letter).ok_or(CodeError::Letter(letter))?;
        count += 5;
        found += 1;
        if count >= 8 {
            count -= 8;
            if let Some(byte) = free.next() {
                *byte = u8::try_from(bits >> count & 255).unwrap_or_default();
            }
            bits &= (1 << count) - 1;
        }
    }
    let wanted = (N * 8).div_ceil(5);
    if found != wanted {
        return Err(CodeError::Length { wanted, found });
    }
    // What fills up the last letter.
    if bits != 0 {
        return Err(CodeError::Last);
    }
    Ok(bytes)
}

fn value_of(letter: char) -> Option<u32> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let at = ALPHABET
        .iter()
        .position(|known| char::from(*known) == letter)?;
    u32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = code_from_bytes(&[0, 68, 50, 20, 199]);
        assert_eq!(code, "0123-4567");

        let typed = code
            .to_lowercase()
            .replace('-', " ")
            .replace('0', "o")
            .replace('1', "l");

        assert_eq!(code_to_bytes(&typed), Ok([0, 68, 50, 20, 199]));
    }

    #[test]
    fn a_wrong_letter_and_a_wrong_length_are_said() {
        assert_eq!(code_to_bytes::<5>("ABCD-EFU0"), Err(CodeError::Letter('U')));
        assert_eq!(
            code_to_bytes::<5>("ABCD-EFG"),
            Err(CodeError::Length {
                wanted: 8,
                found: 7
            })
        );
    }

    #[test]
    fn a_last_letter_that_no_code_ends_with_is_mistyped() {
        let code = code_from_bytes(&[255]);
        assert_eq!(code, "ZW");
        assert_eq!(code_to_bytes::<1>("ZX"), Err(CodeError::Last));
    }

    proptest! {
        #[test]
        fn every_code_comes_back(bytes: [u8; 16]) {
            prop_assert_eq!(code_to_bytes(&code_from_bytes(&bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in ".{0,64}") {
            let _ = code_to_bytes::<10>(&text);
        }
    }
}
