//! The address of a bucket and of a key in it, escaped as signatures want it.
//!
//! The one law: a key arrives at the store byte for byte, and no key leaves its bucket.

use http::Uri;
use offtake_model::{ErrorCode, Fault};
use offtake_storage::{push_path, push_query};

/// Where a bucket is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    bucket: String,
    /// What every key begins with in the bucket: nothing, or folders with a slash at the end.
    prefix: String,
    host: Host,
    path_style: bool,
}

/// Which host serves it.
#[derive(Clone, Debug)]
enum Host {
    /// Amazon's, which follows from the region.
    Amazon,
    /// A given one: scheme, authority, and the path before the bucket.
    Given {
        scheme: String,
        authority: String,
        path: String,
    },
}

impl Location {
    /// A bucket at Amazon. A name with dots fits no certificate, so it stands in the path.
    pub(crate) fn amazon(bucket: &str, path_style: Option<bool>) -> Self {
        Self {
            bucket: bucket.to_owned(),
            prefix: String::new(),
            host: Host::Amazon,
            path_style: path_style.unwrap_or_else(|| bucket.contains('.')),
        }
    }

    /// A bucket at an endpoint, in the path of the address unless told otherwise.
    pub(crate) fn at(
        endpoint: &str,
        bucket: &str,
        path_style: Option<bool>,
    ) -> Result<Self, Fault> {
        let invalid = || {
            Fault::new(
                ErrorCode::ConnectionNotUsable,
                "open the bucket: the connection's `endpoint` is no address such as https://s3.example.com",
            )
        };
        let uri: Uri = endpoint.parse().map_err(|_| invalid())?;
        let (Some(scheme @ ("http" | "https")), Some(authority), None) =
            (uri.scheme_str(), uri.authority(), uri.query())
        else {
            return Err(invalid());
        };
        if authority.as_str().contains('@') {
            return Err(invalid());
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: String::new(),
            host: Host::Given {
                scheme: scheme.to_owned(),
                authority: authority.as_str().to_owned(),
                path: uri.path().trim_end_matches('/').to_owned(),
            },
            path_style: path_style.unwrap_or(true),
        })
    }

    /// The same below a folder of the bucket, without slashes around it.
    pub(crate) fn below(mut self, folder: &str) -> Self {
        self.prefix = format!("{folder}/");
        self
    }

    /// The key as the bucket has it.
    pub(crate) fn whole(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key below the folder, of one as the bucket has it.
    pub(crate) fn inner<'a>(&self, whole: &'a str) -> Option<&'a str> {
        whole.strip_prefix(&self.prefix)
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Whether bytes and signatures travel under TLS.
    pub(crate) fn encrypted(&self) -> bool {
        match &self.host {
            Host::Amazon => true,
            Host::Given { scheme, .. } => scheme == "https",
        }
    }

    /// The address of a key, or of the bucket itself.
    pub(crate) fn uri(
        &self,
        region: &str,
        key: Option<&str>,
        query: &[(&str, &str)],
    ) -> Result<Uri, Fault> {
        let (scheme, authority, before) = match &self.host {
            Host::Amazon => {
                let world = if region.starts_with("cn-") { ".cn" } else { "" };
                ("https", format!("s3.{region}.amazonaws.com{world}"), "")
            }
            Host::Given {
                scheme,
                authority,
                path,
            } => (scheme.as_str(), authority.clone(), path.as_str()),
        };
        let mut text = if self.path_style {
            format!("{scheme}://{authority}{before}/{}", self.bucket)
        } else {
            format!("{scheme}://{}.{authority}{before}", self.bucket)
        };
        match key {
            Some(key) => {
                text.push('/');
                push_path(&mut text, &self.prefix);
                push_path(&mut text, key);
            }
            None if !self.path_style => text.push('/'),
            None => {}
        }
        push_query(&mut text, query);
        text.parse().map_err(|error: http::uri::InvalidUri| {
            let attempted = format!("address the bucket {}", self.bucket);
            Fault::new(ErrorCode::ConnectionNotUsable, attempted).because(&error)
        })
    }
}

/// Refuses keys that some server or client on the way would rewrite.
pub(crate) fn check_key(key: &str) -> Result<(), Fault> {
    offtake_storage::check_key(key, "a bucket")
}

#[cfg(test)]
mod tests {
    use super::{Location, check_key};

    fn uri(location: &Location, key: &str) -> String {
        let uri = location.uri("eu-west-1", Some(key), &[]);
        uri.unwrap().to_string()
    }

    #[test]
    fn a_bucket_has_the_address_of_its_style() {
        let amazon = Location::amazon("lake", None);
        assert_eq!(
            uri(&amazon, "a/b"),
            "https://lake.s3.eu-west-1.amazonaws.com/a/b"
        );
        let dotted = Location::amazon("lake.example", None);
        assert_eq!(
            uri(&dotted, "a"),
            "https://s3.eu-west-1.amazonaws.com/lake.example/a"
        );
        let china = amazon.uri("cn-north-1", Some("a"), &[]).unwrap();
        assert_eq!(
            china.to_string(),
            "https://lake.s3.cn-north-1.amazonaws.com.cn/a"
        );
        let given = Location::at("http://127.0.0.1:9000/", "lake", None).unwrap();
        assert_eq!(uri(&given, "a"), "http://127.0.0.1:9000/lake/a");
        let hosted = Location::at("https://s3.example.com", "lake", Some(false)).unwrap();
        assert_eq!(uri(&hosted, "a"), "https://lake.s3.example.com/a");
    }

    #[test]
    fn keys_below_a_folder_are_the_same_to_their_reader() {
        let location = Location::at("http://h", "b", None)
            .unwrap()
            .below("zone/o@x/prod");
        assert_eq!(uri(&location, "a/b"), "http://h/b/zone/o%40x/prod/a/b");
        assert_eq!(location.whole("a/b"), "zone/o@x/prod/a/b");
        assert_eq!(location.inner("zone/o@x/prod/a/b"), Some("a/b"));
        assert_eq!(location.inner("zone/o@x/dev/a/b"), None);
    }

    #[test]
    fn every_odd_character_is_escaped_once() {
        let location = Location::at("http://h", "b", None).unwrap();
        assert_eq!(
            uri(&location, "é a/%2F+~-_.(x)*'!=&?#"),
            "http://h/b/%C3%A9%20a/%252F%2B~-_.%28x%29%2A%27%21%3D%26%3F%23"
        );
        let query = [("prefix", "a/é +"), ("uploads", "")];
        assert_eq!(
            location.uri("r", None, &query).unwrap().to_string(),
            "http://h/b?prefix=a%2F%C3%A9%20%2B&uploads="
        );
    }

    #[test]
    fn an_endpoint_that_is_no_plain_address_is_refused() {
        for endpoint in [
            "",
            "s3.example.com",
            "ftp://h",
            "http://user:pass@h",
            "http://h/?q=1",
            "file:///etc",
        ] {
            assert!(Location::at(endpoint, "b", None).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn a_key_that_would_be_rewritten_on_the_way_is_refused() {
        let long = "x".repeat(1_025);
        for key in ["", "/a", "a//b", "a/", "a/../b", ".", "a\n", &long] {
            assert!(check_key(key).is_err(), "{key:?}");
        }
        assert!(check_key(&"é".repeat(512)).is_ok());
    }
}
