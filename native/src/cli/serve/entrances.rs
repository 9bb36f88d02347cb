//! Where a server listens, and the limits on connections there.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use tidegate::access::{ForwardedBy, Network, Proxies};
use tidegate::core::event_stream::EventStreamConfig;
use tidegate::serve::{Address, Listener, ServeConfig, Server};

use super::values::{Bytes, time};

/// Where to listen, and for how long to wait for those who connect.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Listening")]
pub(super) struct EntranceArgs {
    /// Where to listen: an address and port (port 0 takes a free one), unix:/path/to/socket, or inherited for sockets
    /// that the service manager has opened; may be repeated
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8420")]
    listen: Vec<Address>,
    /// Use TLS on all ports, with the certificate chain in this file (PEM). It is read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Trust proxies at these addresses (such as 10.0.0.0/8), or on a Unix socket (unix), to say where their clients
    /// come from; may be repeated
    #[arg(long, value_name = "NETWORK")]
    trust_proxy: Vec<Trusted>,
    /// The header in which proxies say where their clients come from
    #[arg(long, value_name = "HEADER", default_value = "x-forwarded-for")]
    proxy_header: Header,
    /// The maximum number of connections that are in a handshake, sending a request, waiting for an answer or idle
    #[arg(long, value_name = "N", default_value = "10000")]
    open_requests: usize,
    /// … from one address
    #[arg(long, value_name = "N", default_value = "1000")]
    open_requests_per_address: usize,
    /// How long a TLS handshake may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    handshake_timeout: Duration,
    /// How long the head of a request may take to arrive
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    head_timeout: Duration,
    /// How long the body of a request may take to arrive
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    body_timeout: Duration,
    /// How long a connection may stay idle between requests
    #[arg(long, value_name = "TIME", default_value = "75s", value_parser = time)]
    idle_timeout: Duration,
    /// How long a client may read nothing of what it was sent, including event streams
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    write_timeout: Duration,
    /// How often a silent event stream gets a comment line, to keep it open
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time)]
    event_keep_alive: Duration,
    /// The maximum size of a request's head; at least 8KiB
    #[arg(long, value_name = "BYTES", default_value = "16KiB")]
    head_bytes: Bytes,
    /// The maximum number of headers in a request
    #[arg(long, value_name = "N", default_value = "64")]
    headers: usize,
}

/// A network that is trusted, or all clients on a Unix socket.
#[derive(Clone, Copy, Debug)]
enum Trusted {
    Network(Network),
    Unix,
}

impl std::str::FromStr for Trusted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let network = text.parse().map(Self::Network);
        network.map_err(|error: tidegate::access::NetworkError| format!("{error}; or unix"))
    }
}

/// The header of [`ForwardedBy`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Header {
    XForwardedFor,
    Forwarded,
}

impl EntranceArgs {
    /// The first address that other machines may reach, if there is one.
    pub(super) fn exposed(&self) -> Option<&Address> {
        self.listen.iter().find(|address| address.is_exposed())
    }

    /// The trusted proxies.
    pub(super) fn proxies(&self) -> Proxies {
        let networks = self.trust_proxy.iter().filter_map(|trusted| match trusted {
            Trusted::Network(network) => Some(*network),
            Trusted::Unix => None,
        });
        Proxies {
            networks: networks.collect(),
            unix: self
                .trust_proxy
                .iter()
                .any(|trusted| matches!(trusted, Trusted::Unix)),
            header: match self.proxy_header {
                Header::XForwardedFor => ForwardedBy::XForwardedFor,
                Header::Forwarded => ForwardedBy::Forwarded,
            },
        }
    }

    /// The timings of event streams.
    pub(super) fn event_streams(&self) -> EventStreamConfig {
        EventStreamConfig {
            keep_alive: self.event_keep_alive,
            stall_max: self.write_timeout,
        }
    }

