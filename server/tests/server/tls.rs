//! An encrypted line.

use std::path::Path;

use reqwest::{Certificate, Client};
use tokio::runtime::Handle;

use crate::harness::{Server, eventually};

/// Writes a certificate of its own for this machine, and its key.
fn certificate(folder: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
    Certificate::from_pem(made.cert.pem().as_bytes()).expect("PEM")
}

fn trusting(certificate: Certificate) -> Client {
    Client::builder().tls_certs_only([certificate]).build().expect("a client")
}

#[tokio::test]
async fn the_line_is_encrypted_and_the_certificate_can_be_renewed() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = trusting(certificate(folder.path()));
    let server = Server::start_with(|config| {
        config.tls.cert = Some(folder.path().join("cert.pem"));
        config.tls.key = Some(folder.path().join("key.pem"));
    })
    .await;
    let url = server.url("/healthz");
    assert!(url.starts_with("https://"), "{url}");
    let answer = first.get(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(Client::new().get(&url).send().await.is_err(), "nobody vouches for it");
    assert!(Client::new().get(url.replace("https", "http")).send().await.is_err());
    let renewed = certificate(folder.path());
    eventually("the new certificate", async || {
        // A client of its own each time: connections that are open keep the old one.
        let answer = trusting(renewed.clone()).get(&url).send().await;
        answer.map(drop).map_err(|error| error.to_string())
    })
    .await;
    server.running.stop().await.expect("it drains");
}

#[tokio::test]
async fn a_certificate_that_is_none_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    certificate(folder.path());
    std::fs::write(folder.path().join("cert.pem"), "nothing").expect("written");
    let (mut config, _data) = crate::harness::settings();
    config.tls.cert = Some(folder.path().join("cert.pem"));
    config.tls.key = Some(folder.path().join("key.pem"));
    let error = server::run(config, &Handle::current()).await.err().expect("refused");
    assert!(error.to_string().contains("cert.pem"), "{error}");
}
