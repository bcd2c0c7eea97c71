//! Full-text search over what was known at any position of the log.
//!
//! A versioned BM25 index. Everything a score stands on, the number of paragraphs, how many of
//! them hold a word and how long they are on average, is counted as of the position that is asked
//! for: an answer does not change when later documents arrive (QU-2). General search engines keep
//! one corpus whose statistics move with every document, and cannot be asked like that.
//!
//! Documents are found by their best paragraph, so that a long post-mortem does not drown what it
//! says in one place. The score is BM25 (S. Robertson and H. Zaragoza, "The Probabilistic
//! Relevance Framework: BM25 and Beyond", 2009) with the inverse document frequency
//! ln(1 + (N - n + 0.5) / (n + 0.5)), which stays positive for words that nearly every paragraph
//! has (as in Apache Lucene's `BM25Similarity`). Words are compared by their English stems
//! (M. Porter's second Snowball stemmer).
//!
//! Where the index was given a [`Meaning`], paragraphs are also found by what they mean. The score
//! is the BM25 score over its standard deviation, plus the cosine over its own. Within a question
//! that orders as the sum of the two z-scores does, whose means are the same for every paragraph
//! (combining by sum after standardizing: M. Montague and J. Aslam, "Relevance Score Normalization
//! for Metasearch", CIKM 2001). The deviations are over the paragraphs that held at the position.
//! A question without a known meaning is answered as if there were words only.

mod corpus;
mod meaning;
mod passages;
mod query;
mod scores;
mod snippet;
#[cfg(test)]
mod tests;
mod vocabulary;
mod words;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use corpus::{AsOf, Corpus};
use meaning::Directions;
pub use meaning::{MAX_DIMENSIONS, Meaning};
pub use passages::{MAX_PASSAGE_CHARS, MAX_PASSAGES, passages};
pub use query::{MAX_QUERY_CHARS, MAX_QUERY_WORDS, Query, QueryError};
use scores::Scores;
pub use snippet::SnippetPart;
use snippet::snippet;
use vocabulary::Vocabulary;
pub(crate) use words::words;

/// How soon more of the same word counts no further.
pub const K1: f64 = 1.2;
/// How much the length of a paragraph counts.
pub const B: f64 = 0.75;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// What an incident is called and how it ended.
    Incident,
    /// What was learned from an incident.
    Postmortem,
    /// What people wrote down for the next time.
    Runbook,
    /// A log template of a component.
    LogPattern,
}

/// A document: its kind and its key among those of the kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentId {
    /// What it is.
    pub kind: DocumentKind,
    /// Which.
    pub key: String,
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The document.
    pub document: DocumentId,
    /// The score of its best paragraph; the shares of terms and meaning add up to it. By words
    /// alone it is BM25's, else a number of standard deviations, which may be below 0.
    pub score: f64,
    /// The words of the question that the paragraph has, each with its share of the score, in the
    /// order of the question.
    pub terms: Vec<(String, f64)>,
    /// How near the paragraph is to what the question means, where that counted.
    pub meaning: Option<Nearness>,
    /// The fields that have any of the words, by name; none when the meaning alone is near.
    pub fields: Vec<&'static str>,
    /// The field of the best paragraph.
    pub field: &'static str,
    /// The position that made the best paragraph known.
    pub since: u64,
    /// The piece of the best paragraph that shows the words, its beginning when it has none.
    pub snippet: Vec<SnippetPart>,
}

/// How near a paragraph is to what a question means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearness {
    /// The cosine of the two, from -1 to 1; 0 when nothing of the paragraph is known.
    pub cosine: f64,
    /// Its share of the score: below 0 when it points away.
    pub share: f64,
}

/// The index, of words only by default. Positions never go back: what is put or removed, is so at
/// a position at least as high as all before.
#[derive(Debug, Default)]
pub struct TextIndex {
    vocabulary: Vocabulary,
    corpus: Corpus,
}

impl TextIndex {
    /// An index in which what paragraphs mean counts beside their words. It keeps a byte for each
    /// number of a direction, for each different paragraph.
    ///
    /// # Panics
    /// When directions have more than [`MAX_DIMENSIONS`] numbers, or none.
    pub fn with_meaning(meaning: Arc<dyn Meaning>) -> Self {
        let corpus = Corpus::with_directions(Directions::new(meaning));
        Self { vocabulary: Vocabulary::default(), corpus }
    }

