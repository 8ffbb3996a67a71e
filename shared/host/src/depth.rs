//! What of a JSON body is refused before it is read.

/// Objects and lists in each other.
const MAX_DEPTH: usize = 16;

/// The words for whoever sends more.
pub const TOO_DEEP: &str = "the JSON has more than 16 objects and lists in each other";

/// Whether a text nests more than 16 objects and lists. It need not be JSON.
pub fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Whether a body is packed by gzip or zstd, whatever its head says of it. No JSON begins so.
pub fn is_packed(body: &[u8]) -> bool {
    body.starts_with(b"\x1f\x8b") || body.starts_with(b"\x28\xb5\x2f\xfd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_json_is_refused_before_it_is_read() {
        assert!(is_too_deep(&b"[".repeat(17)) && is_too_deep(&br#"{"a":"#.repeat(17)));
        assert!(!is_too_deep(&b"[".repeat(16)));
        assert!(!is_too_deep(
            br#"{"a":"[[[[[[[[[[[[[[[[[[[[\"[[[","b":[1,[2]]}"#
        ));
    }

    #[test]
    fn what_is_packed_is_known_by_its_first_bytes() {
        assert!(is_packed(b"\x1f\x8b\x08") && is_packed(b"\x28\xb5\x2f\xfd\x04"));
        assert!(!is_packed(b"{}") && !is_packed(b"\xef\xbb\xbf{}") && !is_packed(b""));
    }
}
