//! What a head says of its body's length. The HTTP library takes one of two contradicting words and hides the other; a
//! proxy in front of us may take the other one (request smuggling), so both together are refused.

/// `Content-Length` was said.
const LENGTH: u8 = 1;
/// `Transfer-Encoding` was said.
const CODING: u8 = 2;
/// Both were.
pub(super) const BOTH: u8 = LENGTH | CODING;

/// The lengths that the head at the beginning of `bytes` speaks of.
pub(super) fn lengths(bytes: &[u8]) -> u8 {
    let mut seen = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        match line.first() {
            Some(b'c' | b'C') if is_called(line, b"content-length") => seen |= LENGTH,
            Some(b't' | b'T') if is_called(line, b"transfer-encoding") => seen |= CODING,
            // The end of the head.
            None | Some(b'\r') => break,
            Some(_) => {}
        }
    }
    seen
}

fn is_called(line: &[u8], name: &[u8]) -> bool {
    line.split_at_checked(name.len())
        .is_some_and(|(begin, rest)| {
            begin.eq_ignore_ascii_case(name) && rest.first() == Some(&b':')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lengths_of_one_head_are_seen_in_any_order_and_case() {
        let head = |lines: &str| lengths(format!("POST / HTTP/1.1\r\n{lines}\r\n").as_bytes());

        assert_eq!(
            head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
            BOTH
        );
        assert_eq!(
            head("transfer-encoding:chunked\r\nCONTENT-LENGTH:3\r\n"),
            BOTH
        );
        assert_eq!(head("Content-Length: 3\r\n"), LENGTH);
        assert_eq!(head("X-Content-Length: 3\r\nTransfer-Encodings: x\r\n"), 0);
    }

    #[test]
    fn a_body_is_no_head() {
        let whole = b"POST / HTTP/1.1\r\nContent-Length: 27\r\n\r\nTransfer-Encoding: chunked\n";
        assert_eq!(lengths(whole), LENGTH);
    }
}
