//! Reading activities and their providers.

use std::collections::BTreeMap;
use std::time::Duration;

use events::catalogue::fault_kind;
use serde_json::Value;

use super::reader::{Fields, Node};
use super::{
    Activity, ActivityKind, FaultAction, HttpCall, Pauses, ProcessCall, Provider, Signal,
    SignalProbe,
};
use crate::shop::faults::{self, FaultError};
use crate::shop::topology;

/// Time that a process or a request may take when the file does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Shortest time a fault may act: below it no window of telemetry could show it.
const MIN_FAULT_DURATION: Duration = Duration::from_millis(100);

/// Longest time: the shop undoes every fault after ten minutes by itself, and before that the
/// run must have measured and undone it.
const MAX_FAULT_DURATION: Duration = Duration::from_secs(570);

/// Where `{"ref": name}` finds the activity of that name, and the file as it was given.
pub(super) struct Named<'a> {
    pub(super) activities: BTreeMap<String, Node<'a>>,
    pub(super) original: &'a Value,
}

impl<'a> Named<'a> {
    /// Reads the activity at `node`, or the one that it refers to.
    pub(super) fn activity(&self, node: &Node<'a>) -> Option<Activity> {
        let fields = node.object()?;
        let Some(reference) = fields.optional("ref") else { return read(&fields, self.original) };
        let name = reference.string()?;
        match self.activities.get(name) {
            Some(node) => read(&node.object()?, self.original),
            None => {
                let known: Vec<_> = self.activities.keys().map(String::as_str).collect();
                reference.problem(format!(
                    "no activity is called {name:?}; expected one of {}",
                    known.join(", ")
                ))
            }
        }
    }
}

fn read(fields: &Fields<'_>, original: &Value) -> Option<Activity> {
    let name = fields.required("name", "what the activity is called").and_then(|node| node.line());
    let kind = fields.required("type", "\"action\" or \"probe\"").and_then(|node| {
        node.choice(&[("action", ActivityKind::Action), ("probe", ActivityKind::Probe)])
    });
    let provider = fields
        .required("provider", "an object with a `type`: faultline, process or http")
        .and_then(|node| node.object());
    let provider = provider.and_then(|provider| read_provider(&provider, kind));
    let pauses =
        fields.optional("pauses").map_or(Some(Pauses::default()), |node| read_pauses(&node));
    let background = fields.optional("background").map_or(Some(false), |node| node.boolean());
    if let Some(controls) = fields.optional("controls") {
        refuse_controls(&controls);
    }
    let pointer = &fields.node().pointer;
    Some(Activity {
        name: name?,
        kind: kind?,
        provider: provider?,
        pauses: pauses?,
        background: background?,
        document: original.pointer(pointer).cloned().unwrap_or_default(),
    })
}

/// Controls are Python code that Chaos Toolkit calls around activities.
pub(super) fn refuse_controls(node: &Node<'_>) {
    if node.value.as_array().is_none_or(|controls| !controls.is_empty()) {
        node.problem::<()>(
            "controls are Python code that this runner does not call; expected none",
        );
    }
}

fn read_pauses(node: &Node<'_>) -> Option<Pauses> {
    let fields = node.object()?;
    fields.only(&["before", "after"]);
    let pause = |name| fields.optional(name).map_or(Some(Duration::ZERO), |node| node.seconds());
    let (before, after) = (pause("before"), pause("after"));
    Some(Pauses { before: before?, after: after? })
}

fn read_provider(fields: &Fields<'_>, kind: Option<ActivityKind>) -> Option<Provider> {
    let provider = fields.required("type", "faultline, process or http")?;
    match provider.string()? {
        "faultline" => read_faultline(fields, kind),
        "process" => read_process(fields).map(Provider::Process),
        "http" => read_http(fields).map(Provider::Http),
        "python" => provider.problem(
            "python activities run in Chaos Toolkit only; expected faultline, process or http",
        ),
        _ => provider.refuse("one of faultline, process, http"),
    }
}

