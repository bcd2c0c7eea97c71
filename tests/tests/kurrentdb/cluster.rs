//! Several nodes, several of our servers on one database, and who may connect.

use events::log::{
    AppendError, EventLog, ExpectedRevision, KurrentLog, KurrentOpenError, KurrentOptions,
};
use futures::future::join_all;
use tests::kurrentdb::{Double, Setup};

use crate::{append, batch, copies, ids, open, recorded_ids, stream};

#[tokio::test]
async fn appends_follow_the_leader() {
    let (first, index) = (Double::start().await, tempfile::tempdir().unwrap());
    let second = first.another().await;
    // Through a follower that names the leader.
    let log = open(&second, index.path()).await;
    append(&log, "s", &batch(2)).await;
    drop(log);
    // Through gossip, and while the leader changes.
    let url = format!("kurrentdb://{},{}?tls=false", first.address(), second.address());
    let log = KurrentLog::open(KurrentOptions::new(url, index.path())).await.unwrap();
    let mut all = recorded_ids(&log.read_all(0, 10).await.unwrap());
    for leader in [&second, &first, &second] {
        leader.lead();
        let given = batch(2);
        append(&log, "s", &given).await;
        all.extend(ids(&given));
    }
    first.leave();
    let given = batch(1);
    append(&log, "s", &given).await;
    all.extend(ids(&given));
    assert_eq!(recorded_ids(&log.read_all(0, 100).await.unwrap()), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_share_a_database_see_and_refuse_the_same() {
    let double = Double::start().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let logs = [open(&double, folders[0].path()).await, open(&double, folders[1].path()).await];
    // The same batch through both at once is one batch.
    for _ in 0..10 {
        let given = batch(3);
        let answers = join_all(logs.iter().map(|log| append(log, "s", &given))).await;
        assert_eq!(answers[0], answers[1]);
        assert_eq!(copies(&double, given[0].id), 1);
    }
    // A retry through the other finds the first answer, whatever is expected.
    let given = batch(2);
    let answer = append(&logs[0], "s", &given).await;
    let retry = logs[1].append(stream("s"), ExpectedRevision::NoStream, given).await;
    assert_eq!(retry.unwrap(), answer);
    // One expectation, one winner.
    let tries =
        logs.iter().map(|log| log.append(stream("t"), ExpectedRevision::NoStream, batch(1)));
    let answers = join_all(tries).await;
    let refused = answers
        .iter()
        .filter(|answer| {
            matches!(answer, Err(AppendError::WrongExpectedRevision { actual: Some(0), .. }))
        })
        .count();
    assert_eq!((answers.iter().flatten().count(), refused), (1, 1), "{answers:?}");
}

#[tokio::test]
async fn credentials_come_from_the_url_or_beside_it() {
    // ops:p@ss:word
    let authorization = Some("Basic b3BzOnBAc3M6d29yZA==".to_owned());
    let double = Double::start_with(Setup { authorization, ..Setup::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let options = |user: &str, password: Option<&str>| {
        let url = double.url().replace("://", &format!("://{user}"));
        let mut options = KurrentOptions::new(url, folder.path());
        options.password = password.map(ToOwned::to_owned);
        options
    };
    for right in [options("ops:p%40ss:word@", None), options("ops@", Some("p@ss:word"))] {
        let log = KurrentLog::open(right).await.unwrap();
        append(&log, "s", &batch(1)).await;
    }
    for wrong in [options("", None), options("ops:wrong@", None)] {
        let refusal = KurrentLog::open(wrong).await.map(drop).unwrap_err();
        assert!(matches!(refusal, KurrentOpenError::Server { .. }), "{refusal:?}");
        assert!(!refusal.to_string().contains("wrong"), "{refusal}");
    }
}

#[tokio::test]
async fn the_line_is_encrypted_with_a_certificate_that_is_trusted() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    let identity = Some((certificate.clone(), certified.signing_key.serialize_pem()));
    let double = Double::start_with(Setup { identity, ..Setup::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let url = format!("{}?tlsCaFile={}", double.url(), file.display());
    let index = folder.path().join("index");
    let log = KurrentLog::open(KurrentOptions::new(url, &index)).await.unwrap();
    let given = batch(2);
    append(&log, "s", &given).await;
    assert_eq!(recorded_ids(&log.read_all(0, 10).await.unwrap()), ids(&given));
    drop(log);
    let mut unknown = KurrentOptions::new(double.url(), &index);
    unknown.patience = std::time::Duration::from_secs(1);
    let refusal = KurrentLog::open(unknown).await.map(drop).unwrap_err();
    assert!(matches!(refusal, KurrentOpenError::Server { .. }), "{refusal:?}");
}
