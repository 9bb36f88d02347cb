//! Certificates, made by OpenSSL: self-signed ones, and those of an authority.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

/// The kind of all keys.
const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];

/// How an authority issues certificates.
const ISSUING: &str = "\
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
";

/// Puts a self-signed certificate for 127.0.0.1 into `folder`, as `server.crt`, with its key, `server.key`.
pub(crate) fn self_signed(folder: &Path, name: &str) {
    let subject = format!("/CN={name}");
    let arguments = [
        &["req", "-x509"],
        &KEY[..],
        &["-days", "2", "-subj", &subject],
        &["-addext", "subjectAltName=IP:127.0.0.1"],
        &["-addext", "basicConstraints=critical,CA:FALSE"],
        &["-keyout", "server.key", "-out", "server.crt"],
    ];
    openssl(folder, &arguments.concat());
}

/// A server's TLS with a self-signed certificate for 127.0.0.1, which is put into `folder`, and a client's that trusts it.
pub(crate) fn trusting_self_signed(folder: &Path) -> (tidegate::serve::Tls, TlsConnector) {
    self_signed(folder, "own");
    let [chain, key] = ["server.crt", "server.key"].map(|name| folder.join(name));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&chain).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = tidegate::serve::Tls::from_pem_files(chain, key).unwrap();
    (tls, TlsConnector::from(Arc::new(config)))
}

/// An authority that only clients trust that are told to.
pub(crate) struct Authority {
    folder: TempDir,
}

/// From when to when certificates are valid.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    Now,
    Over,
    ToCome,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [
            &["req", "-x509"],
            &KEY[..],
            &["-days", "2", "-subj", "/CN=An authority"],
            &["-addext", "keyUsage=critical,keyCertSign"],
            &["-keyout", "ca.key", "-out", "ca.crt"],
        ];
        openssl(folder.path(), &arguments.concat());
        std::fs::write(folder.path().join("ca.cnf"), ISSUING).unwrap();
        std::fs::write(folder.path().join("index.txt"), "").unwrap();
        std::fs::write(folder.path().join("serial"), "1000").unwrap();
        Self { folder }
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> String {
        self.path("ca.crt").to_str().unwrap().to_owned()
    }

    /// A certificate for `name`, such as `IP:127.0.0.1` or `DNS:localhost`.
    pub(crate) fn issue(&self, name: &str, time: Time) -> Issued {
        let names = format!("subjectAltName={name}");
        let arguments = [
            &["req", "-new"],
            &KEY[..],
            &["-subj", "/CN=A server", "-addext", &names],
            &["-keyout", "server.key", "-out", "server.csr"],
        ];
        openssl(self.folder.path(), &arguments.concat());
        let (start, end) = match time {
            Time::Now => ("20200101000000Z", "20490101000000Z"),
            Time::Over => ("20200101000000Z", "20200102000000Z"),
            Time::ToCome => ("20480101000000Z", "20490101000000Z"),
        };
        let arguments = [
            &["ca", "-batch", "-notext"][..],
            &["-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key"],
            &["-startdate", start, "-enddate", end],
            &["-in", "server.csr", "-out", "server.crt"],
        ];
        openssl(self.folder.path(), &arguments.concat());
        Issued {
            chain: self.path("server.crt"),
            key: self.path("server.key"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let done = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    assert!(done.status.success(), "{done:?}");
}
