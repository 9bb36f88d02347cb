//! Which servers there are, and which of them owns which partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    RedisResult, Value,
};

use super::address::Address;
use super::error::text;
use super::link::{Shared, lock};
use super::node::NodeName;

/// The name of the only server where there is no Cluster.
const ONLY: &str = "";

/// The owner of each partition. A Cluster's are asked for; the first server that answers is believed.
pub(super) async fn owners(shared: &Shared) -> RedisResult<Vec<NodeName>> {
    let layout = &shared.layout;
    if !layout.is_sharded() {
        return Ok(layout.partitions().map(|_| ONLY.into()).collect());
    }
    let mut seeds = shared.address.seeds();
    let known = lock(&shared.known).clone();
    seeds.extend(known.iter().map(|name| info_of(&shared.address, name)));
    let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "no node is known"));
    for seed in seeds {
        let host = match seed.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
            _ => String::new(),
        };
        match ranges(shared, seed).await {
            Ok(ranges) => {
                let owners = owners_by(shared, &ranges, &host);
                match owners {
                    Ok(owners) => {
                        let mut names = owners.clone();
                        names.sort_unstable();
                        names.dedup();
                        *lock(&shared.known) = names;
                        return Ok(owners);
                    }
                    Err(error) => last = error,
                }
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The first slots of ranges, with their last ones and owners.
type Ranges = BTreeMap<usize, (usize, String, u16)>;

async fn ranges(shared: &Shared, seed: ConnectionInfo) -> RedisResult<Ranges> {
    let timeout = shared.address.timeout;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout));
    let mut connection = Client::open(seed)?
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let value = connection
        .send_packed_command(redis::cmd("CLUSTER").arg("SLOTS"))
        .await?;
    parse(&value.extract_error()?)
        .ok_or_else(|| (ErrorKind::UnexpectedReturnType, "CLUSTER SLOTS").into())
}

fn parse(value: &Value) -> Option<Ranges> {
    let mut ranges = Ranges::new();
    for range in value.as_sequence()? {
        let [Value::Int(first), Value::Int(last), owner, ..] = range.as_sequence()? else {
            return None;
        };
        let [host, Value::Int(port), ..] = owner.as_sequence()? else {
            return None;
        };
        // A server that does not know its own address leaves it out.
        let host = match host {
            Value::Nil => "",
            host => text(host)?,
        };
        let port = u16::try_from(*port).ok()?;
        let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
        ranges.insert(first, (last, host.to_owned(), port));
    }
    Some(ranges)
}

fn owners_by(shared: &Shared, ranges: &Ranges, asked: &str) -> RedisResult<Vec<NodeName>> {
    let layout = &shared.layout;
    let owner = |slot: usize| {
        let (_, (last, host, port)) = ranges.range(..=slot).next_back()?;
        let host = if host.is_empty() { asked } else { host };
        (slot <= *last).then(|| Arc::from(format!("{host}:{port}")))
    };
    layout
        .partitions()
        .map(|partition| {
            owner(layout.slot(partition))
                .ok_or_else(|| (ErrorKind::Io, "a slot of the Cluster has no owner").into())
        })
        .collect()
}

/// How to connect to a server by its name.
pub(super) fn info_of(address: &Address, name: &NodeName) -> ConnectionInfo {
    match name.rsplit_once(':') {
        Some((host, port)) => address.at(host, port.parse().unwrap_or_default()),
        None => address.first.clone(),
    }
}
