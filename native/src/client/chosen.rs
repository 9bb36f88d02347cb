//! Clients of the backend that the environment names, and the one that a process shares.

use std::sync::{Mutex, PoisonError};

use super::{Client, ClientError};
use crate::Hub;
use crate::backend::{Address, Choice, Keep, choose};

/// The client that a process shares, once there is one.
static SHARED: Mutex<Option<Client>> = Mutex::new(None);

impl Client {
    /// A client of the backend that the environment names: see [`choose`]. It needs no async runtime, and may be used
    /// within one. This blocks while it finds out which backend can be reached: up to 3 s for each that doesn't answer.
    ///
    /// # Errors
    /// If the environment names something that is not a backend or can't be reached, or if no backend can be used.
    pub fn from_env() -> Result<Self, ClientError> {
        Self::at(None)
    }

    /// A client of the backend at `address`, which takes precedence over the environment. It blocks as
    /// [`Client::from_env`] does; async code can use [`choose`] and [`Client::with_choice`] instead.
    ///
    /// # Errors
    /// If the backend can't be reached, or no backend can be used.
    pub fn at(address: Option<Address>) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let choosing = move || {
            let environment = |name: &str| std::env::var(name).ok();
            runtime.block_on(choose(address, environment, &Keep::as_servers_say()))
        };
        // A separate thread may block, even if this one belongs to an async runtime.
        let chosen = std::thread::Builder::new()
            .name("tidegate-choice".into())
            .spawn(choosing)?;
        match chosen.join() {
            Ok(choice) => Self::with_choice(&choice?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// A client of a backend that was [chosen](choose). If the choice has no backend, the topics live in this process.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn with_choice(choice: &Choice) -> Result<Self, ClientError> {
        Self::own(Hub::with_choice(Self::own_hub(), choice)?, &choice.what)
    }

    /// The client that this process shares. The first call creates it as [`Client::from_env`] does, unless
    /// [`Client::replace_shared`] has set one; the first call after it was closed creates another one.
    ///
    /// # Errors
    /// As for [`Client::from_env`]; the next call tries again.
    pub fn shared() -> Result<Self, ClientError> {
        Self::shared_in(&SHARED, Self::from_env)
    }

    fn shared_in(
        place: &Mutex<Option<Self>>,
        make: impl FnOnce() -> Result<Self, ClientError>,
    ) -> Result<Self, ClientError> {
        let mut shared = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = shared.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = make()?;
        *shared = Some(client.clone());
        Ok(client)
    }

    /// Replaces the client that this process shares, as tests do, or removes it. Returns the old one.
    pub fn replace_shared(client: Option<Self>) -> Option<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *shared, client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shared_client_that_somebody_closed_is_replaced() {
        let hub = Hub::new(Client::own_hub()).unwrap();
        let place = Mutex::new(None);
        let shared = || Client::shared_in(&place, || Client::from_hub(hub.clone())).unwrap();
        shared().close_flushed().await.unwrap();
        let (next, same) = (shared(), shared());
        next.publish("a", &1).await.unwrap();
        next.close();
        same.publish("a", &2).await.unwrap_err();
        shared().publish("a", &2).await.unwrap();
    }
}
