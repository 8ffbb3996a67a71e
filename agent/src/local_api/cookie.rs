//! How the page keeps its token: in a cookie that no script reads and that is of no use to a foreign page.
//!
//! Why a cookie and not the page's storage: what a script reads, a script that should not be there can carry away, and
//! `sessionStorage` asks for a new code whenever the browser is started, which is every morning. What cookies bring
//! along is closed:
//!
//! * Browsers send them by themselves, for the calls of foreign pages too. `SameSite=Strict` keeps other sites out; but
//!   another port of this machine is the same site to a browser. So a cookie counts only beside a header of our own: a page
//!   of another origin may not send one without asking first, and such a question is answered with no. (`Host` and `Origin` are looked
//!   at before; this holds for the calls that come without an `Origin`.)
//! * They know no ports: the name has the port in it, so that two agents on one machine do not take each other's place.
//!   Another service of this machine can be shown the cookie all the same, when somebody opens its pages; it is a program of
//!   this machine already, and no other machine's.
//! * No `Secure`: the API is plain HTTP, on loopback. Where the admin opens it to the shop's network, a token crosses that in
//!   the clear whichever way it is kept; the log warns of it at each start.

use axum::http::{HeaderMap, HeaderValue, header};

/// Sent by our own page with every call.
const PAGE: &str = "vitrina-page";
/// No browser keeps a cookie longer: 400 days, begun anew whenever the page is opened.
const MAX_AGE_S: u32 = 400 * 86_400;

/// Tells the browser to keep a token; nothing where that is not one of our making.
pub(super) fn keep(port: u16, token: &str) -> Option<HeaderValue> {
    let is_ours = token.strip_prefix("vt_").is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    let text = format!(
        "{}={token}; Path=/; Max-Age={MAX_AGE_S}; HttpOnly; SameSite=Strict",
        name(port)
    );
    is_ours.then(|| HeaderValue::from_str(&text).ok()).flatten()
}

/// The token of a call by our own page.
pub(super) fn token(headers: &HeaderMap, port: u16) -> Option<&str> {
    headers.get(PAGE)?;
    kept(headers, port)
}

/// What the browser keeps, whoever makes it say so.
pub(super) fn kept(headers: &HeaderMap, port: u16) -> Option<&str> {
    let name = name(port);
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

fn name(port: u16) -> String {
    format!("vitrina_{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            let name = header::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_cookie_counts_only_in_a_call_of_our_own_page() {
        let cookies = "theme=dark; vitrina_8421=vt_01ab; vitrina_9000=vt_02";
        let alone = headers(&[("cookie", cookies)]);
        assert_eq!(token(&alone, 8421), None);
        assert_eq!(kept(&alone, 8421), Some("vt_01ab"));

        let ours = headers(&[("cookie", cookies), (PAGE, "1")]);
        assert_eq!(token(&ours, 8421), Some("vt_01ab"));
        assert_eq!(token(&ours, 9000), Some("vt_02"));
        assert_eq!(token(&ours, 842), None, "another agent's");
    }

    #[test]
    fn what_is_kept_is_for_this_agent_alone_and_out_of_reach_of_scripts() {
        let kept = keep(8421, "vt_01ab").unwrap();
        let kept = kept.to_str().unwrap();
        assert!(kept.starts_with("vitrina_8421=vt_01ab; "), "{kept}");
        for word in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(kept.contains(word), "{kept}");
        }
        assert!(!kept.contains("Domain"), "{kept}");
        for foreign in ["", "vt_", "vt_1; Domain=example", "xx_01"] {
            assert!(keep(8421, foreign).is_none(), "{foreign}");
        }
    }
}
