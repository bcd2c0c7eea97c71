//! A server and what it takes to talk to it.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Method, RequestBuilder, Url};

/// Why there is no way to a server.
#[derive(Debug, thiserror::Error)]
pub enum InvalidServer {
    /// The address cannot be a server's.
    #[error(
        "expected the address of a server such as http://127.0.0.1:7700 or https://HOST, got {0:?}"
    )]
    Address(String),
    /// The file of certificates cannot be used.
    #[error("{}: {message}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A token that no request can carry.
    #[error("the token must be of printable ASCII characters without spaces")]
    Token,
    /// A client for TLS could not be made.
    #[error("could not prepare TLS for {url}; --ca-file FILE names the certificates to trust")]
    Tls {
        /// The server.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
}

/// What a server recognises its clients by. Its `Debug` form says nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as a header can carry it.
    pub fn new(text: &str) -> Result<Self, InvalidServer> {
        let text = text.trim();
        let printable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if printable { Ok(Self(text.to_owned())) } else { Err(InvalidServer::Token) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A server to talk to.
#[derive(Clone, Debug)]
pub struct Destination {
    http: reqwest::Client,
    url: String,
    token: Option<Token>,
}

impl Destination {
    /// The server at `server`, such as `http://127.0.0.1:7700`. With `ca_file`, it is trusted by
    /// the certificates of that file alone.
    pub fn new(
        server: &str,
        token: Option<Token>,
        ca_file: Option<&Path>,
    ) -> Result<Self, InvalidServer> {
        let invalid = || InvalidServer::Address(server.to_owned());
        let url = Url::parse(server).map_err(|_| invalid())?;
        let named = url.host_str().is_some_and(|host| !host.is_empty());
        // A password in an address would end up in messages and in the spool.
        let plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !named || !plain {
            return Err(invalid());
        }
        let mut client = reqwest::Client::builder().no_proxy();
        if let Some(path) = ca_file {
            client = client.tls_certs_only(certificates(path)?);
        } else if url.scheme() == "http" {
            // Nothing to trust: a machine without certificates must do for plain HTTP.
            client = client.tls_certs_only([]);
        }
        let url = server.trim_end_matches('/').to_owned();
        let http =
            client.build().map_err(|source| InvalidServer::Tls { url: url.clone(), source })?;
        Ok(Self { http, url, token })
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request for `path`, with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(Token(token)) => request.bearer_auth(token),
            None => request,
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, InvalidServer> {
    let error = |message: String| InvalidServer::Certificates { path: path.to_owned(), message };
    let text = std::fs::read(path).map_err(|source| error(source.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&text).map_err(|_| error(NO_PEM.to_owned()))?;
    if certificates.is_empty() {
        return Err(error(NO_PEM.to_owned()));
    }
    Ok(certificates)
}

const NO_PEM: &str = "expected certificates in PEM form (-----BEGIN CERTIFICATE-----)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_a_server_is_accepted() {
        let url = |server| Destination::new(server, None, None).map(|it| it.url().to_owned());
        assert_eq!(url("http://127.0.0.1:7700/").unwrap(), "http://127.0.0.1:7700");
        for wrong in ["127.0.0.1:7700", "http://", "ftp://x", "http://a:b@c"] {
            assert!(matches!(url(wrong), Err(InvalidServer::Address(_))), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" s3cret\n").unwrap();
        let destination = Destination::new("http://a", Some(token), None).unwrap();
        assert!(!format!("{destination:?}").contains("s3cret"));
        assert!(Token::new("a b").is_err() && Token::new("").is_err());
    }

    #[test]
    fn a_file_that_holds_no_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "nothing").unwrap();
        let error = Destination::new("https://a", None, Some(&path)).unwrap_err().to_string();
        assert!(error.ends_with(NO_PEM) && error.contains("ca.pem"), "{error}");
    }
}
