//! Which of its two observations a shop sends: the OpenTelemetry of its processes, what its
//! proxies see, or both.

use clap::{Args, ValueEnum};

use crate::shop::ShopOptions;
use crate::shop::otlp::ReceiverArgs;
use crate::submit::InvalidServer;

/// The standard variable that names a receiver.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What the shop tells of itself, and to whom.
#[derive(Args, Clone, Debug)]
pub(super) struct TelemetryArgs {
    #[command(flatten)]
    receiver: ReceiverArgs,
    /// Who describes topology, golden signals, edges and deployments
    /// [default: otlp with --otlp, both where the environment names the receiver, else proxies].
    #[arg(long, value_name = "SOURCE")]
    telemetry: Option<Source>,
}

/// A source of what is known of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// The OpenTelemetry of the processes; the proxies send no events.
    Otlp,
    /// The proxies and the supervisor, as events to --server.
    Proxies,
    /// Both: for an OpenTelemetry backend other than --server, which would count all twice.
    Both,
}

/// Why the shop cannot tell what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidTelemetry {
    /// The address, the token or the certificates cannot be used.
    #[error(transparent)]
    Receiver(#[from] InvalidServer),
    /// Telemetry without a receiver.
    #[error("--telemetry {0} needs a receiver: --otlp URL, or {ENDPOINT_VARIABLE}")]
    NoReceiver(&'static str),
    /// A receiver without telemetry.
    #[error("--telemetry proxies sends nothing to the receiver that --otlp names; `both` does")]
    Contradiction,
}

impl TelemetryArgs {
    /// Puts what was chosen into the options of a shop.
    ///
    /// A receiver that only the environment names adds OpenTelemetry and takes no events away:
    /// it often belongs to another backend than Faultline.
    pub(super) fn choose(
        &self,
        options: &mut ShopOptions,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(), InvalidTelemetry> {
        let mut receiver = self.receiver.clone();
        let named = receiver.otlp.is_some();
        if !named {
            receiver.otlp = environment(ENDPOINT_VARIABLE).filter(|url| !url.is_empty());
        }
        let source = self.telemetry.unwrap_or(match (named, &receiver.otlp) {
            (true, _) => Source::Otlp,
            (false, Some(_)) => Source::Both,
            (false, None) => Source::Proxies,
        });
        options.observations = source != Source::Otlp;
        options.receiver = match source {
            Source::Proxies if named => return Err(InvalidTelemetry::Contradiction),
            Source::Proxies => None,
            Source::Otlp | Source::Both => {
                let word = if source == Source::Otlp { "otlp" } else { "both" };
                Some(receiver.receiver()?.ok_or(InvalidTelemetry::NoReceiver(word))?)
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where telemetry goes, and whether the proxies tell.
    fn chosen(
        otlp: Option<&str>,
        telemetry: Option<Source>,
        environment: Option<&str>,
    ) -> Result<(Option<String>, bool), String> {
        let receiver = ReceiverArgs { otlp: otlp.map(str::to_owned), ..ReceiverArgs::default() };
        let mut options = ShopOptions::default();
        TelemetryArgs { receiver, telemetry }
            .choose(&mut options, |name| {
                assert_eq!(name, "OTEL_EXPORTER_OTLP_ENDPOINT");
                environment.map(str::to_owned)
            })
            .map_err(|error| error.to_string())?;
        let url = options.receiver.map(|receiver| receiver.url().to_owned());
        Ok((url, options.observations))
    }

    #[test]
    fn nothing_is_sent_that_nobody_asked_for() {
        assert_eq!(chosen(None, None, None), Ok((None, true)));
        assert_eq!(chosen(None, None, Some("")), Ok((None, true)));
        assert_eq!(chosen(None, Some(Source::Proxies), Some("http://a")), Ok((None, true)));
    }

    #[test]
    fn a_named_receiver_takes_over_and_one_of_the_environment_comes_on_top() {
        let at = |url: &str| Some(url.to_owned());
        assert_eq!(chosen(Some("http://a"), None, Some("http://b")), Ok((at("http://a"), false)));
        assert_eq!(chosen(None, None, Some("http://b")), Ok((at("http://b"), true)));
        let both = Some(Source::Both);
        assert_eq!(chosen(Some("http://a"), both, None), Ok((at("http://a"), true)));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let error = chosen(None, Some(Source::Otlp), None).unwrap_err();
        assert!(error.starts_with("--telemetry otlp needs a receiver"), "{error}");
        assert!(chosen(Some("http://a"), Some(Source::Proxies), None).is_err());
        assert!(chosen(Some("localhost:4318"), None, None).is_err());
    }
}
