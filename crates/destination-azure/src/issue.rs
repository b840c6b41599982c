//! Issues shared access signatures for containers of an account whose key we hold (service SAS).
//!
//! It keeps no record: a signature can be taken back only by changing the account's key.
//!
//! The one law: what is issued is signed with everything that limits it.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offtake_model::{ErrorCode, Fault};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::Serializer;

use crate::instant;

/// The version of the service that the signature's form belongs to.
const VERSION: &str = "2023-11-03";

/// Rights in the order in which the service wants them.
const RIGHTS: &str = "racwdxltmeop";

/// A signature to issue for one container.
#[derive(Debug)]
pub struct ContainerSas<'a> {
    /// The account.
    pub account: &'a str,
    /// Its key, in base64.
    pub key: &'a SecretString,
    /// The container.
    pub container: &'a str,
    /// The rights, a letter each in any order: `r` read, `a` append, `c` create, `w` write, `d` delete, `l` list and
    /// the rarer `x`, `t`, `m`, `e`, `o`, `p`.
    pub rights: &'a str,
    /// When it ends, to the second.
    pub ends: SystemTime,
    /// Whether it may travel over plain HTTP too.
    pub allow_http: bool,
}

impl ContainerSas<'_> {
    /// Issues it: query pairs to be appended to an address, without a leading question mark.
    ///
    /// # Errors
    /// `FIELD_INVALID` when there is no such right, or the key is not base64.
    pub fn issue(&self) -> Result<SecretString, Fault> {
        let rights: String = RIGHTS
            .chars()
            .filter(|it| self.rights.contains(*it))
            .collect();
        if rights.is_empty() || rights.len() != self.rights.len() {
            return Err(invalid("its rights are none, repeated or unknown"));
        }
        let key = STANDARD
            .decode(self.key.expose_secret())
            .map_err(|_| invalid("the account's key is not base64"))?;
        let ends = instant::write(self.ends);
        let protocol = if self.allow_http { "" } else { "https" };
        let resource = format!("/blob/{}/{}", self.account, self.container);
        // Start, identifier, address, snapshot, encryption scope and the five headers of answers are left open.
        let signed = [
            &rights, "", &ends, &resource, "", "", protocol, VERSION, "c", "", "", "", "", "", "",
            "",
        ]
        .join("\n");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        let mut pairs = Serializer::new(String::new());
        pairs
            .append_pair("sv", VERSION)
            .append_pair("sr", "c")
            .append_pair("sp", &rights)
            .append_pair("se", &ends);
        if !self.allow_http {
            pairs.append_pair("spr", protocol);
        }
        pairs.append_pair("sig", &signature);
        Ok(SecretString::from(pairs.finish()))
    }
}

fn invalid(reason: &str) -> Fault {
    Fault::new(
        ErrorCode::FieldInvalid,
        format!("issue a shared access signature: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret, SecretString};

    use super::ContainerSas;
    use crate::instant;

    fn issued(key: &str, rights: &str, allow_http: bool) -> Option<String> {
        let sas = ContainerSas {
            account: "acct",
            key: &SecretString::from(key),
            container: "exports",
            rights,
            ends: instant::read("2026-11-26T06:30Z").unwrap(),
            allow_http,
        };
        sas.issue().ok().map(|it| it.expose_secret().to_owned())
    }

    #[test]
    fn a_signature_is_what_the_vendors_own_client_makes_of_it() {
        // Made by azure-storage-blob 12.31.1, its version set to 2023-11-03.
        assert_eq!(
            issued("a2V5", "rcwdl", true).unwrap(),
            "sv=2023-11-03&sr=c&sp=rcwdl&se=2026-11-26T06%3A30%3A00Z&sig=EiEWLjbAQLQH48Kbc%2BhDowud%2BvlgXROjKSCNcqBfaUA%3D"
        );
        assert_eq!(
            issued("a2V5", "lrdwc", false).unwrap(),
            "sv=2023-11-03&sr=c&sp=rcwdl&se=2026-11-26T06%3A30%3A00Z&spr=https&sig=KdEPV2Emdib%2F6fu0GKjaXyGxKMdm71fmc7JBtPoVqdM%3D"
        );
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        for (key, rights) in [
            ("not base64!", "r"),
            ("a2V5", ""),
            ("a2V5", "rr"),
            ("a2V5", "r?"),
        ] {
            assert_eq!(issued(key, rights, false), None, "{rights}");
        }
    }
}
