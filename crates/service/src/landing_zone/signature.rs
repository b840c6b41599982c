//! Signatures in addresses of the landing zone, shaped like a shared access signature so that clients of Azure's
//! blob service carry them along.
//!
//! A signature says: who shows this may list and read the files of one sandbox until then. Nothing is stored about it
//! but the generation, by which all of a sandbox are withdrawn at once.
//!
//! The one law: every part that decides anything is signed, and what is not exactly as we would write it is refused.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offtake_core::calendar;
use offtake_model::{ErrorCode, Fault, Millis, OrgId, SandboxName, Tenant};
use offtake_ports::DerivedKey;
use secrecy::{ExposeSecret, SecretString};

/// Version of the form, as clients of the blob service send it back.
const VERSION: &str = "2024-11-04";

/// It is for a container.
const RESOURCE: &str = "c";

/// It lets read and list.
const PERMISSIONS: &str = "rl";

/// End of every organisation's id.
const ORG_SUFFIX: &str = "@AdobeOrg";

/// What a request shows, as it stands in its query.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShownSignature<'a> {
    /// `sv`
    pub version: Option<&'a str>,
    /// `sr`
    pub resource: Option<&'a str>,
    /// `sp`
    pub permissions: Option<&'a str>,
    /// `se`
    pub expiry: Option<&'a str>,
    /// `si`
    pub identifier: Option<&'a str>,
    /// `sig`
    pub signature: Option<&'a str>,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) account: String,
    pub(super) container: String,
    /// A whole second.
    pub(super) expires_at: Millis,
    pub(super) generation: u64,
}

impl Claims {
    /// Whose zone it is.
    pub(super) fn tenant(&self) -> Option<Tenant> {
        let (org, sandbox) = self.account.split_once('-')?;
        Some(Tenant {
            org: OrgId(format!("{org}{ORG_SUFFIX}")),
            sandbox: SandboxName(sandbox.to_owned()),
        })
    }

    fn text(&self) -> String {
        let expiry = calendar::rfc3339(self.expires_at);
        let (account, container, generation) = (&self.account, &self.container, self.generation);
        // None of the parts can hold a line end: a shown one is compared with what is written here.
        format!(
            "{account}\n{container}\n{VERSION}\n{RESOURCE}\n{PERMISSIONS}\n{expiry}\n{generation}"
        )
    }
}

/// The name of a tenant's zone in addresses: the organisation without its common end, and the sandbox.
pub(super) fn account(tenant: &Tenant) -> String {
    let org = tenant.org.as_str();
    let org = org.strip_suffix(ORG_SUFFIX).unwrap_or(org);
    format!("{org}-{}", tenant.sandbox)
}

/// Signs with the first key; checks with any, so that a new key ends no address.
pub(super) struct Signer {
    keys: Vec<hmac::Key>,
}

