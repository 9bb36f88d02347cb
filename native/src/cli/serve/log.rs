//! The server's log: line by line on standard error, and to a collector if one is configured.

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

/// A log in progress. [`Log::end`] sends what is still waiting.
pub(super) struct Log {
    #[cfg(feature = "opentelemetry")]
    export: Option<Export>,
}

impl Log {
    /// Begins to log. `RUST_LOG` sets the level; the default is what an operator should know.
    ///
    /// # Errors
    /// If the export to the collector can't be set up. A collector that is down is reported later, when that is
    /// noticed.
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

    /// Sends what is waiting; blocks for a few seconds at the most.
    pub(super) fn end(self) {
        #[cfg(feature = "opentelemetry")]
        if let Some(export) = self.export {
            export.end();
        }
    }
}
