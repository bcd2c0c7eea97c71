use events::catalogue::alert::{AlertFired, AlertResolved};
use events::catalogue::change::{MaintenanceEnded, MaintenanceStarted};
use events::{AlertId, MaintenanceId};

use super::*;

/// A scene of alerts: each thing happens so many minutes after the beginning.
struct Pages {
    scene: Scene,
    told: u64,
}

impl Pages {
    fn new() -> Self {
        let mut scene = Scene::new();
        scene.window(&[]);
        Self { scene, told: 0 }
    }

    fn at(&mut self, minutes: i64, data: impl Into<EventData>) -> Vec<Decided> {
        self.told += 1;
        let mut recorded = recorded(800_000 + self.told, data);
        recorded.event.time = start(0) + SignedDuration::from_mins(minutes);
        self.scene.grouping.observe(&recorded, &[])
    }

    fn fires(&mut self, minutes: i64, alert: &str, on: &str, how_bad: Severity) -> Vec<Decided> {
        let fired = AlertFired {
            alert: AlertId::new(alert).unwrap(),
            name: Line::new("HighErrorRate").unwrap(),
            component: (!on.is_empty()).then(|| name(on)),
            severity: how_bad,
            summary: Some(Text::clipped("5 % of\nrequests fail")),
            labels: BTreeMap::new(),
        };
        self.at(minutes, fired)
    }

    fn ends(&mut self, minutes: i64, alert: &str) -> Vec<Decided> {
        self.at(minutes, AlertResolved { alert: AlertId::new(alert).unwrap() })
    }
}

fn attached(decided: &[Decided]) -> Vec<(&str, f64)> {
    let of = decided.iter().filter_map(|decided| match &decided.decision {
        Decision::Attach(it) if it.signal == Signal::Alert => {
            Some((it.component.as_str(), it.strength.get()))
        }
        _ => None,
    });
    of.collect()
}

#[test]
fn alerts_of_connected_components_are_one_incident_until_the_last_resolves() {
    let mut pages = Pages::new();
    let first = pages.fires(0, "a", "cart", Severity::Error);
    let incidents = opened(&first);
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].title.as_str(), "HighErrorRate on cart: 5 % of requests fail");
    assert_eq!(
        (incidents[0].severity, incidents[0].opened_by.as_str()),
        (Severity::Error, "/test")
    );
    assert_eq!(attached(&first), [("cart", 3.0)]);
    let second = pages.fires(5, "b", "gateway", Severity::Critical);
    assert_eq!((opened(&second).len(), attached(&second)), (0, vec![("gateway", 4.0)]));
    assert!(pages.ends(6, "a").is_empty(), "one still fires");
    let ended = pages.ends(20, "b");
    assert_eq!(resolved(&ended), [&incidents[0].incident]);
    assert_eq!(opened(&pages.fires(21, "a", "cart", Severity::Error)).len(), 1, "a new one");
}

#[test]
fn whoever_stands_alone_gets_an_incident_and_whoever_is_nobody_gets_none() {
    let mut pages = Pages::new();
    assert_eq!(opened(&pages.fires(0, "a", "cart", Severity::Warning)).len(), 1);
    assert_eq!(opened(&pages.fires(0, "b", "backup", Severity::Warning)).len(), 1);
    assert_eq!(opened(&pages.fires(0, "c", "c", Severity::Warning)).len(), 1, "four calls away");
    assert!(pages.fires(0, "d", "", Severity::Critical).is_empty());
    assert!(pages.fires(0, "e", "printer", Severity::Info).is_empty(), "for the record");
    assert_eq!(attached(&pages.fires(0, "f", "cart", Severity::Info)), [], "nothing worse");
    assert_eq!(attached(&pages.fires(0, "g", "catalog", Severity::Info)), [("catalog", 1.0)]);
}

#[test]
fn an_alert_that_fires_for_long_takes_in_nothing_new() {
    let mut pages = Pages::new();
    pages.fires(0, "disk", "cart", Severity::Warning);
    assert_eq!(opened(&pages.fires(600, "b", "gateway", Severity::Error)).len(), 1);
    assert!(pages.fires(601, "disk", "cart", Severity::Warning).is_empty(), "said again");
    assert_eq!(
        opened(&pages.fires(602, "c", "catalog", Severity::Error)),
        Vec::<&IncidentOpened>::new()
    );
}

#[test]
fn what_telemetry_showed_too_is_over_when_both_are_calm() {
    let mut pages = Pages::new();
    let decided = pages.scene.window(&[anomaly("cart", 1, Signal::Latency, 90.0)]);
    let incident = opened(&decided)[0].incident.clone();
    assert_eq!(attached(&pages.fires(0, "a", "cart", Severity::Error)), [("cart", 3.0)]);
    for _ in 0..20 {
        assert!(pages.scene.window(&[]).is_empty(), "an alert holds it open");
    }
    assert_eq!(resolved(&pages.ends(0, "a")), [&incident], "the measurements were calm");
}

#[test]
fn an_alert_joins_what_people_opened_and_ends_nothing_of_theirs() {
    let mut pages = Pages::new();
    pages.at(0, by_hand("gateway"));
    assert_eq!(attached(&pages.fires(3, "a", "cart", Severity::Error)), [("cart", 3.0)]);
    assert!(pages.ends(4, "a").is_empty());
    assert_eq!(opened(&pages.fires(60, "b", "cart", Severity::Error)).len(), 1, "an hour later");
}

#[test]
fn maintenance_silences_alerts() {
    let mut pages = Pages::new();
    let maintenance = MaintenanceId::new("m-1").unwrap();
    let reason = Line::new("upgrade").unwrap();
    let components = vec![name("cart")];
    let started = MaintenanceStarted { maintenance: maintenance.clone(), components, reason };
    pages.at(0, started);
    assert!(pages.fires(1, "a", "cart", Severity::Critical).is_empty());
    assert!(pages.fires(1, "over", "cart", Severity::Critical).is_empty());
    pages.ends(2, "over");
    let heard = pages.at(3, MaintenanceEnded { maintenance });
    assert_eq!(opened(&heard).len(), 1, "what still fires is heard when it ends");
    assert_eq!(resolved(&pages.ends(4, "a")).len(), 1);
}

#[test]
fn what_is_merged_brings_its_alerts_along() {
    let mut pages = Pages::new();
    let first = pages.fires(0, "a", "cart", Severity::Error);
    let second = pages.fires(0, "b", "backup", Severity::Error);
    let [incident, into] = [&first, &second].map(|it| opened(it)[0].incident.clone());
    let by = Line::new("ada").unwrap();
    pages.at(1, IncidentMerged { incident, into: into.clone(), by });
    assert!(pages.ends(2, "b").is_empty(), "the other one's alert still fires");
    assert_eq!(resolved(&pages.ends(3, "a")), [&into]);
}

#[test]
fn an_alert_that_grows_worse_is_told_again() {
    let mut pages = Pages::new();
    pages.fires(0, "a", "cart", Severity::Warning);
    assert_eq!(attached(&pages.fires(1, "a", "cart", Severity::Critical)), [("cart", 4.0)]);
    assert_eq!(attached(&pages.fires(2, "a", "cart", Severity::Error)), []);
}
