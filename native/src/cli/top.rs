//! `tidegate top`.

mod board;
mod draw;
mod keys;
mod look;
mod signals;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use board::Board;
use clap::Args;
use look::Look;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use signals::Signals;
use tidegate::client::ClientOptions;
use tidegate::duration::parse_duration_ms;
use tokio::sync::mpsc;

use super::place::{TrustArg, server_url};
use super::terminal::is_dumb;

/// How often to check whether the terminal's events are still wanted.
const LISTEN_EVERY: Duration = Duration::from_millis(200);

#[derive(Args)]
pub(super) struct Top {
    /// How often to refresh.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = milliseconds)]
    every: Duration,
    /// How many topics to show: the most recently used.
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
    topics: u16,
    /// The server's address, also unix:/path/to/socket [env: TIDEGATE_SERVER=] [default: http://127.0.0.1:8420]. From
    /// another machine, a token that may subscribe to ** is needed: set TIDEGATE_TOKEN
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A shell command that prints a token; it runs whenever one is needed
    #[arg(long, value_name = "COMMAND")]
    token_command: Option<String>,
    #[command(flatten)]
    trust: TrustArg,
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let millis = parse_duration_ms(text).filter(|millis| *millis >= 100);
    let millis =
        millis.ok_or_else(|| "write a time such as 500ms or 1s, at least 100ms".to_owned());
    millis.map(Duration::from_millis)
}

impl Top {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(
            std::io::stdout().is_terminal() && !is_dumb(),
            "top draws on a terminal; for programs there is /debug?topics=N and /metrics"
        );
        let server = server_url(self.server.as_deref())?;
        let options = ClientOptions {
            trust: self.trust.trust()?,
            ..ClientOptions::default()
        };
        let mut look = Look::new(
            &server,
            options,
            self.topics.into(),
            self.token_command.clone(),
        )?;
        let mut board = Board::new(&server);
        // Before the terminal is taken over, so that an immediate error is reported as by any other command.
        board.take(Instant::now(), look.look().await?);
        let mut signals = Signals::catch()?;
        let mut terminal = ratatui::try_init()?;
        let watched = tokio::select! {
            watched = self.watch(&mut terminal, &mut board, look) => watched.map(|()| ExitCode::SUCCESS),
            status = signals.next() => {
                // After a hangup there may be no terminal left.
                let _ = ratatui::try_restore();
                return Ok(ExitCode::from(status));
            }
        };
        ratatui::try_restore()?;
        watched
    }

    async fn watch(
        &self,
        terminal: &mut DefaultTerminal,
        board: &mut Board,
        mut look: Look,
    ) -> anyhow::Result<()> {
        let mut events = listen();
        let (sender, mut stats) = mpsc::channel(1);
        let every = self.every;
        let looking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if sender.send(look.look().await).await.is_err() {
                    return;
                }
            }
        });
        let result = loop {
            terminal.draw(|frame| draw::draw(frame, board))?;
            tokio::select! {
                event = events.recv() => match event {
                    Some(Ok(event)) if keys::handle(board, &event) => break Ok(()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break Err(error.into()),
                    None => break Ok(()),
                },
                Some(answer) = stats.recv() => match answer {
                    Ok(stats) => board.take(Instant::now(), stats),
                    Err(error) => board.fail(format!("{error:#}")),
                },
            }
        };
        looking.abort();
        result
    }
}

/// The events of the terminal. Waiting for them needs a thread.
fn listen() -> mpsc::UnboundedReceiver<std::io::Result<Event>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let next = match event::poll(LISTEN_EVERY) {
                Ok(true) => event::read(),
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            let is_over = next.is_err();
            if sender.send(next).is_err() || is_over {
                return;
            }
        }
    });
    receiver
}
