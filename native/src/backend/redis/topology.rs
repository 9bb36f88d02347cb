//! Which servers there are, and which of them owns which partition.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisResult, Value,
};

use super::address::Address;
use super::error::text;
use super::link::{Shared, lock};
use super::node::NodeName;

/// The name of the only server if there is no Cluster.
const ONLY: &str = "";

/// Finds the owner of each partition. A Cluster's servers are asked concurrently: first those that last owned something, then those that
/// the address names. The first answer is used. All that takes less time than opening a backend may take.
pub(super) async fn owners(shared: &Shared) -> RedisResult<Vec<NodeName>> {
    let layout = &shared.layout;
    if !layout.is_sharded() {
        return Ok(layout.partitions().map(|_| ONLY.into()).collect());
    }
    let known = lock(&shared.known).clone();
    let known = known.iter().map(|name| info_of(&shared.address, name));
    let timeout = shared.address.timeout;
    let found = match first_answer(shared, known.collect(), timeout / 2).await {
        Ok(owners) => owners,
        Err(_) => first_answer(shared, shared.address.seeds(), timeout).await?,
    };
    let mut names = found.clone();
    names.sort_unstable();
    names.dedup();
    *lock(&shared.known) = names;
    Ok(found)
}

/// The first answer of several servers; if none answers, why the last of them did not.
async fn first_answer(
    shared: &Shared,
    asked: Vec<ConnectionInfo>,
    timeout: Duration,
) -> RedisResult<Vec<NodeName>> {
    if asked.is_empty() {
        return Err((ErrorKind::InvalidClientConfig, "no node is known").into());
    }
    let asking = asked.into_iter().map(|node| {
        Box::pin(async move {
            let host = match node.addr() {
                ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
                _ => String::new(),
            };
            owners_by(shared, &ranges(shared, node).await?, &host)
        })
    });
    match tokio::time::timeout(timeout, select_ok(asking)).await {
        Ok(first) => first.map(|(owners, _)| owners),
        Err(_) => {
            let reason = format!("no node answered within {} ms", timeout.as_millis());
            Err(io::Error::new(io::ErrorKind::TimedOut, reason).into())
        }
    }
}

/// The first slots of ranges, with their last slots and owners.
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
        // A server that doesn't know its own address leaves it out.
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
