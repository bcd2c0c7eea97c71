use std::collections::{BTreeSet, VecDeque};

use events::ComponentName;
use proptest::prelude::*;

use super::*;

fn name(name: impl ToString) -> ComponentName {
    ComponentName::new(name.to_string()).unwrap()
}

fn names<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<ComponentName> {
    all.into_iter().map(name).collect()
}

fn graph(calls: &[(&str, &str)]) -> CallGraph {
    CallGraph::new([], calls.iter().map(|(from, to)| (name(from), name(to))))
}

fn is_client(component: &ComponentName) -> bool {
    component.as_str() == "users"
}

const SHOP: [(&str, &str); 7] = [
    ("users", "gateway"),
    ("gateway", "catalog"),
    ("gateway", "checkout"),
    ("checkout", "payments"),
    ("checkout", "orders"),
    ("catalog", "database"),
    ("orders", "database"),
];

#[test]
fn callers_of_callers_are_affected_by_the_shortest_path() {
    let shop = graph(&SHOP);
    let entrances = shop.entrances(is_client);
    assert_eq!(entrances, names(["gateway"]));
    let radius = shop.blast_radius(&name("database"), 3, &entrances);
    let told: Vec<_> = radius
        .affected
        .iter()
        .map(|it| (it.component.as_str(), it.distance, it.path.len()))
        .collect();
    let expected = [
        ("catalog", 1, 2),
        ("orders", 1, 2),
        ("checkout", 2, 3),
        ("gateway", 2, 3),
        ("users", 3, 4),
    ];
    assert_eq!(told, expected);
    assert_eq!(radius.affected[4].path, names(["users", "gateway", "catalog", "database"]));
    assert_eq!((radius.entrances, radius.entrances_affected), (1, 1));
    let near = shop.blast_radius(&name("database"), 1, &entrances);
    assert_eq!((near.affected.len(), near.entrances_affected), (2, 0));
    assert!(shop.blast_radius(&name("nobody"), 3, &entrances).affected.is_empty());
}

#[test]
fn a_cycle_ends_where_it_was_entered() {
    let ring = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")]);
    let radius = ring.blast_radius(&name("a"), 100, &[]);
    let told: Vec<_> =
        radius.affected.iter().map(|it| (it.component.as_str(), it.distance)).collect();
    assert_eq!(told, [("c", 1), ("b", 2)]);
    assert!(ring.cuts().is_empty(), "a ring has two ways round");
    assert!(ring.entrances(is_client).is_empty());
    assert!(ring.gates(&[]).is_empty());
}

#[test]
fn a_component_alone_depends_on_nobody() {
    let lonely = CallGraph::new(names(["alone"]), []);
    assert!(lonely.blast_radius(&name("alone"), 3, &[]).affected.is_empty());
    assert!(lonely.cuts().is_empty());
    assert!(lonely.entrances(is_client).is_empty(), "nothing begins there");
    let selfish = graph(&[("alone", "alone")]);
    assert!(selfish.cuts().is_empty());
    assert!(selfish.blast_radius(&name("alone"), 3, &[]).affected.is_empty());
}

