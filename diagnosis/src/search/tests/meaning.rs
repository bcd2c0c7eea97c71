//! Words and meaning together, with a meaning that is made here.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::*;
use super::{Told, by_hand, index_of, keys, query, runbook, told, told_to};

/// Some words mean much the same: what a text means is the sum of its words' directions.
#[derive(Debug)]
struct Synonyms;

impl Synonyms {
    const NEAR: f64 = 0.7;
    const DIRECTIONS: [(&str, [f32; 3]); 6] = [
        ("pool", [1.0, 0.0, 0.1]),
        ("connections", [0.9, 0.2, 0.0]),
        ("slow", [0.0, 1.0, 0.0]),
        ("sluggish", [0.1, 0.9, 0.1]),
        ("orders", [0.0, 0.1, 1.0]),
        ("exhausted", [0.5, 0.5, -0.5]),
    ];
}

impl Meaning for Synonyms {
    fn of(&self, text: &str) -> Option<Vec<f32>> {
        let mut sum = [0.0; 3];
        words(text, |_, word| {
            let known = Self::DIRECTIONS.iter().find(|(known, _)| *known == word);
            for (sum, number) in sum.iter_mut().zip(known.map_or([0.0; 3], |(_, it)| *it)) {
                *sum += number;
            }
        });
        (sum != [0.0; 3]).then(|| sum.to_vec())
    }

    fn dimensions(&self) -> usize {
        3
    }

    fn least_near(&self) -> f64 {
        Self::NEAR
    }
}

fn meaning_of(told: &[Told]) -> TextIndex {
    told_to(TextIndex::with_meaning(Arc::new(Synonyms)), told)
}

/// Every paragraph that held, with its document, as [`by_hand`] finds them.
fn paragraphs(told: &[Told], at: u64) -> Vec<(usize, String)> {
    let mut documents: BTreeMap<usize, Option<[String; 2]>> = BTreeMap::new();
    for told in told.iter().filter(|told| told.position <= at) {
        documents.insert(told.document, told.fields.clone());
    }
    let fields = documents.into_iter().flat_map(|(document, fields)| {
        fields.into_iter().flatten().map(move |field| (document, field))
    });
    let passages = fields.flat_map(|(document, field)| {
        passages(&field).into_iter().map(|it| (document, it.to_owned())).collect::<Vec<_>>()
    });
    passages.collect()
}

fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (square / values.len() as f64).sqrt()
}

proptest! {
    /// Ranked as the sum of z-scores ranks, counted from the paragraphs that held and nothing else.
    #[test]
    fn words_and_meaning_rank_as_the_sum_of_z_scores(
        told in told(), asked in "(pool|slow|zebra)( (exhausted|sluggish|connections))?", at in 0..60u64,
    ) {
        let hits = meaning_of(&told).search(&query(&asked), &[], at, 100);
        let Some(direction) = Synonyms.of(&asked) else {
            prop_assert_eq!(hits, index_of(&told).search(&query(&asked), &[], at, 100));
            return Ok(());
        };
        let held = paragraphs(&told, at);
        // A document of each paragraph: what BM25 gives it among the same paragraphs.
        let alone: Vec<Told> = held.iter().enumerate().map(|(document, (_, text))| {
            Told { position: 1, document, fields: Some([text.clone(), String::new()]) }
        }).collect();
        let scored: BTreeMap<String, f64> = by_hand(&alone, &asked, 1).into_iter().collect();
        let bm25: Vec<f64> =
            (0..held.len()).map(|n| scored.get(&n.to_string()).copied().unwrap_or(0.0)).collect();
        let cosines: Vec<f64> = held.iter().map(|(_, text)| {
            let Some(paragraph) = Synonyms.of(text) else { return 0.0 };
            let product = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
            };
            product(&paragraph, &direction)
                / (product(&paragraph, &paragraph) * product(&direction, &direction)).sqrt()
        }).collect();
        let over = |spread: f64| if spread > 1e-6 { spread } else { 1.0 };
        let (of_words, of_cosines) = (over(deviation(&bm25)), over(deviation(&cosines)));
        // Bytes are not exact, so that what stands at the edge may fall to either side.
        prop_assume!(cosines.iter().all(|it| (it - Synonyms::NEAR).abs() > 0.02));
        prop_assume!(of_cosines == 1.0 || of_cosines > 0.05);
        let rounding = 0.01 / of_cosines.powi(2).min(1.0);
        let mut best: BTreeMap<String, f64> = BTreeMap::new();
        for (n, (document, _)) in held.iter().enumerate() {
            if bm25[n] > 0.0 || cosines[n] >= Synonyms::NEAR {
                let score = bm25[n] / of_words + cosines[n] / of_cosines;
                let best = best.entry(document.to_string()).or_insert(f64::MIN);
                *best = best.max(score);
            }
        }
        let found: BTreeMap<String, f64> =
            hits.iter().map(|hit| (hit.document.key.clone(), hit.score)).collect();
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), best.keys().collect::<Vec<_>>());
        for (document, score) in &best {
            prop_assert!((found[document] - score).abs() < rounding, "{} {}", found[document], score);
        }
        prop_assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
        for hit in &hits {
            let sum: f64 = hit.terms.iter().map(|(_, share)| share).sum();
            let meaning = hit.meaning.unwrap();
            prop_assert!((sum + meaning.share - hit.score).abs() < 1e-9);
            prop_assert!((-1.0..=1.0).contains(&meaning.cosine) && hit.score.is_finite());
            prop_assert!(!hit.snippet.is_empty());
            prop_assert!(!hit.terms.is_empty() || meaning.cosine >= Synonyms::NEAR);
        }
    }

    /// QU-2.
    #[test]
    fn later_documents_do_not_change_an_answer_by_meaning(told in told(), cut in 0..40usize) {
        let cut = cut.min(told.len());
        let at = told[..cut].last().map_or(0, |told| told.position);
        let earlier: Vec<Told> =
            told.iter().filter(|told| told.position <= at).cloned().collect();
        for asked in ["sluggish connections", "pool timeout slow orders", "exhausted zebra"] {
            let then = meaning_of(&earlier).search(&query(asked), &[], at, 100);
            prop_assert_eq!(meaning_of(&told).search(&query(asked), &[], at, 100), then);
        }
    }

    #[test]
    fn fewer_by_meaning_are_the_first_of_more(told in told(), first in 1..6usize) {
        let index = meaning_of(&told);
        let asked = query("sluggish connections timeout");
        let all = index.search(&asked, &[], u64::MAX, 100);
        let few = index.search(&asked, &[], u64::MAX, first);
        prop_assert_eq!(&few[..], &all[..first.min(all.len())]);
    }
}

