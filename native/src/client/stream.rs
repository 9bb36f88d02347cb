//! A byte stream to a server.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::address::ServerAddress;
use super::error::ReachError;
use super::options::ClientOptions;

/// A byte stream to a server, encrypted if its address says so. Use it for requests to a server's other endpoints; a
/// [`Client`](crate::Client) has a WebSocket of its own.
#[derive(Debug)]
pub struct ServerStream(Box<dyn ByteStream>);

trait ByteStream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> ByteStream for S {}

impl ServerStream {
    /// Connects to a server, by TCP or on its Unix socket, with a TLS handshake if its address says so.
    ///
    /// # Errors
    /// See [`ReachError`].
    pub async fn connect(
        address: &ServerAddress,
        options: &ClientOptions,
    ) -> Result<Self, ReachError> {
        if let Some(path) = address.socket() {
            return Ok(connect_unix(path).await?);
        }
        let stream = TcpStream::connect((address.host(), address.port())).await?;
        // Messages are written whole, so there is no gain in delaying small packets.
        stream.set_nodelay(true)?;
        if address.is_secure() {
            return secure(stream, address.host(), options).await;
        }
        Ok(Self(Box::new(stream)))
    }
}

#[cfg(unix)]
async fn connect_unix(path: &Path) -> io::Result<ServerStream> {
    let stream = tokio::net::UnixStream::connect(path).await?;
    Ok(ServerStream(Box::new(stream)))
}

#[cfg(not(unix))]
async fn connect_unix(_path: &Path) -> io::Result<ServerStream> {
    let reason =
        "this system has no Unix sockets; reach the server at a port, as in http://127.0.0.1:8420";
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}

#[cfg(feature = "tls")]
async fn secure(
    stream: TcpStream,
    host: &str,
    options: &ClientOptions,
) -> Result<ServerStream, ReachError> {
    let stream = super::tls::shake_hands(stream, host, &options.trust).await?;
    Ok(ServerStream(Box::new(stream)))
}

/// Never called: without TLS, parsing an address refuses those that need it.
#[cfg(not(feature = "tls"))]
async fn secure(
    _stream: TcpStream,
    _host: &str,
    _options: &ClientOptions,
) -> Result<ServerStream, ReachError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}
