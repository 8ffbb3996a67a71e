//! Webhooks: what happens to work items, told to receivers outside. By the Standard Webhooks convention: an id that stays the
//! same however often it is sent, the time of the attempt, and an HMAC over both and the body.
//!
//! What is to be told is written by the transaction that makes it so (`store`); here it is said, signed and sent. A receiver
//! that takes nothing stops nobody.

pub(crate) mod address;
pub(crate) mod post;
pub(crate) mod send;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use vitrina_host::output::Lang;
use vitrina_host::sign::TagKey;
use vitrina_host::when;
use vitrina_shared::{ShopId, TimeMs};

use crate::work::{Kind, WorkItem};

/// What a receiver's secret is made for, so that it is no tag of anything else.
const SECRET_OF: &[u8] = b"vitrina.webhook.secret.1";
/// How secrets are written for receivers.
const PREFIX: &str = "whsec_";

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// Its name: a channel of the responsibility map.
    pub(crate) name: String,
    /// Where it is. Whoever knows it may be able to write there: it is shown to nobody, and in no log.
    pub(crate) url: String,
    /// What its secret is made of, with the token key.
    pub(crate) salt: [u8; 16],
    /// Which kinds it is told of; none: all.
    pub(crate) kinds: Vec<Kind>,
    /// Only what belongs to somebody whose channel it is.
    pub(crate) only_owned: bool,
    /// It may be a private address.
    pub(crate) internal: bool,
    /// Since when.
    pub(crate) added_at: TimeMs,
    /// When it last took something.
    pub(crate) delivered_at: Option<TimeMs>,
    /// Since when it has taken nothing that it was sent.
    pub(crate) failing_since: Option<TimeMs>,
    /// How it failed last.
    pub(crate) error: Option<String>,
    /// What was not kept for it because too much waits.
    pub(crate) dropped: u64,
    /// What waits for it.
    pub(crate) waiting: u64,
}

/// One message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// Its place in the order.
    pub(crate) n: i64,
    /// Its name for ever: the receiver knows by it what it has had.
    pub(crate) id: String,
    /// What is sent.
    pub(crate) body: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// Not before.
    pub(crate) next_at: TimeMs,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The receiver has it.
    Taken,
    /// It may or may not have it; it is sent again.
    Failed {
        /// How.
        error: String,
        /// Not before.
        again_at: TimeMs,
    },
}

impl Hook {
    /// Whether it is told of this entry.
    pub(crate) fn takes(&self, item: &WorkItem) -> bool {
        let is_kind = self.kinds.is_empty() || self.kinds.contains(&item.kind);
        let channel = item
            .owner
            .as_ref()
            .and_then(|owner| owner.channel.as_deref());
        is_kind && (!self.only_owned || channel == Some(self.name.as_str()))
    }

    /// The object of the interface; no secret, and of the address only the host.
    pub(crate) fn json(&self) -> Value {
        let time = |at: TimeMs| when::rfc3339_ms(at.0);
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.word()).collect();
        json!({
            "name": self.name,
            "host": host_of(&self.url),
            "kinds": kinds,
            "only_owned": self.only_owned,
            "internal": self.internal,
            "added_at": time(self.added_at),
            "delivered_at": self.delivered_at.map(time),
            "failing_since": self.failing_since.map(time),
            "error": self.error,
            "waiting": self.waiting,
            "dropped": self.dropped,
        })
    }

    /// The secret that signs for it.
    pub(crate) fn secret(&self, token_key: &TagKey) -> Secret {
        let mut of = SECRET_OF.to_vec();
        of.extend_from_slice(&self.salt);
        Secret(token_key.tag(&of))
    }
}

/// What a receiver checks signatures with. It does not print.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// As the receiver is given it, once.
    pub(crate) fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(self.0))
    }

    /// The signature of a message as its header has it.
    pub(crate) fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> String {
        let message = format!("{id}.{timestamp_s}.{body}");
        let tag = TagKey::new(&self.0).tag(message.as_bytes());
        format!("v1,{}", BASE64.encode(tag))
    }
}

/// What a message says: a line that a chat shows as it is, and the entry.
pub(crate) fn body(
    item: &WorkItem,
    (what, by, detail): (&str, &str, &Value),
    now: TimeMs,
    lang: Lang,
) -> String {
    let line = line(item, what, by, lang);
    json!({
        "type": format!("alert.{what}"),
        "timestamp": when::rfc3339_ms(now.0),
        "text": as_chats_show(&line),
        "data": {
            "alert": item.json(lang),
            "by": by,
            "detail": detail,
        },
    })
    .to_string()
}

/// A message that tries a receiver out.
pub(crate) fn test_body(hook: &Hook, now: TimeMs, lang: Lang) -> String {
    let name = &hook.name;
    let line = vitrina_host::say!(
        lang,
        "Vitrina: a test of the webhook {name}",
        "Витрина: проверка вебхука {name}"
    );
    json!({
        "type": "webhook.test",
        "timestamp": when::rfc3339_ms(now.0),
        "text": as_chats_show(&line),
        "data": { "webhook": name },
    })
    .to_string()
}

