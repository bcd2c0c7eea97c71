//! How often a component shows a sign when it is not the cause.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scene::Scene;

/// Incidents that the rate of all components counts for, against a component's own.
const POOLED: f64 = 4.0;

/// Counts over past incidents, causes left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Incidents that a component was part of, and how often it showed each sign.
    components: BTreeMap<String, Counts>,
    /// The same over all components.
    all: Counts,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    seen: f64,
    showed: BTreeMap<String, f64>,
}

impl Counts {
    fn add(&mut self, signs: impl Iterator<Item = String>) {
        self.seen += 1.0;
        for sign in signs {
            *self.showed.entry(sign).or_default() += 1.0;
        }
    }

    fn showed(&self, sign: &str) -> f64 {
        self.showed.get(sign).copied().unwrap_or(0.0)
    }
}

impl Background {
    /// Counts an incident that the component at `cause` caused.
    pub fn add(&mut self, scene: &Scene, cause: usize) {
        for (place, part) in scene.parts.iter().enumerate() {
            if place != cause {
                let counts = self.components.entry(part.name.as_str().to_owned()).or_default();
                counts.add(part.signs.keys().cloned());
                self.all.add(part.signs.keys().cloned());
            }
        }
    }

    /// The rate of a sign. With `counted`, this very occurrence was counted and is taken out, so
    /// that an incident learned from is seen as one that is asked about.
    pub fn rate(&self, component: &str, sign: &str, counted: bool) -> f64 {
        let own = f64::from(u8::from(counted));
        let all = (self.all.showed(sign) - own + 0.5) / (self.all.seen - own + 1.0);
        let (seen, showed) = self
            .components
            .get(component)
            .map_or((0.0, 0.0), |counts| (counts.seen - own, counts.showed(sign) - own));
        ((showed + POOLED * all) / (seen + POOLED)).clamp(1e-4, 1.0)
    }

    /// Whether any incident was counted.
    pub fn is_empty(&self) -> bool {
        self.all.seen == 0.0
    }
}
