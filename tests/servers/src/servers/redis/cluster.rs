//! Six Redis servers that are one Cluster.

use super::RedisServer;

/// How long a node may be silent before it counts as failed, in milliseconds.
const NODE_TIMEOUT_MS: &str = "1000";

/// A Cluster of three primaries with one replica each.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes, joins them, and waits until all agree that the Cluster is up.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub fn start() -> Self {
        let nodes: Vec<RedisServer> = (0..6)
            .map(|_| {
                RedisServer::start_with(&[
                    "--save",
                    "",
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    NODE_TIMEOUT_MS,
                    "--cluster-replica-validity-factor",
                    "0",
                    "--repl-diskless-sync-delay",
                    "0",
                ])
            })
            .collect();
        let places: Vec<String> = nodes.iter().map(RedisServer::place).collect();
        let mut arguments = vec!["--cluster", "create"];
        arguments.extend(places.iter().map(String::as_str));
        arguments.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        nodes[0].cli(&arguments);
        let cluster = Self { nodes };
        cluster.wait_until_up();
        cluster
    }

    /// Waits until every running node considers the Cluster up.
    pub fn wait_until_up(&self) {
        for node in self.running() {
            while !node.cli(&["cluster", "info"]).contains("cluster_state:ok") {}
        }
    }

    /// The nodes that were not killed.
    pub fn running(&self) -> impl Iterator<Item = &RedisServer> {
        self.nodes.iter().filter(|node| node.is_running())
    }

    /// The address of all nodes.
    pub fn url(&self) -> String {
        let others = self.nodes[1..]
            .iter()
            .map(|node| format!("&node={}", node.place()));
        format!(
            "{}?cluster=true{}",
            self.nodes[0].url(),
            others.collect::<String>()
        )
    }

    /// The nodes.
    pub fn nodes(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// The node that owns a slot.
    ///
    /// # Panics
    /// When none does.
    pub fn owner(&self, slot: u16) -> usize {
        let asked = self.running().next().expect("a node runs");
        self.owner_by(asked, slot).expect("every slot has an owner")
    }

    /// The owner of a slot, as one node knows it. `CLUSTER SLOTS` prints first, last, host, port, id of each owner first.
    fn owner_by(&self, asked: &RedisServer, slot: u16) -> Option<usize> {
        let slots = asked.cli(&["cluster", "slots"]);
        let lines: Vec<&str> = slots.lines().collect();
        let port = lines.windows(4).find_map(|range| {
            let [first, last, host, port] = range else {
                return None;
            };
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            let is_range = *host == "127.0.0.1" && (first..=last).contains(&slot);
            is_range.then(|| port.parse::<u16>().ok()).flatten()
        })?;
        self.nodes.iter().position(|node| node.port() == port)
    }

    /// Whether a node runs and is a primary.
    pub fn is_primary(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        node.is_running() && node.cli(&["role"]).starts_with("master")
    }

    /// Waits until every running node knows a slot's owner.
    pub fn wait_until_owned(&self, slot: u16, owner: usize) {
        for node in self.running() {
            while self.owner_by(node, slot) != Some(owner) {}
        }
    }

    /// Waits until a node other than `failed` owns a slot, and all running nodes agree that the Cluster is up.
    pub fn wait_until_taken_over(&self, slot: u16, failed: usize) {
        for node in self.running() {
            while self
                .owner_by(node, slot)
                .is_none_or(|owner| owner == failed)
            {}
        }
        self.wait_until_up();
    }

    /// Waits until the replicas are in sync with the primaries.
    pub fn wait_until_replicated(&self) {
        for at in (0..self.nodes.len()).filter(|at| self.is_primary(*at)) {
            let port = self.nodes[at].port();
            while self.nodes[at].cli(&["wait", "1", "1000"]) != "1" {
                assert!(self.nodes[at].is_running(), "{port} was killed");
            }
        }
    }

    /// Moves a slot and its keys to another node, as an operator would.
    pub fn move_slot(&self, slot: u16, to: usize) {
        let from = self.owner(slot);
        self.begin_move(slot, from, to);
        self.finish_move(slot, from, to);
    }

    /// Begins to move a slot, but leaves its keys where they are.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let (from_id, to_id) = (self.id(from), self.id(to));
        self.nodes[to].cli(&["cluster", "setslot", &slot, "importing", &from_id]);
        self.nodes[from].cli(&["cluster", "setslot", &slot, "migrating", &to_id]);
    }

    /// Moves the keys of a slot, and then the slot itself.
    pub fn finish_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, to_id) = (slot.to_string(), self.id(to));
        let port = self.nodes[to].port().to_string();
        loop {
            let keys = self.nodes[from].cli(&["cluster", "getkeysinslot", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            let mut arguments = vec!["migrate", "127.0.0.1", &port, "", "0", "5000", "keys"];
            arguments.extend(keys.lines());
            self.nodes[from].cli(&arguments);
        }
        self.nodes[to].cli(&["cluster", "setslot", &slot, "node", &to_id]);
        self.nodes[from].cli(&["cluster", "setslot", &slot, "node", &to_id]);
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].cli(&["cluster", "myid"])
    }
}
