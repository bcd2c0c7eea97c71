//! Service level objectives in files of OpenSLO (`openslo/v1`).
//!
//! OpenSLO leaves to the vendor where a measurement comes from. Here it comes from snapshots, so
//! an indicator names a `metricSource` of type `faultline` with a `signal`; or the objective says
//! by the annotation `faultline.io/indicator` what it counts, beside the queries of another
//! system, and by `faultline.io/unit` what its thresholds are in. What cannot be held against
//! snapshots is refused, rather than judged by something else. How an objective stands is told by
//! who counts the snapshots, not here.

use std::collections::BTreeMap;

use events::catalogue::model::{Indicator, SloDefined};
use events::value::{Line, NonNegative, Ratio};
use events::{ComponentName, Event, EventId, SloId, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::document::{InvalidDocument, derived, field, list, required, text};

/// Who says so.
const SOURCE: &str = "openslo";
/// Most documents of a file.
const MOST_DOCUMENTS: usize = 1_000;
/// Largest file.
const MOST_BYTES: usize = 1 << 17;
/// Deepest nesting of brackets: the parser builds them before it counts.
const MOST_NESTED: usize = 64;

/// Reads a file of OpenSLO: documents of YAML or of JSON. Pointers of refusals begin with the
/// number of the document. The same file read again gives the same events.
pub fn objectives(file: &str, read_at: Timestamp) -> Result<Vec<Event>, InvalidDocument> {
    let documents = documents(file)?;
    let indicators: BTreeMap<&str, &Value> = documents
        .iter()
        .filter(|document| text(document, "/kind") == Some("SLI"))
        .filter_map(|document| Some((text(document, "/metadata/name")?, &document["spec"])))
        .collect();
    let mut events = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let version = required(document, "/apiVersion", "openslo/v1");
        let placed = |error: InvalidDocument| error.within(&format!("/{index}"));
        if version.map_err(placed)? != "openslo/v1" {
            return Err(field(format!("/{index}/apiVersion"), "openslo/v1"));
        }
        if required(document, "/kind", "a kind of OpenSLO").map_err(placed)? != "SLO" {
            continue;
        }
        for slo in slos(document, &indicators).map_err(placed)? {
            let content = serde_json::to_string(&slo).unwrap_or_default();
            let id = EventId(derived(&[SOURCE, slo.slo.as_str(), &content]));
            events.push(Event::with_id(id, Line::clipped("/openslo"), read_at, slo));
        }
    }
    Ok(events)
}

fn documents(file: &str) -> Result<Vec<Value>, InvalidDocument> {
    let syntax = |reason: String| InvalidDocument::Syntax { expected: "a file of OpenSLO", reason };
    if file.len() > MOST_BYTES {
        return Err(syntax(format!("more than {MOST_BYTES} bytes")));
    }
    let mut nested = 0_usize;
    for byte in file.bytes() {
        match byte {
            b'[' | b'{' => nested += 1,
            b']' | b'}' => nested = nested.saturating_sub(1),
            _ => {}
        }
        if nested > MOST_NESTED {
            return Err(syntax(format!("more than {MOST_NESTED} brackets within each other")));
        }
    }
    let mut documents = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(file) {
        if documents.len() >= MOST_DOCUMENTS {
            return Err(syntax(format!("more than {MOST_DOCUMENTS} documents")));
        }
        let document = Value::deserialize(document).map_err(|error| syntax(error.to_string()))?;
        if !document.is_null() {
            documents.push(document);
        }
    }
    Ok(documents)
}

