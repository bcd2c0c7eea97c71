//! How the base did on its own incidents.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::diagnosis::evaluation::record::{self, Answer, Past, Place, Record, Share};
use ::diagnosis::verdict::{Verdict, verdict};
use async_graphql::{Context, Object, SimpleObject};
use events::{ComponentName, FaultKind, Timestamp};
use futures::future::try_join_all;

use super::critical::count;
use super::error::ApiResult;
use super::list::List;
use super::load::Loaders;
use super::page::Page;
use super::recovery::{Durations, between};
use super::scalar::{DateTime, Position};
use super::view::{AsOf, enter};
use crate::rows;

/// Incidents and faults that are looked at, the newest.
const MOST: usize = 1_000;

/// How often something was so, of how often it is known, and between which shares that lies with
/// 95 % confidence (percentile bootstrap).
#[derive(SimpleObject)]
pub struct HitRate {
    /// So many …
    hits: i32,
    /// … of so many.
    of: i32,
    /// The share; null without any.
    ratio: Option<f64>,
    /// The lower end; null without any.
    low: Option<f64>,
    /// The upper end; null without any.
    high: Option<f64>,
}

impl From<Share> for HitRate {
    fn from(share: Share) -> Self {
        Self {
            hits: count(share.hits),
            of: count(share.of),
            ratio: (share.of > 0).then(|| share.hits as f64 / share.of as f64),
            low: share.interval.map(|it| it.low),
            high: share.interval.map(|it| it.high),
        }
    }
}

/// How the base did on some incidents: their last diagnoses, held against the labels that count.
#[derive(SimpleObject)]
pub struct RecordPart {
    /// Which incidents: a month such as `2026-03`, the version of a model, a method, a detector with
    /// the signal that showed most; `all` of all.
    key: String,
    /// How many.
    incidents: i32,
    /// Those of them where labels say that nothing was wrong.
    false_positives: i32,
    /// Those of them that nothing explains: no injected fault, no deployment or change shortly
    /// before, no label.
    unexplained: i32,
    /// From the injection of a fault to the opening of its incident.
    time_to_detect: Durations,
    /// From the opening to the end.
    time_to_resolve: Durations,
    /// How often the cause was the first suspect.
    first: HitRate,
    /// How often it was among the first three.
    first_three: HitRate,
    /// How often the kind of fault of the first suspect was right.
    fault_kind: HitRate,
    /// How often the most similar past incident was of the same kind of fault.
    similar: HitRate,
}

impl RecordPart {
    fn of((key, record): (String, Record)) -> Self {
        let durations = |ms: Vec<f64>| Durations::of(ms.into_iter().map(|ms| ms as i64).collect());
        Self {
            key,
            incidents: count(record.incidents),
            false_positives: count(record.false_positives),
            unexplained: count(record.unexplained),
            time_to_detect: durations(record.detected_after_ms),
            time_to_resolve: durations(record.resolved_after_ms),
            first: record.first.into(),
            first_three: record.third.into(),
            fault_kind: record.kind.into(),
            similar: record.similar.into(),
        }
    }
}

/// How the injected faults of a kind were noticed.
#[derive(SimpleObject)]
pub struct NoticedFaults {
    /// The kind.
    fault_kind: String,
    /// How many were injected.
    faults: i32,
    /// Those of them that no incident is known to come from.
    unnoticed: i32,
    /// From their injection to the opening of the first incident that they caused.
    time_to_detect: Durations,
}

impl NoticedFaults {
    /// By kind, in the order of the alphabet. `noticed` are the incidents of each fault.
    fn by_kind(faults: &[Arc<rows::Fault>], noticed: &[Vec<Arc<rows::Incident>>]) -> Vec<Self> {
        let mut kinds: BTreeMap<&FaultKind, (i32, i32, Vec<i64>)> = BTreeMap::new();
        for (fault, incidents) in faults.iter().zip(noticed) {
            let Some(kind) = &fault.kind else { continue };
            let (all, unnoticed, after_ms) = kinds.entry(kind).or_default();
            *all += 1;
            *unnoticed += i32::from(incidents.is_empty());
            let opened = incidents.iter().filter_map(|incident| incident.opened_at).min();
            after_ms.extend(fault.injected_at.zip(opened).and_then(|(from, to)| between(from, to)));
        }
        let of = |(kind, (faults, unnoticed, after_ms)): (&FaultKind, _)| Self {
            fault_kind: kind.to_string(),
            faults,
            unnoticed,
            time_to_detect: Durations::of(after_ms),
        };
        kinds.into_iter().map(of).collect()
    }
}

