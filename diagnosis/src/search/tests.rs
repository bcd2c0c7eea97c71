//! The index against scores counted by hand from the documents themselves.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rust_stemmers::{Algorithm, Stemmer};

use super::*;

mod meaning;

fn runbook(key: impl ToString) -> DocumentId {
    DocumentId { kind: DocumentKind::Runbook, key: key.to_string() }
}

fn query(text: &str) -> Query {
    Query::read(text).unwrap()
}

fn keys(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.document.key.as_str()).collect()
}

fn stems(text: &str) -> Vec<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut stems = Vec::new();
    words(text, |_, word| stems.push(stemmer.stem(word).into_owned()));
    stems
}

/// Documents as they are told one after the other: `None` removes.
#[derive(Clone, Debug)]
struct Told {
    position: u64,
    document: usize,
    fields: Option<[String; 2]>,
}

/// What BM25 gives, from the documents as they are at `at` and nothing else.
fn by_hand(told: &[Told], asked: &str, at: u64) -> Vec<(String, f64)> {
    let mut documents: BTreeMap<usize, Option<[String; 2]>> = BTreeMap::new();
    for told in told.iter().filter(|told| told.position <= at) {
        documents.insert(told.document, told.fields.clone());
    }
    let units: Vec<(usize, Vec<String>)> = documents
        .iter()
        .filter_map(|(document, fields)| Some((*document, fields.as_ref()?)))
        .flat_map(|(document, fields)| {
            let passages = fields.iter().flat_map(|field| passages(field));
            passages.map(move |passage| (document, stems(passage))).collect::<Vec<_>>()
        })
        .collect();
    let count = units.len() as f64;
    let mean = units.iter().map(|(_, stems)| stems.len()).sum::<usize>() as f64 / count;
    let mut asked_stems: Vec<String> = Vec::new();
    for stem in stems(asked) {
        if !asked_stems.contains(&stem) {
            asked_stems.push(stem);
        }
    }
    let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
    for (document, stems) in &units {
        let mut score = 0.0;
        for asked in &asked_stems {
            let with = units.iter().filter(|(_, stems)| stems.contains(asked)).count() as f64;
            let times = stems.iter().filter(|stem| *stem == asked).count() as f64;
            if times > 0.0 {
                let idf = (1.0 + (count - with + 0.5) / (with + 0.5)).ln();
                let norm = K1 * (1.0 - B + B * stems.len() as f64 / mean);
                score += idf * (times * (K1 + 1.0)) / (times + norm);
            }
        }
        let best = scores.entry(*document).or_default();
        *best = best.max(score);
    }
    let mut found: Vec<(usize, f64)> = scores.into_iter().filter(|(_, s)| *s > 0.0).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.into_iter().map(|(document, score)| (document.to_string(), score)).collect()
}

fn index_of(told: &[Told]) -> TextIndex {
    told_to(TextIndex::default(), told)
}

