//! What the examples' pages need: the page itself, how all of them look, and the npm package as it was built.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tower_http::services::{ServeDir, ServeFile};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// In an application of your own this is `node_modules/tidegate/dist`, or what your bundler made of it.
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pkg/dist");

/// Serves an application with its page at `/`: at the address that the program was given, or else at `address`.
#[allow(dead_code, reason = "some examples read their arguments themselves")]
pub(crate) async fn serve(app: Router, page: &str, address: &str) -> io::Result<()> {
    let given = std::env::args().nth(1);
    serve_at(app, page, given.as_deref().unwrap_or(address)).await
}

/// Adds a page, a file of the examples' folder, at a path.
pub(crate) fn with_page(app: Router, path: &str, file: &str) -> Router {
    app.route_service(path, ServeFile::new(format!("{EXAMPLES}/{file}")))
}

/// Serves an application with its page at `/`, at `address`.
pub(crate) async fn serve_at(app: Router, page: &str, address: &str) -> io::Result<()> {
    if !Path::new(PACKAGE).join("index.js").exists() {
        eprintln!("the page needs the npm package; build it: cargo xtask wasm");
    }
    let app = with_page(app, "/", &format!("pages/{page}.html"));
    let app = with_page(app, "/look.css", "pages/look.css");
    let app = with_page(app, "/page.js", "pages/page.js")
        .nest_service("/tidegate", ServeDir::new(PACKAGE));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // Small updates must not wait for each other.
        let _ = stream.set_nodelay(true);
    });
    // `/live/debug` must know who asks: it answers this machine only.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await
}