/// How the base did on its own incidents: the newest 1,000, and the newest 1,000 injected faults.
#[derive(SimpleObject)]
pub struct TrackRecord {
    /// All of them.
    all: RecordPart,
    /// By the month of their opening, the earliest first.
    by_month: Vec<RecordPart>,
    /// By the model that ranked last, or else the method, in the order of their first incidents.
    by_model: Vec<RecordPart>,
    /// By what noticed them: the detector with the signal that showed most, or who else opened them,
    /// in the order of their first incidents.
    by_detector: Vec<RecordPart>,
    /// Injected faults by their kind.
    by_fault_kind: Vec<NoticedFaults>,
    /// Injected faults.
    faults: i32,
    /// Those of them that no incident is known to come from: nobody noticed, or nothing was to be
    /// noticed.
    unnoticed_faults: i32,
}

/// The field of the query type that tells how the base did.
#[derive(Default)]
pub struct TrackRecords;

#[Object]
impl TrackRecords {
    /// How the base did on its own incidents: how soon they were noticed and over, how often the
    /// cause was suspected first, by month, by model and by what noticed; which injected faults
    /// nobody noticed.
    #[graphql(complexity = "400 + child_complexity")]
    async fn track_record(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Opened or injected at this moment or later.")] from: Option<DateTime>,
        #[graphql(desc = "Opened or injected before this moment.")] to: Option<DateTime>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<TrackRecord> {
        let view = enter(ctx, as_of, wait_for).await?;
        let (from, to) = (from.map(|it| it.0), to.map(|it| it.0));
        let newest = Page { first: MOST, after: None };
        let opened = List::newest("incident", "opened_at")
            .when("opened_at != NONE")
            .filter_time("opened_at >= $from", "from", from)
            .filter_time("opened_at < $to", "to", to);
        let injected = List::newest("fault", "injected_at")
            .when("injected_at != NONE")
            .filter_time("injected_at >= $from", "from", from)
            .filter_time("injected_at < $to", "to", to);
        let (mut incidents, faults) = futures::try_join!(
            opened.rows::<rows::Incident>(&view, &newest),
            injected.rows::<rows::Fault>(&view, &newest),
        )?;
        incidents.reverse();
        let loaders = Loaders::of(ctx);
        let told = try_join_all(incidents.iter().map(|it| Told::of(&loaders, it))).await?;
        let pairs = incidents.iter().zip(&told);
        let past: Vec<Past> = pairs.filter_map(|(incident, told)| told.past(incident)).collect();
        let noticed = faults.iter().map(|fault| loaders.incidents_triggered_by(&fault.id));
        let noticed = try_join_all(noticed).await?;
        let parts = |records: Vec<(String, Record)>| records.into_iter().map(RecordPart::of);
        Ok(TrackRecord {
            all: RecordPart::of(("all".to_owned(), Record::of(past.iter()))),
            by_month: parts(record::by(&past, record::month)).collect(),
            by_model: parts(record::by(&past, record::answerer)).collect(),
            by_detector: parts(record::by(&past, record::detector)).collect(),
            by_fault_kind: NoticedFaults::by_kind(&faults, &noticed),
            faults: count(faults.len()),
            unnoticed_faults: count(noticed.iter().filter(|it| it.is_empty()).count()),
        })
    }
}

/// What became known of an incident, and its last diagnosis.
struct Told {
    verdict: Verdict,
    injected_at: Option<Timestamp>,
    /// Whether something was deployed or changed shortly before.
    changed: bool,
    noticed_by: String,
    /// The model, or else the method, and who was suspected.
    diagnosis: Option<(String, Vec<Arc<rows::Suspects>>)>,
    /// The kind of fault of the most similar past incident.
    nearest_kind: Option<FaultKind>,
}

