//! What the examples' pages need: the page itself, how all of them look, and the npm package as it was built.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tower_http::services::{ServeDir, ServeFile};

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/pages");

/// In an application of your own this is `node_modules/tidegate/dist`, or what your bundler made of it.
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pkg/dist");

/// Serves an application with its page at `/`: at the address that the program was given, or else at `address`.
pub(crate) async fn serve(app: Router, page: &str, address: &str) -> io::Result<()> {
    if !Path::new(PACKAGE).join("index.js").exists() {
        eprintln!("the page needs the npm package; build it: cargo xtask wasm");
    }
    let app = app
        .route_service("/", ServeFile::new(format!("{PAGES}/{page}.html")))
        .route_service("/look.css", ServeFile::new(format!("{PAGES}/look.css")))
        .nest_service("/tidegate", ServeDir::new(PACKAGE));
    let given = std::env::args().nth(1);
    let listener = TcpListener::bind(given.as_deref().unwrap_or(address)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // Small updates must not wait for each other.
        let _ = stream.set_nodelay(true);
    });
    // `/live/debug` must know who asks: it answers this machine only.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await
}
