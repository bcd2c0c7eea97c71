//! Who is suspected, and why.

pub mod causal;
mod max_z;
mod own_excess;
mod path;
mod taught;
mod terms;

use std::sync::LazyLock;

use events::catalogue::diagnosis::Suspect;
use events::value::Line;
use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;

pub use causal::Causal;
pub use max_z::MaxZ;
pub use own_excess::OwnExcess;
pub use taught::{Taught, Unlearned};
pub(crate) use terms::{GRAIN, finite, grains};

/// The suspects of an incident by one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// The method and its version.
    pub method: Line,
    /// Why there are no suspects; present exactly when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abstained: Option<Line>,
    /// The most suspected first. The terms of each add up to its score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspects: Vec<Suspect>,
}

/// A named and versioned way to rank. A change that ranks anything else is a new version, so
/// that past answers can be asked again.
pub trait Ranker: Send + Sync {
    /// The name and version, such as `causal@1`.
    fn name(&self) -> &'static str;

    /// Ranks the components of the evidence, or abstains and says why (DI-4).
    fn rank(&self, evidence: &Evidence) -> Ranking;
}

/// Every method as it is before the first label, the default first.
pub fn methods() -> &'static [&'static dyn Ranker] {
    static TAUGHT: LazyLock<Taught> = LazyLock::new(Taught::default);
    static CAUSAL: Causal = Causal::shipped();
    static METHODS: LazyLock<[&'static dyn Ranker; 4]> =
        LazyLock::new(|| [&*TAUGHT, &CAUSAL, &OwnExcess, &MaxZ]);
    &*METHODS
}

/// The method of that name.
pub fn method(name: &str) -> Option<&'static dyn Ranker> {
    methods().iter().copied().find(|ranker| ranker.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_found_by_the_name_they_give() {
        for ranker in methods() {
            assert_eq!(method(ranker.name()).unwrap().name(), ranker.name());
        }
        assert!(method("own-excess").is_none(), "a name without a version is no method");
        assert_eq!(methods()[0].name(), "taught@1");
    }
}
