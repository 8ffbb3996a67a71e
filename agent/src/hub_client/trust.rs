//! Why the other end of a TLS line was not trusted, for the person who has to put it right. Nothing was sent to it.

use std::error::Error;
use std::io;

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error as TlsError};
use vitrina_host::certificate::day;
use vitrina_host::when::rfc3339_ms;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Distrust {
    /// Its time is over.
    #[error(
        "the certificate was good until {}, and the clock of this machine shows {}: renew the certificate at the hub, or set the clock",
        day(*until_ms), rfc3339_ms(*clock_ms)
    )]
    Expired {
        /// The certificate's last moment.
        until_ms: i64,
        /// What the clock showed.
        clock_ms: i64,
    },
    /// Its time has not come.
    #[error(
        "the certificate is good from {} on, and the clock of this machine shows {}: set the clock",
        day(*since_ms), rfc3339_ms(*clock_ms)
    )]
    NotYetGood {
        /// The certificate's first moment.
        since_ms: i64,
        /// What the clock showed.
        clock_ms: i64,
    },
    /// It is somebody else's.
    #[error(
        "the certificate is for {shown}, not for {asked}: call the hub by one of these names, or get a certificate for its own"
    )]
    OtherName {
        /// The name in the hub's address.
        asked: String,
        /// The names in the certificate.
        shown: String,
    },
    /// Nobody who is trusted here issued it.
    #[error(
        "nobody who is trusted here issued the certificate: name the hub's own authority with enrol --ca FILE or the key ca in agent.toml; \
        if it has none, somebody else answers for the hub (doctor shows the issuer)"
    )]
    UnknownIssuer,
    /// An authority's own certificate, as `openssl req -x509` makes it.
    #[error(
        "an authority's certificate is shown as the hub's own: make one that is a server's, such as by vitrina-hub cert"
    )]
    Authority,
    /// Something rarer.
    #[error("the certificate is refused: {0}")]
    Refused(String),
    /// No TLS at all.
    #[error(
        "what answers there speaks no TLS: is the hub's address http://, or its port another one?"
    )]
    NoTls,
}

impl Distrust {
    /// What TLS found wrong, where it is that which ended the call.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        match cause(error)? {
            TlsError::InvalidCertificate(wrong) => Some(Self::of_certificate(wrong)),
            TlsError::InvalidMessage(_) => Some(Self::NoTls),
            _ => None,
        }
    }

    fn of_certificate(wrong: &CertificateError) -> Self {
        match wrong {
            CertificateError::ExpiredContext { time, not_after } => Self::Expired {
                until_ms: ms(*not_after),
                clock_ms: ms(*time),
            },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetGood {
                since_ms: ms(*not_before),
                clock_ms: ms(*time),
            },
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => Self::OtherName {
                asked: expected.to_str().into_owned(),
                shown: names(presented),
            },
            // An issuer of a known name with another key is another one: a certificate that was made anew, or forged.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => Self::Authority,
            other => Self::Refused(other.to_string()),
        }
    }

    /// A short word for status and log.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "certificate_expired",
            Self::NotYetGood { .. } => "certificate_not_yet_good",
            Self::OtherName { .. } => "certificate_of_another_name",
            Self::UnknownIssuer => "certificate_of_unknown_issuer",
            Self::Authority | Self::Refused(_) => "certificate_refused",
            Self::NoTls => "no_tls",
        }
    }
}

fn ms(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).map_or(i64::MAX, |seconds| seconds.saturating_mul(1_000))
}

/// The names of a certificate as it writes them: `DnsName("hub.example")`, `IpAddress(10.0.0.1)`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inside = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'));
        let inside = inside.unwrap_or(name).trim_matches('"');
        inside
            .chars()
            .filter(|letter| !letter.is_control())
            .collect::<String>()
    };
    match presented {
        [] => "nobody by name".to_owned(),
        names => names.iter().map(bare).collect::<Vec<_>>().join(", "),
    }
}

/// The word of TLS among the causes: an I/O error hides what it wraps from its own `source`.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(error: TlsError) -> Distrust {
        // As it comes through the client: wrapped twice.
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        Distrust::of(&wrapped).unwrap()
    }

    #[test]
    fn a_certificate_out_of_its_time_names_its_dates_and_the_clock() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));

        let expired = found(TlsError::InvalidCertificate(
            CertificateError::ExpiredContext {
                time: at(1_800_000_000),
                not_after: at(1_700_000_000),
            },
        ));
        let early = found(TlsError::InvalidCertificate(
            CertificateError::NotValidYetContext {
                time: at(1_600_000_000),
                not_before: at(1_700_000_000),
            },
        ));

        let text = expired.to_string();
        assert!(
            text.contains("2023-11-14") && text.contains("2027-01-15"),
            "{text}"
        );
        let text = early.to_string();
        assert!(
            text.contains("2023-11-14") && text.contains("2020-09-13"),
            "{text}"
        );
    }

    #[test]
    fn names_are_told_as_people_write_them_and_without_control_characters() {
        assert_eq!(
            names(&[
                "DnsName(\"hub.example\")".into(),
                "IpAddress(10.0.0.1)".into()
            ]),
            "hub.example, 10.0.0.1"
        );
        assert_eq!(names(&["a\nb".into()]), "ab");
        assert_eq!(names(&[]), "nobody by name");
    }

    #[test]
    fn what_is_no_word_of_tls_is_no_distrust() {
        assert_eq!(Distrust::of(&io::Error::other("cable")), None);
        assert_eq!(
            Distrust::of(&io::Error::other(TlsError::DecryptError)),
            None
        );
    }
}
