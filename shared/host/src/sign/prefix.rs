//! The beginning of a name in hexadecimal digits, as a person types it.

use std::fmt;
use std::str::FromStr;

use super::from_hex;

/// How many digits a name has.
const DIGITS: usize = 32;
/// With fewer digits a mistyped one too easily names something else.
const DIGITS_MIN: usize = 4;

/// A name of sixteen bytes, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePrefix(String);

/// The text is no beginning of such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give the 32 hexadecimal digits of the name, or its first ones, {DIGITS_MIN} at least")]
pub struct NoNamePrefix;

impl FromStr for NamePrefix {
    type Err = NoNamePrefix;

    fn from_str(text: &str) -> Result<Self, NoNamePrefix> {
        let is_one = (DIGITS_MIN..=DIGITS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_one {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NoNamePrefix)
        }
    }
}

impl NamePrefix {
    /// The name itself, where all of it was given.
    pub fn whole(&self) -> Option<[u8; 16]> {
        from_hex(&self.0)
    }

    /// The first and the last name that begin so.
    pub fn range(&self) -> ([u8; 16], [u8; 16]) {
        let filled = |digit: &str| {
            let text = format!("{}{}", self.0, digit.repeat(DIGITS - self.0.len()));
            from_hex(&text).unwrap_or_default()
        };
        (filled("0"), filled("f"))
    }
}

impl fmt::Display for NamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_names_a_range_and_a_whole_name_itself() {
        let some: NamePrefix = "00Ff1".parse().unwrap();
        let (first, last) = some.range();
        assert_eq!((first[..3].to_vec(), first[3]), (vec![0, 255, 16], 0));
        assert_eq!((last[..3].to_vec(), last[15]), (vec![0, 255, 31], 255));
        assert_eq!((some.whole(), some.to_string()), (None, "00ff1".to_owned()));

        let all: NamePrefix = "00112233445566778899aabbccddeeff".parse().unwrap();
        assert_eq!(all.range().0, all.whole().unwrap());
        assert_eq!(all.range().1, all.whole().unwrap());
    }

    #[test]
    fn too_little_too_much_and_what_is_no_digit_is_refused() {
        for text in ["", "abc", "abcz", "яяяя", &"a".repeat(33)] {
            assert_eq!(text.parse::<NamePrefix>(), Err(NoNamePrefix), "{text}");
        }
    }
}
