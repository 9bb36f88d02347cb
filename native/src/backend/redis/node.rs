//! One server: a connection for commands, and one for what it pushes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, PushInfo, RedisError, RedisResult, Value,
};

use super::call::{Call, Form};
use super::link::Link;
use super::push;

/// A server of the link, by `host:port`.
pub(super) type NodeName = Arc<str>;

/// The connections to one server. They end when the last clone is dropped.
///
/// There are two, so that a large answer doesn't count against the server's limit on what waits for a subscriber.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) commands: MultiplexedConnection,
    pub(super) pushes: MultiplexedConnection,
}

impl Node {
    pub(super) async fn connect(
        link: &Weak<Link>,
        name: &NodeName,
        info: ConnectionInfo,
        timeout: Duration,
    ) -> RedisResult<Self> {
        let client = Client::open(info)?;
        let config = |hears: fn(&Link, &NodeName, PushInfo)| {
            let (link, name) = (Weak::clone(link), Arc::clone(name));
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(Some(timeout))
                .set_push_sender(move |info| {
                    if let Some(link) = link.upgrade() {
                        hears(&link, &name, info);
                    }
                    Ok::<(), std::convert::Infallible>(())
                })
        };
        let commands = config(push::on_command_connection);
        let pushes = config(push::on_push_connection);
        Ok(Self {
            commands: client
                .get_multiplexed_async_connection_with_config(&commands)
                .await?,
            pushes: client
                .get_multiplexed_async_connection_with_config(&pushes)
                .await?,
        })
    }

    /// Sends calls in one pipeline. The refusal of a call is a value, too. `asking` marks each as redirected during a slot's migration.
    pub(super) async fn run(
        &self,
        calls: impl Iterator<Item = &Call>,
        form: Form,
        asking: bool,
    ) -> RedisResult<Vec<Value>> {
        let mut pipeline = redis::pipe();
        for call in calls {
            if asking {
                pipeline.add_command(redis::cmd("ASKING"));
            }
            call.write(&mut pipeline, form);
        }
        let mut values = send(&self.commands, &pipeline).await?;
        if asking {
            // Every other value confirms ASKING.
            values = values.into_iter().skip(1).step_by(2).collect();
        }
        Ok(values)
    }

    /// Subscribes to sharded channels, or unsubscribes from them. The first refusal is the error.
    pub(super) async fn send_sharded(&self, command: &str, channels: &[String]) -> RedisResult<()> {
        if channels.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for channel in channels {
            pipeline.cmd(command).arg(channel);
        }
        for value in send(&self.pushes, &pipeline).await? {
            if let Value::ServerError(error) = value {
                return Err(RedisError::from(error));
            }
        }
        Ok(())
    }
}

async fn send(
    connection: &MultiplexedConnection,
    pipeline: &redis::Pipeline,
) -> RedisResult<Vec<Value>> {
    let count = pipeline.len();
    connection
        .clone()
        .send_packed_commands(pipeline, 0, count)
        .await
}
