//! AWS Signature Version 4, also spoken by Google's XML API and by most private stores.
//!
//! The one law: whatever is sent is covered by the signature, unless the caller says otherwise in the request.

use std::fmt;

use bytes::Bytes;
use http::Request;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use offtake_model::{ErrorCode, Fault};
use secrecy::{ExposeSecret, SecretString};

use super::{authorize, fits_a_header, unusable};

/// A caller that sends this hash leaves its body out of the signature.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const HASH_HEADER: &str = "x-amz-content-sha256";
const SHA256_BYTES: usize = 32;

/// An access key with its secret.
#[derive(Clone)]
pub struct AwsKeys {
    /// The access key's id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: SecretString,
    /// The token of temporary credentials.
    pub session_token: Option<SecretString>,
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// Signs requests of one region with one set of keys.
#[derive(Debug)]
pub struct AwsSigner {
    credential: AwsCredential,
    region: String,
    service: &'static str,
}

impl AwsSigner {
    /// For requests to S3 in a region.
    pub fn new(keys: AwsKeys, region: &str) -> Self {
        Self {
            credential: AwsCredential {
                key_id: keys.access_key,
                secret_key: keys.secret_key.expose_secret().to_owned(),
                token: keys
                    .session_token
                    .as_ref()
                    .map(|token| token.expose_secret().to_owned()),
            },
            region: region.to_owned(),
            service: "s3",
        }
    }

    /// The same for another service, such as `sts`.
    pub const fn for_service(mut self, service: &'static str) -> Self {
        self.service = service;
        self
    }

    /// Signs the request, after all its headers are set. A header `x-amz-content-sha256` that is there already, a
    /// hash in hexadecimal or `UNSIGNED-PAYLOAD`, is taken as the body's.
    ///
    /// # Errors
    /// `DESTINATION_DENIED` when the keys can't stand in a header.
    pub fn sign(&self, request: &mut Request<Bytes>) -> Result<(), Fault> {
        let token = self.credential.token.as_deref().unwrap_or_default();
        let parts = [self.credential.key_id.as_str(), token, self.region.as_str()];
        if !parts.into_iter().all(fits_a_header) {
            return Err(Fault::new(
                ErrorCode::DestinationDenied,
                "sign a request: access key, session token or region have characters that no header can carry",
            ));
        }
        let (signed, digest) = match request.headers().get(HASH_HEADER) {
            None => (true, None),
            Some(given) if given == UNSIGNED => (false, None),
            Some(given) => (true, Some(hash(given.as_bytes())?)),
        };
        let authorizer = AwsAuthorizer::new(&self.credential, self.service, &self.region)
            .with_sign_payload(signed);
        authorize(request, |shadow| {
            authorizer.authorize(shadow, digest.as_ref().map(<[u8; SHA256_BYTES]>::as_slice));
        })
    }
}

fn hash(text: &[u8]) -> Result<[u8; SHA256_BYTES], Fault> {
    let wrong = || unusable("its x-amz-content-sha256 is not a SHA-256 in hexadecimal");
    if text.len() != 2 * SHA256_BYTES {
        return Err(wrong());
    }
    let mut hash = [0; SHA256_BYTES];
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use secrecy::SecretString;

    use super::{AwsKeys, AwsSigner};

    fn keys(token: Option<&str>) -> AwsKeys {
        AwsKeys {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: SecretString::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(SecretString::from),
        }
    }

    fn put() -> Request<Bytes> {
        Request::put("https://bucket.s3.eu-west-1.amazonaws.com/a%20b?uploadId=x&partNumber=1")
            .header("x-amz-meta-offtake", "tag")
            .body(Bytes::from_static(b"hello"))
            .unwrap()
    }

    #[test]
    fn every_header_of_ours_and_the_body_are_signed() {
        let mut request = put();
        AwsSigner::new(keys(Some("token")), "eu-west-1")
            .sign(&mut request)
            .unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            header("x-amz-content-sha256"),
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        assert_eq!(header("x-amz-security-token"), "token");
        let authorization = header("authorization");
        assert!(
            authorization.contains("Credential=AKIAIOSFODNN7EXAMPLE/"),
            "{authorization}"
        );
        assert!(
            authorization.contains("/eu-west-1/s3/aws4_request"),
            "{authorization}"
        );
        assert!(
            authorization.contains(
                "host;x-amz-content-sha256;x-amz-date;x-amz-meta-offtake;x-amz-security-token"
            ),
            "{authorization}"
        );
        assert_eq!(request.body(), &Bytes::from_static(b"hello"));
    }

    #[test]
    fn a_hash_that_the_caller_knows_is_not_made_again() {
        let signer = AwsSigner::new(keys(None), "eu-west-1");
        for known in ["UNSIGNED-PAYLOAD", &"ab".repeat(32)] {
            let mut request = put();
            let value = known.parse().unwrap();
            request.headers_mut().insert("x-amz-content-sha256", value);
            signer.sign(&mut request).unwrap();
            assert_eq!(request.headers()["x-amz-content-sha256"], known);
        }
        let mut request = put();
        let value = "nonsense".parse().unwrap();
        request.headers_mut().insert("x-amz-content-sha256", value);
        assert!(signer.sign(&mut request).is_err());
    }

    #[test]
    fn signing_twice_leaves_one_signature() {
        let signer = AwsSigner::new(keys(None), "eu-west-1");
        let mut request = put();
        signer.sign(&mut request).unwrap();
        signer.sign(&mut request).unwrap();
        assert_eq!(request.headers().get_all("authorization").iter().count(), 1);
    }

    #[test]
    fn keys_that_break_a_header_are_refused_and_never_shown() {
        let mut bad = keys(None);
        bad.access_key = "AK\nIA".to_owned();
        let signer = AwsSigner::new(bad, "eu-west-1");
        assert!(signer.sign(&mut put()).is_err());
        let shown = format!(
            "{:?} {:?}",
            keys(Some("tok3n")),
            AwsSigner::new(keys(Some("tok3n")), "r")
        );
        assert!(
            !shown.contains("wJalr") && !shown.contains("tok3n"),
            "{shown}"
        );
    }
}