fn meaning() -> TextIndex {
    TextIndex::with_meaning(Arc::new(Synonyms))
}

#[test]
fn a_paragraph_without_a_word_of_the_question_is_found_by_its_meaning() {
    let mut index = meaning();
    index.put(1, &runbook("a"), &[("title", "no more connections")]);
    index.put(2, &runbook("b"), &[("title", "orders are lost")]);
    index.put(3, &runbook("c"), &[("title", "certificate expired")]);
    let hits = index.search(&query("pool"), &[], 9, 9);
    assert_eq!(keys(&hits), ["a"]);
    assert_eq!((hits[0].terms.len(), hits[0].fields.len(), hits[0].field), (0, 0, "title"));
    let meaning = hits[0].meaning.unwrap();
    assert!(meaning.cosine > 0.9 && meaning.share == hits[0].score, "{meaning:?}");
    let shown: Vec<&SnippetPart> = hits[0].snippet.iter().collect();
    assert!(shown.len() == 1 && shown[0].text == "no more connections" && !shown[0].matched);
}

#[test]
fn what_is_neither_said_nor_meant_is_not_found() {
    let mut index = meaning();
    assert!(index.search(&query("pool"), &[], 9, 9).is_empty(), "there is nothing");
    for (position, text) in ["slow", "sluggish orders", "nothing that is known"].iter().enumerate()
    {
        index.put(position as u64, &runbook(position), &[("title", text)]);
    }
    assert!(index.search(&query("pool"), &[], 9, 9).is_empty());
    assert!(index.search(&query("zebra umbrella quantum"), &[], 9, 9).is_empty());
}

#[test]
fn where_nothing_differs_scores_are_still_numbers() {
    let mut index = meaning();
    index.put(1, &runbook("a"), &[("title", "the pool")]);
    let one = index.search(&query("pool of connections"), &[], 9, 9);
    assert!(one[0].score.is_finite() && one[0].score > 0.9, "{one:?}");
    index.put(2, &runbook("b"), &[("title", "the pool")]);
    let two = index.search(&query("pool of connections"), &[], 9, 9);
    assert_eq!(keys(&two), ["b", "a"], "the latest of equal ones first");
    assert!(two[0].score == two[1].score && two[0].score.is_finite());
}

#[test]
fn a_question_of_no_known_meaning_is_answered_by_words_alone() {
    let (mut words, mut both) = (TextIndex::default(), meaning());
    for index in [&mut words, &mut both] {
        index.put(1, &runbook("a"), &[("title", "certificate expired"), ("text", "slow pool")]);
        index.put(2, &runbook("b"), &[("title", "the certificate of orders")]);
    }
    let hits = both.search(&query("certificate"), &[], 9, 9);
    assert_eq!(hits, words.search(&query("certificate"), &[], 9, 9));
    assert!(hits.iter().all(|hit| hit.meaning.is_none()));
    assert!(both.search(&query("certificate pool"), &[], 9, 9)[0].meaning.is_some());
}
