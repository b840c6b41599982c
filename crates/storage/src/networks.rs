//! A list of networks, as operators write one.

use std::net::IpAddr;

use ipnet::IpNet;
use offtake_model::Fault;

use crate::address;
use crate::network::unusable;

/// Networks and single addresses.
#[derive(Clone, Debug, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads the networks of a setting.
    ///
    /// # Errors
    /// `FIELD_INVALID`, naming the setting and the text that is no network.
    pub fn parse(setting: &str, texts: &[String]) -> Result<Self, Fault> {
        let networks = texts.iter().map(|text| {
            address::parse_net(text).ok_or_else(|| {
                unusable(&format!(
                    "`{setting}`: `{text}` is neither a network such as 10.0.0.0/8 nor an address"
                ))
            })
        });
        networks.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the address lies in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    pub(crate) fn into_inner(self) -> Vec<IpNet> {
        self.0
    }
}
