//! The keys behind secrets and tokens, changed by operators while the service runs.

use std::time::Duration;

use offtake_model::Fault;
use offtake_ports::KeyState;

use crate::identity::Caller;
use crate::service::Service;

/// The keys after a look or a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysView {
    /// All of them, the current one first.
    pub keys: Vec<KeyState>,
    /// Secrets sealed anew by this request.
    pub resealed: u64,
}

impl Service {
    /// The keys, and what is sealed with each.
    pub async fn keys(&self) -> Result<KeysView, Fault> {
        Ok(KeysView {
            keys: self.key_ring.list().await?,
            resealed: 0,
        })
    }

    /// Seals with a new key from now on, and seals anew what former ones sealed. What a bounded step leaves over is
    /// done in the background. Tokens stay valid, until the former key is retired.
    pub async fn rotate_keys(&self, caller: &Caller) -> Result<KeysView, Fault> {
        self.write_down(caller, "keys", "rotate").await?;
        self.key_ring.rotate().await?;
        let resealed = self.key_ring.reseal().await?;
        Ok(KeysView {
            keys: self.key_ring.list().await?,
            resealed,
        })
    }

    /// Removes former keys at once, after what they sealed was sealed anew. Tokens that they signed end.
    pub async fn retire_keys(&self, caller: &Caller) -> Result<KeysView, Fault> {
        self.write_down(caller, "keys", "retire").await?;
        let resealed = self.key_ring.reseal().await?;
        self.key_ring.retire(Duration::ZERO).await?;
        Ok(KeysView {
            keys: self.key_ring.list().await?,
            resealed,
        })
    }
}
