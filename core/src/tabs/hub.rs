//! A tab's hub together with its part in sharing the connection: what a page drives.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::config::TabsConfig;
use super::message::Message;
use super::output::TabsOutput;
use super::{Page, Tabs};
use crate::client::{ClientConfig, ConnectionState, PresenceEvent, TokenSource};
use crate::flow::{Flow, FlowError};
use crate::hub::{ClientHub, ClientOutput, DownlinkId, Due, SubscribeError, SubscriptionId};
use crate::payload::Payload;
use crate::presence::{Key, Roster};
use crate::protocol::{PublishRequest, ServerFrame, SubscribeRequest, TopicPosition, WireError};
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::Topic;

/// What a page must do, or pass on.
#[derive(Debug)]
pub enum TabOutput<P> {
    /// For the lock, the channel, the socket or the worker.
    Tabs(TabsOutput<P>),
    /// The connection's state has changed, as this tab's user sees it: that of the leader's connection, once this tab
    /// is linked to the leader.
    State(ConnectionState),
    /// Something is due to a subscriber.
    Due(Due<P>),
    /// Something about presences.
    Presence(PresenceEvent<P>),
    /// A publish was answered.
    Published {
        /// Its number.
        request: u64,
        /// The publication's position, or why the publish failed.
        result: Result<Position, WireError>,
    },
}

/// The hub of a tab that shares its connection with others.
///
/// It has the calls of [`ClientHub`] about subscriptions and those of [`Tabs`] about everything else; after each, drain
/// [`TabHub::poll_output`] until `None`.
///
/// With `LEADS` set to `false`, the tab never leads: see [`Tabs`].
#[derive(Debug)]
pub struct TabHub<P, const LEADS: bool = true> {
    hub: ClientHub<P>,
    tabs: Tabs<P, LEADS>,
    /// The state of the hub's link to the leader.
    link_state: ConnectionState,
    shown: ConnectionState,
    output: VecDeque<TabOutput<P>>,
}

impl<P: Payload + Clone, const LEADS: bool> TabHub<P, LEADS> {
    /// A tab that doesn't take part yet.
    pub fn new(config: TabsConfig) -> Self {
        Self {
            hub: ClientHub::shared(ClientConfig {
                // Only the tab that has the connection authenticates.
                token: TokenSource::None,
                ..config.client.clone()
            }),
            tabs: Tabs::new(config),
            link_state: ConnectionState::Disconnected,
            shown: ConnectionState::Disconnected,
            output: VecDeque::new(),
        }
    }

    /// The user wants a connection.
    pub fn handle_connect(&mut self, now: Instant) {
        self.tabs.handle_enter(now);
        self.hub.handle_connect(now);
        self.drain(now);
    }

    /// The user wants no connection any more: subscriptions and unanswered publishes end.
    pub fn handle_disconnect(&mut self, now: Instant) {
        self.hub.handle_disconnect(now);
        // Pending frames, such as acknowledgements, must be sent first.
        self.drain(now);
        self.tabs.handle_leave();
        self.drain(now);
    }

    /// Reports what happens to the page.
    pub fn handle_page(&mut self, now: Instant, page: Page) {
        self.tabs.handle_page(now, page);
        self.drain(now);
    }

    /// The network is back, or the page has resumed: [`Tabs::handle_hurry`].
    pub fn handle_hurry(&mut self, now: Instant) {
        self.tabs.handle_hurry(now);
        self.drain(now);
    }

    /// The page may not go on: [`ClientHub::handle_pause`]. To be called before [`TabHub::handle_page`], which may give up
    /// the connection.
    pub fn handle_pause(&mut self, now: Instant) {
        self.hub.handle_pause(now);
        self.drain(now);
    }

    /// The lock of this request was granted.
    pub fn handle_granted(&mut self, now: Instant, request: u32) {
        self.tabs.handle_granted(now, request);
        self.drain(now);
    }

    /// The lock of this request was stolen, or could not be obtained.
    pub fn handle_lost(&mut self, now: Instant, request: u32) {
        self.tabs.handle_lost(now, request);
        self.drain(now);
    }

