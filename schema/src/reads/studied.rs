//! The incidents that labels teach from: those that are over and whose cause or kind of fault is
//! known.

use std::collections::{BTreeMap, BTreeSet};

use diagnosis::codebook::{Lesson, Scene};
use diagnosis::learning::Studied;
use diagnosis::rank::Unlearned;
use diagnosis::verdict::{Opinion, verdict};
use events::catalogue::label::Claim;
use events::value::Line;
use events::{ComponentName, DiagnosisId, EventId, FaultId, FaultKind, IncidentId, LabelId};
use serde::Deserialize;
use surrealdb::types::{Object, RecordId};

use super::evidence::{REOPENED, RESOLVED};
use super::{Answers, ReadGraphError, at_position};
use crate::graph::Graph;
use crate::rows;

/// Most incidents that teach, the last labelled.
const MOST: usize = 400;

const LABELLED: &str = "
    SELECT incident, math::max(since) AS last FROM label
        WHERE claim IN ['root_cause', 'fault_kind'] AND since <= $position
            AND (until = NONE OR until > $position)
        GROUP BY incident ORDER BY last DESC, incident LIMIT $most;
    SELECT incident, math::max(since) AS last FROM feedback
        WHERE right_rank != NONE AND since <= $position
        GROUP BY incident ORDER BY last DESC, incident LIMIT $most;
";

const KNOWN: &str = "
    SELECT * FROM label WHERE incident IN $incidents AND since <= $position
        AND (until = NONE OR until > $position);
    SELECT * FROM feedback WHERE incident IN $incidents AND since <= $position
        AND right_rank != NONE;
    SELECT incident, at, position, event_type FROM timeline_entry
        WHERE incident IN $incidents AND event_type IN $steps AND since <= $position;
    SELECT incident, since FROM diagnosis WHERE incident IN $incidents AND since <= $position;
    SELECT incident, fault FROM label
        WHERE incident IN $incidents AND since <= $position AND fault != NONE;
";

const SUSPECTS: &str = "
    array::flatten((SELECT VALUE ->(SELECT in, out, rank FROM suspects
        WHERE since <= $position AND (until = NONE OR until > $position)) FROM $diagnoses));
";

const MERGED: &str = "io.faultline.incident.merged.v1";

#[derive(Deserialize)]
struct LabelledRow {
    incident: IncidentId,
    last: u64,
}

#[derive(Deserialize)]
struct StepRow {
    incident: IncidentId,
    at: events::Timestamp,
    position: u64,
    event_type: String,
}

#[derive(Deserialize)]
struct DiagnosisRow {
    incident: IncidentId,
    since: u64,
}

#[derive(Deserialize)]
struct FaultRow {
    incident: IncidentId,
    fault: FaultId,
}

#[derive(Deserialize)]
struct SuspectRow {
    #[serde(rename = "in")]
    diagnosis: DiagnosisId,
    #[serde(rename = "out")]
    component: ComponentName,
    rank: u32,
}

/// What labels say of an incident that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Which.
    pub incident: IncidentId,
    /// The position as of which it was last diagnosed, or else was over: what is then known of it
    /// is what it is learned by.
    pub seen_at: u64,
    cause: Option<ComponentName>,
    kind: Option<FaultKind>,
    confidence: f64,
    by: Option<Line>,
    /// Those that labels are known from.
    faults: BTreeSet<FaultId>,
}

impl Known {
    /// What it teaches, by what is seen of it.
    pub fn teaches(mut self, seen: Seen) -> Studied {
        self.faults.extend(seen.acting);
        Studied {
            incident: self.incident,
            faults: self.faults,
            unlearned: seen.unlearned,
            text: seen.text,
            lesson: Lesson {
                scene: seen.scene,
                cause: self.cause,
                kind: self.kind,
                confidence: self.confidence,
                by: self.by,
            },
        }
    }
}

/// What is seen of an incident, whatever labels say.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What it looked like.
    pub scene: Scene,
    /// What is answered of it without labels.
    pub unlearned: Unlearned,
    /// What it says of itself in words.
    pub text: String,
    /// The faults that acted meanwhile.
    pub acting: BTreeSet<FaultId>,
}

/// Labels, and feedback by the labels that it counts as, that are taken as never given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsaid(BTreeSet<LabelId>);

impl Unsaid {
    /// Without a label.
    pub fn label(&mut self, label: LabelId) {
        self.0.insert(label);
    }

