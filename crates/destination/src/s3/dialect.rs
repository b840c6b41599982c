//! What tells the stores apart that speak this protocol: which hardening they honour, and what they refuse.
//!
//! The one law: safety never rests on hardening, so a store that lacks all of it still keeps every promise.

/// A family of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Amazon's own.
    Amazon,
    /// A server at an endpoint of its own, which may ignore conditions that it answers with success.
    Compatible,
    /// Google's XML interface: no conditions on multipart uploads, checksums only in answers.
    Google,
}

impl Dialect {
    /// Whether a condition on a final name is known to be honoured.
    pub(crate) const fn honours_conditions(self) -> bool {
        matches!(self, Self::Amazon)
    }

    /// Whether answers carry the CRC-32C of the whole object, to be compared with ours.
    pub(crate) const fn answers_crc32c(self) -> bool {
        matches!(self, Self::Google)
    }
}
