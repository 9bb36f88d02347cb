//! TLS: a certificate chain and its key from PEM files, which are read again while connections continue.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tokio_rustls::TlsAcceptor;

/// The protocols that are offered, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate and its key, for TLS 1.2 and 1.3. Clones are handles to the same one.
///
/// When it is read again, existing connections keep the certificate of their handshake.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

/// The certificate that clients are shown.
#[derive(Debug)]
struct Shown {
    chain: PathBuf,
    key: PathBuf,
    certified: RwLock<Arc<CertifiedKey>>,
    /// The contents of the files when they were last read, usable or not.
    read: Mutex<Files>,
}

/// What the two files hold.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file contains no certificate.
    #[error("{path} holds no certificate; expected a chain as PEM, the server's own first")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file contains no key.
    #[error("{path} holds no private key; expected PKCS#8, PKCS#1 or SEC1 as PEM, not encrypted")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key don't belong together, or are of an unsupported kind.
    #[error("the certificate in {chain} and the key in {key} can't be used: {source}")]
    Unusable {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Tls {
    /// Reads a certificate chain, which starts with the server's own certificate, and its private key.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_pem_files(
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let (chain, key) = (chain.into(), key.into());
        let files = Files::read(&chain, &key)?;
        let certified = RwLock::new(Arc::new(certified(&files, &chain, &key)?));
        let shown = Arc::new(Shown {
            chain,
            key,
            certified,
            read: Mutex::new(files),
        });
        let versions = [&version::TLS13, &version::TLS12];
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&versions)
            .expect("the provider has cipher suites of these versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, shown })
    }

    /// Reads the files again, and returns whether they contain anything new. New connections then get the new
    /// certificate.
    ///
    /// # Errors
    /// See [`TlsError`]. The current certificate then stays in use. The same faulty files are reported once.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Shown { chain, key, .. } = &*self.shown;
        let files = Files::read(chain, key)?;
        let mut read = self
            .shown
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *read == files {
            return Ok(false);
        }
        let certified = certified(&files, chain, key);
        *read = files;
        let mut shown = self
            .shown
            .certified
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *shown = Arc::new(certified?);
        Ok(true)
    }

    pub(super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

/// The key stays hidden.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("chain", &self.shown.chain)
            .field("key", &self.shown.key)
            .finish()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certified = self.certified.read();
        Some(Arc::clone(
            &certified.unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

impl Files {
    fn read(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| TlsError::Unreadable {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            chain: read(chain)?,
            key: read(key)?,
        })
    }
}

fn certified(files: &Files, chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&files.chain).collect();
    let certificates = certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| TlsError::NoCertificate {
            path: chain.to_owned(),
        })?;
    let private = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| TlsError::NoKey {
        path: key.to_owned(),
    })?;
    CertifiedKey::from_der(certificates, private, &default_provider()).map_err(|source| {
        TlsError::Unusable {
            chain: chain.to_owned(),
            key: key.to_owned(),
            source,
        }
    })
}