/// An objective each.
fn slos(
    document: &Value,
    indicators: &BTreeMap<&str, &Value>,
) -> Result<Vec<SloDefined>, InvalidDocument> {
    let name = required(document, "/metadata/name", "the objective's name")?;
    let annotation = |name: &str| {
        let annotations = document.pointer("/metadata/annotations");
        annotations.and_then(|it| it.get(name)).and_then(Value::as_str)
    };
    let service = annotation("faultline.io/component").or_else(|| text(document, "/spec/service"));
    let expected = "the service that it holds for";
    let service = service.ok_or_else(|| field("/spec/service", expected))?;
    let component =
        ComponentName::new(service).map_err(|error| field("/spec/service", error.to_string()))?;
    if text(document, "/spec/budgetingMethod").is_some_and(|method| method != "Occurrences") {
        return Err(field("/spec/budgetingMethod", "Occurrences: requests are counted, not time"));
    }
    let measured = measured(document, indicators, annotation("faultline.io/indicator"))?;
    let window_ms = window_ms(document)?;
    let given = list(document, "/spec/objectives");
    if given.is_empty() {
        return Err(field("/spec/objectives", "at least one objective"));
    }
    let of = given.iter().enumerate().map(|(index, objective)| {
        let pointer = format!("/spec/objectives/{index}");
        let id = if given.len() == 1 { name.to_owned() } else { format!("{name}-{}", index + 1) };
        Ok(SloDefined {
            slo: SloId::new(id).map_err(|error| field("/metadata/name", error.to_string()))?,
            component: component.clone(),
            indicator: measured.indicator,
            threshold_ms: threshold(objective, &measured, &pointer)?,
            objective: target(objective, &pointer)?,
            window_ms,
        })
    });
    of.collect()
}

/// What an indicator measures, and milliseconds in a unit of it.
struct Measured {
    indicator: Indicator,
    unit_ms: f64,
}

fn measured(
    document: &Value,
    indicators: &BTreeMap<&str, &Value>,
    said: Option<&str>,
) -> Result<Measured, InvalidDocument> {
    let spec = match text(document, "/spec/indicatorRef") {
        Some(name) => *indicators
            .get(name)
            .ok_or_else(|| field("/spec/indicatorRef", "the name of an SLI of the same file"))?,
        None => document.pointer("/spec/indicator/spec").unwrap_or(&Value::Null),
    };
    let expected = "a metricSource of type faultline whose spec has the signal availability or \
                    latency, or the annotation faultline.io/indicator";
    let sources = [
        "/thresholdMetric/metricSource",
        "/ratioMetric/good/metricSource",
        "/ratioMetric/bad/metricSource",
        "/ratioMetric/raw/metricSource",
    ];
    let ours = sources.iter().filter_map(|pointer| spec.pointer(pointer));
    let ours = ours.into_iter().find(|source| text(source, "/type") == Some("faultline"));
    let signal = said.or_else(|| text(ours?, "/spec/signal"));
    let indicator = match signal {
        Some("availability") => Indicator::Availability,
        Some("latency") => Indicator::Latency,
        _ => return Err(field("/spec/indicator", expected)),
    };
    let unit_ms = match threshold_unit_ms(document, ours)? {
        Some(unit_ms) => unit_ms,
        None if ours.is_some() || indicator == Indicator::Availability => 1.0,
        None => return Err(field(UNIT_ANNOTATION, UNIT_ANNOTATED)),
    };
    Ok(Measured { indicator, unit_ms })
}

const UNIT_ANNOTATION: &str = "/metadata/annotations/faultline.io~1unit";
const UNIT_ANNOTATED: &str =
    "the annotation faultline.io/unit with the unit of the threshold: s, ms or us";

/// Milliseconds in the unit of thresholds, if the objective or our own source of it names one.
fn threshold_unit_ms(
    document: &Value,
    ours: Option<&Value>,
) -> Result<Option<f64>, InvalidDocument> {
    let read = |unit: Option<&Value>, pointer: &str, expected: &str| {
        unit.map(|unit| unit_ms(unit).ok_or_else(|| field(pointer, expected))).transpose()
    };
    let annotated = read(document.pointer(UNIT_ANNOTATION), UNIT_ANNOTATION, UNIT_ANNOTATED)?;
    let of_source = ours.and_then(|source| source.pointer("/spec/unit"));
    let expected = "a metricSource of type faultline whose unit is s, ms or us";
    let of_source = read(of_source, "/spec/indicator", expected)?;
    Ok(annotated.or(of_source))
}

