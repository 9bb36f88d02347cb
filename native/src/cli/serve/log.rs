//! What the server tells of itself: line by line on standard error, and to a collector where it is told of one.

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::settings::Settings;
use crate::cli::terminal::has_colors;

#[cfg(feature = "opentelemetry")]
use super::otlp::Export;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// The log that has begun. What waits to be sent is sent by [`Log::end`].
pub(super) struct Log {
    #[cfg(feature = "opentelemetry")]
    export: Option<Export>,
}

impl Log {
    /// Begins to log. `RUST_LOG` says how much; without it, what an operator should know.
    ///
    /// # Errors
    /// When no collector can be told at all: not when it is away, which is told once it is noticed.
    pub(super) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
        let lines = fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(has_colors(&std::io::stderr()));
        let lines = match settings.log {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let subscriber = tracing_subscriber::registry().with(filter).with(lines);
        #[cfg(feature = "opentelemetry")]
        {
            let export = settings.otlp_endpoint.as_ref().map(Export::start);
            let export = export.transpose()?;
            subscriber.with(export.as_ref().map(Export::layer)).init();
            Ok(Self { export })
        }
        #[cfg(not(feature = "opentelemetry"))]
        {
            subscriber.init();
            Ok(Self {})
        }
    }

    /// Sends what waits; blocks for a few seconds at the most.
    pub(super) fn end(self) {
        #[cfg(feature = "opentelemetry")]
        if let Some(export) = self.export {
            export.end();
        }
    }
}
