//! What labelled cases teach, and which cases may teach which.

use datasets::case::{Case, DataSet};
use diagnosis::codebook::{Lesson, Scene};
use diagnosis::evaluation::folds;
use diagnosis::evidence::Evidence;
use diagnosis::rank::Taught;

use super::{Answer, Told, ranked_by};

/// What the cases of a data set teach: those whose truth is told.
pub(crate) fn lessons(data_set: &DataSet, evidence: &[Evidence]) -> Vec<Lesson> {
    let pairs = data_set.cases.iter().zip(evidence);
    pairs.filter_map(|(case, evidence)| lesson(case, evidence)).collect()
}

fn lesson(case: &Case, evidence: &Evidence) -> Option<Lesson> {
    let truth = case.truth.as_ref()?;
    Some(Lesson {
        scene: Scene::of(evidence),
        cause: truth.root_causes.first().cloned(),
        kind: truth.fault_kind.clone(),
        confidence: 1.0,
        by: None,
    })
}

/// From what the answer to a case may have learned.
pub(crate) struct Teaching {
    /// Cases that are not asked.
    pub(crate) history: Vec<Lesson>,
    /// Into how many parts those that are asked are dealt, kinds of fault evenly: each is asked of
    /// what the others teach too. Without it they teach nothing.
    pub(crate) parts: Option<usize>,
}

impl Teaching {
    /// Ranks the components of every case.
    pub(crate) fn ranked<'d>(&self, of: &'d DataSet, evidence: &[Evidence]) -> Vec<Answer<'d>> {
        self.asked(of, evidence, |taught, case, evidence| ranked_by(taught, case, evidence))
    }

    /// Tells the kind of fault of every case.
    pub(crate) fn classified<'d>(&self, of: &'d DataSet, evidence: &[Evidence]) -> Vec<Told<'d>> {
        self.asked(of, evidence, |taught, case, evidence| Told {
            case,
            kinds: taught.kinds(evidence),
        })
    }

    fn asked<'d, A>(
        &self,
        data_set: &'d DataSet,
        evidence: &[Evidence],
        ask: impl Fn(&Taught, &'d Case, &Evidence) -> A,
    ) -> Vec<A> {
        let cases = || data_set.cases.iter().zip(evidence);
        let Some(count) = self.parts else {
            let taught = Taught::by(&self.history);
            return cases().map(|(case, evidence)| ask(&taught, case, evidence)).collect();
        };
        let strata: Vec<String> = data_set.cases.iter().map(stratum).collect();
        let names = data_set.cases.iter().map(|case| case.name.as_str());
        let parts = folds(&strata.iter().map(String::as_str).zip(names).collect::<Vec<_>>(), count);
        let taught: Vec<Taught> = (0..count)
            .map(|part| {
                let others = cases().zip(&parts).filter(|(_, of)| **of != part);
                let others = others.filter_map(|((case, evidence), _)| lesson(case, evidence));
                let lessons: Vec<Lesson> = self.history.iter().cloned().chain(others).collect();
                Taught::by(&lessons)
            })
            .collect();
        let asked = cases().zip(&parts);
        asked.map(|((case, evidence), part)| ask(&taught[*part], case, evidence)).collect()
    }
}

/// What is dealt evenly: the cases of one system with one kind of fault.
fn stratum(case: &Case) -> String {
    let kind = case.truth.as_ref().and_then(|truth| truth.fault_kind.as_ref());
    format!("{}/{}", case.group, kind.map_or("", |kind| kind.as_str()))
}
