//! Servers that are asked to end the connections of a user, and tell the others.

use super::World;
use super::link::Event;

impl World {
    /// Whose connections they all are, where servers ask who their clients are.
    pub const USER: &str = "ada";

    /// A server that runs is asked to end all connections of the user.
    pub fn disconnect(&mut self, server: usize) {
        if !self.runs(server) {
            return;
        }
        self.disconnects += 1;
        let (now, id) = (self.clock(server), self.disconnects);
        let asked = &mut self.servers[server];
        asked
            .hub
            .handle_disconnect(now, id, &Self::USER.into(), true);
        // What they have shown is good no longer.
        for remote in asked.remotes.values_mut() {
            remote.ends = remote.ends.map(|ends| ends.min(self.now));
        }
        self.settle(server);
    }

    /// Tells other servers what one of them has to tell of disconnects; says whether there was anything.
    pub(super) fn tell_disconnects(&mut self, server: usize) -> bool {
        let now = self.clock(server);
        let told = self.servers[server].hub.poll_disconnects(now);
        if told.is_empty() {
            return false;
        }
        self.note(format_args!("{server} broadcasts {told:?}"));
        self.broadcast(server, |to, life| Event::Disconnects {
            server: to,
            life,
            told: told.clone(),
        });
        true
    }
}
