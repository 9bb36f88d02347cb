//! Creates the backend for an address, as far as this program was built with it.

use std::path::Path;
use std::sync::Arc;

use super::address::ServerUrl;
use crate::backend::{Backend, BackendError, Keep};

type Made = Result<Arc<dyn Backend>, BackendError>;

#[cfg(feature = "sqlite")]
pub(super) fn sqlite(path: &Path, keep: &Keep) -> Made {
    Ok(Arc::new(crate::backend::Sqlite::new(path, keep.clone())?))
}

#[cfg(not(feature = "sqlite"))]
pub(super) fn sqlite(path: &Path, _keep: &Keep) -> Made {
    Err(not_built(format!("sqlite:{}", path.display()), "sqlite"))
}

#[cfg(feature = "postgres")]
pub(super) fn postgres(url: &ServerUrl, keep: &Keep) -> Made {
    Ok(Arc::new(crate::backend::Postgres::new(
        url.secret(),
        keep.clone(),
    )?))
}

#[cfg(not(feature = "postgres"))]
pub(super) fn postgres(url: &ServerUrl, _keep: &Keep) -> Made {
    Err(not_built(url.to_string(), "postgres"))
}

#[cfg(feature = "redis")]
pub(super) fn redis(url: &ServerUrl, keep: &Keep) -> Made {
    Ok(Arc::new(crate::backend::Redis::new(
        url.secret(),
        keep.clone(),
    )?))
}

#[cfg(not(feature = "redis"))]
pub(super) fn redis(url: &ServerUrl, _keep: &Keep) -> Made {
    Err(not_built(url.to_string(), "redis"))
}

#[cfg(not(all(feature = "postgres", feature = "redis", feature = "sqlite")))]
fn not_built(address: String, feature: &str) -> BackendError {
    BackendError::Address {
        address,
        reason: format!("this program was built without it; build it with the feature {feature}"),
    }
}
