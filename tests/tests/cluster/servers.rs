//! Real servers on one base.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events::{Event, EventId, Timestamp};
use nix::sys::signal::Signal;
use serde_json::json;
use tests::server::Server;

use crate::pair::{
    self, Base, LIMIT, QUESTION, agree, batch, becomes, history, is_the_fold, post, role,
};

/// Longer than a busy machine keeps the store from answering.
const LEASE_MS: u64 = 10_000;
/// Longer than any test waits: a lease that ran out is not what ends it.
const ENDLESS_MS: u64 = 3_600_000;

/// Asserts that one of the two is the holder; it and the other one.
async fn told_apart(one: Server, other: Server) -> (Server, Server) {
    let roles = (role(&one).await, role(&other).await);
    match (roles.0.as_str(), roles.1.as_str()) {
        ("holder", "follower") => (one, other),
        ("follower", "holder") => (other, one),
        _ => panic!("{roles:?}"),
    }
}

/// What the graph says of who owns `payments`, once it contains `position`.
async fn owner(server: &Server, position: u64) -> serde_json::Value {
    let question = format!("{{ component(id: \"payments\", waitFor: {position}) {{ owner }} }}");
    server.graphql(&question).await["component"]["owner"].clone()
}

fn owned_by(owner: &str) -> Event {
    let document = json!({
        "specversion": "1.0", "id": EventId::generate().to_string(), "source": "/tests",
        "type": "io.faultline.component.described.v1", "time": "2026-03-01T11:00:00Z",
        "data": { "component": "payments", "owner": owner }
    });
    Event::from_cloud_event(document, Timestamp::now()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_takes_events_and_answers_and_a_stopped_holder_hands_over_at_once() {
    let base = Base::with_lease_of(ENDLESS_MS).await;
    let (one, other) = tokio::join!(base.server("ada"), base.server("ben"));
    let (holder, follower) = told_apart(one, other).await;
    let (status, refused) = follower.post_to("/v1/admin/rebuild").await.unwrap();
    assert_eq!((status, &refused["error"]["code"]), (409, &"not_holder".into()), "{refused}");
    for (server, held) in [(&holder, 1), (&follower, 0)] {
        let metrics = server.text("/metrics").await.unwrap();
        let wanted = format!("faultline_lease_held {held}");
        assert!(metrics.contains(&wanted), "{metrics}");
    }

    // Who is told of a position finds it wherever it asks.
    for (n, server) in [&follower, &holder, &follower, &follower].into_iter().enumerate() {
        let said = format!("team {n}");
        let position = post(server, &[owned_by(&said)]).await;
        assert_eq!(owner(&follower, position).await, said.as_str());
        assert_eq!(owner(&holder, position).await, said.as_str());
    }

    let history = history(12, 45, "payments");
    let (before, after) = history.split_at(history.len() * 3 / 4);
    post(&follower, before).await;
    let answer = agree(&holder, &follower).await;
    assert_ne!(answer["incidents"]["edges"], json!([]), "{answer}");

    post(&holder, after).await;
    holder.stop();
    becomes(&follower, "holder").await;
    let position = post(&follower, &[owned_by("the next")]).await;
    assert_eq!(owner(&follower, position).await, "the next");
    let back = base.server("cyd").await;
    assert_eq!(role(&back).await, "follower");
    agree(&follower, &back).await;
    base.recorded();
    assert_eq!(base.stored_hash().await, base.folded_hash().await);

    // A rebuilt graph is the follower's too, whoever asks for it of the right one.
    is_the_fold(&follower).await;
    let position = post(&back, &[owned_by("who comes last")]).await;
    assert_eq!(owner(&back, position).await, "who comes last");
    agree(&follower, &back).await;
}

/// Clients that append without pause, and what they were told.
#[derive(Default)]
struct Load {
    acknowledged: Mutex<BTreeSet<EventId>>,
    over: AtomicBool,
}

impl Load {
    /// Appends through the first server, and through the other one when it does not answer: with
    /// the same ids, because what became of them is not known.
    async fn of_client(&self, servers: [&Server; 2], events: Vec<Event>) {
        let mut at = 0;
        for chunk in events.chunks(3) {
            let batch = batch(chunk);
            loop {
                match servers[at].post(&batch).await {
                    Ok((200, _)) => break,
                    Ok((503, _)) | Err(_) => at = 1 - at,
                    Ok((status, answer)) => panic!("{status}: {answer}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            self.acknowledged.lock().unwrap().extend(chunk.iter().map(|event| event.id));
            if self.over.load(Ordering::Relaxed) {
                return;
            }
        }
        panic!("there were not enough events");
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until so many more events are acknowledged.
    async fn goes_on(&self, more: usize) {
        let (started, from) = (Instant::now(), self.acknowledged());
        while self.acknowledged() < from + more {
            assert!(started.elapsed() < LIMIT, "no further events are acknowledged");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn answers(server: &Server, times: usize) {
    for _ in 0..times {
        let answer = server.graphql(QUESTION).await;
        assert_ne!(answer["components"]["edges"], json!([]), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_killed_under_load_is_replaced_and_nothing_is_lost_or_projected_twice() {
    let base = Base::with_lease_of(LEASE_MS).await;
    let (one, other) = tokio::join!(base.server("ada"), base.server("ben"));
    let (holder, follower) = told_apart(one, other).await;
    let history = history(12, 40, "payments");
    post(&follower, &history).await;
    agree(&holder, &follower).await;

    let load = Load::default();
    let clients = async {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (n, event) in pair::history(15, 2_000, "catalog").into_iter().enumerate() {
            if n / 10 % 2 == 0 { first.push(event) } else { second.push(event) }
        }
        tokio::join!(
            load.of_client([&holder, &follower], first),
            load.of_client([&follower, &holder], second)
        );
    };
    let story = async {
        load.goes_on(100).await;
        tokio::join!(answers(&holder, 5), answers(&follower, 5));
        assert_eq!(role(&holder).await, "holder");
        holder.sigkill();
        let killed = Instant::now();
        tokio::join!(becomes(&follower, "holder"), answers(&follower, 5), load.goes_on(30));
        eprintln!("replaced {} ms after it was killed", killed.elapsed().as_millis());
        load.goes_on(100).await;
        load.over.store(true, Ordering::Relaxed);
    };
    tokio::join!(clients, story);
    follower.settled(LIMIT).await;

    let recorded = base.recorded();
    let acknowledged = load.acknowledged.into_inner().unwrap();
    assert!(acknowledged.is_subset(&recorded), "what was acknowledged is there");
    assert_eq!(base.stored_hash().await, base.folded_hash().await);

    // The one that comes back follows.
    drop(holder);
    let back = base.server("ada").await;
    assert_eq!(role(&back).await, "follower");
    agree(&follower, &back).await;
    is_the_fold(&follower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_paused_and_wakes_up_writes_nothing_and_follows() {
    let base = Base::with_lease_of(LEASE_MS).await;
    let (one, other) = tokio::join!(base.server("ada"), base.server("ben"));
    let (paused, next) = told_apart(one, other).await;
    let history = history(12, 45, "payments");
    let parts: Vec<&[Event]> = history.chunks(history.len().div_ceil(3)).collect();
    post(&paused, parts[0]).await;
    paused.settled(LIMIT).await;

    // With work in its hands.
    post(&next, &parts[1][..50]).await;
    paused.signal(Signal::SIGSTOP);
    post(&next, &parts[1][50..]).await;
    becomes(&next, "holder").await;
    next.settled(LIMIT).await;
    paused.signal(Signal::SIGCONT);
    post(&paused, parts[2]).await;
    becomes(&paused, "follower").await;
    let answer = agree(&next, &paused).await;
    assert_ne!(answer["incidents"]["edges"], json!([]), "{answer}");
    assert_eq!(role(&next).await, "holder");
    base.recorded();
    assert_eq!(base.stored_hash().await, base.folded_hash().await);
    is_the_fold(&next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_store_that_is_away_costs_nothing_but_time() {
    let mut base = Base::with_lease_of(LEASE_MS).await;
    let (one, other) = tokio::join!(base.server("ada"), base.server("ben"));
    let history = history(12, 45, "payments");
    let (before, after) = history.split_at(history.len() / 2);
    post(&one, before).await;
    agree(&one, &other).await;
    base.without_the_graph(async || {
        // The log takes what it is given, and nobody holds a lease that no store confirms.
        let (first, second) = after.split_at(after.len() / 2);
        tokio::join!(post(&one, first), post(&other, second));
        tokio::join!(becomes(&one, "follower"), becomes(&other, "follower"));
    })
    .await;
    let answer = agree(&one, &other).await;
    assert_ne!(answer["incidents"]["edges"], json!([]), "{answer}");
    told_apart(one, other).await;
    base.recorded();
    assert_eq!(base.stored_hash().await, base.folded_hash().await);
}
