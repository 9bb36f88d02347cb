//! A reserved address, so that a server can stop and come back, and nothing else listens there meanwhile.

use tokio::net::TcpSocket;

/// An address of this machine that is given to nobody else. Only those that are told of it listen there.
pub(crate) struct Place {
    pub(crate) address: String,
    /// Bound, without listening: the system assigns the port to nobody else, but lets a program listen that asks for it.
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

    /// The URL of a server that listens there.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
