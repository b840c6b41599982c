//! The three ways to speak to Azure storage: account key, shared access signature, bearer token.
//!
//! The one law: a secret stands in a header or, for a shared access signature, in the query, and nowhere else.

use std::fmt;

use bytes::Bytes;
use http::Request;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use offtake_model::{ErrorCode, Fault};
use secrecy::{ExposeSecret, SecretString};

use super::{authorize, fits_a_header};

/// Signs requests to one storage account.
#[derive(Clone)]
pub enum AzureSigner {
    /// With the account's key.
    SharedKey {
        /// The account.
        account: String,
        /// Its key, in base64.
        key: SecretString,
    },
    /// With the query pairs of a shared access signature.
    Sas(Vec<(String, SecretString)>),
    /// With a token.
    Bearer(SecretString),
}

impl fmt::Debug for AzureSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedKey { .. } => "SharedKey",
            Self::Sas(_) => "Sas",
            Self::Bearer(_) => "Bearer",
        })
    }
}

impl AzureSigner {
    /// Signs the request, after all its headers are set. Sets `date` and `x-ms-version`.
    ///
    /// # Errors
    /// `DESTINATION_DENIED` when the credentials have not the form of their kind.
    pub fn sign(&self, request: &mut Request<Bytes>) -> Result<(), Fault> {
        let (credential, account) = self.credential()?;
        let authorizer = AzureAuthorizer::new(&credential, account);
        authorize(request, |shadow| authorizer.authorize(shadow))
    }

    fn credential(&self) -> Result<(AzureCredential, &str), Fault> {
        match self {
            Self::SharedKey { account, key } => {
                if !fits_a_header(account) {
                    return Err(malformed("account name"));
                }
                let key = AzureAccessKey::try_new(key.expose_secret())
                    .map_err(|_| malformed("account key"))?;
                Ok((AzureCredential::AccessKey(key), account))
            }
            Self::Sas(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
                Ok((AzureCredential::SASToken(pairs.collect()), ""))
            }
            Self::Bearer(token) if fits_a_header(token.expose_secret()) => Ok((
                AzureCredential::BearerToken(token.expose_secret().to_owned()),
                "",
            )),
            Self::Bearer(_) => Err(malformed("token")),
        }
    }
}

fn malformed(what: &str) -> Fault {
    Fault::new(
        ErrorCode::DestinationDenied,
        format!("sign a request: the {what} has not the form of one"),
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use secrecy::SecretString;

    use super::AzureSigner;

    fn get() -> Request<Bytes> {
        Request::get("https://acct.blob.core.windows.net/c/b?comp=blocklist")
            .body(Bytes::new())
            .unwrap()
    }

    #[test]
    fn each_kind_signs_in_its_place() {
        let key = AzureSigner::SharedKey {
            account: "acct".to_owned(),
            key: SecretString::from("a2V5"),
        };
        let mut request = get();
        key.sign(&mut request).unwrap();
        key.sign(&mut request).unwrap();
        let all: Vec<_> = request.headers().get_all("authorization").iter().collect();
        assert_eq!(all.len(), 1);
        assert!(all[0].to_str().unwrap().starts_with("SharedKey acct:"));

        let mut request = get();
        AzureSigner::Bearer(SecretString::from("t"))
            .sign(&mut request)
            .unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer t");

        let mut request = get();
        let sas = vec![("sig".to_owned(), SecretString::from("a/b="))];
        AzureSigner::Sas(sas).sign(&mut request).unwrap();
        assert_eq!(request.uri().query(), Some("comp=blocklist&sig=a%2Fb%3D"));
        assert!(request.headers().get("authorization").is_none());
    }

    #[test]
    fn what_is_no_credential_is_refused_and_nothing_is_shown() {
        let key = AzureSigner::SharedKey {
            account: "acct".to_owned(),
            key: SecretString::from("not base64!"),
        };
        let fault = key.sign(&mut get()).unwrap_err();
        assert!(!format!("{fault:?} {key:?}").contains("not base64"));
        assert!(
            AzureSigner::Bearer(SecretString::from("a\nb"))
                .sign(&mut get())
                .is_err()
        );
    }
}
