//! The dashboard: static files that are part of the program.

use axum::Router;
use axum::extract::{OriginalUri, Path};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;

/// A file of the dashboard.
struct Asset {
    path: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/dashboard_assets.rs"));

/// Allows only scripts and styles of this host, and compiling WebAssembly.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; frame-ancestors 'none'",
);

pub(super) fn router() -> Router {
    Router::new().route("/", get(index)).route(
        "/{*path}",
        get(async |Path(path): Path<String>| asset(&path)),
    )
}

/// The page. It refers to its files by relative paths, so if the router is mounted at a path without a slash at its end
/// (`/live`), the page is one level down.
async fn index(OriginalUri(uri): OriginalUri) -> Response {
    match uri.path().rsplit_once('/') {
        Some((_, mount)) if !mount.is_empty() => {
            Redirect::temporary(&format!("{mount}/index.html")).into_response()
        }
        Some(_) | None => asset("index.html"),
    }
}

fn asset(path: &str) -> Response {
    match ASSETS.iter().find(|asset| asset.path == path) {
        Some(asset) => (
            [
                (CONTENT_TYPE, content_type(path)),
                (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                (CONTENT_SECURITY_POLICY, POLICY),
                (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ],
            asset.bytes,
        )
            .into_response(),
        None if path == "index.html" => Html(NOT_BUILT).into_response(),
        None => (StatusCode::NOT_FOUND, "there is nothing at this address\n").into_response(),
    }
}

/// Shown by a program that was built before the dashboard was.
const NOT_BUILT: &str = "<!doctype html><title>Tidegate</title><p>The server runs. Its dashboard was not built: \
    run <code>cargo xtask wasm</code>, then build the server again.";

fn content_type(path: &str) -> HeaderValue {
    HeaderValue::from_static(
        match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "wasm" => "application/wasm",
            "svg" => "image/svg+xml",
            "json" | "map" => "application/json",
            _ => "application/octet-stream",
        },
    )
}
