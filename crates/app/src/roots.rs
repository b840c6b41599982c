//! `[lake.roots.NAME]`: where a lake root lies and how it lets us in.
//!
//! The one law: secrets are named, not written down, and each root has credentials of one kind or none at all.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use offtake_lake::LakeRoot;
use offtake_model::OrgId;
use offtake_storage::{AwsKeys, Network, RootAddress, RootCredentials, read_store};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::secret::SecretRef;

/// `[lake.roots.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LakeRootConfig {
    /// An absolute path or `file://` URL of a folder, or the URL of a place in an object store.
    url: String,
    /// Organisations that may use the root; all of them when absent.
    #[serde(default)]
    organisations: Option<Vec<String>>,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    path_style: Option<bool>,
    /// Azure account of an `az://` URL.
    #[serde(default)]
    account: Option<String>,
    /// S3, and Google's HMAC keys.
    #[serde(default)]
    access_key_id: Option<SecretRef>,
    #[serde(default)]
    secret_access_key: Option<SecretRef>,
    #[serde(default)]
    session_token: Option<SecretRef>,
    /// Azure.
    #[serde(default)]
    account_key: Option<SecretRef>,
    #[serde(default)]
    sas: Option<SecretRef>,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    client_secret: Option<SecretRef>,
    #[serde(default)]
    authority: Option<String>,
    /// Google: the JSON of a service account's key file.
    #[serde(default)]
    service_account: Option<SecretRef>,
}

impl LakeRootConfig {
    /// The root of that name.
    pub(crate) fn open(&self, name: &str, network: &Network) -> Result<LakeRoot> {
        let root = match self.folder() {
            Some(_) if self.names_credentials() => {
                bail!("lake root `{name}` is a folder of this machine, which takes no credentials")
            }
            Some(path) => LakeRoot::folder(name, path),
            None => self
                .in_store(name, network)
                .with_context(|| format!("lake root `{name}`"))?,
        };
        let organisations = self
            .organisations
            .as_ref()
            .map(|all| all.iter().cloned().map(OrgId).collect());
        Ok(root.for_organisations(organisations))
    }

    fn folder(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("file://").unwrap_or(&self.url);
        path.starts_with('/').then(|| Path::new(path).to_owned())
    }

    fn in_store(&self, name: &str, network: &Network) -> Result<LakeRoot> {
        if !self.url.contains("://") {
            bail!(
                "`{}` is neither an absolute path nor a URL: file://, s3://, gs://, az:// or abfss://",
                self.url
            );
        }
        let address = RootAddress {
            url: self.url.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
            account: self.account.clone(),
        };
        let credentials = self.credentials(name)?;
        let (store, prefix) =
            read_store(&address, &credentials, network).map_err(anyhow::Error::new)?;
        Ok(LakeRoot::store(name, &self.url, store, prefix))
    }

    fn names_credentials(&self) -> bool {
        self.given().into_iter().any(|it| it)
    }

    /// Which kinds of credentials are given.
    fn given(&self) -> [bool; 5] {
        [
            self.access_key_id.is_some() || self.secret_access_key.is_some(),
            self.account_key.is_some(),
            self.sas.is_some(),
            self.client_secret.is_some(),
            self.service_account.is_some(),
        ]
    }

    fn credentials(&self, name: &str) -> Result<RootCredentials> {
        if self.given().into_iter().filter(|it| *it).count() > 1 {
            bail!("it has credentials of more than one kind");
        }
        let read = |key: &str, secret: &Option<SecretRef>| -> Result<Option<SecretString>> {
            let setting = format!("lake.roots.{name}.{key}");
            secret.as_ref().map(|it| it.read(&setting)).transpose()
        };
        let access_key = read("access_key_id", &self.access_key_id)?;
        let secret_key = read("secret_access_key", &self.secret_access_key)?;
        match (access_key, secret_key) {
            (Some(access_key), Some(secret_key)) => {
                return Ok(RootCredentials::Keys(AwsKeys {
                    access_key: access_key.expose_secret().to_owned(),
                    secret_key,
                    session_token: read("session_token", &self.session_token)?,
                }));
            }
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                bail!("it needs both `access_key_id` and `secret_access_key`")
            }
        }
        if let Some(key) = read("account_key", &self.account_key)? {
            return Ok(RootCredentials::AccountKey(key));
        }
        if let Some(sas) = read("sas", &self.sas)? {
            return Ok(RootCredentials::Sas(sas));
        }
        if let Some(client_secret) = read("client_secret", &self.client_secret)? {
            let needed = |value: &Option<String>| {
                value
                    .clone()
                    .context("`client_secret` needs `tenant` and `client_id`")
            };
            return Ok(RootCredentials::Principal {
                tenant: needed(&self.tenant)?,
                client_id: needed(&self.client_id)?,
                client_secret,
                authority: self.authority.clone(),
            });
        }
        if let Some(key) = read("service_account", &self.service_account)? {
            return Ok(RootCredentials::ServiceAccount(key));
        }
        Ok(RootCredentials::Anonymous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Result<LakeRoot> {
        let config: LakeRootConfig = text.parse::<toml::Table>().unwrap().try_into()?;
        let network = Network::new(offtake_storage::NetworkSettings::default()).unwrap();
        config.open("sales", &network)
    }

    #[test]
    fn folders_and_stores_are_told_by_their_url() {
        for good in [
            "url = \"/data\"",
            "url = \"file:///data\"",
            "url = \"s3://bucket/prefix\"",
            "url = \"gs://bucket\"",
        ] {
            assert_eq!(root(good).unwrap().name, "sales", "{good}");
        }
        for bad in [
            "url = \"data\"",
            "url = \"ftp://host/x\"",
            "url = \"/data\"\nsas = \"env:X\"",
            "url = \"s3://bucket\"\naccess_key_id = \"env:PATH\"",
            "url = \"s3://bucket\"\naccess_key_id = \"plain\"\nsecret_access_key = \"env:PATH\"",
            "url = \"az://c\"\naccount_key = \"env:PATH\"\nsas = \"env:PATH\"",
        ] {
            assert!(root(bad).is_err(), "{bad}");
        }
    }
}
