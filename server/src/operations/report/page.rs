//! The report as a page that needs nothing from elsewhere.

use events::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::plot::{Point, Series, lines};
use super::table::{durations, rate};
use super::{Faults, Model, NOTHING_LEARNED, Part, Report};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #1c1c1c; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #e4e4e4;
  white-space: nowrap; }
th { font-weight: 600; } .scroll { overflow-x: auto; } .note { color: #555; }
svg { max-width: 100%; height: auto; }
";

/// The page.
pub(super) fn of(report: &Report, now: Timestamp) -> anyhow::Result<String> {
    let record = &report.track_record;
    let months: Vec<String> = record.by_month.iter().map(|part| part.key.clone()).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Faultline: how the base did" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "How the base did" }
                p.note {
                    "As of position " (report.projected_position) " of the log, " (now.strftime("%Y-%m-%d %H:%M UTC").to_string())
                }
                p {
                    (record.all.incidents) " incidents, " (record.all.false_positives)
                    " of them false alarms; " (record.faults) " injected faults, "
                    (record.unnoticed_faults) " of them without an incident."
                }
                @if !months.is_empty() {
                    h2 { "Diagnoses against labels, by month" }
                    (PreEscaped(lines(&months, &hits(&record.by_month), "share of incidents")?))
                    (parts("Month", record.by_month.iter().chain([&record.all])))
                    h2 { "Minutes to detect and to resolve, by month" }
                    (PreEscaped(lines(&months, &minutes(&record.by_month), "minutes (median)")?))
                    h2 { "By who ranked" }
                    (parts("Ranked by", record.by_model.iter()))
                    h2 { "By what noticed" }
                    (parts("Noticed by", record.by_detector.iter()))
                }
                @if !record.by_fault_kind.is_empty() {
                    h2 { "Injected faults" }
                    (faults(&record.by_fault_kind))
                }
                h2 { "What was learned" }
                (learned(report)?)
            }
        }
    };
    Ok(page.into_string())
}

fn hits(parts: &[Part]) -> Vec<Series> {
    vec![
        Series::of("cause first", parts, |part| part.first),
        Series::of("kind of fault", parts, |part| part.fault_kind),
        Series::of("similar incident of the same kind", parts, |part| part.similar),
    ]
}

fn minutes(parts: &[Part]) -> Vec<Series> {
    let series = |name, ms: fn(&Part) -> Option<f64>| Series {
        name,
        points: parts
            .iter()
            .map(|part| Some(Point { value: ms(part)? / 60_000.0, ends: None }))
            .collect(),
    };
    vec![
        series("to detect, where a fault was injected", |part| part.time_to_detect.p50_ms),
        series("to resolve", |part| part.time_to_resolve.p50_ms),
    ]
}

fn parts<'p>(key: &str, parts: impl Iterator<Item = &'p Part>) -> Markup {
    let header = [
        key,
        "Incidents",
        "False",
        "Unexplained",
        "Detected",
        "Resolved",
        "Cause first",
        "Among three",
        "Kind of fault",
        "Similar",
    ];
    html! {
        div.scroll {
            table {
                thead { tr { @for name in header { th { (name) } } } }
                tbody {
                    @for part in parts {
                        tr {
                            td { (part.key) }
                            td { (part.incidents) }
                            td { (part.false_positives) }
                            td { (part.unexplained) }
                            td { (durations(part.time_to_detect)) }
                            td { (durations(part.time_to_resolve)) }
                            td { (rate(part.first)) }
                            td { (rate(part.first_three)) }
                            td { (rate(part.fault_kind)) }
                            td { (rate(part.similar)) }
                        }
                    }
                }
            }
        }
        p.note {
            "Unexplained: no fault, change or label. Times: median / 90 %. Shares: with the 95 % interval and of how many it is known."
        }
    }
}

fn faults(faults: &[Faults]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "Kind" } th { "Injected" } th { "Unnoticed" } th { "Detected" } } }
                tbody {
                    @for kind in faults {
                        tr {
                            td { (kind.fault_kind) }
                            td { (kind.faults) }
                            td { (kind.unnoticed) }
                            td { (durations(kind.time_to_detect)) }
                        }
                    }
                }
            }
        }
    }
}

fn learned(report: &Report) -> anyhow::Result<Markup> {
    let models = &report.models.nodes;
    if models.is_empty() {
        return Ok(html! {
            p { (NOTHING_LEARNED) }
        });
    }
    let taught = |model: &Model| model.metric("incidents_of_known_cause").map(|it| it.value);
    let names: Vec<String> = models
        .iter()
        .map(|it| taught(it).map_or("?".to_owned(), |it| format!("{it:.0}")))
        .collect();
    let of = |name: &'static str, metric: &str, before: bool| Series {
        name,
        points: models
            .iter()
            .map(|model| {
                let metric = model.metric(metric)?;
                let value = if before { metric.before? } else { metric.value };
                Some(Point { value, ends: None })
            })
            .collect(),
    };
    let curve = [
        of("cause first", "hit_at_1", false),
        of("cause first, the model before", "hit_at_1", true),
        of("kind of fault (weighted F1)", "kind_weighted_f1", false),
    ];
    Ok(html! {
        (PreEscaped(lines(&names, &curve, "on incidents left out")?))
        p.note { "By the number of incidents that taught the model." }
        div.scroll {
            table {
                thead { tr { th { "Model" } th { "Trained" } th { "State" } } }
                tbody {
                    @for model in models.iter().rev() {
                        tr {
                            td { (model.key) }
                            td { (model.trained_at.map_or(String::new(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())) }
                            td { (report.state(model)) }
                        }
                    }
                }
            }
        }
    })
}
