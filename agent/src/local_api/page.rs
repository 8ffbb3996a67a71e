//! `GET /`: the shop's page, for a cashier with a scanner. Its few files are in the binary.
//!
//! It is a client of the API like every till. Nothing of it comes from elsewhere, and nothing that is not of these files runs
//! in it: that is what the headers tell the browser.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use vitrina_host::output::Lang;

use super::{Api, Problem, cookie};

const PAGE: &str = include_str!("page/page.html");
/// Where the page says its language.
const LANG: &str = "{LANG}";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page's other files: name, kind, content.
const FILES: [(&str, &str, &str); 15] = [
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("app.js", SCRIPT, include_str!("page/app.js")),
    ("call.js", SCRIPT, include_str!("page/call.js")),
    ("dialog.js", SCRIPT, include_str!("page/dialog.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
    ("lamp.js", SCRIPT, include_str!("page/lamp.js")),
    ("lookup.js", SCRIPT, include_str!("page/lookup.js")),
    ("orders.js", SCRIPT, include_str!("page/orders.js")),
    ("parcels.js", SCRIPT, include_str!("page/parcels.js")),
    ("queue.js", SCRIPT, include_str!("page/queue.js")),
    ("scan.js", SCRIPT, include_str!("page/scan.js")),
    ("signin.js", SCRIPT, include_str!("page/signin.js")),
    ("sound.js", SCRIPT, include_str!("page/sound.js")),
    ("words.js", SCRIPT, include_str!("page/words.js")),
];

/// What the browser must not do with it. Texts only become elements by our own hand, so that no name of a ring is ever markup.
const RULES: [(header::HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    // A new version of the program is a new page.
    (header::CACHE_CONTROL, "no-cache"),
];

/// The page. The language is the setting's; a switch of the page remembers another.
pub(super) async fn get(State(api): State<Api>, headers: HeaderMap) -> Response {
    let lang = match api.lang {
        Lang::En => "en",
        Lang::Ru => "ru",
    };
    let mut response = ruled("text/html; charset=utf-8", PAGE.replacen(LANG, lang, 1));
    let port = api.gate.port();
    let again = cookie::kept(&headers, port).and_then(|token| cookie::keep(port, token));
    if let Some(again) = again {
        response.headers_mut().insert(header::SET_COOKIE, again);
    }
    response
}

/// `GET /page/{file}`.
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let Some((_, kind, content)) = found else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "the page has no such file",
        ));
    };
    Ok(ruled(kind, *content))
}

fn ruled(kind: &'static str, content: impl IntoResponse) -> Response {
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, rule) in RULES {
        headers.insert(name, HeaderValue::from_static(rule));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some tens of kilobytes: it is in every shop's binary, and read over a slow phone.
    const MOST_BYTES: usize = 64 << 10;

    #[test]
    fn the_page_is_small_and_needs_nothing_from_elsewhere() {
        let size = PAGE.len() + FILES.iter().map(|(.., text)| text.len()).sum::<usize>();
        assert!(size < MOST_BYTES, "{size} bytes");
        let all = FILES.iter().map(|(name, _, text)| (*name, *text));
        for (name, text) in all.chain([("page.html", PAGE)]) {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{name} speaks of another place");
            assert!(
                !text.contains("innerHTML") && !text.contains("style="),
                "{name} does what the rules forbid"
            );
        }
        assert!(PAGE.contains(LANG));
    }

    #[test]
    fn every_file_that_a_file_names_is_there() {
        let known = |name: &str| FILES.iter().any(|(known, ..)| *known == name);
        for (name, _, text) in FILES {
            for part in text.split("from './").skip(1) {
                let other = part.split('\'').next().unwrap_or_default();
                assert!(known(other), "{name} needs {other}");
            }
        }
        for part in PAGE.split("/page/").skip(1) {
            let other = part.split(['"', '>']).next().unwrap_or_default();
            assert!(known(other), "the page needs {other}");
        }
    }
}
