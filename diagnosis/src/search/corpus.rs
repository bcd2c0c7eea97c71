//! The paragraphs and where each word stands, from which position to which.
//!
//! A unit is a paragraph of a document for as long as it stood there. Units lie in the order in
//! which they became known, so that what was known at a position is a first part of every list,
//! and what no longer held then is counted by a second list of ends. A count as of a position is
//! the difference of two places, not a walk.

use std::collections::HashMap;
use std::sync::Arc;

use super::meaning::Directions;
use super::vocabulary::Vocabulary;
use super::words::words;
use super::{B, DocumentId, DocumentKind, K1};

/// Still known.
const OPEN: u64 = u64::MAX;
/// Counts up to this one have their shares computed once a question.
const TABLED: usize = 4;

/// A paragraph, however often and wherever it stands.
#[derive(Debug)]
pub struct Passage {
    /// The text.
    pub text: Arc<str>,
    /// How many words it has.
    pub length: u16,
    /// How often it has each term, by term.
    counts: Box<[(u32, u16)]>,
}

impl Passage {
    /// How often it has a term, if it does.
    pub fn count(&self, term: u32) -> Option<u16> {
        let at = self.counts.binary_search_by_key(&term, |(term, _)| *term).ok()?;
        Some(self.counts[at].1)
    }
}

/// The units, each part of them in a list of its own: a question reads few of the lists, from end
/// to end.
#[derive(Debug, Default)]
struct Units {
    document: Vec<u32>,
    passage: Vec<u32>,
    field: Vec<&'static str>,
    since: Vec<u64>,
    until: Vec<u64>,
    /// Words in all units up to each, that one included.
    words: Vec<u64>,
    /// One more than the highest number of a passage up to each, that one included.
    passages_known: Vec<u32>,
}

/// That a unit has a term; all that a score needs, so that scoring reads one list in order.
#[derive(Clone, Copy, Debug)]
struct Posting {
    unit: u32,
    count: u16,
    length: u16,
}

#[derive(Debug, Default)]
struct Postings {
    units: Vec<Posting>,
    /// The positions at which one of them ended, in order.
    ended: Vec<u64>,
}

#[derive(Debug)]
struct Document {
    id: DocumentId,
    units: Vec<u32>,
    live: Vec<u32>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Corpus {
    passages: Vec<Passage>,
    /// Of the passages, where their meaning counts too.
    directions: Option<Directions>,
    by_text: HashMap<Arc<str>, u32>,
    documents: Vec<Document>,
    by_id: HashMap<DocumentId, u32>,
    units: Units,
    /// The position at which each end happened, and the words of all units that had ended then.
    ended: Vec<(u64, u64)>,
    terms: Vec<Postings>,
    position: u64,
}

impl Corpus {
    /// Of paragraphs that have directions.
    pub fn with_directions(directions: Directions) -> Self {
        Self { directions: Some(directions), ..Self::default() }
    }

    /// How many units there ever were.
    pub fn units(&self) -> usize {
        self.units.since.len()
    }

    /// Whether there ever was such a document.
    pub fn contains(&self, document: &DocumentId) -> bool {
        self.by_id.contains_key(document)
    }

    /// The paragraph of this text, read once however often it stands somewhere: machines give
    /// thousands of incidents the same title.
    pub fn passage(&mut self, vocabulary: &mut Vocabulary, text: &str) -> u32 {
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        let mut counts: HashMap<u32, u16> = HashMap::new();
        let mut length = 0u16;
        words(text, |_, word| {
            let count = counts.entry(vocabulary.learn(word)).or_default();
            *count = count.saturating_add(1);
            length = length.saturating_add(1);
        });
        let mut counts: Box<[(u32, u16)]> = counts.into_iter().collect();
        counts.sort_unstable();
        let number = u32::try_from(self.passages.len()).expect("fewer texts than memory holds");
        if let Some(directions) = &mut self.directions {
            directions.push(text);
        }
        let text: Arc<str> = text.into();
        self.passages.push(Passage { text: text.clone(), length, counts });
        self.by_text.insert(text, number);
        number
    }

