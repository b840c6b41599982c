//! Canonical JSON and the digests made of it.
//!
//! Equal values give equal bytes: keys sorted, no spaces, no floats. It reads nothing back.
//!
//! The one law: what is hashed is exactly what is stored.

use aws_lc_rs::digest::{SHA256, digest};
use offtake_model::{ErrorCode, Fault};
use serde::Serialize;
use serde_json::Value;

/// The value as canonical JSON: keys sorted by code point, no spaces. A float is a fault, since its text is not unique.
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, Fault> {
    let value = serde_json::to_value(value).map_err(unwritable)?;
    let mut out = Vec::new();
    write(&value, &mut out)?;
    Ok(out)
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}

/// The first eight bytes of the SHA-256, as a number.
pub(crate) fn sha256_prefix(bytes: &[u8]) -> u64 {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .take(8)
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), Fault> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => {
            serde_json::to_writer(out, value).map_err(unwritable)
        }
        Value::Number(number) if number.is_f64() => Err(Fault::new(
            ErrorCode::Internal,
            format!("failed to write canonical JSON: {number} is not a whole number"),
        )),
        Value::Number(_) => serde_json::to_writer(out, value).map_err(unwritable),
        Value::Array(items) => write_array(items, out),
        Value::Object(object) => write_object(object, out),
    }
}

fn write_array(items: &[Value], out: &mut Vec<u8>) -> Result<(), Fault> {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out)?;
    }
    out.push(b']');
    Ok(())
}

fn write_object(object: &serde_json::Map<String, Value>, out: &mut Vec<u8>) -> Result<(), Fault> {
    // The map keeps its order of insertion when some crate of the build asks serde_json for that.
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    out.push(b'{');
    for (index, (key, item)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, key).map_err(unwritable)?;
        out.push(b':');
        write(item, out)?;
    }
    out.push(b'}');
    Ok(())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err takes"
)]
fn unwritable(error: serde_json::Error) -> Fault {
    Fault::new(ErrorCode::Internal, "failed to write canonical JSON").because(&error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{sha256_hex, to_bytes};

    #[test]
    fn keys_are_sorted_at_every_level() {
        let bytes =
            to_bytes(&json!({"b": [{"z": 1, "a": null}], "B": "\u{e9}\"", "a": true})).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "{\"B\":\"\u{e9}\\\"\",\"a\":true,\"b\":[{\"a\":null,\"z\":1}]}"
        );
    }

    #[test]
    fn floats_are_refused() {
        assert!(to_bytes(&json!([1.5])).is_err());
    }

    #[test]
    fn digest_of_nothing_is_the_known_one() {
        assert_eq!(
            sha256_hex(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