fn read_faultline(fields: &Fields<'_>, kind: Option<ActivityKind>) -> Option<Provider> {
    let is = |name| fields.optional(name).is_some();
    match (is("fault"), is("clear"), is("signal")) {
        (true, false, false) => {
            expect_kind(fields, kind, ActivityKind::Action, "a fault is injected by an action")?;
            read_fault(fields).map(Provider::Fault)
        }
        (false, true, false) => {
            expect_kind(fields, kind, ActivityKind::Action, "a fault is cleared by an action")?;
            fields.only(&["type", "clear"]);
            let of = fields.required("clear", "the name of a fault action")?.line()?;
            Some(Provider::ClearFault { of })
        }
        (false, false, true) => {
            expect_kind(fields, kind, ActivityKind::Probe, "a signal is read by a probe")?;
            read_signal(fields).map(Provider::Signal)
        }
        _ => fields.node().problem("expected exactly one of `fault`, `clear` and `signal`"),
    }
}

fn expect_kind(
    fields: &Fields<'_>,
    kind: Option<ActivityKind>,
    expected: ActivityKind,
    why: &str,
) -> Option<()> {
    match kind {
        Some(kind) if kind != expected => {
            fields.node().problem(format!("{why}: change the activity's `type`"))
        }
        _ => Some(()),
    }
}

fn read_fault(fields: &Fields<'_>) -> Option<FaultAction> {
    fields.only(&["type", "fault", "component", "peer", "arguments", "duration_ms"]);
    let kinds: Vec<_> = fault_kind::LOCAL.iter().map(|kind| (*kind, *kind)).collect();
    let kind = fields.required("fault", "a fault kind").and_then(|node| node.choice(&kinds));
    let component =
        fields.required("component", "the component at fault").and_then(|node| node.name());
    let peer = match fields.optional("peer") {
        Some(node) => node.name().map(Some),
        None => Some(None),
    };
    let arguments = match fields.optional("arguments") {
        Some(node) => node.object().map(|fields| {
            fields.iter().map(|(name, node)| (name.to_owned(), node.value.clone())).collect()
        }),
        None => Some(BTreeMap::new()),
    };
    let duration = match fields.optional("duration_ms") {
        Some(node) => match node.milliseconds()? {
            time if (MIN_FAULT_DURATION..=MAX_FAULT_DURATION).contains(&time) => Some(Some(time)),
            _ => node.refuse("100 to 570000 ms"),
        },
        None => Some(None),
    };
    let action = FaultAction {
        kind: fault_kind::named(kind?),
        component: component?,
        peer: peer?,
        arguments: arguments?,
        duration: duration?,
    };
    check_with_driver(&action, fields).then_some(action)
}

/// What the shop would refuse when the fault is injected is refused now.
fn check_with_driver(action: &FaultAction, fields: &Fields<'_>) -> bool {
    let problem = |node: Option<Node<'_>>, message: String| {
        node.unwrap_or_else(|| fields.node().clone()).problem::<()>(message);
        false
    };
    let Some(component) = topology::component(action.component.as_str()) else {
        let names: Vec<_> = topology::COMPONENTS.iter().map(|component| component.name).collect();
        let names = names.join(", ");
        let message = format!("the shop has no such component; expected one of {names}");
        return problem(fields.optional("component"), message);
    };
    if let Some(peer) = &action.peer {
        let callers: Vec<_> = topology::inbound(component.name).map(|edge| edge.caller).collect();
        if !callers.contains(&peer.as_str()) {
            let callers = callers.join(", ");
            let message = format!("does not call {}; expected one of {callers}", component.name);
            return problem(fields.optional("peer"), message);
        }
    }
    match faults::check(&action.spec(None, None)) {
        Ok(()) => true,
        Err(FaultError::InvalidArgument { name, message }) => {
            let arguments = fields.optional("arguments").and_then(|node| node.object());
            let argument = arguments.and_then(|arguments| arguments.optional(&name));
            problem(argument, message)
        }
        Err(error) => problem(None, error.to_string()),
    }
}