/// Milliseconds in a unit.
fn unit_ms(unit: &Value) -> Option<f64> {
    match unit.as_str()? {
        "s" | "seconds" => Some(1_000.0),
        "ms" | "milliseconds" => Some(1.0),
        "us" | "microseconds" => Some(0.001),
        _ => None,
    }
}

fn threshold(
    objective: &Value,
    measured: &Measured,
    pointer: &str,
) -> Result<Option<NonNegative>, InvalidDocument> {
    if measured.indicator == Indicator::Availability {
        return Ok(None);
    }
    let op = text(objective, "/op").unwrap_or("lte");
    if !matches!(op, "lte" | "lt") {
        return Err(field(format!("{pointer}/op"), "lte or lt: what takes longer is bad"));
    }
    let value = objective["value"].as_f64().map(|value| value * measured.unit_ms);
    let value = value.and_then(|value| NonNegative::new(value).ok());
    let expected = "the longest good latency";
    value.map(Some).ok_or_else(|| field(format!("{pointer}/value"), expected))
}

fn target(objective: &Value, pointer: &str) -> Result<Ratio, InvalidDocument> {
    let percent = objective["targetPercent"].as_f64().map(|percent| percent / 100.0);
    let target = objective["target"].as_f64().or(percent);
    // The specification leaves out 1, which would leave no budget.
    let target = target.filter(|target| (0.0..1.0).contains(target));
    let expected = "a share from 0 to below 1, or targetPercent from 0 to below 100";
    let ratio = target.and_then(|target| Ratio::new(target).ok());
    ratio.ok_or_else(|| field(format!("{pointer}/target"), expected))
}

fn window_ms(document: &Value) -> Result<NonNegative, InvalidDocument> {
    let windows = list(document, "/spec/timeWindow");
    let [window] = windows else {
        return Err(field("/spec/timeWindow", "one window"));
    };
    if window["isRolling"] == Value::Bool(false) || window.get("calendar").is_some() {
        return Err(field("/spec/timeWindow/0/isRolling", "true: calendars are not kept"));
    }
    let given = text(window, "/duration").and_then(duration_ms);
    let expected = "a duration such as 30d, 4w, 12h or 30m";
    given.ok_or_else(|| field("/spec/timeWindow/0/duration", expected))
}

fn duration_ms(text: &str) -> Option<NonNegative> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let hours = match unit {
        "m" => 1.0 / 60.0,
        "h" => 1.0,
        "d" => 24.0,
        "w" => 168.0,
        // Months and longer are not all of one length; these are what is meant by them.
        "M" => 720.0,
        "Q" => 2_160.0,
        "Y" => 8_760.0,
        _ => return None,
    };
    let number = number.parse::<u32>().ok().filter(|number| *number > 0)?;
    NonNegative::new((f64::from(number) * hours * 3_600_000.0).round()).ok()
}

#[cfg(test)]
mod tests {
    use events::EventData;

    use super::*;

    const FILE: &str = "
apiVersion: openslo/v1
kind: SLI
metadata: {name: cart-latency}
spec:
  thresholdMetric:
    metricSource: {type: faultline, spec: {signal: latency, unit: s}}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: cart}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: cart-fast}
spec:
  service: cart
  indicatorRef: cart-latency
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - {displayName: most, op: lte, value: 0.2, target: 0.95}
    - {displayName: nearly all, op: lte, value: 1, targetPercent: 99.5}
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: cart-up
  annotations: {faultline.io/indicator: availability, faultline.io/component: shop/cart}
spec:
  service: cart
  indicator:
    metadata: {name: up}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: sum(ok)}}}
        total: {metricSource: {type: Prometheus, spec: {query: sum(all)}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.999}]
