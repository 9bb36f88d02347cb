//! TLS to a server, by rustls. By default, a client trusts the system's authorities, as the backends do: an operator
//! adds one there for all programs, or names others for one of them by `SSL_CERT_FILE`.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{HandshakeError, TrustError};
use super::options::Trust;

/// The system's authorities, once they have been read.
static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();

impl Trust {
    /// Trusts the authorities whose certificates are in a PEM file, and no others. For a server with a self-signed
    /// certificate, name that certificate.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, TrustError> {
        let path = path.as_ref();
        let pem = fs::read(path).map_err(|source| TrustError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let added = certificate.is_ok_and(|certificate| roots.add(certificate).is_ok());
            if !added {
                let path = path.to_owned();
                return Err(TrustError::Unusable { path });
            }
        }
        if roots.is_empty() {
            let path = path.to_owned();
            return Err(TrustError::NoCertificate { path });
        }
        Ok(Self {
            own: Some(config(roots)),
        })
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, HandshakeError> {
        if let Some(config) = self.own.as_ref().or_else(|| SYSTEM.get()) {
            return Ok(Arc::clone(config));
        }
        // This may block: the system has them in files, or provides them through a service.
        let read = tokio::task::spawn_blocking(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        });
        match read.await {
            Ok(roots) if !roots.is_empty() => Ok(Arc::clone(SYSTEM.get_or_init(|| config(roots)))),
            Ok(_) | Err(_) => Err(HandshakeError::NoAuthorities),
        }
    }
}

fn config(roots: RootCertStore) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites of these versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // WebSockets are opened over HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Does the TLS handshake with `host`.
pub(super) async fn shake_hands(
    stream: TcpStream,
    host: &str,
    trust: &Trust,
) -> Result<TlsStream<TcpStream>, HandshakeError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| HandshakeError::Failed {
        host: host.to_owned(),
        reason: error.to_string(),
    })?;
    let connector = TlsConnector::from(trust.config().await?);
    let shaken = connector.connect(name, stream).await;
    shaken.map_err(|error| handshake_error(host, &error))
}

/// What went wrong with a handshake, and what to do about it.
fn handshake_error(host: &str, error: &io::Error) -> HandshakeError {
    let host = host.to_owned();
    let fault: Option<&rustls::Error> = error.get_ref().and_then(|inner| inner.downcast_ref());
    match fault {
        Some(rustls::Error::InvalidCertificate(fault)) => match fault {
            CertificateError::UnknownIssuer => HandshakeError::UnknownIssuer { host },
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = presented.iter().map(|name| plain_name(name)).collect();
                HandshakeError::WrongName { host, names }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                HandshakeError::Expired { host }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                HandshakeError::NotYetValid { host }
            }
            other => HandshakeError::Failed {
                host,
                reason: other.to_string(),
            },
        },
        Some(rustls::Error::InvalidMessage(_)) => HandshakeError::NotTls { host },
        Some(_) | None => HandshakeError::Failed {
            host,
            reason: error.to_string(),
        },
    }
}

/// Converts `DnsName("a.example")`, as rustls writes it, to `a.example`.
fn plain_name(name: &str) -> String {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').to_owned()
}
