//! The log, sent to an OpenTelemetry collector by OTLP over HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, Response, header};
use bytes::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tidegate::client::{ClientOptions, ServerAddress, ServerStream};
use tokio::runtime::Runtime;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long a collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The path at which a collector accepts logs.
const LOGS: &str = "/v1/logs";

/// The export of the log to a collector, in batches, on a thread of its own.
pub(super) struct Export(SdkLoggerProvider);

impl Export {
    /// Begins to export. `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_EXPORTER_OTLP_HEADERS` apply, as for other programs.
    ///
    /// # Errors
    /// If the exporter can't be set up. A collector that is down is not an error.
    pub(super) fn start(collector: &ServerAddress) -> anyhow::Result<Self> {
        let exporter = LogExporter::builder()
            .with_http()
            .with_http_client(Way::new(collector.clone())?)
            .with_endpoint(format!("{collector}{LOGS}"))
            .with_timeout(PATIENCE)
            .build()
            .context("the log can't be sent to a collector")?;
        let resource = Resource::builder().with_service_name("tidegate").build();
        let provider = SdkLoggerProvider::builder()
            .with_resource(resource)
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(provider))
    }

    /// The layer that collects the log.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        // Leaves out this module's own messages about the export: sending them could cause further ones.
        let others = filter_fn(|event| event.target() != module_path!());
        OpenTelemetryTracingBridge::new(&self.0).with_filter(others)
    }

    /// Sends what is waiting.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "the end of the log was not sent to the collector");
        }
    }
}

/// The HTTP client of a collector, with a connection for each batch.
#[derive(Debug)]
struct Way {
    collector: ServerAddress,
    options: ClientOptions,
    /// The thread that sends has no runtime of its own.
    runtime: Runtime,
    /// Whether the last batch did not arrive; reported once.
    is_lost: AtomicBool,
}

impl Way {
    fn new(collector: ServerAddress) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime for sending to the collector")?;
        Ok(Self {
            collector,
            options: ClientOptions::default(),
            runtime,
            is_lost: AtomicBool::new(false),
        })
    }

    async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let stream = ServerStream::connect(&self.collector, &self.options).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let (mut head, body) = request.into_parts();
        head.uri = head.uri.path().parse()?;
        let host = HeaderValue::try_from(self.collector.authority())?;
        head.headers.insert(header::HOST, host);
        let exchange = async {
            let answer = sender.send_request(Request::from_parts(head, Body::from(body)));
            let (head, body) = answer.await?.into_parts();
            let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await?;
            Ok(Response::from_parts(head, body))
        };
        tokio::select! {
            answer = exchange => answer,
            ended = connection => {
                ended?;
                Err("the collector closed the connection without an answer".into())
            }
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, self.post(request)).await });
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".into()));
        let trouble = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let was_lost = self.is_lost.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(trouble) if !was_lost => tracing::warn!(
                "the log does not reach the collector at {} ({trouble}); it continues here, and the server keeps trying",
                self.collector
            ),
            None if was_lost => {
                tracing::info!("the log reaches the collector at {} again", self.collector);
            }
            Some(_) | None => {}
        }
        answer
    }
}

impl HttpClient for Way {
    fn send_bytes<'way, 'sent>(
        &'way self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'way: 'sent,
        Self: 'sent,
    {
        Box::pin(async move { self.send(request) })
    }
}
