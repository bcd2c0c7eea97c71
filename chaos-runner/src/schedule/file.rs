//! Reading a schedule file.

use std::time::Duration;

use events::Timestamp;
use events::value::Line;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::{Blackout, Schedule, Schedules, Times};

/// Shortest time between two begins: below it a run would meet the next one.
const SHORTEST: Duration = Duration::from_secs(10);

/// Longest jitter and longest time between two begins.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Why a file is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not a schedule: {message}")]
pub struct InvalidSchedule {
    name: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    time_zone: Option<String>,
    schedules: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    experiments: Vec<String>,
    cron: Option<String>,
    every: Option<String>,
    jitter: Option<String>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    blackouts: Vec<BlackoutForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlackoutForm {
    #[serde(default)]
    days: Vec<String>,
    from: String,
    to: String,
}

/// Reads a schedule file (YAML or JSON).
pub fn read(name: &str, text: &str) -> Result<Schedules, InvalidSchedule> {
    let invalid = |message: String| InvalidSchedule { name: name.to_owned(), message };
    // JSON is YAML.
    let file: FileForm = serde_yaml_ng::from_str(text).map_err(|it| invalid(it.to_string()))?;
    let zone = file.time_zone.as_deref().unwrap_or("UTC");
    let named = TimeZone::get(zone).map_err(|_| {
        invalid(format!("time_zone: expected a name such as Europe/Berlin or UTC, got {zone:?}"))
    })?;
    let mut schedules: Vec<Schedule> = Vec::new();
    for (index, entry) in file.schedules.into_iter().enumerate() {
        let read = entry.read(zone, &named);
        let schedule = read.map_err(|message| invalid(format!("schedules[{index}].{message}")))?;
        if schedules.iter().any(|other| other.name == schedule.name) {
            let message =
                format!("schedules[{index}].name: {:?} is there twice", schedule.name.as_str());
            return Err(invalid(message));
        }
        schedules.push(schedule);
    }
    if schedules.is_empty() {
        return Err(invalid("schedules: expected at least one".to_owned()));
    }
    Ok(Schedules { schedules })
}

impl Entry {
    fn read(self, zone_name: &str, zone: &TimeZone) -> Result<Schedule, String> {
        let name = Line::new(self.name).map_err(|error| format!("name: {error}"))?;
        if self.experiments.is_empty() {
            return Err("experiments: expected at least one file or shipped experiment".to_owned());
        }
        let times = match (self.cron, self.every) {
            (Some(cron), None) => {
                let parsed = cronexpr::parse_crontab(&format!("{cron} {zone_name}"));
                let parsed = parsed.map_err(|error| format!("cron: {cron:?}: {error}"))?;
                Times::Cron(Box::new(parsed))
            }
            (None, Some(every)) => Times::Every(time("every", &every, SHORTEST)?),
            _ => return Err("cron: expected either `cron` or `every`".to_owned()),
        };
        let jitter = self.jitter.map(|text| time("jitter", &text, Duration::ZERO)).transpose()?;
        let blackouts = self.blackouts.into_iter().enumerate().map(|(index, form)| {
            form.read(zone).map_err(|message| format!("blackouts[{index}].{message}"))
        });
        Ok(Schedule {
            name,
            experiments: self.experiments,
            times,
            jitter: jitter.unwrap_or_default(),
            seed: self.seed,
            blackouts: blackouts.collect::<Result<_, _>>()?,
            zone: zone.clone(),
        })
    }
}

impl BlackoutForm {
    fn read(self, zone: &TimeZone) -> Result<Blackout, String> {
        if let (Ok(from), Ok(to)) = (self.from.parse::<Time>(), self.to.parse::<Time>())
            && !self.from.contains('-')
        {
            let days = self.days.iter().map(|day| weekday(day)).collect::<Result<_, _>>()?;
            return Ok(Blackout::Weekly { days, from, to });
        }
        if !self.days.is_empty() {
            return Err("days: expected times of the day with them, such as 22:00".to_owned());
        }
        let from = moment("from", &self.from, zone)?;
        let to = moment("to", &self.to, zone)?;
        if from >= to {
            return Err(format!("to: expected a moment after {from}, got {to}"));
        }
        Ok(Blackout::Between(from, to))
    }
}

fn time(field: &str, text: &str, least: Duration) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{field}: expected a time from {least:?} to 366 days such as 1h or 90s, got {text:?}"
        )
    };
    let time: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let time = Duration::try_from(time).map_err(|_| wrong())?;
    if (least..=LONGEST).contains(&time) { Ok(time) } else { Err(wrong()) }
}

fn moment(field: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let zoned = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(zone.clone()).ok()?.timestamp())
    };
    text.parse()
        .ok()
        .or_else(zoned)
        .ok_or_else(|| format!("{field}: expected 22:00 or 2026-12-24T00:00, got {text:?}"))
}

fn weekday(text: &str) -> Result<Weekday, String> {
    const DAYS: [(&str, Weekday); 7] = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    let lower = text.to_lowercase();
    let day = DAYS.iter().find(|(name, _)| *name == lower).map(|(_, day)| *day);
    day.ok_or_else(|| format!("days: expected mon to sun, got {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(entry: &str) -> String {
        read("s.yaml", &format!("schedules: [{entry}]")).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_example_is_valid() {
        let readme = include_str!("../../scenarios/README.md");
        let blocks = readme.split("```yaml\n").skip(1).filter_map(|it| it.split("```").next());
        let example = blocks.into_iter().find(|block| block.starts_with("time_zone")).unwrap();
        let schedules = read("README.md", example).unwrap().schedules;
        assert_eq!((schedules.len(), schedules[0].blackouts.len()), (1, 3));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(
            wrong("{name: n, experiments: [], every: 1h}"),
            "s.yaml is not a schedule: schedules[0].experiments: expected at least one file or \
             shipped experiment"
        );
        assert!(wrong("{name: n, experiments: [x]}").contains("either `cron` or `every`"));
        assert!(wrong("{name: n, experiments: [x], every: 1s}").contains("every: expected a time"));
        assert!(wrong("{name: n, experiments: [x], cron: '61 * * * *'}").contains("cron: "));
        assert!(wrong("{name: n, experiments: [x], evry: 1h}").contains("evry"));
        let blackout = "{name: n, experiments: [x], every: 1h, blackouts: [{from: soon, to: '1'}]}";
        assert!(wrong(blackout).contains("blackouts[0].from: expected 22:00"));
        let twice =
            "{name: n, experiments: [x], every: 1h}, {name: n, experiments: [x], every: 2h}";
        assert!(wrong(twice).contains("schedules[1].name: \"n\" is there twice"));
        let zone = read("s.yaml", "time_zone: Nowhere/At_All\nschedules: []").unwrap_err();
        assert!(zone.to_string().contains("time_zone: expected a name such as Europe/Berlin"));
    }
}
