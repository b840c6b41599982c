//! The `url` of a Data Lake connection, in the forms that people paste.
//!
//! The one law: an address whose account or file system has to be guessed is refused.

use std::net::IpAddr;

use offtake_model::{ErrorCode, Fault};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// Where tokens are had, by the domain that accounts have.
const AUTHORITIES: [(&str, &str); 3] = [
    (
        ".core.chinacloudapi.cn",
        "https://login.partner.microsoftonline.cn",
    ),
    (
        ".core.usgovcloudapi.net",
        "https://login.microsoftonline.us",
    ),
    ("", "https://login.microsoftonline.com"),
];

/// A file system and perhaps a folder in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LakeAddress {
    /// Address of the dfs endpoint, without a slash at its end.
    pub(crate) endpoint: String,
    /// The file system.
    pub(crate) system: String,
    /// The folder that keys are relative to, without a slash at either end; empty for the root.
    pub(crate) folder: String,
    /// Where tokens for it are had, unless somebody says otherwise.
    pub(crate) authority: &'static str,
}

impl LakeAddress {
    /// Reads `abfss://system@account.dfs.core.windows.net/folder` or
    /// `https://account.dfs.core.windows.net/system/folder`. Where the host is no name, as with emulators, the account
    /// comes first in the path.
    ///
    /// # Errors
    /// `CONNECTION_NOT_USABLE`, naming what is missing.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let url = Url::parse(text.trim()).map_err(|_| invalid("it is no address"))?;
        if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it has more than account, file system and folder"));
        }
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| invalid("it names no account"))?;
        let nameless = host.eq_ignore_ascii_case("localhost") || is_address(&url, host);
        let mut parts = parts(&url)?.into_iter();
        let scheme = match url.scheme() {
            "abfss" | "abfs" | "https" => "https",
            "http" => "http",
            _ => return Err(invalid("it begins with neither abfss:// nor https://")),
        };
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        // People paste the address of the same account's Blob service.
        let host = host.replacen(".blob.", ".dfs.", 1);
        let mut endpoint = format!("{scheme}://{host}{port}");
        if nameless {
            let account = parts.next().ok_or_else(|| invalid("it names no account"))?;
            endpoint = format!("{endpoint}/{account}");
        }
        let in_user = percent_decode_str(url.username()).decode_utf8_lossy();
        let system = match (url.scheme(), in_user.as_ref()) {
            ("abfss" | "abfs", "") => {
                return Err(invalid("it names no file system before the `@`"));
            }
            ("abfss" | "abfs", system) => system.to_owned(),
            (_, "") => parts
                .next()
                .ok_or_else(|| invalid("it names no file system after the account"))?,
            (_, _) => return Err(invalid("it has a user")),
        };
        if !is_system(&system) {
            return Err(invalid(
                "it names a file system by a name that none can have",
            ));
        }
        let authority = AUTHORITIES
            .iter()
            .find(|(domain, _)| host.ends_with(domain));
        Ok(Self {
            endpoint,
            system,
            folder: parts.collect::<Vec<_>>().join("/"),
            authority: authority.map_or(AUTHORITIES[2].1, |(_, authority)| authority),
        })
    }
}

fn parts(url: &Url) -> Result<Vec<String>, Fault> {
    let path = url.path().trim_matches('/');
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/')
        .map(|part| {
            let part = percent_decode_str(part)
                .decode_utf8()
                .map_err(|_| invalid("its folder is no UTF-8"))?;
            let plain = !matches!(part.as_ref(), "" | "." | "..")
                && !part.contains('/')
                && !part.chars().any(char::is_control);
            if plain {
                Ok(part.into_owned())
            } else {
                Err(invalid(
                    "its folder has an empty part, dots or a control character",
                ))
            }
        })
        .collect()
}

/// Whether the host is an IP address. In schemes that are not the web's, the parser takes one for a name.
fn is_address(url: &Url, host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_))) || literal.parse::<IpAddr>().is_ok()
}

/// File systems are named as containers are; names that begin with a dollar sign are the service's own.
fn is_system(name: &str) -> bool {
    let plain =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

fn invalid(reason: &str) -> Fault {
    Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!(
            "read the connection's `url`: {reason}; it is like abfss://exports@account.dfs.core.windows.net"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::LakeAddress;

    #[test]
    fn every_form_of_a_url_leads_to_its_file_system() {
        for (text, endpoint, folder) in [
            (
                "abfss://exports@acct.dfs.core.windows.net",
                "https://acct.dfs.core.windows.net",
                "",
            ),
            (
                "abfss://exports@acct.dfs.core.windows.net/",
                "https://acct.dfs.core.windows.net",
                "",
            ),
            (
                " https://acct.dfs.core.windows.net/exports ",
                "https://acct.dfs.core.windows.net",
                "",
            ),
            (
                "https://acct.blob.core.windows.net/exports/",
                "https://acct.dfs.core.windows.net",
                "",
            ),
            (
                "abfss://exports@acct.dfs.core.windows.net/team%20a/daily/",
                "https://acct.dfs.core.windows.net",
                "team a/daily",
            ),
            (
                "https://acct.dfs.core.windows.net/exports/team/daily",
                "https://acct.dfs.core.windows.net",
                "team/daily",
            ),
            (
                "https://localhost:10004/acct/exports/a",
                "https://localhost:10004/acct",
                "a",
            ),
            (
                "http://127.0.0.1:10004/acct/exports",
                "http://127.0.0.1:10004/acct",
                "",
            ),
            (
                "abfss://exports@127.0.0.1:10004/acct/a",
                "https://127.0.0.1:10004/acct",
                "a",
            ),
        ] {
            let address = LakeAddress::parse(text).unwrap();
            assert_eq!(address.endpoint, endpoint, "{text}");
            assert_eq!(
                (address.system.as_str(), address.folder.as_str()),
                ("exports", folder),
                "{text}"
            );
            assert_eq!(address.authority, "https://login.microsoftonline.com");
        }
    }

    #[test]
    fn accounts_of_other_clouds_have_authorities_of_their_own() {
        let authority = |text| LakeAddress::parse(text).unwrap().authority;
        assert_eq!(
            authority("abfss://exports@acct.dfs.core.usgovcloudapi.net"),
            "https://login.microsoftonline.us"
        );
        assert_eq!(
            authority("https://acct.dfs.core.chinacloudapi.cn/exports"),
            "https://login.partner.microsoftonline.cn"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, named) in [
            ("", "no address"),
            ("acct.dfs.core.windows.net/exports", "no address"),
            ("wasbs://exports@acct.blob.core.windows.net", "neither"),
            ("abfss://acct.dfs.core.windows.net", "no file system before"),
            ("https://acct.dfs.core.windows.net/", "no file system after"),
            ("https://localhost:1/acct", "no file system after"),
            ("https://localhost:1/", "no account"),
            ("https://user@acct.dfs.core.windows.net/exports", "a user"),
            (
                "https://acct.dfs.core.windows.net/exports?sig=secret",
                "more than",
            ),
            ("https://acct.dfs.core.windows.net/Exports", "none can have"),
            ("https://acct.dfs.core.windows.net/exports//a", "empty part"),
            (
                "https://acct.dfs.core.windows.net/exports/a%2Fb",
                "empty part",
            ),
        ] {
            let fault = LakeAddress::parse(text).unwrap_err();
            assert!(fault.message.contains(named), "{text}: {fault}");
            assert!(!fault.to_string().contains("secret"), "{fault}");
        }
    }
}
