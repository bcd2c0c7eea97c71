//! Trained models and service level objectives.

use events::RecordedEvent;
use events::catalogue::model::{ErrorBudgetBurned, ModelSelected, ModelTrained, SloDefined};

use super::{ProjectError, word};
use crate::change::{Change, Upsert, component_seen};
use crate::table::Table;
use crate::value::{float, int, json, optional, text, time};

pub(super) fn trained(
    recorded: &RecordedEvent,
    data: &ModelTrained,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Model, &data.model)
        .newest(at, "method", text(data.method.as_str()))
        .newest(at, "weights", json("weights", &data.weights)?)
        .newest(at, "data_from_position", int("data_from_position", data.data_from_position)?)
        .newest(at, "data_to_position", int("data_to_position", data.data_to_position)?)
        .newest(at, "metrics", json("metrics", &data.metrics)?)
        .newest(at, "metrics_before", json("metrics_before", &data.metrics_before)?)
        .newest(at, "rejected", optional(data.rejected.as_ref(), |it| text(it.as_str())))
        .newest(at, "trained_at", time(at));
    Ok(vec![row.into()])
}

pub(super) fn selected(
    recorded: &RecordedEvent,
    data: &ModelSelected,
) -> Result<Vec<Change>, ProjectError> {
    let row = Upsert::node(Table::ModelSelection, recorded.event.id)
        .fresh()
        .set("choice", text(word("choice", &data.choice)?))
        .set("model", optional(data.model.as_ref(), |it| text(it.as_str())))
        .set("by", text(data.by.as_str()))
        .set("reason", optional(data.reason.as_ref(), |it| text(it.as_str())))
        .set("at", time(recorded.event.time));
    let mut changes: Vec<Change> = vec![row.into()];
    changes.extend(data.model.iter().map(|model| Upsert::node(Table::Model, model).into()));
    Ok(changes)
}

pub(super) fn slo_defined(
    recorded: &RecordedEvent,
    data: &SloDefined,
) -> Result<Vec<Change>, ProjectError> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Slo, &data.slo)
        .newest(at, "component", text(data.component.as_str()))
        .newest(at, "indicator", text(word("indicator", &data.indicator)?))
        .newest(at, "threshold_ms", optional(data.threshold_ms, float))
        .newest(at, "objective", float(data.objective))
        .newest(at, "window_ms", float(data.window_ms))
        .newest(at, "defined_at", time(at));
    Ok(vec![component_seen(&data.component, at).into(), row.into()])
}

pub(super) fn error_budget_burned(
    recorded: &RecordedEvent,
    data: &ErrorBudgetBurned,
) -> Vec<Change> {
    let at = recorded.event.time;
    let row = Upsert::node(Table::Slo, &data.slo)
        .newest(at, "burn_rate", float(data.burn_rate))
        .newest(at, "burn_window_ms", float(data.window_ms))
        .newest(at, "remaining", float(data.remaining))
        .newest(at, "burned_at", time(at));
    vec![row.into()]
}