";

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn read(file: &str) -> Vec<SloDefined> {
        let slo = |event: Event| match event.data {
            EventData::SloDefined(data) => data,
            other => panic!("expected an objective, got {other:?}"),
        };
        objectives(file, now()).unwrap().into_iter().map(slo).collect()
    }

    #[test]
    fn objectives_are_read_with_their_indicators() {
        let slos = read(FILE);
        let [fast, faster, up] = slos.as_slice() else { panic!("three objectives") };
        assert_eq!((fast.slo.as_str(), faster.slo.as_str()), ("cart-fast-1", "cart-fast-2"));
        assert_eq!(fast.threshold_ms.unwrap().get(), 200.0);
        assert_eq!(faster.objective.get(), 0.995);
        assert_eq!(fast.window_ms.get(), 28.0 * 86_400_000.0);
        assert_eq!((up.slo.as_str(), up.component.as_str()), ("cart-up", "shop/cart"));
        assert_eq!((up.indicator, up.threshold_ms), (Indicator::Availability, None));
        let events = objectives(FILE, now()).unwrap();
        for event in &events {
            assert_eq!(&Event::from_cloud_event(event.to_cloud_event(), now()).unwrap(), event);
        }
        assert_eq!(objectives(FILE, now()).unwrap(), events, "the same file is the same events");
    }

    #[test]
    fn thresholds_beside_queries_of_others_have_a_unit() {
        let annotated = |annotations: &str| {
            let source = "type: Prometheus, spec: {query: histogram_quantile(0.9)";
            FILE.replace("type: faultline, spec: {signal: latency, unit: s", source).replacen(
                "metadata: {name: cart-fast}",
                &format!("metadata: {{name: cart-fast, annotations: {{{annotations}}}}}"),
                1,
            )
        };
        let latency = "faultline.io/indicator: latency";
        for (unit, threshold_ms) in [
            ("s", 200.0),
            ("seconds", 200.0),
            ("ms", 0.2),
            ("milliseconds", 0.2),
            ("us", 0.000_2),
            ("microseconds", 0.000_2),
        ] {
            let slos = read(&annotated(&format!("{latency}, faultline.io/unit: {unit}")));
            assert_eq!(slos[0].threshold_ms.unwrap().get(), threshold_ms, "{unit}");
        }
        for annotations in [
            latency.to_owned(),
            format!("{latency}, faultline.io/unit: minutes"),
            format!("{latency}, faultline.io/unit: 1"),
        ] {
            let refusal = objectives(&annotated(&annotations), now()).unwrap_err().to_string();
            assert!(refusal.contains("/2/metadata/annotations/faultline.io~1unit"), "{refusal}");
            assert!(refusal.contains("s, ms or us"), "{refusal}");
        }
        let plain = FILE.replace(", unit: s", "");
        assert_eq!(read(&plain)[0].threshold_ms.unwrap().get(), 0.2, "ours is in milliseconds");
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_its_place() {
        for (from, to, pointer) in [
            ("faultline.io/indicator: availability, ", "", "/3/spec/indicator"),
            ("isRolling: true", "isRolling: false", "/2/spec/timeWindow/0/isRolling"),
            ("Occurrences", "Timeslices", "/2/spec/budgetingMethod"),
            ("duration: 30d", "duration: soon", "/3/spec/timeWindow/0/duration"),
            ("target: 0.999", "target: 1", "/3/spec/objectives/0/target"),
            ("value: 0.2, ", "", "/2/spec/objectives/0/value"),
            ("op: lte", "op: gt", "/2/spec/objectives/0/op"),
            ("indicatorRef: cart-latency", "indicatorRef: other", "/2/spec/indicatorRef"),
            ("unit: s", "unit: h", "/2/spec/indicator"),
            ("openslo/v1", "openslo/v2", "/0/apiVersion"),
        ] {
            let file = FILE.replacen(from, to, 1);
            let refusal = objectives(&file, now()).unwrap_err();
            let InvalidDocument::Field { pointer: at, .. } = &refusal else { panic!("{refusal}") };
            assert_eq!(at, pointer, "{refusal}");
        }
        let refusal = objectives("a: [", now()).unwrap_err();
        assert_eq!(refusal.code(), "malformed");
        let refusal = objectives(&"[".repeat(100_000), now()).unwrap_err();
        assert!(refusal.to_string().contains("brackets"), "{refusal}");
        let refusal = objectives(&" ".repeat(2 << 20), now()).unwrap_err();
        assert_eq!(refusal.code(), "malformed");
    }
}
