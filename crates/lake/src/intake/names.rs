//! Names of columns, of which no two may differ in case alone: readers of tables fold it.

use std::collections::HashMap;

use arrow::datatypes::Fields;

use super::shape::Conflict;

/// Names in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    list: Vec<String>,
    folded: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn of(fields: &Fields) -> Self {
        let mut names = Self::default();
        for field in fields {
            names.push(field.name());
        }
        names
    }

    /// The place of that name, if it is there.
    pub(crate) fn find(&self, name: &str) -> Result<Option<usize>, Conflict> {
        let Some(place) = self.folded.get(&name.to_lowercase()).copied() else {
            return Ok(None);
        };
        if self.list.get(place).is_some_and(|known| known == name) {
            return Ok(Some(place));
        }
        Err(Conflict::named(
            name,
            "another column has this name in other case",
        ))
    }

    /// Adds a name that is new; answers its place.
    pub(crate) fn push(&mut self, name: &str) -> usize {
        let place = self.list.len();
        self.folded.insert(name.to_lowercase(), place);
        self.list.push(name.to_owned());
        place
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(String::as_str)
    }
}