fn read_signal(fields: &Fields<'_>) -> Option<SignalProbe> {
    fields.only(&["type", "signal", "component"]);
    let signal =
        fields.required("signal", "a golden signal").and_then(|node| node.choice(Signal::ALL));
    let measured: Vec<_> = topology::COMPONENTS
        .iter()
        .filter(|component| component.has_process())
        .map(|component| (component.name, component))
        .collect();
    let component = fields
        .required("component", "the component to look at")
        .and_then(|node| node.choice(&measured))
        .map(topology::Component::id);
    Some(SignalProbe { signal: signal?, component: component? })
}

fn read_process(fields: &Fields<'_>) -> Option<ProcessCall> {
    fields.only(&["type", "path", "arguments", "timeout", "secrets"]);
    let path =
        fields.required("path", "the path or name of a program").and_then(|node| node.string());
    let arguments = match fields.optional("arguments") {
        Some(node) => read_arguments(&node),
        None => Some(Vec::new()),
    };
    let timeout = read_timeout(fields);
    Some(ProcessCall { path: path?.to_owned(), arguments: arguments?, timeout: timeout? })
}

/// A list of arguments, or an object whose names and values follow each other. A single text is
/// a shell command line in Chaos Toolkit; without a shell it is its words.
fn read_arguments(node: &Node<'_>) -> Option<Vec<String>> {
    let word = |node: Node<'_>| match node.value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(node.value.to_string()),
        _ => node.refuse("a text, a number or a boolean"),
    };
    match node.value {
        Value::Array(_) => node.list()?.into_iter().map(word).collect(),
        Value::Object(_) => {
            let mut words = Vec::new();
            for (name, value) in node.object()?.iter() {
                words.push(name.to_owned());
                if !value.value.is_null() && value.value != "" {
                    words.push(word(value)?);
                }
            }
            Some(words)
        }
        Value::String(text)
            if text.contains(['\'', '"', '|', '>', '<', '&', ';', '$', '`', '*']) =>
        {
            node.problem(
                "a command line for a shell is not supported; expected a list of arguments",
            )
        }
        Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        _ => node.refuse("a list of arguments"),
    }
}

fn read_http(fields: &Fields<'_>) -> Option<HttpCall> {
    fields.only(&[
        "type",
        "url",
        "method",
        "headers",
        "arguments",
        "timeout",
        "verify_tls",
        "max_retries",
        "secrets",
    ]);
    let url = fields.required("url", "an http:// or https:// address").and_then(|node| match node
        .string()?
    {
        url if url.starts_with("http://") || url.starts_with("https://") => Some(url.to_owned()),
        _ => node.refuse("an http:// or https:// address"),
    });
    let verify_tls = fields.optional("verify_tls").map_or(Some(true), |node| node.boolean());
    let method = match fields.optional("method") {
        Some(node) => node.string().map(str::to_ascii_uppercase),
        None => Some("GET".to_owned()),
    };
    let headers = match fields.optional("headers") {
        Some(node) => node.object().and_then(|headers| {
            headers
                .iter()
                .map(|(name, value)| Some((name.to_owned(), value.string()?.to_owned())))
                .collect()
        }),
        None => Some(BTreeMap::new()),
    };
    let timeout = read_timeout(fields);
    let arguments = fields.optional("arguments").map(|node| node.value.clone());
    Some(HttpCall {
        url: url?,
        method: method?,
        headers: headers?,
        arguments,
        timeout: timeout?,
        verify_tls: verify_tls?,
    })
}

fn read_timeout(fields: &Fields<'_>) -> Option<Duration> {
    fields.optional("timeout").map_or(Some(DEFAULT_TIMEOUT), |node| match node.value {
        Value::Array(_) => node.list()?.last().and_then(Node::seconds),
        _ => node.seconds(),
    })
}
