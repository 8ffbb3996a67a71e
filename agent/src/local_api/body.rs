//! Bodies: bounded in size and time, JSON with errors that name the field.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use vitrina_host::depth;

use super::{Api, Problem};

/// The most bytes of a body.
const MAX_BODY: usize = 1 << 20;

/// Reads a body.
///
/// # Errors
///
/// 413 above 1 MiB, 408 when it does not come, 415 when it is packed: what it unpacks to has no limit.
pub(super) async fn read(api: &Api, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
    {
        return Err(packed());
    }
    let patience = api.core.config().limits.body.duration();
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "a body has at most 1 MiB",
        )
    };
    match tokio::time::timeout(patience, api.bodies.gather(body, MAX_BODY)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "validation_failed",
            "the body ended early",
        )),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "the body did not come",
        )),
    }
}

fn packed() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "validation_failed",
        "send the JSON as it is, not packed",
    )
}

/// Reads JSON; a byte order mark before it is accepted.
///
/// # Errors
///
/// 400 where it is no JSON or too deep, 415 where it is packed, 422 naming the field where a value is not right.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if depth::is_packed(bytes) {
        return Err(packed());
    }
    if depth::is_too_deep(bytes) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "validation_failed",
            depth::TOO_DEEP,
        ));
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let not_json = |error: &serde_json::Error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "validation_failed",
            format!("the body is no JSON: {error}"),
        )
    };
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            wrong_value(&path, &inner.to_string())
        } else {
            not_json(&inner)
        }
    })?;
    reader.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// The same, where no body at all says what the default says.
///
/// # Errors
///
/// As [`json`].
pub(crate) fn json_or_nothing<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    json(bytes)
}

/// Names the field, which serde leaves in the words where it is missing or unknown.
fn wrong_value(path: &str, words: &str) -> Problem {
    let message = words.split(" at line ").next().unwrap_or(words);
    // The names of our integers are nobody's business.
    let message = &["i64", "u32"]
        .iter()
        .fold(message.to_owned(), |text, name| {
            text.replace(&format!("expected {name}"), "expected a whole number")
        });
    let named = message
        .strip_prefix("missing field `")
        .or_else(|| message.strip_prefix("unknown field `"))
        .and_then(|rest| rest.split('`').next());
    let field = match (path, named) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => "body".to_owned(),
        (path, Some(name)) if path == name || path.ends_with(&format!(".{name}")) => {
            path.to_owned()
        }
        (path, Some(name)) => format!("{path}.{name}"),
        (path, None) => path.to_owned(),
    };
    Problem::field(field, message.as_str())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[expect(dead_code, reason = "only its form is looked at")]
        qty: i64,
    }

    #[derive(Debug, Deserialize)]
    struct Receipt {
        #[expect(dead_code, reason = "only its form is looked at")]
        lines: Vec<Line>,
    }

    fn refused(text: &str) -> String {
        let problem = json::<Receipt>(text.as_bytes()).unwrap_err();
        serde_json::to_string(&problem).unwrap()
    }

    #[test]
    fn an_error_names_the_field() {
        assert!(
            refused(r#"{"lines":[{"qty":1},{"qty":"2"}]}"#).contains(r#""field":"lines[1].qty""#)
        );
        assert!(refused(r#"{"lines":[{"qty":1.5}]}"#).contains(r#""field":"lines[0].qty""#));
        assert!(refused(r#"{"lines":[{"qty":1.5}]}"#).contains("expected a whole number"));
        assert!(refused(r#"{"lines":[{}]}"#).contains(r#""field":"lines[0].qty""#));
        assert!(refused("{}").contains(r#""field":"lines""#));
        assert!(refused(r#"{"lines":[{"qty":1,"x":2}]}"#).contains(r#""field":"lines[0].x""#));
    }

    #[test]
    fn what_is_packed_or_deep_is_refused_before_it_is_read() {
        assert!(
            refused("\x1f\u{8b}").contains(r#""status":400"#),
            "text is no archive"
        );
        let packed = json::<Receipt>(b"\x1f\x8b\x08").unwrap_err();
        assert!(
            serde_json::to_string(&packed)
                .unwrap()
                .contains(r#""status":415"#)
        );
        assert!(refused(&r#"{"lines":[{"qty":"#.repeat(9)).contains("16"));
    }

    #[test]
    fn what_is_no_json_is_400_and_a_mark_before_it_is_fine() {
        assert!(refused("{").contains(r#""status":400"#));
        assert!(refused(r#"{"lines":[]} x"#).contains(r#""status":400"#));
        assert!(json::<Receipt>("\u{feff}{\"lines\":[]}".as_bytes()).is_ok());
    }
}
