//! A certificate and its key: their two files, read and checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use vitrina_host::certificate::{Certificate, day};
use vitrina_host::{os, sign};

/// Why TLS cannot be spoken with these files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is no PEM, or has none of what it should hold.
    #[error("{} holds no {what} (PEM, -----BEGIN {label}-----)", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is missed.
        what: &'static str,
        /// How it begins.
        label: &'static str,
        /// What is wrong.
        source: PemError,
    },
    /// The first certificate is none.
    #[error("the first certificate in {} cannot be read", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// They are not of one pair, or the key is of a kind that is not known.
    #[error("{} and {} are no pair that can be used", cert.display(), key.display())]
    NoPair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// A new certificate is not good now, and the present one is.
    #[error("the certificate is good from {} to {} only", day(*since_ms), day(*until_ms))]
    OutOfTime {
        /// From when.
        since_ms: i64,
        /// Until when.
        until_ms: i64,
    },
    /// The library cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// Where the two lie.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// What was in the files at a look: the same again is no news, an error too.
pub(super) type Mark = Result<[u8; 32], String>;

/// The bytes of both files.
pub(super) struct Read {
    files: Files,
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate with its key, fit to be shown.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// As people know it.
    pub(super) leaf: Certificate,
    pub(super) mark: Mark,
}

impl Files {
    /// Reads both.
    ///
    /// # Errors
    ///
    /// [`TlsError::Read`].
    pub(super) fn read(&self) -> Result<Read, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read {
                path: path.to_path_buf(),
                source,
            })
        };
        Ok(Read {
            files: self.clone(),
            cert: read(&self.cert)?,
            key: read(&self.key)?,
        })
    }

    /// Reads both, with their mark.
    pub(super) fn look(&self) -> (Mark, Result<Read, TlsError>) {
        let read = self.read();
        let mark = match &read {
            Ok(read) => Ok(read.digest()),
            Err(error) => Err(error.to_string()),
        };
        (mark, read)
    }

    /// A key that other accounts can read is no secret.
    pub(super) fn warn_of_readers(&self) {
        if matches!(os::is_private(&self.key), Ok(Some(false))) {
            tracing::warn!(file.path = %self.key.display(), "other accounts can read the key of the certificate: chmod 600");
        }
    }
}

impl Read {
    fn digest(&self) -> [u8; 32] {
        let mut both = sign::sha256(&self.cert).to_vec();
        both.extend_from_slice(&sign::sha256(&self.key));
        sign::sha256(&both)
    }

    /// Makes the pair.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub(super) fn pair(&self) -> Result<Pair, TlsError> {
        let Files { cert, key } = &self.files;
        let not_pem = |path: &PathBuf, what, label| {
            let path = path.clone();
            move |source| TlsError::Pem {
                path,
                what,
                label,
                source,
            }
        };
        let chain = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|chain| {
                if chain.is_empty() {
                    Err(PemError::NoItemsFound)
                } else {
                    Ok(chain)
                }
            })
            .map_err(not_pem(cert, "certificate", "CERTIFICATE"))?;
        let secret =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(not_pem(key, "key", "PRIVATE KEY"))?;
        let leaf = chain.first().and_then(|leaf| Certificate::read(leaf));
        let leaf = leaf.ok_or_else(|| TlsError::NoCertificate { path: cert.clone() })?;
        let key = CertifiedKey::from_der(chain, secret, &default_provider()).map_err(|source| {
            TlsError::NoPair {
                cert: cert.clone(),
                key: key.clone(),
                source,
            }
        })?;
        Ok(Pair {
            key: Arc::new(key),
            leaf,
            mark: Ok(self.digest()),
        })
    }

    /// Makes the pair that takes the place of `present`.
    ///
    /// # Errors
    ///
    /// [`TlsError`], also where the new one is not good now and the present one is.
    pub(super) fn pair_instead_of(&self, present: &Pair, now_ms: i64) -> Result<Pair, TlsError> {
        let pair = self.pair()?;
        if present.leaf.is_good_at(now_ms) && !pair.leaf.is_good_at(now_ms) {
            return Err(TlsError::OutOfTime {
                since_ms: pair.leaf.since_ms,
                until_ms: pair.leaf.until_ms,
            });
        }
        Ok(pair)
    }
}

impl Pair {
    /// Says in the log which one it is.
    pub(super) fn say(&self, what: &str) {
        let Certificate {
            subject,
            issuer,
            since_ms,
            until_ms,
        } = &self.leaf;
        tracing::info!(
            "{what} of {subject}, issued by {issuer}, good from {} to {}",
            day(*since_ms),
            day(*until_ms)
        );
    }

    pub(super) fn warn_of_the_end(&self) {
        tracing::warn!(
            "the server's certificate of {} is good until {} only: renew it in its files, a restart is not needed",
            self.leaf.subject,
            day(self.leaf.until_ms)
        );
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Writes a pair that is good in these years.
    fn write(files: &Files, years: std::ops::Range<i32>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        std::fs::write(&files.cert, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
    }

    fn files(folder: &Path) -> Files {
        Files {
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        }
    }

    #[test]
    fn a_pair_is_read_and_the_key_of_another_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        write(&files, 2020..2090);
        let (mark, read) = files.look();
        let pair = read.unwrap().pair().unwrap();
        assert_eq!(pair.mark, mark);

        let key = std::fs::read(&files.key).unwrap();
        write(&files, 2020..2090);
        std::fs::write(&files.key, key).unwrap();

        let refused = files.read().unwrap().pair().unwrap_err();
        assert!(matches!(refused, TlsError::NoPair { .. }), "{refused:?}");
        assert_ne!(files.look().0, mark);
    }

    #[test]
    fn what_is_no_certificate_and_no_key_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        assert!(matches!(files.look().1, Err(TlsError::Read { .. })));

        write(&files, 2020..2090);
        std::fs::write(&files.cert, "hello").unwrap();
        let refused = files.read().unwrap().pair().unwrap_err().to_string();
        assert!(
            refused.contains("cert.pem") && refused.contains("BEGIN CERTIFICATE"),
            "{refused}"
        );

        write(&files, 2020..2090);
        std::fs::write(&files.key, "").unwrap();
        let refused = files.read().unwrap().pair().unwrap_err().to_string();
        assert!(
            refused.contains("key.pem") && refused.contains("BEGIN PRIVATE KEY"),
            "{refused}"
        );
    }

    #[test]
    fn a_new_certificate_out_of_its_time_does_not_replace_a_good_one_but_another_bad_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let now = 1_800_000_000_000;
        write(&files, 2020..2090);
        let good = files.read().unwrap().pair().unwrap();
        write(&files, 2020..2021);
        let expired = files.read().unwrap();

        let refused = expired.pair_instead_of(&good, now).unwrap_err();
        assert!(matches!(refused, TlsError::OutOfTime { .. }), "{refused:?}");
        assert!(
            expired
                .pair_instead_of(&expired.pair().unwrap(), now)
                .is_ok()
        );
    }
}
