//! The identity of a run.

use events::{EventId, ExperimentId};

/// Longest part of an experiment id that comes from its title.
const MAX_SLUG_CHARS: usize = 60;

/// One run of an experiment. Every run is another one: reruns never share an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunIdentity {
    /// `latency-on-payments-019aa3e4b1c2-5f0c3b`: the title, the time and a random tail.
    pub experiment: ExperimentId,
    /// Id of the run's first event; the ids of the others derive from it.
    pub root: EventId,
}

impl RunIdentity {
    /// A new run of the experiment called `title`.
    pub fn new(title: &str) -> Self {
        Self::from_root(title, EventId::generate())
    }

    /// The run whose first event is `root`: a UUIDv7, of which the 48 bits of time and the last
    /// 24 random bits make the id.
    pub fn from_root(title: &str, root: EventId) -> Self {
        let hex = root.0.simple().to_string();
        let id = format!("{}-{}-{}", slug(title), &hex[..12], &hex[26..]);
        let experiment = ExperimentId::new(id).expect("a slug of 60 characters and 20 more fit");
        Self { experiment, root }
    }
}

/// The title as lower-case words joined by hyphens.
pub(crate) fn slug(title: &str) -> String {
    let mut slug = String::new();
    for character in title.chars().flat_map(char::to_lowercase) {
        if character.is_ascii_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == MAX_SLUG_CHARS {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "experiment".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_shows_the_title_and_is_another_one_in_every_run() {
        let root = "019aa3e4-b1c2-7def-8123-456789abcdef".parse().unwrap();
        let run = RunIdentity::from_root("Latency on `payments` (50%)", root);
        assert_eq!(run.experiment.as_str(), "latency-on-payments-50-019aa3e4b1c2-abcdef");
        assert_ne!(RunIdentity::new("x").experiment, RunIdentity::new("x").experiment);
    }

    #[test]
    fn any_title_makes_an_id() {
        assert_eq!(slug("…"), "experiment");
        assert_eq!(slug(&"a-".repeat(80)).len(), 59);
    }
}
