//! Whether what is published still comes back: a subscription can die while its connection seems to live.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use tokio::sync::watch;

use super::call::Call;
use super::link::{Link, lock};
use super::node::NodeName;
use crate::backend::BackendError;

/// How long after one probe the next one starts.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// The last number that was heard back from each server.
#[derive(Default)]
pub(super) struct Probes {
    heard: watch::Sender<BTreeMap<NodeName, u64>>,
}

impl Probes {
    pub(super) fn heard(&self, name: &NodeName, message: &[u8]) {
        let number = std::str::from_utf8(message)
            .ok()
            .and_then(|text| text.parse().ok());
        if let Some(number) = number {
            self.heard.send_modify(|heard| {
                heard.insert(NodeName::clone(name), number);
            });
        }
    }
}

/// Probes each server again and again until the link ends; when a probe does not come back, the link is lost.
pub(super) async fn keep_probing(link: Weak<Link>) {
    for number in 1_u64.. {
        tokio::time::sleep(PROBE_EVERY).await;
        let Some(link) = link.upgrade() else {
            return;
        };
        if let Err(error) = link.probe_pushes(number).await {
            link.lose(error);
            return;
        }
    }
}

impl Link {
    async fn probe_pushes(&self, number: u64) -> Result<(), BackendError> {
        let layout = &self.shared.layout;
        let mut heard = self.probes.heard.subscribe();
        let probed = lock(&self.probed).clone();
        for (_, partition) in &probed {
            let mut cmd = redis::cmd(layout.announce());
            cmd.arg(layout.probe(*partition, self.id)).arg(number);
            let value = self.run(*partition, &[Call::Plain(cmd)]).await?.pop();
            self.value(value)?;
        }
        let all = heard.wait_for(|heard| {
            let is_heard = |name: &NodeName| heard.get(name).is_some_and(|last| *last >= number);
            probed.iter().all(|(name, _)| is_heard(name))
        });
        match tokio::time::timeout(self.shared.address.timeout, all).await {
            Ok(_) => Ok(()),
            Err(_) => Err(BackendError::Unreachable {
                backend: self.name().to_owned(),
                reason: "its subscription is silent: what is published does not come back"
                    .to_owned(),
            }),
        }
    }
}
