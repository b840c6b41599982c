//! The keys behind secrets and tokens.

use offtake_api_types::keys::{Key, Keys};
use offtake_service::KeysView;

/// All keys.
pub(crate) fn keys(view: &KeysView) -> Keys {
    let keys = view.keys.iter().map(|key| Key {
        id: key.id.clone(),
        state: match key.former_since {
            None => "current".to_owned(),
            Some(_) => "former".to_owned(),
        },
        former_since: key.former_since.map(|at| at.0),
        secrets: key.secrets,
    });
    Keys {
        items: keys.collect(),
        resealed: view.resealed,
    }
}
