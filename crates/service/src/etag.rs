//! Etags: one text per write of a resource, in the documented shape (contract, 1 and 4.4).

use offtake_model::{ErrorCode, Fault, Millis, Resource};

/// The resource's etag. The double quotes are part of the value.
pub(crate) fn etag(resource: &Resource) -> String {
    shape(resource.revision.0, resource.audit.updated_at)
}

/// `"8hex-0000-0200-0000-12hex"`; the last group begins with the second of the write.
pub(crate) fn shape(revision: u64, at: Millis) -> String {
    format!("\"{revision:08x}-0000-0200-0000-{:08x}0000\"", at.secs())
}

/// Refuses a change whose `If-Match` is not the resource's etag. One layer of quotes doesn't matter, `*` fits all.
pub(crate) fn check(resource: &Resource, if_match: &str) -> Result<(), Fault> {
    let current = etag(resource);
    let given = unquoted(if_match.trim());
    if given == "*" || given == unquoted(&current) {
        return Ok(());
    }
    Err(conflict(given, &current))
}

/// Says that `given` is no longer current.
pub(crate) fn conflict(given: &str, current: &str) -> Fault {
    Fault::new(
        ErrorCode::VersionConflict,
        format!(
            "Supplied version=[\"{}\"] does not match the current version on entity=[\"{}\"]",
            unquoted(given),
            unquoted(current)
        ),
    )
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use offtake_model::Millis;

    use super::shape;

    #[test]
    fn the_value_holds_its_quotes_and_the_second_of_the_write() {
        assert_eq!(
            shape(5, Millis(1_675_796_998_123)),
            "\"00000005-0000-0200-0000-63e2a2060000\""
        );
    }
}
