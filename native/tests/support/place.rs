//! A reserved address, so that a server can stop and come back, and nothing else listens there meanwhile.

use tokio::net::TcpSocket;

/// An address of this machine that nobody else is given. Nobody listens there but who is told of it.
pub(crate) struct Place {
    pub(crate) address: String,
    /// Bound, without listening: the system gives the port to nobody who asks for any, and lets in who asks for this one.
    _kept: TcpSocket,
}

impl Place {
    pub(crate) fn new() -> Self {
        let kept = TcpSocket::new_v4().unwrap();
        kept.set_reuseaddr(true).unwrap();
        kept.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            address: kept.local_addr().unwrap().to_string(),
            _kept: kept,
        }
    }

    /// Where somebody else would listen that speaks HTTP.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
