//! How the base did on its own incidents: what it noticed and how soon, whom it suspected, what it
//! found similar, held against what became known.

use events::Timestamp;

use super::bootstrap::{Interval, interval};

/// Resamples are drawn by it.
const SEED: u64 = 7;

/// What became of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// When it was opened.
    pub opened_at: Timestamp,
    /// From the injection of the fault behind it to its opening, in milliseconds; of other
    /// incidents nobody knows when they began.
    pub detected_after_ms: Option<f64>,
    /// From its opening to its end, in milliseconds.
    pub resolved_after_ms: Option<f64>,
    /// Whether labels say that nothing was wrong.
    pub false_positive: bool,
    /// Whether anything tells why it was opened: an injected fault, a deployment or change shortly
    /// before it, or labels.
    pub explained: bool,
    /// The detector and the signal that showed most, or who else opened it.
    pub noticed_by: String,
    /// Its last diagnosis.
    pub answer: Option<Answer>,
}

/// A diagnosis, held against labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The model that ranked, or else the method.
    pub by: String,
    /// Where the cause stood; absent when no label tells it.
    pub cause: Option<Place>,
    /// Whether the kind of fault of the first suspect was right; absent when no label tells it.
    pub kind: Option<bool>,
    /// Whether the most similar past incident was of the same kind; absent when none was found,
    /// or labels do not tell the kind of both.
    pub similar: Option<bool>,
}

/// Where a cause stood among the suspects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// So far from the first, which is 0.
    At(usize),
    /// It was not among them, or there were none.
    Missed,
}

impl Place {
    fn within(self, k: usize) -> bool {
        matches!(self, Self::At(place) if place < k)
    }
}

/// How many of how many, and between which shares that lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// So many …
    pub hits: usize,
    /// … of so many.
    pub of: usize,
    /// Absent without any.
    pub interval: Option<Interval>,
}

impl Share {
    /// Of what is known.
    pub fn of(known: impl Iterator<Item = bool>) -> Self {
        let known: Vec<f64> = known.map(|hit| f64::from(u8::from(hit))).collect();
        let hits = known.iter().filter(|hit| **hit > 0.0).count();
        let interval = (!known.is_empty()).then(|| interval(&known, SEED));
        Self { hits, of: known.len(), interval }
    }
}

/// How the base did on some incidents.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How many.
    pub incidents: usize,
    /// Those of them where nothing was wrong.
    pub false_positives: usize,
    /// Those of them that nothing explains.
    pub unexplained: usize,
    /// What is known of [`Past::detected_after_ms`], the shortest first.
    pub detected_after_ms: Vec<f64>,
    /// What is known of [`Past::resolved_after_ms`], the shortest first.
    pub resolved_after_ms: Vec<f64>,
    /// How often the cause was the first suspect.
    pub first: Share,
    /// How often it was among the first three.
    pub third: Share,
    /// How often the kind of fault was right.
    pub kind: Share,
    /// How often the most similar past incident was of the same kind.
    pub similar: Share,
}

impl Record {
    /// Of these incidents.
    pub fn of<'p>(past: impl Iterator<Item = &'p Past>) -> Self {
        let past: Vec<&Past> = past.collect();
        let sorted = |ms: fn(&Past) -> Option<f64>| {
            let mut known: Vec<f64> = past.iter().filter_map(|it| ms(it)).collect();
            known.sort_by(f64::total_cmp);
            known
        };
        let answers = || past.iter().filter_map(|it| it.answer.as_ref());
        let within = |k| Share::of(answers().filter_map(|it| it.cause).map(|it| it.within(k)));
        Self {
            incidents: past.len(),
            false_positives: past.iter().filter(|it| it.false_positive).count(),
            unexplained: past.iter().filter(|it| !it.explained).count(),
            detected_after_ms: sorted(|it| it.detected_after_ms),
            resolved_after_ms: sorted(|it| it.resolved_after_ms),
            first: within(1),
            third: within(3),
            kind: Share::of(answers().filter_map(|it| it.kind)),
            similar: Share::of(answers().filter_map(|it| it.similar)),
        }
    }
}

/// A record for each key, in the order in which the keys first appear.
pub fn by<'p>(past: &'p [Past], key: impl Fn(&Past) -> Option<String>) -> Vec<(String, Record)> {
    let mut groups: Vec<(String, Vec<&'p Past>)> = Vec::new();
    for it in past {
        let Some(key) = key(it) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(it),
            None => groups.push((key, vec![it])),
        }
    }
    groups.into_iter().map(|(key, group)| (key, Record::of(group.into_iter()))).collect()
}

/// The month of an incident's opening, such as `2026-03`.
pub fn month(past: &Past) -> Option<String> {
    Some(past.opened_at.to_string().get(..7)?.to_owned())
}

/// What noticed an incident.
pub fn detector(past: &Past) -> Option<String> {
    Some(past.noticed_by.clone())
}

/// Who ranked an incident.
pub fn answerer(past: &Past) -> Option<String> {
    past.answer.as_ref().map(|answer| answer.by.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(at: &str, by: &str, cause: Option<Place>) -> Past {
        Past {
            opened_at: at.parse().unwrap(),
            detected_after_ms: None,
            resolved_after_ms: Some(60_000.0),
            false_positive: false,
            explained: cause.is_some(),
            noticed_by: "robust-window@4 latency".to_owned(),
            answer: Some(Answer { by: by.to_owned(), cause, kind: Some(true), similar: None }),
        }
    }

    #[test]
    fn what_is_not_known_does_not_count() {
        let incidents = [
            past("2026-01-31T23:00:00Z", "a", Some(Place::At(0))),
            past("2026-02-01T01:00:00Z", "b", Some(Place::At(2))),
            past("2026-02-02T01:00:00Z", "b", Some(Place::Missed)),
            past("2026-02-03T01:00:00Z", "b", None),
        ];
        let all = Record::of(incidents.iter());
        assert_eq!((all.first.hits, all.first.of, all.third.hits), (1, 3, 2));
        assert_eq!((all.similar.of, all.similar.interval), (0, None));
        assert_eq!((all.detected_after_ms.len(), all.resolved_after_ms.len()), (0, 4));
        let months: Vec<_> =
            by(&incidents, month).into_iter().map(|(it, r)| (it, r.incidents)).collect();
        assert_eq!(months, [("2026-01".to_owned(), 1), ("2026-02".to_owned(), 3)]);
        assert_eq!((all.unexplained, by(&incidents, detector).len()), (1, 1));
        let by_model = by(&incidents, answerer);
        assert_eq!(by_model[1].1.first.of, 2);
        let none = Record::of(std::iter::empty());
        assert_eq!((none.incidents, none.first.of), (0, 0));
    }
}
