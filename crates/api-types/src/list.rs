//! Wrappers of lists and of answers to changes (contract, 4.1 and 4.2).

use serde::{Deserialize, Serialize};

/// A list, or one resource by id: both come as `items`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsOf<T> {
    /// The items.
    pub items: Vec<T>,
    /// Links to other pages; an empty object on the last page, never absent.
    #[serde(rename = "_links", default)]
    pub links: Links,
}

impl<T> ItemsOf<T> {
    /// A list without a further page.
    pub fn last(items: Vec<T>) -> Self {
        Self {
            items,
            links: Links::default(),
        }
    }
}

/// Links of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Link>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Relative to the service's prefix; the continuation token is its only parameter.
    pub href: String,
}

/// The answer to `count=true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountOf {
    /// How many resources match.
    pub count: u64,
}

/// The answer to a create, a change or an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The resource.
    pub id: String,
    /// Its etag, quotes included.
    pub etag: String,
}
