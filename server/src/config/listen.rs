//! An address to listen on, or none.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// An address and port to listen on, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// Not at all.
    Off,
    /// There; port 0 lets the system choose.
    At(SocketAddr),
}

impl Listen {
    /// The address, if there is one.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let expected = || {
            format!(
                "expected an address and port such as \"127.0.0.1:4318\", or \"off\", got {text:?}"
            )
        };
        text.parse().map(Self::At).map_err(|_| expected())
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.address().map_or_else(|| "off".to_owned(), |address| address.to_string())
    }
}
