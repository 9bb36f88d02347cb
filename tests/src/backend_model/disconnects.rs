//! Ending a user's connections on all servers, by asking one of them.

use super::World;
use super::link::Event;

impl World {
    /// The user of all connections, if servers authenticate their clients.
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
        // Their tokens are no longer valid.
        for remote in asked.remotes.values_mut() {
            remote.ends = remote.ends.map(|ends| ends.min(self.now));
        }
        self.settle(server);
    }

    /// Passes a server's broadcasts about disconnects on to the others; returns whether there were any.
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
