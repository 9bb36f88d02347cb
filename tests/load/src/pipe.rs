//! A connection to a server, plain or over TLS.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mio::event::Source;
use mio::{Interest, Registry, Token};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// The certificate of a server that speaks TLS, as the only trusted authority.
#[derive(Clone, Debug)]
pub(crate) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Trusts the certificate in a PEM file, and no other.
    pub(crate) fn only(certificate: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// A byte stream, blocking or non-blocking.
pub(crate) struct Pipe<S> {
    tcp: S,
    /// Boxed, because most have none.
    tls: Option<Box<ClientConnection>>,
}

impl Pipe<TcpStream> {
    /// Connects. Reads block for up to the given time.
    pub(crate) fn connect(
        server: SocketAddr,
        trust: Option<&Trust>,
        patience: Duration,
    ) -> Result<Self> {
        let tcp = TcpStream::connect(server).with_context(|| format!("cannot reach {server}"))?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(patience))?;
        let tls = trust.map(|Trust(config)| {
            let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
            ClientConnection::new(Arc::clone(config), name).map(Box::new)
        });
        Ok(Self {
            tcp,
            tls: tls.transpose()?,
        })
    }

    /// Makes the connection non-blocking.
    pub(crate) fn into_nonblocking(self) -> Result<Pipe<mio::net::TcpStream>> {
        self.tcp.set_nonblocking(true)?;
        Ok(Pipe {
            tcp: mio::net::TcpStream::from_std(self.tcp),
            tls: self.tls,
        })
    }
}

impl Pipe<mio::net::TcpStream> {
    /// Whether a read that doesn't fill its buffer has emptied the socket. With TLS, it has only emptied a record.
    pub(crate) const fn is_emptied_by_short_read(&self) -> bool {
        self.tls.is_none()
    }
}

impl Source for Pipe<mio::net::TcpStream> {
    fn register(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        self.tcp.register(registry, token, what)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        self.tcp.reregister(registry, token, what)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.tcp.deregister(registry)
    }
}

impl<S: AsFd> AsFd for Pipe<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

impl<S: Read + Write> Read for Pipe<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.tcp.read(buffer),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).read(buffer),
        }
    }
}

impl<S: Read + Write> Write for Pipe<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.tcp.write(bytes),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => self.tcp.flush(),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).flush(),
        }
    }
}
