//! Which component an alert speaks of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use events::ComponentName;
use serde::{Deserialize, Serialize};

use crate::chaos::workload_of;

/// What names the component of an alert whose labels are such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelRule {
    /// Labels that must be there, each with a value; `*` in a value stands for any text.
    pub labels: BTreeMap<String, String>,
    /// The rule is passed over where one of these labels has a value that fits one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// The component: a text in which `${name}` stands for the value of a label.
    pub component: String,
}

/// Rules, of which the first that fits counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelRules(pub Vec<LabelRule>);

/// Labels that usually name a component, the most telling first.
const USUAL: &[&str] =
    &["component", "service_name", "service.name", "deployment", "statefulset", "daemonset"];

/// Labels that name one too, after those. Prometheus adds them of who was scraped, which is an
/// exporter where that speaks of others.
const SCRAPED: &[&str] =
    &["service", "app_kubernetes_io_name", "app.kubernetes.io/name", "app", "container", WORKLOAD];

/// Added to the labels of a pod.
const WORKLOAD: &str = "workload";

/// Exporters that speak of others, also as charts name them: `RELEASE-kube-state-metrics`.
const EXPORTERS: &[&str] = &[
    "*kube-state-metrics",
    "*node-exporter",
    "*node_exporter",
    "*blackbox-exporter",
    "*blackbox_exporter",
    "blackbox",
    "*cadvisor",
    "*kubelet",
    "*pushgateway",
];

impl Default for LabelRules {
    fn default() -> Self {
        let rule = |name: &str, except: &[&str]| LabelRule {
            labels: [(name.to_owned(), "*".to_owned())].into(),
            except: except.iter().map(|pattern| (*pattern).to_owned()).collect(),
            component: format!("${{{name}}}"),
        };
        let usual = USUAL.iter().map(|name| rule(name, &[]));
        Self(usual.chain(SCRAPED.iter().map(|name| rule(name, EXPORTERS))).collect())
    }
}

impl LabelRules {
    /// The component of an alert with these labels, if a rule names one. Rules also see the
    /// `workload` of a `pod`.
    pub fn component(&self, labels: &BTreeMap<String, String>) -> Option<ComponentName> {
        let mut labels = Cow::Borrowed(labels);
        if let Some(pod) = labels.get("pod")
            && !labels.contains_key(WORKLOAD)
        {
            let workload = workload_of(pod).to_owned();
            labels.to_mut().insert(WORKLOAD.to_owned(), workload);
        }
        self.0.iter().filter(|rule| rule.fits(&labels)).find_map(|rule| rule.named(&labels))
    }
}

impl LabelRule {
    fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|(name, pattern)| {
            labels.get(name).is_some_and(|value| {
                !value.trim().is_empty()
                    && matches(pattern, value)
                    && !self.except.iter().any(|except| matches(except, value))
            })
        })
    }

    fn named(&self, labels: &BTreeMap<String, String>) -> Option<ComponentName> {
        let (mut name, mut rest) = (String::new(), self.component.as_str());
        while let Some((before, after)) = rest.split_once("${") {
            let (label, after) = after.split_once('}')?;
            name.push_str(before);
            name.push_str(labels.get(label).filter(|value| !value.trim().is_empty())?);
            rest = after;
        }
        name.push_str(rest);
        ComponentName::new(name).ok()
    }
}

/// Whether a pattern with `*` fits a whole text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pattern.rsplit_once('*').map(|(_, last)| last) else { return rest.is_empty() };
    let middle = pattern.matches('*').count() - 1;
    for part in parts.take(middle) {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels<const N: usize>(of: [(&str, &str); N]) -> BTreeMap<String, String> {
        of.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn rules<const N: usize>(of: [(&str, &str, &str); N]) -> LabelRules {
        let rule = |(label, pattern, component): (&str, &str, &str)| LabelRule {
            labels: labels([(label, pattern)]),
            except: Vec::new(),
            component: component.to_owned(),
        };
        LabelRules(of.map(rule).into())
    }

    #[test]
    fn the_first_rule_that_fits_names_the_component() {
        let rules = rules([
            ("job", "db-*-exporter", "postgresql"),
            ("job", "*", "${namespace}/${job}"),
            ("instance", "10.0.0.7:*", "stock"),
        ]);
        let named = |of| rules.component(&of).map(|name| name.to_string());
        assert_eq!(named(labels([("job", "db-1-exporter")])).as_deref(), Some("postgresql"));
        let both = labels([("job", "cart"), ("namespace", "shop")]);
        assert_eq!(named(both).as_deref(), Some("shop/cart"));
        // The second rule fits and cannot name it; the third can.
        let of = labels([("job", "node"), ("instance", "10.0.0.7:9100")]);
        assert_eq!(named(of).as_deref(), Some("stock"));
        assert_eq!(named(labels([("instance", "10.0.0.70:9100")])), None);
    }

    #[test]
    fn usual_labels_name_it_without_rules() {
        let of = labels([("app", "web"), ("service", "cart"), ("severity", "page")]);
        assert_eq!(LabelRules::default().component(&of).unwrap().as_str(), "cart");
        for blank in ["", "  "] {
            assert_eq!(LabelRules::default().component(&labels([("service", blank)])), None);
        }
    }

    #[test]
    fn who_exports_a_metric_is_not_whom_it_speaks_of() {
        let exporter = "kube-prometheus-stack-kube-state-metrics";
        let exported = labels([("service", exporter), ("job", "kube-state-metrics")]);
        let named = |of: &[(&str, &str)]| {
            let mut all = exported.clone();
            all.extend(of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            LabelRules::default().component(&all).map(|name| name.to_string())
        };
        let pod = ("pod", "executor-svc-7d9c5b8f6-x2x4k");
        let own = ("pod", "kube-prometheus-stack-kube-state-metrics-5d6c7b8f9-k2l4z");
        let container = ("container", "kube-state-metrics");
        for (of, component) in [
            (&[("container", "executor-svc"), pod][..], Some("executor-svc")),
            (&[pod], Some("executor-svc")),
            (&[container, own, ("deployment", "cart")], Some("cart")),
            (&[container, own, ("statefulset", "stock")], Some("stock")),
            (&[container, own, ("node", "worker-1")], None),
            (&[("service", "cart"), container, own], Some("cart")),
        ] {
            assert_eq!(named(of).as_deref(), component, "{of:?}");
        }
    }

    #[test]
    fn a_rule_is_passed_over_by_its_exceptions_only() {
        let rules = r#"[
            {"labels": {"job": "*", "namespace": "shop"}, "except": ["*-exporter"],
             "component": "${namespace}/${job}"},
            {"labels": {"workload": "*"}, "component": "${workload}"}]"#;
        let rules: LabelRules = serde_json::from_str(rules).unwrap();
        for (job, component) in [("cart", "shop/cart"), ("redis-exporter", "stock")] {
            let of = labels([("job", job), ("namespace", "shop"), ("pod", "stock-0")]);
            assert_eq!(rules.component(&of).unwrap().as_str(), component);
        }
        let of = labels([("workload", "other"), ("pod", "stock-0")]);
        assert_eq!(rules.component(&of).unwrap().as_str(), "other", "what is said is kept");
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, fits) in [
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c", false),
            ("*", "", true),
            ("a", "ab", false),
            ("*b", "ab", true),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
