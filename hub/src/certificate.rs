//! Certificates of one's own: the only place that names `rcgen`.
//!
//! One is server and authority in one: agents that hold it trust it and nobody else. They know it by its subject and its
//! key, so a later one of the same key is trusted too, without a new copy at any shop.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use vitrina_host::os::{self, OsError};
use vitrina_shared::TimeMs;

/// Why there is no certificate. The files are as they were, but for a new key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A certificate is there without its key.
    #[error(
        "{} is there already, and its key {} is not: name other files, or the key to make it anew",
        cert.display(), key.display()
    )]
    Taken {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The key that is there cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The key that is there is none.
    #[error("{} holds no key (PEM) that can be used again", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rcgen::Error,
    },
    /// A name cannot stand in a certificate, or the library failed.
    #[error("a certificate for these names cannot be made")]
    Make(#[source] rcgen::Error),
    /// No calendar has this day.
    #[error("a certificate cannot be good for so long")]
    Days(#[source] jiff::Error),
    /// A file cannot be written.
    #[error("cannot keep the certificate")]
    Write(#[from] OsError),
}

/// Where the two go.
pub(crate) struct Files<'a> {
    pub(crate) cert: &'a Path,
    pub(crate) key: &'a Path,
}

/// Makes a certificate for these names and addresses, good from yesterday (shops' clocks are late) for so many days. A
/// key that is there is used again. Gives its last day.
///
/// # Errors
///
/// [`CertificateError`].
pub(crate) fn make(
    names: Vec<String>,
    files: &Files<'_>,
    (now, days): (TimeMs, u16),
) -> Result<Date, CertificateError> {
    let today = Timestamp::from_millisecond(now.0)
        .map(|now| now.to_zoned(TimeZone::UTC).date())
        .map_err(CertificateError::Days)?;
    let since = today.checked_sub(1.day()).map_err(CertificateError::Days)?;
    let until = today
        .checked_add(i64::from(days).days())
        .map_err(CertificateError::Days)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Vitrina");
    if let Some(name) = names.first() {
        subject.push(DnType::CommonName, name);
    }
    let mut params = CertificateParams::new(names).map_err(CertificateError::Make)?;
    params.distinguished_name = subject;
    [params.not_before, params.not_after] = [since, until].map(|day| {
        // The parts of a civil date are never negative.
        let (month, day_of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        date_time_ymd(day.year().into(), month, day_of_month)
    });
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = key(files)?;
    let certificate = params.self_signed(&key).map_err(CertificateError::Make)?;
    os::replace_file(files.cert, certificate.pem().as_bytes())?;
    Ok(until)
}

/// The key that is there, or a new one.
fn key(files: &Files<'_>) -> Result<KeyPair, CertificateError> {
    let path = files.key.to_path_buf();
    match std::fs::read_to_string(&path) {
        Ok(pem) => {
            KeyPair::from_pem(&pem).map_err(|source| CertificateError::NoKey { path, source })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if files.cert.exists() {
                return Err(CertificateError::Taken {
                    cert: files.cert.to_path_buf(),
                    key: path,
                });
            }
            let key = KeyPair::generate().map_err(CertificateError::Make)?;
            os::write_secret(&path, key.serialize_pem().as_bytes())?;
            Ok(key)
        }
        Err(source) => Err(CertificateError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_is_used_again_and_a_foreign_certificate_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let files = Files {
            cert: &cert,
            key: &key,
        };
        let names = || vec!["hub.example".to_owned(), "10.0.0.1".to_owned()];
        let at = TimeMs(1_800_000_000_000);

        make(names(), &files, (at, 365)).unwrap();
        let (first, secret) = (std::fs::read(&cert).unwrap(), std::fs::read(&key).unwrap());
        let until = make(names(), &files, (at, 730)).unwrap();

        assert_eq!(until.to_string(), "2029-01-14");
        assert_eq!(std::fs::read(&key).unwrap(), secret);
        assert_ne!(std::fs::read(&cert).unwrap(), first);
        assert_eq!(os::is_private(&key).unwrap(), Some(true));

        std::fs::remove_file(&key).unwrap();
        let refused = make(names(), &files, (at, 365)).unwrap_err();
        assert!(
            matches!(refused, CertificateError::Taken { .. }),
            "{refused:?}"
        );
    }
}