impl Told {
    async fn of(loaders: &Loaders, row: &rows::Incident) -> ApiResult<Self> {
        let incident = &row.id;
        let (labels, faults, changes, noticed_by, diagnoses, resembles) = futures::try_join!(
            loaders.labels_on(incident),
            loaders.faults_behind(incident),
            loaders.changes_before(incident),
            noticed_by(loaders, row),
            loaders.diagnoses_for(incident),
            loaders.resemblances_of(incident),
        )?;
        let last = diagnoses.iter().max_by_key(|row| (row.evidence_position, row.provenance.since));
        let diagnosis = match last {
            Some(last) => {
                let mut suspects = loaders.suspects_of(&last.id).await?.to_vec();
                suspects.sort_by_key(|suspect| suspect.rank);
                let model = last.model.as_ref().map(ToString::to_string);
                Some((model.or_else(|| last.method.clone()).unwrap_or_default(), suspects))
            }
            None => None,
        };
        let of_last = resembles.iter().filter(|row| last.is_some_and(|it| it.id == row.diagnosis));
        let nearest_kind = match of_last.min_by_key(|row| row.rank) {
            Some(nearest) => {
                let verdict = judged(&loaders.labels_on(&nearest.to).await?);
                verdict.fault_kind().cloned()
            }
            None => None,
        };
        Ok(Self {
            verdict: judged(&labels),
            injected_at: faults.iter().filter_map(|fault| fault.injected_at).min(),
            changed: !changes.is_empty(),
            noticed_by,
            diagnosis,
            nearest_kind,
        })
    }

    fn past(&self, incident: &rows::Incident) -> Option<Past> {
        let opened_at = incident.opened_at?;
        let since = |from: Timestamp, to: Timestamp| between(from, to).map(|ms| ms as f64);
        Some(Past {
            opened_at,
            detected_after_ms: self.injected_at.and_then(|at| since(at, opened_at)),
            resolved_after_ms: incident.resolved_at.and_then(|at| since(opened_at, at)),
            false_positive: self.verdict.is_false_positive(),
            explained: self.injected_at.is_some()
                || self.changed
                || !self.verdict.counting.is_empty(),
            noticed_by: self.noticed_by.clone(),
            answer: self.answer(),
        })
    }

    fn answer(&self) -> Option<Answer> {
        let (by, suspects) = self.diagnosis.as_ref()?;
        let place = |cause: &ComponentName| match suspects
            .iter()
            .position(|suspect| suspect.to == *cause)
        {
            Some(place) => Place::At(place),
            None => Place::Missed,
        };
        let kind = self.verdict.fault_kind();
        let told = suspects.first().and_then(|first| first.fault_kind.as_ref());
        let nearest = self.nearest_kind.as_ref();
        Some(Answer {
            by: by.clone(),
            cause: self.verdict.root_cause().map(place),
            kind: kind.map(|kind| told == Some(kind)),
            similar: kind.zip(nearest).map(|(kind, nearest)| kind == nearest),
        })
    }
}

/// The detector of the first anomaly that an incident was opened for, and the signal that showed
/// most in it; otherwise who opened it.
async fn noticed_by(loaders: &Loaders, incident: &rows::Incident) -> ApiResult<String> {
    let anomalies = incident.evidence.iter().map(|event| loaders.anomaly(event));
    let anomalies = try_join_all(anomalies).await?;
    let first = anomalies.iter().flatten().min_by_key(|it| (it.window.start, it.id));
    Ok(match first {
        Some(anomaly) => match anomaly.parts.first() {
            Some(part) => format!("{} {}", anomaly.detector, part.signal.as_str()),
            None => anomaly.detector.clone(),
        },
        None => incident.opened_by.clone().unwrap_or_default(),
    })
}

fn judged(labels: &[Arc<rows::Label>]) -> Verdict {
    verdict(labels.iter().filter_map(|label| label.opinion()))
}