    /// Without the feedback that this event gave.
    pub fn feedback(&mut self, event: EventId) {
        self.0.insert(counted_as(event));
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The label that feedback counts as when it says that a suspect was right.
fn counted_as(feedback: EventId) -> LabelId {
    LabelId::new(format!("feedback-{feedback}")).expect("a UUID is short")
}

/// Something that was said of an incident, and by whom.
struct Said {
    opinion: Opinion,
    /// `None` for what an experiment knows.
    by: Option<Line>,
}

impl Graph {
    /// The incidents that were over and of which labels or feedback told the cause or the kind of
    /// fault, when the log reached to `position`: the last labelled, by id. What contradicts
    /// itself resolves by [`diagnosis::verdict`]; feedback that a suspect was right counts as a
    /// label that says so. What is `unsaid` has no part in it.
    pub async fn known_incidents(
        &self,
        position: u64,
        unsaid: &Unsaid,
    ) -> Result<Vec<Known>, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("position", at_position(position));
        binds.insert("most", MOST as i64);
        let mut answers = self.ask(LABELLED, binds).await?;
        let mut labelled: Vec<LabelledRow> = answers.rows(0)?;
        labelled.extend(answers.rows::<LabelledRow>(1)?);
        labelled.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.incident.cmp(&b.incident)));
        let mut seen = BTreeSet::new();
        labelled.retain(|row| seen.insert(row.incident.clone()));
        labelled.truncate(MOST);
        if labelled.is_empty() {
            return Ok(Vec::new());
        }
        let incidents: Vec<String> = labelled.iter().map(|row| row.incident.to_string()).collect();
        let mut binds = Object::new();
        binds.insert("position", at_position(position));
        binds.insert("incidents", incidents);
        binds.insert("steps", vec![RESOLVED, REOPENED, MERGED]);
        let mut answers = self.ask(KNOWN, binds).await?;
        let mut said = labels(answers.rows(0)?);
        self.add_feedback(&mut said, answers.rows(1)?, position).await?;
        for said in said.values_mut() {
            said.retain(|it| !unsaid.0.contains(&it.opinion.label));
        }
        let seen_at = seen_at(&mut answers)?;
        let mut faults: BTreeMap<IncidentId, BTreeSet<FaultId>> = BTreeMap::new();
        for row in answers.rows::<FaultRow>(4)? {
            faults.entry(row.incident).or_default().insert(row.fault);
        }
        let known = said.into_iter().filter_map(|(incident, said)| {
            let seen_at = *seen_at.get(&incident)?;
            let faults = faults.remove(&incident).unwrap_or_default();
            Some(Known { faults, ..known(incident, seen_at, &said)? })
        });
        Ok(known.collect())
    }

    async fn add_feedback(
        &self,
        said: &mut BTreeMap<IncidentId, Vec<Said>>,
        feedback: Vec<rows::Feedback>,
        position: u64,
    ) -> Result<(), ReadGraphError> {
        if feedback.is_empty() {
            return Ok(());
        }
        let diagnoses: BTreeSet<&DiagnosisId> = feedback.iter().map(|row| &row.diagnosis).collect();
        let diagnoses: Vec<RecordId> =
            diagnoses.into_iter().map(|id| RecordId::new("diagnosis", id.as_str())).collect();
        let mut binds = Object::new();
        binds.insert("diagnoses", diagnoses);
        binds.insert("position", at_position(position));
        let suspects: Vec<SuspectRow> = self.ask(SUSPECTS, binds).await?.rows(0)?;
        let suspects: BTreeMap<(DiagnosisId, u32), ComponentName> =
            suspects.into_iter().map(|row| ((row.diagnosis, row.rank), row.component)).collect();
        for row in feedback {
            let right =
                row.right_rank.and_then(|rank| suspects.get(&(row.diagnosis.clone(), rank)));
            let Some(component) = right.cloned() else { continue };
            let opinion = Opinion {
                label: counted_as(row.id),
                claim: Claim::RootCause { component },
                confidence: row.confidence,
                at: row.at,
                retracted: false,
            };
            let by = Some(Line::clipped(&row.by));
            said.entry(row.incident).or_default().push(Said { opinion, by });
        }
        Ok(())
    }
}

fn labels(rows: Vec<rows::Label>) -> BTreeMap<IncidentId, Vec<Said>> {
    let mut said: BTreeMap<IncidentId, Vec<Said>> = BTreeMap::new();
    for row in rows {
        // The statement leaves out what was taken back by then; it may have been since.
        let Some(opinion) = row.opinion().map(|it| Opinion { retracted: false, ..it }) else {
            continue;
        };
        let by = row.fault.is_none().then(|| Line::clipped(&row.by));
        said.entry(row.incident).or_default().push(Said { opinion, by });
    }
    said
}

/// As of which position each incident that is over is learned by.
fn seen_at(answers: &mut Answers) -> Result<BTreeMap<IncidentId, u64>, ReadGraphError> {
    let mut steps: Vec<StepRow> = answers.rows(2)?;
    let diagnoses: Vec<DiagnosisRow> = answers.rows(3)?;
    steps.sort_by_key(|step| (step.at, step.position));
    let last: BTreeMap<IncidentId, StepRow> =
        steps.into_iter().map(|step| (step.incident.clone(), step)).collect();
    let over = last.into_iter().filter(|(_, step)| step.event_type == RESOLVED);
    let mut seen_at: BTreeMap<IncidentId, u64> =
        over.map(|(incident, step)| (incident, step.position)).collect();
    let mut diagnosed: BTreeMap<IncidentId, u64> = BTreeMap::new();
    for row in diagnoses {
        let last = diagnosed.entry(row.incident).or_default();
        *last = row.since.max(*last);
    }
    for (incident, position) in &mut seen_at {
        *position = diagnosed.get(incident).map_or(*position, |last| (*last).min(*position));
    }
    Ok(seen_at)
}

fn known(incident: IncidentId, seen_at: u64, said: &[Said]) -> Option<Known> {
    let verdict = verdict(said.iter().map(|it| it.opinion.clone()));
    if verdict.is_false_positive() || verdict.duplicate_of().is_some() {
        return None;
    }
    let (cause, kind) = (verdict.root_cause().cloned(), verdict.fault_kind().cloned());
    let counts = |claim: &Claim| matches!(claim, Claim::RootCause { .. } | Claim::FaultKind { .. });
    let counting = || verdict.counting.iter().filter(|it| counts(&it.claim));
    let strongest = counting().next()?;
    let of = |label: &LabelId| said.iter().find(|it| it.opinion.label == *label);
    Some(Known {
        incident,
        seen_at,
        cause,
        kind,
        confidence: strongest.confidence,
        by: of(&strongest.label).and_then(|it| it.by.clone()),
        faults: BTreeSet::new(),
    })
}
