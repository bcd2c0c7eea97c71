//! The ways to search that are compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnosis::search::{DocumentId, DocumentKind, Query, TextIndex, passages};
use embedding::{Meanings, StaticEmbedding};
use events::{Event, EventData};

/// Rank fusion's constant (G. Cormack, C. Clarke, S. Büttcher, SIGIR 2009).
const RRF: f64 = 60.0;

/// What can be found.
pub struct Document {
    id: DocumentId,
    fields: Vec<(&'static str, String)>,
}

impl Document {
    /// The runbooks and the titles of incidents, in the order in which they became known.
    pub fn all(events: &[Event]) -> Vec<Self> {
        let document = |event: &Event| match &event.data {
            EventData::RunbookPublished(it) => Some(Self {
                id: DocumentId { kind: DocumentKind::Runbook, key: it.runbook.to_string() },
                fields: vec![("title", it.title.to_string()), ("text", it.text.to_string())],
            }),
            EventData::IncidentOpened(it) => Some(Self {
                id: DocumentId { kind: DocumentKind::Incident, key: it.incident.to_string() },
                fields: vec![("title", it.title.to_string())],
            }),
            _ => None,
        };
        events.iter().filter_map(document).collect()
    }
}

/// A document's place in what each way finds.
pub struct Ways {
    words: TextIndex,
    both: TextIndex,
    /// The directions of each document's paragraphs.
    meant: Vec<(DocumentId, Vec<Vec<f32>>)>,
    embedding: Arc<StaticEmbedding>,
}

impl Ways {
    /// Of these documents.
    pub fn of(documents: &[Document], embedding: &Arc<StaticEmbedding>, least_near: f64) -> Self {
        let meanings = Meanings::by(embedding.clone(), least_near);
        let mut both = TextIndex::with_meaning(Arc::new(meanings));
        let (mut words, mut meant) = (TextIndex::default(), Vec::new());
        for (position, document) in (0..).zip(documents) {
            let fields: Vec<(&'static str, &str)> =
                document.fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
            words.put(position, &document.id, &fields);
            both.put(position, &document.id, &fields);
            let paragraphs = fields.iter().flat_map(|(_, text)| passages(text));
            let directions = paragraphs.filter_map(|text| embedding.embed(text)).collect();
            meant.push((document.id.clone(), directions));
        }
        Self { words, both, meant, embedding: embedding.clone() }
    }

    /// What each way finds, the best first, by name.
    pub fn ask(&self, query: &Query, runbooks_only: bool) -> Vec<(&'static str, Vec<String>)> {
        let words = found(&self.words, query, runbooks_only);
        let meaning = self.by_meaning(query, runbooks_only);
        let fused = fused(&words, &meaning);
        vec![
            ("words (BM25)", words),
            ("meaning", meaning),
            ("both, reciprocal ranks", fused),
            ("both, standardized", self.by_both(query, runbooks_only)),
        ]
    }

    /// By words and meaning.
    pub fn by_both(&self, query: &Query, runbooks_only: bool) -> Vec<String> {
        found(&self.both, query, runbooks_only)
    }

    /// By the nearest paragraph of each document, every document.
    fn by_meaning(&self, query: &Query, runbooks_only: bool) -> Vec<String> {
        let Some(asked) = self.embedding.embed(query.text()) else { return Vec::new() };
        let cosine = |of: &Vec<f32>| of.iter().zip(&asked).map(|(a, b)| a * b).sum::<f32>();
        let of_kind = self.meant.iter().filter(|(id, _)| !runbooks_only || is_runbook(id));
        let mut nearest: Vec<(f32, &DocumentId)> = of_kind
            .filter_map(|(id, directions)| {
                Some((directions.iter().map(cosine).max_by(f32::total_cmp)?, id))
            })
            .collect();
        nearest.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        nearest.into_iter().map(|(_, id)| id.key.clone()).collect()
    }
}

fn is_runbook(id: &DocumentId) -> bool {
    id.kind == DocumentKind::Runbook
}

fn found(index: &TextIndex, query: &Query, runbooks_only: bool) -> Vec<String> {
    let kinds: &[DocumentKind] = if runbooks_only { &[DocumentKind::Runbook] } else { &[] };
    let hits = index.search(query, kinds, u64::MAX, usize::from(u16::MAX));
    hits.into_iter().map(|hit| hit.document.key).collect()
}

fn fused(words: &[String], meaning: &[String]) -> Vec<String> {
    let mut scores: BTreeMap<&String, f64> = BTreeMap::new();
    for list in [words, meaning] {
        for (place, document) in (1..).zip(list) {
            *scores.entry(document).or_default() += 1.0 / (RRF + f64::from(place));
        }
    }
    let mut fused: Vec<(&String, f64)> = scores.into_iter().collect();
    fused.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    fused.into_iter().map(|(document, _)| document.clone()).collect()
}
