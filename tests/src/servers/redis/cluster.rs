//! Six Redis servers that are one Cluster.

use super::RedisServer;

/// How long a node may be silent before it is held to have failed, in milliseconds.
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

    /// Waits until every node that runs takes the Cluster to be up.
    pub fn wait_until_up(&self) {
        for node in self.running() {
            while !node.cli(&["cluster", "info"]).contains("cluster_state:ok") {}
        }
    }

    fn running(&self) -> impl Iterator<Item = &RedisServer> {
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
        let slots = asked.cli(&["cluster", "slots"]);
        let lines: Vec<&str> = slots.lines().collect();
        let numbers: Vec<Option<u16>> = lines.iter().map(|line| line.parse().ok()).collect();
        let at = numbers
            .windows(2)
            .zip(&lines[2..])
            .position(|(range, host)| {
                *host == "127.0.0.1"
                    && matches!(range, [Some(first), Some(last)] if (*first..=*last).contains(&slot))
            })
            .expect("every slot has an owner");
        let port = numbers[at + 3].expect("a port follows the host");
        let is_owner = |node: &RedisServer| node.port() == port;
        self.nodes.iter().position(is_owner).expect("one of ours")
    }

    /// Moves a slot and its keys to another node, as an operator would.
    pub fn move_slot(&self, slot: u16, to: usize) {
        let from = self.owner(slot);
        let id = |node: usize| self.nodes[node].cli(&["cluster", "myid"]);
        let (from_id, to_id) = (id(from), id(to));
        let slot = slot.to_string();
        self.nodes[to].cli(&["cluster", "setslot", &slot, "importing", &from_id]);
        self.nodes[from].cli(&["cluster", "setslot", &slot, "migrating", &to_id]);
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
}