fn told_to(mut index: TextIndex, told: &[Told]) -> TextIndex {
    for Told { position, document, fields } in told {
        match fields {
            Some([title, text]) => {
                index.put(*position, &runbook(document), &[("title", title), ("text", text)]);
            }
            None => index.remove(*position, &runbook(document)),
        }
    }
    index
}

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("pool"),
        Just("exhausted"),
        Just("PaymentTimeout"),
        Just("timeouts"),
        Just("orders"),
        Just("slow"),
        Just("\n\n"),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    let fields = prop::option::weighted(0.85, [text(), text()]);
    prop::collection::vec((0..3u64, 0..6usize, fields), 1..40).prop_map(|told| {
        let mut position = 0;
        told.into_iter()
            .map(|(step, document, fields)| {
                position += step;
                Told { position, document, fields }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn scores_are_those_counted_by_hand_at_any_position(
        told in told(), asked in "(pool|timeout|order|slow|payment)( (exhausted|slow|pools))?", at in 0..60u64,
    ) {
        let hits = index_of(&told).search(&query(&asked), &[], at, 100);
        let found: BTreeMap<String, f64> =
            hits.iter().map(|hit| (hit.document.key.clone(), hit.score)).collect();
        let by_hand: BTreeMap<String, f64> = by_hand(&told, &asked, at).into_iter().collect();
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), by_hand.keys().collect::<Vec<_>>());
        for (document, score) in &by_hand {
            prop_assert!((found[document] - score).abs() < 1e-9, "{} {}", found[document], score);
        }
        prop_assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
        for hit in &hits {
            let sum: f64 = hit.terms.iter().map(|(_, share)| share).sum();
            prop_assert!((sum - hit.score).abs() < 1e-9);
            prop_assert!(hit.snippet.iter().any(|part| part.matched), "{:?}", hit.snippet);
        }
    }

    /// QU-2.
    #[test]
    fn later_documents_do_not_change_an_answer(told in told(), cut in 0..40usize) {
        let cut = cut.min(told.len());
        let at = told[..cut].last().map_or(0, |told| told.position);
        let earlier: Vec<Told> =
            told.iter().filter(|told| told.position <= at).cloned().collect();
        let asked = query("pool timeout slow orders exhausted");
        let then = index_of(&earlier).search(&asked, &[], at, 100);
        prop_assert_eq!(index_of(&told).search(&asked, &[], at, 100), then);
    }

    /// The first few of an answer are the beginning of the whole one.
    #[test]
    fn fewer_are_the_first_of_more(told in told(), first in 1..6usize) {
        let index = index_of(&told);
        let asked = query("pool timeout slow");
        let all = index.search(&asked, &[], u64::MAX, 100);
        let few = index.search(&asked, &[], u64::MAX, first);
        prop_assert_eq!(&few[..], &all[..first.min(all.len())]);
    }
}

#[test]
fn identifiers_and_other_forms_of_a_word_are_found() {
    let mut index = TextIndex::default();
    index.put(1, &runbook("a"), &[("text", "raises PaymentTimeout when pool_exhausted")]);
    index.put(2, &runbook("b"), &[("text", "restarting gateways")]);
    for asked in ["timeout", "paymenttimeout", "PAYMENTTIMEOUT", "pools exhaust"] {
        assert_eq!(keys(&index.search(&query(asked), &[], u64::MAX, 9)), ["a"], "{asked}");
    }
    assert_eq!(keys(&index.search(&query("restart the gateway"), &[], u64::MAX, 9)), ["b"]);
    assert!(index.search(&query("nothing"), &[], u64::MAX, 9).is_empty());
}

#[test]
fn a_hit_says_where_and_by_what() {
    let mut index = TextIndex::default();
    let fields = [("title", "Slow orders"), ("text", "unrelated\n\nthe pool of orders was slow")];
    index.put(1, &runbook("a"), &fields);
    let hits = index.search(&query("pool orders missing"), &[], 1, 9);
    assert_eq!(hits[0].field, "text");
    assert_eq!(hits[0].fields, ["text", "title"]);
    let words: Vec<&str> = hits[0].terms.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(words, ["pool", "orders"]);
    assert_eq!(hits[0].since, 1);
}

#[test]
fn of_paragraphs_that_score_the_same_the_last_is_shown() {
    let mut index = TextIndex::default();
    index.put(1, &runbook("a"), &[("title", "slow"), ("text", "slow")]);
    index.put(2, &runbook("b"), &[("title", "slow"), ("text", "fast")]);
    index.put(3, &runbook("b"), &[("title", "slow"), ("text", "slow")]);
    let hits = index.search(&query("slow"), &[], 9, 1);
    assert_eq!((keys(&hits), hits[0].field, hits[0].since), (vec!["b"], "text", 3));
    let hits = index.search(&query("slow"), &[], 9, 9);
    let shown: Vec<_> = hits.iter().map(|hit| (hit.field, hit.since)).collect();
    assert_eq!(shown, [("text", 3), ("text", 1)]);
}

#[test]
fn of_documents_that_score_the_same_at_one_position_the_first_by_key_comes_first() {
    for order in [["a", "b"], ["b", "a"]] {
        let mut index = TextIndex::default();
        for key in order {
            index.put(1, &runbook(key), &[("title", "slow")]);
        }
        let found = |first| index.search(&query("slow"), &[], 9, first);
        assert_eq!(keys(&found(9)), ["a", "b"]);
        assert_eq!(keys(&found(1)), ["a"]);
        assert!(found(0).is_empty());
    }
}

#[test]
fn a_kind_that_is_not_asked_for_is_left_out() {
    let mut index = TextIndex::default();
    let incident = DocumentId { kind: DocumentKind::Incident, key: "i".into() };
    index.put(1, &incident, &[("title", "slow")]);
    index.put(2, &runbook("r"), &[("title", "slow")]);
    assert_eq!(keys(&index.search(&query("slow"), &[], 9, 9)), ["r", "i"], "the latest first");
    let only = index.search(&query("slow"), &[DocumentKind::Incident], 9, 9);
    assert_eq!(keys(&only), ["i"]);
    let only = index.search(&query("slow"), &[DocumentKind::Incident], 9, 1);
    assert_eq!(keys(&only), ["i"], "the better one is of another kind");
}

#[test]
fn what_did_not_change_is_not_said_again() {
    let mut index = TextIndex::default();
    index.put(1, &runbook("r"), &[("title", "slow"), ("text", "one\n\ntwo")]);
    index.put(2, &runbook("r"), &[("title", "slow"), ("text", "two\n\nthree")]);
    assert_eq!(index.kept(), 4);
    let since: BTreeSet<u64> =
        index.search(&query("two slow"), &[], 9, 9).iter().map(|hit| hit.since).collect();
    assert_eq!(since, BTreeSet::from([1]));
}