fn line(item: &WorkItem, what: &str, by: &str, lang: Lang) -> String {
    let text = crate::work::text::of(item, lang);
    let said = match what {
        "opened" => return with_owner(text, item),
        "reopened" => vitrina_host::say!(lang, "again", "снова"),
        "escalated" => vitrina_host::say!(lang, "still open", "всё ещё открыто"),
        "snooze_over" => vitrina_host::say!(lang, "put off until now", "отложенное вернулось"),
        "acknowledged" => vitrina_host::say!(lang, "taken by {by}", "взято: {by}"),
        "snoozed" => vitrina_host::say!(lang, "put off by {by}", "отложено: {by}"),
        "assigned" => vitrina_host::say!(lang, "yours", "теперь ваше"),
        "resolved" => vitrina_host::say!(lang, "resolved by {by}", "решено: {by}"),
        other => other.to_owned(),
    };
    with_owner(format!("{text} [{said}]"), item)
}

fn with_owner(text: String, item: &WorkItem) -> String {
    match &item.owner {
        Some(owner) => format!("{text} ({})", owner.person),
        None => text,
    }
}

/// Three characters mean something to chats of Slack's kind: without this a name could call a whole room.
fn as_chats_show(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// What is kept in order: all of a shop, else all of a cause.
pub(crate) fn key_of(item: &WorkItem) -> String {
    match &item.shop {
        Some(shop) => format!("shop/{}", ShopId::as_str(shop)),
        None => format!("{}/{}", item.kind, item.cause),
    }
}

/// The host of an address, for people: the rest of it may be a secret.
pub(crate) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::owner::Owner;
    use crate::work::{Level, State};

    fn hook() -> Hook {
        Hook {
            name: "office".into(),
            url: "https://hooks.example/services/T0/SECRET".into(),
            salt: [7; 16],
            kinds: Vec::new(),
            only_owned: false,
            internal: false,
            added_at: TimeMs(0),
            delivered_at: None,
            failing_since: None,
            error: None,
            dropped: 0,
            waiting: 0,
        }
    }

    fn item(shop: Option<&str>) -> WorkItem {
        WorkItem {
            id: [1; 16],
            kind: Kind::ShopSilent,
            cause: "S017".into(),
            shop: shop.map(|shop| shop.parse().unwrap()),
            barcode: None,
            state: State::Open,
            level: Level::Manager,
            owner: Some(Owner {
                person: "<!channel> & Co".into(),
                channel: Some("office".into()),
            }),
            evidence: json!({ "since": "09:14" }),
            opened_at: TimeMs(0),
            updated_at: TimeMs(0),
            snoozed_until: None,
            times: 1,
        }
    }

    #[test]
    fn a_signature_is_that_of_the_convention() {
        // The convention's own example of a symmetric signature.
        let secret = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let tag = TagKey::new(&secret)
            .tag(b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}");
        assert_eq!(
            BASE64.encode(tag),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );

        let secret = hook().secret(&TagKey::new(b"token"));
        let signed = secret.sign("msg_1", 1_614_265_330, "{}");
        let shown = secret.reveal();
        let bytes = BASE64.decode(shown.strip_prefix(PREFIX).unwrap()).unwrap();
        let tag = TagKey::new(&bytes).tag(b"msg_1.1614265330.{}");
        assert_eq!(signed, format!("v1,{}", BASE64.encode(tag)));
    }

    #[test]
    fn each_receiver_has_a_secret_of_its_own_that_only_the_token_key_makes() {
        let secret = |salt, key: &[u8]| Hook { salt, ..hook() }.secret(&TagKey::new(key)).reveal();

        assert_eq!(secret([7; 16], b"token"), secret([7; 16], b"token"));
        assert_ne!(secret([7; 16], b"token"), secret([8; 16], b"token"));
        assert_ne!(secret([7; 16], b"token"), secret([7; 16], b"other"));
    }

    #[test]
    fn a_chat_shows_a_line_in_which_no_name_calls_a_room() {
        let text = body(
            &item(Some("S017")),
            ("opened", "hub", &json!({})),
            TimeMs(0),
            Lang::En,
        );
        let body: Value = serde_json::from_str(&text).unwrap();

        assert_eq!(
            body["text"],
            "S017: not heard from since 09:14 (&lt;!channel&gt; &amp; Co)"
        );
        assert_eq!(
            (&body["type"], &body["data"]["alert"]["kind"]),
            (&json!("alert.opened"), &json!("shop_silent"))
        );
    }

    #[test]
    fn of_an_address_only_the_host_is_shown() {
        let shown = hook().json().to_string();

        assert!(
            shown.contains("hooks.example") && !shown.contains("SECRET"),
            "{shown}"
        );
        assert_eq!(host_of("http://user:pass@[::1]:8080?x"), "[::1]:8080");
    }

    #[test]
    fn a_receiver_is_told_what_it_asked_for() {
        let one = item(Some("S017"));
        let takes = |hook: Hook| hook.takes(&one);

        assert!(
            takes(hook())
                && takes(Hook {
                    only_owned: true,
                    ..hook()
                })
        );
        assert!(!takes(Hook {
            only_owned: true,
            name: "other".into(),
            ..hook()
        }));
        assert!(!takes(Hook {
            kinds: vec![Kind::NegativeStock],
            ..hook()
        }));
        assert_eq!(
            (key_of(&one), key_of(&item(None))),
            ("shop/S017".into(), "shop_silent/S017".into())
        );
    }
}