impl Signer {
    pub(super) fn new(keys: &[DerivedKey]) -> Self {
        let key = |key: &DerivedKey| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret());
        Self {
            keys: keys.iter().map(key).collect(),
        }
    }

    /// The query that proves the claims.
    pub(super) fn token(&self, claims: &Claims) -> Result<SecretString, Fault> {
        let failed = || {
            Fault::new(
                ErrorCode::Internal,
                "failed to sign an address: there is no key",
            )
        };
        let key = self.keys.first().ok_or_else(failed)?;
        let tag = hmac::sign(key, claims.text().as_bytes());
        let mut token = format!(
            "sv={VERSION}&sr={RESOURCE}&sp={PERMISSIONS}&se={}&si={}&sig=",
            calendar::rfc3339(claims.expires_at),
            claims.generation
        );
        let _ = write!(token, "{}", URL_SAFE_NO_PAD.encode(tag));
        Ok(SecretString::from(token))
    }

    /// The claims, when the signature is ours and for that container. Whether they still hold is another question.
    pub(super) fn verify(
        &self,
        account: &str,
        container: &str,
        shown: &ShownSignature<'_>,
    ) -> Result<Claims, Fault> {
        let refused = || {
            Fault::new(
                ErrorCode::SignatureInvalid,
                "the address has no signature that is good for this container",
            )
        };
        let plain = shown.version == Some(VERSION)
            && shown.resource == Some(RESOURCE)
            && shown.permissions == Some(PERMISSIONS);
        let parts = (shown.expiry, shown.identifier, shown.signature);
        let (true, (Some(expiry), Some(identifier), Some(signature))) = (plain, parts) else {
            return Err(refused());
        };
        let claims = Claims {
            account: account.to_owned(),
            container: container.to_owned(),
            expires_at: calendar::second(expiry).ok_or_else(refused)?,
            generation: identifier.parse().map_err(|_| refused())?,
        };
        if claims.generation.to_string() != identifier {
            return Err(refused());
        }
        let tag = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refused())?;
        let text = claims.text();
        let fits = |key| hmac::verify(key, text.as_bytes(), &tag).is_ok();
        self.keys
            .iter()
            .any(fits)
            .then_some(claims)
            .ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use offtake_model::{ErrorCode, Millis, OrgId, SandboxName, Tenant};
    use offtake_ports::DerivedKey;
    use secrecy::ExposeSecret;

    use super::{Claims, ShownSignature, Signer, account};

    fn signer(keys: &[u8]) -> Signer {
        let key = |byte: &u8| DerivedKey::new(Box::new([*byte; 32]));
        Signer::new(&keys.iter().map(key).collect::<Vec<_>>())
    }

    fn tenant() -> Tenant {
        Tenant {
            org: OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned()),
            sandbox: SandboxName("a-b".to_owned()),
        }
    }

    fn claims() -> Claims {
        Claims {
            account: account(&tenant()),
            container: "zone".to_owned(),
            expires_at: Millis(1_790_000_000_000),
            generation: 3,
        }
    }

    fn shown(token: &str) -> ShownSignature<'_> {
        let part = |name: &str| {
            token
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        ShownSignature {
            version: part("sv"),
            resource: part("sr"),
            permissions: part("sp"),
            expiry: part("se"),
            identifier: part("si"),
            signature: part("sig"),
        }
    }

    #[test]
    fn a_signature_tells_what_was_signed_and_whose_zone_it_is() {
        let signer = signer(&[7]);
        let token = signer.token(&claims()).unwrap();
        let account = account(&tenant());
        let read = signer
            .verify(&account, "zone", &shown(token.expose_secret()))
            .unwrap();
        assert_eq!(read, claims());
        assert_eq!(read.tenant(), Some(tenant()));
    }

    #[test]
    fn a_new_key_ends_no_signature_before_the_old_one_is_retired() {
        let token = signer(&[7]).token(&claims()).unwrap();
        let shown = shown(token.expose_secret());
        let account = account(&tenant());
        assert!(signer(&[8, 7]).verify(&account, "zone", &shown).is_ok());
        assert!(signer(&[8]).verify(&account, "zone", &shown).is_err());
    }

    #[test]
    fn any_change_voids_it() {
        let one = signer(&[7]);
        let token = one.token(&claims()).unwrap();
        let token = token.expose_secret().to_owned();
        let ours = account(&tenant());
        let refused = |account: &str, container: &str, token: &str| {
            let answer = one.verify(account, container, &shown(token));
            assert_eq!(
                answer.map_err(|fault| fault.code),
                Err(ErrorCode::SignatureInvalid),
                "{account} {container} {token}"
            );
        };
        refused(&ours.replace("a-b", "a"), "zone", &token);
        refused(&ours, "zones", &token);
        refused(&ours, "zone", "");
        for (from, to) in [
            ("sv=2024", "sv=2023"),
            ("sr=c", "sr=b"),
            ("sp=rl", "sp=rwl"),
            ("se=2026", "se=2027"),
            ("Z&si", ".000Z&si"),
            ("si=3", "si=4"),
            ("si=3", "si=+3"),
            ("si=3", "si=03"),
            ("&sig=", "&sig=A"),
            ("&sig=", "&gis="),
        ] {
            assert!(token.contains(from));
            refused(&ours, "zone", &token.replacen(from, to, 1));
        }
        for place in 0..43 {
            let at = token.len() - 43 + place;
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            refused(&ours, "zone", &String::from_utf8(bytes).unwrap());
        }
        let other = signer(&[8]).token(&claims()).unwrap();
        refused(&ours, "zone", other.expose_secret());
    }
}