    /// The limits of the serving loop.
    pub(super) fn config(&self) -> ServeConfig {
        ServeConfig {
            connections_max: self.open_requests,
            per_address_max: self.open_requests_per_address,
            handshake_timeout: self.handshake_timeout,
            head_timeout: self.head_timeout,
            idle_timeout: self.idle_timeout,
            body_timeout: self.body_timeout,
            write_timeout: self.write_timeout,
            head_bytes_max: self.head_bytes.0,
            headers_max: self.headers,
            proxies: self.proxies(),
            ..ServeConfig::default()
        }
    }

    /// Checks that the settings of TLS are complete.
    ///
    /// # Errors
    /// If half of them are missing.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            bail!("a certificate and its key go together: --tls-cert and --tls-key");
        }
        Ok(())
    }

    /// Listens on all addresses. Returns the server, and the addresses to print.
    ///
    /// # Errors
    /// If it can't listen on one of them.
    pub(super) async fn open(&self) -> anyhow::Result<(Server, Vec<String>)> {
        self.check()?;
        let tls = self.tls()?;
        let mut server = Server::new(self.config());
        let mut told = Vec::new();
        for address in &self.listen {
            let listeners = Listener::bind(address).await;
            for listener in
                listeners.context("there is no address to listen on; name one with --listen")?
            {
                let is_port = listener.local_addr().is_some();
                (server, told) = match &tls {
                    Some(tls) if is_port => {
                        told.push(format!("https://{listener}"));
                        (tls.listen(server, listener), told)
                    }
                    Some(_) | None => {
                        let scheme = if is_port { "http://" } else { "" };
                        told.push(format!("{scheme}{listener}"));
                        (server.listen(listener), told)
                    }
                };
            }
        }
        Ok((server, told))
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> anyhow::Result<Option<Encryption>> {
        let (Some(chain), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let tls = tidegate::serve::Tls::from_pem_files(chain, key)?;
        // SIGHUP reloads it without waiting for the next check of its files.
        let shown = tls.clone();
        super::reload::when_told("the certificate", move || shown.reload());
        Ok(Some(Encryption(tls)))
    }

    #[cfg(not(feature = "tls"))]
    fn tls(&self) -> anyhow::Result<Option<Encryption>> {
        if self.tls_cert.is_some() {
            bail!(
                "this program was built without TLS (the feature `tls`); let a proxy terminate it"
            );
        }
        Ok(None)
    }
}

/// A certificate, if the program supports TLS.
#[cfg(feature = "tls")]
struct Encryption(tidegate::serve::Tls);

#[cfg(feature = "tls")]
impl Encryption {
    fn listen(&self, server: Server, listener: Listener) -> Server {
        server.listen_tls(listener, self.0.clone())
    }
}

#[cfg(not(feature = "tls"))]
enum Encryption {}

#[cfg(not(feature = "tls"))]
impl Encryption {
    fn listen(&self, _server: Server, _listener: Listener) -> Server {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn parsed(line: &[&str]) -> EntranceArgs {
        let command = EntranceArgs::augment_args(clap::Command::new("tidegate"));
        let line = [&["tidegate"], line].concat();
        EntranceArgs::from_arg_matches(&command.get_matches_from(line)).expect("valid")
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let told = format!("{:?}", parsed(&[]).config());
        assert_eq!(told, format!("{:?}", ServeConfig::default()));
        assert_eq!(parsed(&[]).event_streams(), EventStreamConfig::default());
    }

    #[test]
    fn proxies_are_networks_and_unix_sockets() {
        let line = [
            "--trust-proxy=10.0.0.0/8",
            "--trust-proxy=unix",
            "--proxy-header=forwarded",
        ];
        let proxies = parsed(&line).proxies();
        assert_eq!(proxies.networks, ["10.0.0.0/8".parse().expect("a network")]);
        assert!(proxies.unix);
        assert_eq!(proxies.header, ForwardedBy::Forwarded);
    }

    #[test]
    fn half_of_tls_is_refused() {
        assert!(parsed(&["--tls-cert=a.pem"]).check().is_err());
        assert!(parsed(&["--tls-key=a.pem"]).check().is_err());
        assert!(parsed(&[]).check().is_ok());
    }
}