    /// Makes `contents` what the document is from `position` on. Units that stay the same go on.
    pub fn replace(
        &mut self,
        position: u64,
        document: &DocumentId,
        contents: &[(&'static str, u32)],
    ) {
        assert!(
            position >= self.position,
            "position {position} comes behind {}: what was answered would change",
            self.position
        );
        self.position = position;
        let number = match self.by_id.get(document) {
            Some(number) => *number,
            None if contents.is_empty() => return,
            None => self.add_document(document),
        };
        let mut before = std::mem::take(&mut self.documents[number as usize].live);
        let mut live = Vec::with_capacity(contents.len());
        for content in contents {
            let stays = before.iter().position(|unit| {
                let unit = *unit as usize;
                (self.units.field[unit], self.units.passage[unit]) == *content
            });
            match stays {
                Some(at) => live.push(before.remove(at)),
                None => live.push(self.begin(position, number, *content)),
            }
        }
        for unit in before {
            self.end(position, unit);
        }
        self.documents[number as usize].live = live;
    }

    fn add_document(&mut self, id: &DocumentId) -> u32 {
        let number = u32::try_from(self.documents.len()).expect("fewer than memory holds");
        self.documents.push(Document { id: id.clone(), units: Vec::new(), live: Vec::new() });
        self.by_id.insert(id.clone(), number);
        number
    }

    fn begin(&mut self, position: u64, document: u32, content: (&'static str, u32)) -> u32 {
        let unit = u32::try_from(self.units()).expect("fewer than memory holds");
        let (field, passage) = content;
        let Passage { length, counts, .. } = &self.passages[passage as usize];
        for &(term, count) in counts {
            let term = term as usize;
            if self.terms.len() <= term {
                self.terms.resize_with(term + 1, Postings::default);
            }
            self.terms[term].units.push(Posting { unit, count, length: *length });
        }
        let units = &mut self.units;
        units.words.push(units.words.last().copied().unwrap_or(0) + u64::from(*length));
        units
            .passages_known
            .push(units.passages_known.last().copied().unwrap_or(0).max(passage + 1));
        units.document.push(document);
        units.passage.push(passage);
        units.field.push(field);
        units.since.push(position);
        units.until.push(OPEN);
        self.documents[document as usize].units.push(unit);
        unit
    }

    fn end(&mut self, position: u64, unit: u32) {
        let unit = unit as usize;
        self.units.until[unit] = position;
        let Passage { length, counts, .. } = &self.passages[self.units.passage[unit] as usize];
        for (term, _) in counts {
            self.terms[*term as usize].ended.push(position);
        }
        let words = self.ended.last().map_or(0, |(_, words)| *words) + u64::from(*length);
        self.ended.push((position, words));
    }

    /// The document that a unit is of, and the position that made the unit known.
    pub fn origin(&self, unit: usize) -> (&DocumentId, u64) {
        (&self.documents[self.units.document[unit] as usize].id, self.units.since[unit])
    }

    /// The field and the paragraph that a unit is.
    pub fn content(&self, unit: usize) -> (&'static str, &Passage) {
        (self.units.field[unit], &self.passages[self.units.passage[unit] as usize])
    }

    /// What was known at a position.
    pub fn as_of(&self, at: u64) -> AsOf<'_> {
        let units = self.units.since.partition_point(|since| *since <= at);
        let ended = self.ended.partition_point(|(position, _)| *position <= at);
        let words = |sums: Option<u64>| sums.unwrap_or(0);
        let begun = words(units.checked_sub(1).map(|last| self.units.words[last]));
        let gone = words(ended.checked_sub(1).map(|last| self.ended[last].1));
        let count = (units - ended) as f64;
        let mean = if units > ended { (begun - gone) as f64 / count } else { 0.0 };
        AsOf { corpus: self, at, units, count, mean }
    }
}

/// The corpus as it was known at a position.
pub struct AsOf<'c> {
    corpus: &'c Corpus,
    at: u64,
    units: usize,
    /// Paragraphs that held.
    count: f64,
    /// Words of a paragraph, on average.
    mean: f64,
}

impl AsOf<'_> {
    /// How many units began up to then, those that ended included.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The units that held then, the latest last.
    pub fn held(&self) -> impl DoubleEndedIterator<Item = usize> {
        let until = self.corpus.units.until[..self.units].iter().enumerate();
        until.filter(|(_, until)| **until > self.at).map(|(unit, _)| unit)
    }

