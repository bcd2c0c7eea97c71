//! What is known of a case when it is asked about, or was asked about before.

use datasets::case::{Case, DataSet};
use datasets::evidence::{Span, gather};
use diagnosis::evaluation::retrieval::Remembered;
use diagnosis::fingerprint::{self, Fingerprint};
use diagnosis::rank::{Ranker, Taught};
use diagnosis::similarity::Told;
use diagnosis::wording;

pub struct Known {
    pub remembered: Remembered,
    pub fingerprint: Fingerprint,
    pub told: Told,
    /// What it says in words.
    pub lines: Vec<String>,
}

impl Known {
    /// The cases of a data set, as a diagnosis without labels sees them.
    pub fn all(data_set: &DataSet) -> Vec<Self> {
        let ranker = Taught::default();
        data_set.cases.iter().map(|case| Self::of(data_set, case, &ranker)).collect()
    }

    fn of(data_set: &DataSet, case: &Case, ranker: &Taught) -> Self {
        let span = Span::of(data_set.name);
        let evidence = gather(data_set.events_of(case), &case.noticed, span);
        let ranking = ranker.rank(&evidence);
        let fingerprint = fingerprint::of(&evidence, &ranking);
        let title = case.title.as_ref().map(|title| title.as_str());
        let lines = wording::lines(title, &evidence);
        Self {
            remembered: remembered(data_set, case),
            told: Told::of(title, &evidence),
            fingerprint,
            lines,
        }
    }
}

fn remembered(data_set: &DataSet, case: &Case) -> Remembered {
    // PetShop's groups are what alarmed in one and the same system.
    let history = if data_set.name == "petshop" { data_set.name } else { &case.group };
    let truth = case.truth.as_ref();
    Remembered {
        case: case.name.clone(),
        history: history.to_owned(),
        at: case.noticed.at,
        component: truth.and_then(|truth| truth.root_causes.first().cloned()),
        kind: truth.and_then(|truth| truth.fault_kind.clone()),
    }
}
