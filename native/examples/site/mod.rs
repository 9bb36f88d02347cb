//! What the examples' pages need: the page itself, the common style sheet, and the built npm package.

use std::error::Error;
use std::path::Path;

use axum::Router;
use tidegate::Hub;
use tidegate::serve::{ServeConfig, Server, stop_signal};
use tower_http::services::{ServeDir, ServeFile};

/// The result of serving.
pub(crate) type Served = Result<(), Box<dyn Error>>;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// In your own application, this is `node_modules/tidegate/dist`, or what your bundler made of it.
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pkg/dist");

/// Serves an application with its page at `/`: at the address that the program was given, or else at `address`.
#[allow(dead_code, reason = "some examples read their arguments themselves")]
pub(crate) async fn serve(app: Router, hub: &Hub, page: &str, address: &str) -> Served {
    let given = std::env::args().nth(1);
    serve_at(app, hub, page, given.as_deref().unwrap_or(address)).await
}

/// Adds a page, a file of the examples' folder, at a path.
pub(crate) fn with_page(app: Router, path: &str, file: &str) -> Router {
    app.route_service(path, ServeFile::new(format!("{EXAMPLES}/{file}")))
}

/// Serves an application with its page at `/`, at `address`, until it is told to stop.
pub(crate) async fn serve_at(app: Router, hub: &Hub, page: &str, address: &str) -> Served {
    if !Path::new(PACKAGE).join("index.js").exists() {
        eprintln!("the page needs the npm package; build it: cargo xtask wasm");
    }
    let app = with_page(app, "/", &format!("pages/{page}.html"));
    let app = with_page(app, "/look.css", "pages/look.css");
    let app = with_page(app, "/page.js", "pages/page.js")
        .nest_service("/tidegate", ServeDir::new(PACKAGE));
    let server = Server::new(ServeConfig::default());
    let server = server.bind(&address.parse()?).await?;
    let stop = stop_signal();
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.run_with_hub(app, hub, stop).await;
    Ok(())
}