    /// A message arrived from another tab, or from the worker.
    pub fn handle_message(&mut self, now: Instant, message: Message<P>) {
        self.tabs.handle_message(now, message);
        self.drain(now);
    }

    /// This tab has got a token, or has failed to: [`Tabs::handle_token`].
    pub fn handle_token(&mut self, now: Instant, request: u32, token: Option<String>) {
        self.tabs.handle_token(now, request, token);
        self.drain(now);
    }

    /// The transport `link` is open.
    pub fn handle_uplink_opened(&mut self, now: Instant, link: u32) {
        self.tabs.handle_uplink_opened(now, link);
        self.drain(now);
    }

    /// The transport `link` is closed, or could not be opened.
    pub fn handle_uplink_closed(&mut self, now: Instant, link: u32) {
        self.tabs.handle_uplink_closed(now, link);
        self.drain(now);
    }

    /// A frame arrived over the transport `link`.
    pub fn handle_uplink_frame(&mut self, now: Instant, link: u32, frame: ServerFrame<P>) {
        self.tabs.handle_uplink_frame(now, link, frame);
        self.drain(now);
    }

    /// Subscribes a downlink to a pattern, now or once connected: [`ClientHub::handle_subscribe`].
    ///
    /// # Errors
    /// Those of [`ClientHub::handle_subscribe`].
    pub fn handle_subscribe(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        request: SubscribeRequest,
    ) -> Result<SubscriptionId, SubscribeError> {
        let id = self.hub.handle_subscribe(now, downlink, request)?;
        self.drain(now);
        Ok(id)
    }

    /// A durable subscription's owner has processed a publication: [`ClientHub::handle_handled`].
    pub fn handle_handled(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        topic: &Topic,
        position: Position,
    ) {
        self.hub.handle_handled(now, id, topic, position);
        self.drain(now);
    }

    /// Ends a durable subscription and deletes its cursor: [`ClientHub::handle_forget`].
    pub fn handle_forget(&mut self, now: Instant, id: SubscriptionId) {
        self.hub.handle_forget(now, id);
        self.drain(now);
    }

    /// Ends a subscription.
    pub fn handle_unsubscribe(&mut self, now: Instant, id: SubscriptionId) {
        self.hub.handle_unsubscribe(now, id);
        self.drain(now);
    }

    /// Changes the flow of a live subscription.
    ///
    /// # Errors
    /// If the flow is out of range; the old one stays.
    pub fn handle_flow(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        flow: Flow,
    ) -> Result<(), FlowError> {
        self.hub.handle_flow(now, id, flow)?;
        self.drain(now);
        Ok(())
    }

    /// Publishes, now or once connected. The result arrives as [`TabOutput::Published`] with the number returned here.
    pub fn handle_publish(&mut self, now: Instant, publish: PublishRequest<P>) -> u64 {
        let request = self.hub.handle_publish(now, publish);
        self.drain(now);
        request
    }

    /// Makes a key present in a topic from now on: [`ClientHub::handle_track`].
    pub fn handle_track(&mut self, now: Instant, topic: Topic, key: Key, meta: P) -> u64 {
        let number = self.hub.handle_track(now, topic, key, meta);
        self.drain(now);
        number
    }

    /// Replaces the meta of a presence.
    pub fn handle_retrack(&mut self, now: Instant, number: u64, meta: P) {
        self.hub.handle_retrack(now, number, meta);
        self.drain(now);
    }

    /// Ends a presence.
    pub fn handle_untrack(&mut self, now: Instant, number: u64) {
        self.hub.handle_untrack(now, number);
        self.drain(now);
    }

    /// Watches who is present in a topic: [`ClientHub::handle_watch`].
    pub fn handle_watch(&mut self, now: Instant, topic: &Topic) {
        self.hub.handle_watch(now, topic);
        self.drain(now);
    }

    /// Stops watching a topic.
    pub fn handle_unwatch(&mut self, now: Instant, topic: &Topic) {
        self.hub.handle_unwatch(now, topic);
        self.drain(now);
    }

    /// Who is present in a watched topic.
    pub fn roster(&self, topic: &Topic) -> Option<&Roster<P>> {
        self.hub.roster(topic)
    }