    /// The number of the paragraph that each unit is.
    pub fn passages(&self) -> &[u32] {
        &self.corpus.units.passage[..self.units]
    }

    /// The kind of the document that a unit is of.
    pub fn kind(&self, unit: usize) -> DocumentKind {
        self.corpus.origin(unit).0.kind
    }

    /// How near each paragraph that was known is to what a question means, and from where on that
    /// is near enough; none where nothing has a direction, or the question has none.
    pub fn cosines(&self, question: &str) -> Option<(Vec<f32>, f64)> {
        let directions = self.corpus.directions.as_ref()?;
        let known = self.corpus.units.passages_known[..self.units].last().copied().unwrap_or(0);
        Some((directions.cosines(question, known as usize)?, directions.least_near()))
    }

    /// The fields of the unit's document that had any of the terms then.
    pub fn fields_with(&self, unit: usize, terms: &[u32]) -> Vec<&'static str> {
        let corpus = self.corpus;
        let document = &corpus.documents[corpus.units.document[unit] as usize];
        let mut fields = Vec::new();
        for unit in document.units.iter().map(|unit| *unit as usize) {
            let (field, passage) = corpus.content(unit);
            if corpus.units.since[unit] <= self.at
                && corpus.units.until[unit] > self.at
                && !fields.contains(&field)
                && terms.iter().any(|term| passage.count(*term).is_some())
            {
                fields.push(field);
            }
        }
        fields.sort_unstable();
        fields
    }

    fn postings(&self, term: u32) -> (&[Posting], usize) {
        let Some(postings) = self.corpus.terms.get(term as usize) else { return (&[], 0) };
        let begun = postings.units.partition_point(|posting| (posting.unit as usize) < self.units);
        let ended = postings.ended.partition_point(|position| *position <= self.at);
        (&postings.units[..begun], ended)
    }

    /// The inverse document frequency of a term; none when no paragraph had it.
    pub fn weight(&self, term: u32) -> Option<f64> {
        let (begun, ended) = self.postings(term);
        let with = (begun.len() - ended) as f64;
        (with > 0.0).then(|| (1.0 + (self.count - with + 0.5) / (with + 0.5)).ln())
    }

    /// The share of a score that a term has, which stands `count` times among `length` words.
    pub fn share(&self, idf: f64, count: u16, length: u16) -> f64 {
        let count = f64::from(count);
        let norm = K1 * (1.0 - B + B * f64::from(length) / self.mean);
        idf * (count * (K1 + 1.0)) / (count + norm)
    }

    /// Adds the shares of a term to the scores of the units.
    pub fn add(&self, term: u32, idf: f64, scores: &mut [f64]) {
        let (postings, _) = self.postings(term);
        let longest = postings.iter().map(|posting| posting.length).max().unwrap_or(0);
        let lengths = usize::from(longest) + 1;
        // Few lists are so short that a table costs more than it saves.
        let table: Vec<f64> = if postings.len() > TABLED * lengths {
            let counts = (1..=TABLED as u16)
                .flat_map(|count| (0..=longest).map(move |length| self.share(idf, count, length)));
            counts.collect()
        } else {
            Vec::new()
        };
        for posting in postings {
            let place = (usize::from(posting.count) - 1) * lengths + usize::from(posting.length);
            let share = match table.get(place) {
                Some(share) => *share,
                None => self.share(idf, posting.count, posting.length),
            };
            scores[posting.unit as usize] += share;
        }
    }
}