    /// Puts a document at `position`, in place of what it was before. Each field is a name and a
    /// text; paragraphs that did not change stay what they are.
    ///
    /// # Panics
    /// When `position` is below an earlier one.
    pub fn put(&mut self, position: u64, document: &DocumentId, fields: &[(&'static str, &str)]) {
        let mut contents = Vec::new();
        for (field, text) in fields {
            for passage in passages(text) {
                if contents.len() < MAX_PASSAGES {
                    contents.push((*field, self.corpus.passage(&mut self.vocabulary, passage)));
                }
            }
        }
        self.corpus.replace(position, document, &contents);
    }

    /// Removes a document at `position`, if it is there.
    ///
    /// # Panics
    /// When `position` is below an earlier one.
    pub fn remove(&mut self, position: u64, document: &DocumentId) {
        self.corpus.replace(position, document, &[]);
    }

    /// Whether the document was ever put.
    pub fn contains(&self, document: &DocumentId) -> bool {
        self.corpus.contains(document)
    }

    /// How many paragraphs the index keeps, those that were replaced included.
    pub fn kept(&self) -> usize {
        self.corpus.units()
    }

    /// The documents that answer the question as of position `at`, the best first, at most `first`
    /// of them and only of these kinds; of any kind when none is named. Of equal ones the latest
    /// comes first. A document answers that has a word of the question, or a paragraph that is
    /// near enough to what it means ([`Meaning::least_near`]).
    pub fn search(&self, query: &Query, kinds: &[DocumentKind], at: u64, first: usize) -> Vec<Hit> {
        // Beyond every position there is no other answer than behind the last one.
        let at = at.min(u64::MAX - 1);
        let known = self.corpus.as_of(at);
        let asked: Vec<Asked<'_>> = query
            .words()
            .filter_map(|word| Some((word, self.vocabulary.term(word)?)))
            .fold(Vec::new(), |mut asked: Vec<Asked<'_>>, (word, term)| {
                if asked.iter().all(|asked| asked.term != term) {
                    asked.extend(known.weight(term).map(|idf| Asked { word, term, idf }));
                }
                asked
            });
        let mut scores = vec![0.0; known.units()];
        for asked in &asked {
            known.add(asked.term, asked.idf, &mut scores);
        }
        let scores = Scores::new(&known, scores, known.cosines(query.text()));
        let mut top = Top::of(first);
        // The latest come first: of equal ones, of which there may be very many, hardly any has to
        // make room for another.
        for unit in known.held().rev() {
            let Some(score) = scores.of(&known, unit) else { continue };
            if score < top.least() || !(kinds.is_empty() || kinds.contains(&known.kind(unit))) {
                continue;
            }
            let (document, since) = self.corpus.origin(unit);
            top.offer(Candidate { score, since, document, unit });
        }
        top.found.iter().map(|found| self.hit(found, &asked, &known, &scores)).collect()
    }

    fn hit(
        &self,
        found: &Candidate<'_>,
        asked: &[Asked<'_>],
        known: &AsOf<'_>,
        scores: &Scores,
    ) -> Hit {
        let (field, passage) = self.corpus.content(found.unit);
        let shares = asked.iter().filter_map(|asked| {
            let count = passage.count(asked.term)?;
            let share = known.share(asked.idf, count, passage.length);
            Some((asked.word.to_owned(), share * scores.per_word()))
        });
        let place: HashMap<u32, usize> = asked.iter().map(|asked| asked.term).zip(0..).collect();
        let mut places = Vec::new();
        words(&passage.text, |at, word| {
            let asked = self.vocabulary.term(word).and_then(|term| place.get(&term));
            places.extend(asked.map(|asked| (at, *asked)));
        });
        let terms: Vec<u32> = asked.iter().map(|asked| asked.term).collect();
        Hit {
            document: found.document.clone(),
            score: found.score,
            terms: shares.collect(),
            meaning: scores
                .nearness(known, found.unit)
                .map(|(cosine, share)| Nearness { cosine, share }),
            fields: known.fields_with(found.unit, &terms),
            field,
            since: found.since,
            snippet: snippet(&passage.text, &places),
        }
    }
}

/// A word of the question that some paragraph has.
struct Asked<'q> {
    word: &'q str,
    term: u32,
    idf: f64,
}

/// The best candidates, each of another document, the best first.
struct Top<'i> {
    first: usize,
    found: Vec<Candidate<'i>>,
}

impl<'i> Top<'i> {
    fn of(first: usize) -> Self {
        Self { first, found: Vec::with_capacity(first) }
    }

    /// What scores less is not among them.
    fn least(&self) -> f64 {
        match self.found.last() {
            Some(last) if self.found.len() == self.first => last.score,
            _ => f64::NEG_INFINITY,
        }
    }

    fn offer(&mut self, candidate: Candidate<'i>) {
        let place = self.found.partition_point(|better| *better <= candidate);
        if place == self.first {
            return;
        }
        let same = self.found.iter().position(|other| other.document == candidate.document);
        match same {
            Some(better) if better < place => return,
            Some(worse) => drop(self.found.remove(worse)),
            None if self.found.len() == self.first => drop(self.found.pop()),
            None => {}
        }
        self.found.insert(place, candidate);
    }
}

/// A document on its way into the answer, by its best paragraph; the smaller the better.
struct Candidate<'i> {
    score: f64,
    since: u64,
    document: &'i DocumentId,
    unit: usize,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let scores = other.score.total_cmp(&self.score);
        let latest = || other.since.cmp(&self.since);
        scores.then_with(latest).then_with(|| self.document.cmp(other.document))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate<'_> {}
