//! Names of pods and what they stand for.

use events::ComponentName;

/// The service of a pod: its name without the replica set and the pod.
pub fn component(pod: &str) -> Option<ComponentName> {
    let mut parts = pod.rsplitn(3, '-');
    let service = match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(_), Some(service)) => service,
        _ => pod,
    };
    ComponentName::new(service).ok()
}

/// The system that the components are of, under which results are reported.
pub fn system<'c>(mut components: impl Iterator<Item = &'c ComponentName>) -> &'static str {
    let train_ticket = components.any(|component| component.as_str().starts_with("ts-"));
    if train_ticket { "TrainTicket" } else { "OnlineBoutique" }
}