    /// Another hub is about to replace this one: [`ClientHub::handle_flush`].
    pub fn handle_flush(&mut self, now: Instant) {
        self.hub.handle_flush(now);
        self.drain(now);
    }

    /// The positions after which a subscription continues in another hub: [`ClientHub::resumes_after`].
    pub fn resumes_after(&self, id: SubscriptionId) -> Option<Vec<TopicPosition>> {
        self.hub.resumes_after(id)
    }

    /// The unanswered publishes, with the idempotency keys to repeat them with.
    pub fn unanswered_keys(&self) -> impl Iterator<Item = (u64, &str)> {
        self.hub.unanswered_keys()
    }

    /// A deadline was reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.hub.handle_timeout(now);
        self.tabs.handle_timeout(now);
        self.drain(now);
    }

    /// Passes frames between the hub and the group until neither has output left.
    fn drain(&mut self, now: Instant) {
        loop {
            if let Some(output) = self.tabs.poll_output() {
                self.handle_tabs_output(now, output);
            } else if let Some(output) = self.hub.poll_output() {
                self.handle_hub_output(now, output);
            } else {
                break;
            }
        }
        let state = self.state();
        if state != self.shown {
            self.shown = state.clone();
            self.output.push_back(TabOutput::State(state));
        }
    }

    fn handle_tabs_output(&mut self, now: Instant, output: TabsOutput<P>) {
        match output {
            TabsOutput::Opened { link } => self.hub.handle_opened(now, link),
            TabsOutput::Closed { link } => self.hub.handle_closed(now, link),
            TabsOutput::Reachable => self.hub.handle_reachable(now),
            TabsOutput::Frame { link, frame } => self.hub.handle_frame(now, link, frame),
            TabsOutput::State(_) => {}
            TabsOutput::AskToken { .. }
            | TabsOutput::RequestLock { .. }
            | TabsOutput::ReleaseLock { .. }
            | TabsOutput::Post(_)
            | TabsOutput::OpenUplink { .. }
            | TabsOutput::CloseUplink { .. }
            | TabsOutput::SendUplink(_)
            | TabsOutput::SpawnWorker { .. }
            | TabsOutput::Retire
            | TabsOutput::Role(_) => self.output.push_back(TabOutput::Tabs(output)),
        }
    }

    fn handle_hub_output(&mut self, now: Instant, output: ClientOutput<P>) {
        match output {
            // The link to the leader needs no token.
            ClientOutput::AskToken { .. } => {}
            ClientOutput::Connect { link } => self.tabs.handle_connect(now, link),
            ClientOutput::Disconnect { link } => self.tabs.handle_disconnect(link),
            ClientOutput::Send(frame) => self.tabs.handle_send(now, frame),
            ClientOutput::State(state) => self.link_state = state,
            ClientOutput::Due(due) => self.output.push_back(TabOutput::Due(due)),
            ClientOutput::Presence(event) => self.output.push_back(TabOutput::Presence(event)),
            ClientOutput::Published { request, result } => {
                self.output
                    .push_back(TabOutput::Published { request, result });
            }
        }
    }

    /// The connection's state, as this tab's user sees it.
    pub fn state(&self) -> ConnectionState {
        match (&self.link_state, self.tabs.state()) {
            (ConnectionState::Connected | ConnectionState::Stale, Some(state)) => state.clone(),
            (ConnectionState::Connected | ConnectionState::Stale, None) => {
                ConnectionState::Connecting { attempt: 0 }
            }
            (other, _) => other.clone(),
        }
    }

    /// The next thing that the page must do or pass on.
    pub fn poll_output(&mut self) -> Option<TabOutput<P>> {
        self.output.pop_front()
    }

    /// When [`TabHub::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.hub.poll_timeout(), self.tabs.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// This tab's part in sharing the connection.
    pub const fn tabs(&self) -> &Tabs<P, LEADS> {
        &self.tabs
    }

    /// How many publishes are waiting for their answer.
    pub fn unanswered(&self) -> usize {
        self.hub.unanswered()
    }
}
