//! The fingerprint of symptoms that someone describes by hand.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::{Context, ID, InputObject};
use diagnosis::fingerprint::{Feature, Fingerprint, Role, Symptom};
use events::ComponentName;
use futures::future::try_join_all;

use super::error::{ApiError, ApiResult};
use super::id::key;
use super::load::Loaders;
use super::vocabulary::Signal;

/// Most symptoms that one question describes.
const MAX_SYMPTOMS: usize = 100;
/// The strength, in robust standard deviations, that counts as half of what can be told apart.
const HALF: f64 = 6.0;

/// Something unusual, described by hand.
#[derive(InputObject)]
pub struct SymptomInput {
    /// Where it shows.
    pub component: ID,
    /// In what.
    pub signal: Signal,
    /// How unusual, in robust standard deviations; the sign is the direction.
    pub strength: f64,
}

struct Described {
    component: ComponentName,
    feature: Option<Feature>,
    strength: f64,
}

/// The fingerprint of `symptoms`. Its suspect is the strongest component that calls no other
/// unusual one: who calls a broken component often looks worse than it does.
pub async fn fingerprint(ctx: &Context<'_>, symptoms: &[SymptomInput]) -> ApiResult<Fingerprint> {
    if !(1..=MAX_SYMPTOMS).contains(&symptoms.len()) {
        let message = format!("expected 1 to {MAX_SYMPTOMS} symptoms, got {}", symptoms.len());
        return Err(ApiError::invalid("symptoms", message));
    }
    let described: Vec<Described> =
        symptoms.iter().enumerate().map(read).collect::<ApiResult<_>>()?;
    let mut components: BTreeMap<ComponentName, f64> = BTreeMap::new();
    for symptom in &described {
        let strength = components.entry(symptom.component.clone()).or_default();
        *strength = strength.max(symptom.strength.abs());
    }
    let calls = calls_among(ctx, &components).await?;
    let entrances = entrances(ctx, &components).await?;
    let suspect = suspect(&components, &calls);
    let mut symptoms = Vec::new();
    for Described { component, feature, strength } in &described {
        let (Some(feature), Some(suspect)) = (*feature, &suspect) else { continue };
        let entrance = entrances.contains(component).then_some(Role::Entrance);
        for role in entrance.into_iter().chain([role(component, suspect, &calls)]) {
            symptoms.push(Symptom { role, feature, strength: *strength, evidence: Vec::new() });
        }
    }
    let symptoms = strongest(symptoms);
    Ok(Fingerprint { suspect, symptoms, components, reasons: BTreeMap::new() })
}

fn read((index, symptom): (usize, &SymptomInput)) -> ApiResult<Described> {
    let field = |name: &str| format!("symptoms.{index}.{name}");
    let component = key("component", &field("component"), &symptom.component)?;
    if !symptom.strength.is_finite() {
        return Err(ApiError::invalid(field("strength"), "expected a finite number"));
    }
    let feature = match symptom.signal {
        Signal::Traffic => Some(Feature::Traffic),
        Signal::Errors => Some(Feature::Errors),
        Signal::Latency => Some(Feature::Latency),
        Signal::Saturation => Some(Feature::Saturation),
        Signal::Cpu => Some(Feature::Cpu),
        Signal::Memory => Some(Feature::Memory),
        Signal::Availability => Some(Feature::Availability),
        // Fingerprints have no coordinate for these; where they are unusual counts.
        Signal::Logs | Signal::Alert => None,
    };
    let strength = symptom.strength / (symptom.strength.abs() + HALF);
    Ok(Described { component, feature, strength })
}

type CallSet = BTreeSet<(ComponentName, ComponentName)>;

async fn calls_among(
    ctx: &Context<'_>,
    components: &BTreeMap<ComponentName, f64>,
) -> ApiResult<CallSet> {
    let loaders = Loaders::of(ctx);
    let calls = try_join_all(components.keys().map(|name| loaders.outgoing(name))).await?;
    let known = calls.iter().flat_map(|calls| calls.iter());
    Ok(known
        .filter(|call| components.contains_key(&call.to))
        .map(|call| (call.from.clone(), call.to.clone()))
        .collect())
}

/// The components that are called by something that nobody calls: there users enter.
async fn entrances(
    ctx: &Context<'_>,
    components: &BTreeMap<ComponentName, f64>,
) -> ApiResult<BTreeSet<ComponentName>> {
    let loaders = Loaders::of(ctx);
    let callers = try_join_all(components.keys().map(|name| loaders.incoming(name))).await?;
    let called_by = callers.iter().flat_map(|calls| calls.iter()).map(|call| async {
        let client = loaders.incoming(&call.from).await?.is_empty();
        Ok(client.then(|| call.to.clone()))
    });
    Ok(try_join_all(called_by).await?.into_iter().flatten().collect())
}

fn suspect(components: &BTreeMap<ComponentName, f64>, calls: &CallSet) -> Option<ComponentName> {
    let calls_another = |name: &ComponentName| calls.iter().any(|(caller, _)| caller == name);
    components
        .iter()
        .max_by(|(a, a_strength), (b, b_strength)| {
            // In a cycle everyone calls another; then the strongest of all.
            calls_another(b)
                .cmp(&calls_another(a))
                .then_with(|| a_strength.total_cmp(b_strength))
                .then_with(|| b.cmp(a))
        })
        .map(|(name, _)| name.clone())
}

fn role(component: &ComponentName, suspect: &ComponentName, calls: &CallSet) -> Role {
    if component == suspect {
        Role::Suspect
    } else if calls.contains(&(component.clone(), suspect.clone())) {
        Role::Caller
    } else if calls.contains(&(suspect.clone(), component.clone())) {
        Role::Callee
    } else {
        Role::Other
    }
}

/// One coordinate for each role and feature: the strongest.
fn strongest(symptoms: Vec<Symptom>) -> Vec<Symptom> {
    let mut kept: BTreeMap<(Role, Feature), Symptom> = BTreeMap::new();
    for symptom in symptoms {
        let key = (symptom.role, symptom.feature);
        match kept.get(&key) {
            Some(known) if known.strength.abs() >= symptom.strength.abs() => {}
            _ => {
                kept.insert(key, symptom);
            }
        }
    }
    kept.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ComponentName {
        ComponentName::new(text).unwrap()
    }

    #[test]
    fn a_caller_that_looks_worse_is_not_the_suspect() {
        let components = BTreeMap::from([(name("gateway"), 0.9), (name("payments"), 0.7)]);
        let calls = CallSet::from([(name("gateway"), name("payments"))]);
        assert_eq!(suspect(&components, &calls), Some(name("payments")));
        assert_eq!(role(&name("gateway"), &name("payments"), &calls), Role::Caller);
    }

    #[test]
    fn in_a_cycle_the_strongest_is_the_suspect() {
        let components = BTreeMap::from([(name("a"), 0.4), (name("b"), 0.6)]);
        let calls = CallSet::from([(name("a"), name("b")), (name("b"), name("a"))]);
        assert_eq!(suspect(&components, &calls), Some(name("b")));
    }
}
