//! Checks that what is published still comes back, because a subscription can die while its connection seems alive.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::call::Call;
use super::link::{Link, lock};
use super::node::NodeName;
use crate::backend::BackendError;

/// Numbers probes, to recognise them when they come back.
#[derive(Default)]
pub(super) struct Probes {
    latest: AtomicU64,
    /// The number of the last probe that came back from each server.
    returned: watch::Sender<BTreeMap<NodeName, u64>>,
}

impl Probes {
    pub(super) fn handle_return(&self, name: &NodeName, message: &[u8]) {
        let number = std::str::from_utf8(message)
            .ok()
            .and_then(|text| text.parse().ok());
        if let Some(number) = number {
            self.returned.send_modify(|returned| {
                returned.insert(NodeName::clone(name), number);
            });
        }
    }
}

impl Link {
    /// Checks that the link works: that what is published comes back from each server. If not, the link is lost.
    pub(super) async fn probe(&self) -> Result<(), BackendError> {
        let probed = self.probe_pushes().await;
        if let Err(error) = &probed {
            self.lose(error.clone());
        }
        probed
    }

    async fn probe_pushes(&self) -> Result<(), BackendError> {
        let number = self.probes.latest.fetch_add(1, Ordering::Relaxed) + 1;
        let layout = &self.shared.layout;
        let mut returned = self.probes.returned.subscribe();
        let probed = lock(&self.probed).clone();
        for (_, partition) in &probed {
            let mut cmd = redis::cmd(layout.announce());
            cmd.arg(layout.probe(*partition, self.id)).arg(number);
            let value = self.run(*partition, &[Call::Plain(cmd)]).await?.pop();
            self.value(value)?;
        }
        let all = returned.wait_for(|returned| {
            let has_returned =
                |name: &NodeName| returned.get(name).is_some_and(|last| *last >= number);
            probed.iter().all(|(name, _)| has_returned(name))
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
