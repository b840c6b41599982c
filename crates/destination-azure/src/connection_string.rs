//! Azure's connection strings, in every form that the vendor's portal, tools and emulator hand out.
//!
//! It asks nobody whether the account exists.
//!
//! The one law: no part of a string is ever shown; a message names the setting that is missing or wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offtake_model::{ErrorCode, Fault};
use offtake_storage::AzureSigner;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::sas::Sas;

/// The emulator's account and key, which its documentation prints.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_PORT: u16 = 10_000;

/// Domain of accounts in the public cloud.
pub(crate) const SUFFIX: &str = "core.windows.net";

/// A storage account as a connection string names it.
#[derive(Debug)]
pub(crate) struct Account {
    /// Address of its Blob service, without a slash at its end.
    pub(crate) endpoint: String,
    /// What requests are signed with.
    pub(crate) access: BlobAccess,
}

/// What opens an account.
#[derive(Debug)]
pub(crate) enum BlobAccess {
    /// The account's key.
    Key(AzureSigner),
    /// A shared access signature.
    Sas(Sas),
}

impl Account {
    /// Reads a connection string.
    ///
    /// # Errors
    /// `CONNECTION_STRING_INVALID`, naming the setting that is missing or wrong.
    pub(crate) fn parse(text: &SecretString) -> Result<Self, Fault> {
        let settings = Settings::split(text.expose_secret())?;
        if let Some(emulator) = settings.emulator()? {
            return Ok(emulator);
        }
        let endpoint = settings.endpoint()?;
        let access = settings.access()?;
        Ok(Self { endpoint, access })
    }
}

/// The settings that are looked at, by their names in lower case.
struct Settings<'a> {
    pairs: Vec<(String, &'a str)>,
}

impl<'a> Settings<'a> {
    fn split(text: &'a str) -> Result<Self, Fault> {
        let mut pairs: Vec<(String, &str)> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|it| !it.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                invalid("it is not made of `Name=value` settings between semicolons")
            })?;
            let name = name.trim().to_ascii_lowercase();
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(invalid("a setting stands there twice"));
            }
            pairs.push((name, value.trim()));
        }
        if pairs.is_empty() {
            return Err(invalid("it is empty"));
        }
        Ok(Self { pairs })
    }

    /// The setting's value, when there is one that says something.
    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self
            .pairs
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value).filter(|it| !it.is_empty())
    }

    /// The short form `UseDevelopmentStorage=true`, perhaps with the address of a host that the emulator runs on.
    fn emulator(&self) -> Result<Option<Account>, Fault> {
        match self.get("UseDevelopmentStorage") {
            None => return Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => {}
            Some(_) => return Err(invalid("`UseDevelopmentStorage` is not `true`")),
        }
        let host = match self.get("DevelopmentStorageProxyUri") {
            None => format!("http://127.0.0.1:{EMULATOR_PORT}"),
            Some(proxy) => {
                let mut url = address(proxy)
                    .ok_or_else(|| invalid("`DevelopmentStorageProxyUri` is no address"))?;
                if url.port().is_none() && url.set_port(Some(EMULATOR_PORT)).is_err() {
                    return Err(invalid("`DevelopmentStorageProxyUri` is no address"));
                }
                url.as_str().trim_end_matches('/').to_owned()
            }
        };
        Ok(Some(Account {
            endpoint: format!("{host}/{EMULATOR_ACCOUNT}"),
            access: BlobAccess::Key(AzureSigner::SharedKey {
                account: EMULATOR_ACCOUNT.to_owned(),
                key: SecretString::from(EMULATOR_KEY),
            }),
        }))
    }

    fn endpoint(&self) -> Result<String, Fault> {
        if let Some(given) = self.get("BlobEndpoint") {
            let url = address(given).ok_or_else(|| {
                invalid(
                    "`BlobEndpoint` is no address such as https://account.blob.core.windows.net",
                )
            })?;
            return Ok(url.as_str().trim_end_matches('/').to_owned());
        }
        let account = self
            .get("AccountName")
            .ok_or_else(|| invalid("`AccountName` or `BlobEndpoint` is missing"))?;
        if !is_host_part(account) {
            return Err(invalid("`AccountName` is no account's name"));
        }
        let protocol = match self.get("DefaultEndpointsProtocol") {
            None => "https",
            Some(it) if it.eq_ignore_ascii_case("https") => "https",
            Some(it) if it.eq_ignore_ascii_case("http") => "http",
            Some(_) => {
                return Err(invalid(
                    "`DefaultEndpointsProtocol` is neither `https` nor `http`",
                ));
            }
        };
        let suffix = self.get("EndpointSuffix").unwrap_or(SUFFIX);
        let built = format!("{protocol}://{account}.blob.{suffix}");
        match address(&built) {
            Some(url) if url.path() == "/" => Ok(built),
            Some(_) | None => Err(invalid("`EndpointSuffix` is no domain")),
        }
    }

    fn access(&self) -> Result<BlobAccess, Fault> {
        match (self.get("AccountKey"), self.get("SharedAccessSignature")) {
            (Some(_), Some(_)) => Err(invalid(
                "it has both `AccountKey` and `SharedAccessSignature`; leave one out",
            )),
            (None, None) => Err(invalid(
                "`AccountKey` or `SharedAccessSignature` is missing",
            )),
            (Some(key), None) => {
                let account = self.get("AccountName").ok_or_else(|| {
                    invalid("`AccountName` is missing, whose key `AccountKey` is")
                })?;
                if STANDARD.decode(key).is_err() {
                    return Err(invalid(
                        "`AccountKey` is not base64; perhaps it was cut off",
                    ));
                }
                Ok(BlobAccess::Key(AzureSigner::SharedKey {
                    account: account.to_owned(),
                    key: SecretString::from(key),
                }))
            }
            (None, Some(sas)) => {
                let sas = Sas::parse(sas)
                    .map_err(|reason| invalid(&format!("`SharedAccessSignature` {reason}")))?;
                Ok(BlobAccess::Sas(sas))
            }
        }
    }
}