#[test]
fn what_falls_apart_is_told() {
    let cuts = graph(&SHOP).cuts();
    let told: Vec<_> = cuts
        .iter()
        .map(|cut| {
            let parts = cut.parts.iter().map(|part| (part.size, part.members[0].as_str()));
            (cut.component.as_str(), parts.collect::<Vec<_>>())
        })
        .collect();
    let expected = vec![
        ("checkout", vec![(5, "catalog"), (1, "payments")]),
        ("gateway", vec![(5, "catalog"), (1, "users")]),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_gate_is_what_requests_cannot_get_round() {
    let shop = graph(&SHOP);
    let gates = shop.gates(&shop.entrances(is_client));
    let told: Vec<_> = gates.iter().map(|gate| (gate.component.as_str(), gate.behind)).collect();
    assert_eq!(told, [("gateway", 5), ("checkout", 2)]);
    assert_eq!(gates[1].members, names(["orders", "payments"]));
    // A second way in to checkout: the gateway no longer stands before it.
    let mut calls = SHOP.to_vec();
    calls.push(("users", "checkout"));
    let shop = graph(&calls);
    let gates = shop.gates(&shop.entrances(is_client));
    let told: Vec<_> = gates.iter().map(|gate| (gate.component.as_str(), gate.behind)).collect();
    assert_eq!(told, [("checkout", 2), ("gateway", 1)]);
}

#[test]
fn ten_thousand_calls_on_one_component_and_a_chain_of_as_many() {
    let star = CallGraph::new([], (0..10_000).map(|n| (name(format!("caller-{n}")), name("hub"))));
    let entrances = star.entrances(is_client);
    assert_eq!(star.blast_radius(&name("hub"), 3, &entrances).affected.len(), 10_000);
    let cuts = star.cuts();
    assert_eq!((cuts.len(), cuts[0].parts.len()), (1, 10_000));
    assert!(star.gates(&entrances).is_empty(), "the hub is reached from anywhere");

    let link = |n: usize| name(format!("{n:05}"));
    let chain = CallGraph::new([], (0..10_000).map(|n| (link(n), link(n + 1))));
    let cuts = chain.cuts();
    assert_eq!(cuts.len(), 9_999);
    assert!(cuts.iter().all(|cut| cut.parts.iter().map(|it| it.size).sum::<usize>() == 10_000));
    assert!(cuts.iter().all(|cut| cut.parts.iter().all(|it| it.members.len() <= NAMED)));
    let gates = chain.gates(&chain.entrances(is_client));
    assert_eq!((gates.len(), gates[0].behind, gates[9_999].behind), (10_000, 10_000, 1));
}

/// What is reached from `from` along `next`, without passing `without`.
fn reached(from: &[usize], next: &[Vec<usize>], without: Option<usize>) -> BTreeSet<usize> {
    let begin = from.iter().copied().filter(|&node| Some(node) != without);
    let mut seen: BTreeSet<_> = begin.collect();
    let mut queue: VecDeque<_> = seen.iter().copied().collect();
    while let Some(node) = queue.pop_front() {
        for &next in &next[node] {
            if Some(next) != without && seen.insert(next) {
                queue.push_back(next);
            }
        }
    }
    seen
}

/// The parts into which the undirected graph falls without one node.
fn pieces(next: &[Vec<usize>], without: Option<usize>) -> Vec<BTreeSet<usize>> {
    let mut pieces: Vec<BTreeSet<usize>> = Vec::new();
    for node in (0..next.len()).filter(|&node| Some(node) != without) {
        if !pieces.iter().any(|piece| piece.contains(&node)) {
            pieces.push(reached(&[node], next, without));
        }
    }
    pieces
}

fn some_calls() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..9u8, 0..9u8), 0..24)
}

proptest! {
    /// Against the definitions, read literally.
    #[test]
    fn cuts_and_gates_are_what_their_definitions_say(calls in some_calls()) {
        let all = CallGraph::new(names(0..9), calls.iter().map(|(a, b)| (name(a), name(b))));
        let undirected = all.neighbours();
        let whole = pieces(&undirected, None);
        let cuts = all.cuts();
        for node in 0..9 {
            let home = whole.iter().find(|piece| piece.contains(&node)).unwrap();
            let mut left: Vec<_> = pieces(&undirected, Some(node))
                .into_iter()
                .filter(|piece| piece.is_subset(home))
                .collect();
            left.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            let cut = cuts.iter().find(|cut| cut.component == name(node));
            prop_assert_eq!(cut.is_some(), left.len() > 1, "{}", node);
            if let Some(cut) = cut {
                let told: Vec<_> = cut.parts.iter().map(|part| part.members.clone()).collect();
                let expected: Vec<_> = left.iter().map(|it| names(it.iter())).collect();
                prop_assert_eq!(told, expected);
            }
        }
        let entrances = all.entrances(|_| false);
        let begin: Vec<_> = entrances.iter().filter_map(|it| all.index_of(it)).collect();
        let everything = reached(&begin, &all.callees, None);
        let gates = all.gates(&entrances);
        for node in 0..9 {
            let mut behind = &everything - &reached(&begin, &all.callees, Some(node));
            behind.remove(&node);
            let gate = gates.iter().find(|gate| gate.component == name(node));
            let told = gate.map(|gate| gate.members.clone()).unwrap_or_default();
            prop_assert_eq!(told, names(behind.iter()), "behind {}", node);
            prop_assert_eq!(gate.map_or(0, |gate| gate.behind), behind.len());
        }
    }

    #[test]
    fn the_order_of_calls_does_not_matter(mut calls in some_calls(), depth in 0..5u32) {
        let of = |calls: &[(u8, u8)]| {
            let all = CallGraph::new([], calls.iter().map(|(a, b)| (name(a), name(b))));
            let entrances = all.entrances(|_| false);
            let radius = all.blast_radius(&name(0), depth, &entrances);
            for hit in &radius.affected {
                assert_eq!(hit.path.len(), hit.distance as usize + 1);
                assert!(hit.distance <= depth);
            }
            (radius, all.cuts(), all.gates(&entrances))
        };
        let before = of(&calls);
        calls.reverse();
        calls.extend(calls.clone());
        prop_assert_eq!(of(&calls), before);
    }
}
