//! Every table is written by some event, and every row reads as its type says.

use schema::Graph;
use schema::reads::ReadGraphError;
use schema::rows;
use schema::table::Table;

use crate::history::everything;

#[tokio::test]
async fn every_row_reads_as_its_type() -> Result<(), ReadGraphError> {
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&everything().0).await.unwrap();
    let mut read = Vec::new();
    macro_rules! reads {
        ($($table:ident as $row:ident,)*) => {$(
            let rows: Vec<rows::$row> = graph.rows(Table::$table, 1_000).await?;
            read.push((Table::$table, rows.len()));
        )*};
    }
    reads! {
        Alert as Alert, Anomaly as Anomaly, Audit as AuditEntry, Change as ChangeRow, Component as Component,
        Diagnosis as Diagnosis, EdgeWindow as EdgeWindow, Effect as Effect, Evidence as EvidenceNode,
        Experiment as Experiment, Fault as Fault, FaultKind as FaultKindNode,
        Feedback as Feedback, Incident as Incident, Label as Label, LogPattern as LogPatterns,
        Maintenance as Maintenance, Mitigation as Mitigation, Model as Model, ModelSelection as ModelSelection,
        Prediction as Prediction, Retention as Retention, Runbook as Runbook, Slo as Slo, Snapshot as Snapshot,
        TimelineEntry as TimelineEntry, Affects as Affects, Calls as Calls, Cites as Cites,
        FixedBy as FixedBy, InjectedInto as InjectedInto, Labelled as Labelled, PartOf as PartOf,
        Preceded as Preceded, Resembles as Resembles, Suspects as Suspects,
        Triggered as Triggered,
    }
    assert_eq!(read.iter().map(|(table, _)| *table).collect::<Vec<_>>(), Table::ALL);
    let empty: Vec<_> = read.iter().filter(|(_, rows)| *rows == 0).collect();
    assert!(empty.is_empty(), "no event of the history writes {empty:?}");
    Ok(())
}