/// An address that names a host and holds neither credentials nor a query.
pub(crate) fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

pub(crate) fn is_host_part(text: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(plain)
}

fn invalid(reason: &str) -> Fault {
    Fault::new(
        ErrorCode::ConnectionStringInvalid,
        format!("read the connection string: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use offtake_model::ErrorCode;
    use offtake_storage::AzureSigner;
    use secrecy::{ExposeSecret, SecretString};

    use super::{Account, BlobAccess};

    fn parse(text: &str) -> Account {
        Account::parse(&SecretString::from(text)).unwrap()
    }

    fn key_of(account: &Account) -> (&str, &str) {
        let BlobAccess::Key(AzureSigner::SharedKey { account, key }) = &account.access else {
            panic!("{account:?}");
        };
        (account, key.expose_secret())
    }

    #[test]
    fn every_form_of_a_string_with_a_key_leads_to_its_account() {
        let public = "https://acct.blob.core.windows.net";
        for (text, endpoint) in [
            (
                "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=a2V5;EndpointSuffix=core.windows.net",
                public,
            ),
            ("AccountName=acct;AccountKey=a2V5", public),
            (" accountname = acct ; ACCOUNTKEY = a2V5 ; ", public),
            (
                "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn",
                "https://acct.blob.core.chinacloudapi.cn",
            ),
            (
                "DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/acct;\
                 QueueEndpoint=http://127.0.0.1:10001/acct;",
                "http://127.0.0.1:10000/acct",
            ),
            (
                "AccountName=acct;AccountKey=a2V5;BlobEndpoint=https://files.example.com/",
                "https://files.example.com",
            ),
        ] {
            let account = parse(text);
            assert_eq!(account.endpoint, endpoint, "{text}");
            assert_eq!(key_of(&account), ("acct", "a2V5"), "{text}");
        }
        // A key's own equals signs are part of it.
        let padded = parse("AccountName=acct;AccountKey=a2V5MQ==");
        assert_eq!(key_of(&padded), ("acct", "a2V5MQ=="));
    }

    #[test]
    fn the_emulators_short_form_means_its_printed_account() {
        let local = parse("UseDevelopmentStorage=true");
        assert_eq!(local.endpoint, "http://127.0.0.1:10000/devstoreaccount1");
        assert_eq!(key_of(&local).0, "devstoreaccount1");
        assert!(key_of(&local).1.starts_with("Eby8vdM02x"));
        let elsewhere =
            parse("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite");
        assert_eq!(elsewhere.endpoint, "http://azurite:10000/devstoreaccount1");
    }

    #[test]
    fn a_shared_access_signature_needs_no_account_name() {
        for text in [
            "BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=sv=2023-11-03&sr=c&sp=rcwd&sig=a%2Fb%3D",
            "AccountName=acct;SharedAccessSignature=?sv=2023-11-03&sr=c&sp=rcwd&sig=a%2Fb%3D",
        ] {
            let account = parse(text);
            assert_eq!(account.endpoint, "https://acct.blob.core.windows.net");
            assert!(matches!(account.access, BlobAccess::Sas(_)));
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_and_nothing_is_shown() {
        for (text, named) in [
            ("", "empty"),
            ("some secret", "Name=value"),
            ("AccountKey=c2VjcmV0", "`AccountName` or `BlobEndpoint`"),
            (
                "BlobEndpoint=https://h;AccountKey=c2VjcmV0",
                "`AccountName` is missing",
            ),
            (
                "AccountName=acct",
                "`AccountKey` or `SharedAccessSignature`",
            ),
            ("AccountName=acct;AccountKey=", "`AccountKey` or"),
            ("AccountName=acct;AccountKey=secret!", "not base64"),
            ("AccountName=secret/x;AccountKey=a2V5", "no account's name"),
            (
                "AccountName=a;AccountKey=c2VjcmV0;SharedAccessSignature=sig=secret",
                "both",
            ),
            ("AccountName=a;AccountName=secret", "twice"),
            (
                "AccountName=a;AccountKey=a2V5;DefaultEndpointsProtocol=ftp",
                "neither `https` nor `http`",
            ),
            (
                "AccountName=a;AccountKey=a2V5;EndpointSuffix=h/secret",
                "`EndpointSuffix`",
            ),
            (
                "BlobEndpoint=https://h/?sig=secret;SharedAccessSignature=sig=x",
                "`BlobEndpoint`",
            ),
            (
                "BlobEndpoint=https://h;SharedAccessSignature=secret",
                "`SharedAccessSignature` has no `sig`",
            ),
            ("UseDevelopmentStorage=secret", "`UseDevelopmentStorage`"),
        ] {
            let fault = Account::parse(&SecretString::from(text)).unwrap_err();
            assert_eq!(fault.code, ErrorCode::ConnectionStringInvalid, "{text}");
            assert!(fault.message.contains(named), "{text}: {fault}");
            assert!(!fault.to_string().contains("secret"), "{fault}");
            assert!(!fault.to_string().contains("c2VjcmV0"), "{fault}");
        }
    }
}
