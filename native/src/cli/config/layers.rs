//! Decides which of flag, variable, file and default applies.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::file::{Entry, File};
use super::options::{self, Flags, Kind, Setting};
use super::problem::{Location, Problem, Problems, did_you_mean};
use crate::cli::serve::{Secrets, Settings};

/// Variables of ours that are not settings of a server.
const OTHERS: [&str; 5] = [
    "TIDEGATE_CA",
    "TIDEGATE_CONFIG",
    "TIDEGATE_SERVER",
    "TIDEGATE_SQLITE",
    "TIDEGATE_TOKEN",
];

/// The settings for the keys of tokens. If several are set, the one with the highest precedence applies.
const KEYS: [&str; 4] = ["jwks", "oidc_issuer", "jwt_secret_file", "jwt_secret"];

/// The variables that may be settings, except empty ones.
pub(in crate::cli) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    pub(in crate::cli) fn of_process() -> Self {
        let named =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self::of(named)
    }

    pub(in crate::cli) fn of(variables: impl Iterator<Item = (String, OsString)>) -> Self {
        let ours = variables.filter(|(name, value)| {
            (name.starts_with("TIDEGATE_") || name == "PUBSUB_BACKEND") && !value.is_empty()
        });
        Self(ours.collect())
    }

    /// Warnings about names that look like variables of ours, and are not.
    fn warnings(&self, settings: &[Setting]) -> Vec<String> {
        let known: Vec<String> = settings.iter().flat_map(Setting::variables).collect();
        let is_known = |name: &str| known.iter().any(|known| known == name);
        self.0
            .keys()
            .filter(|name| !is_known(name) && !OTHERS.contains(&name.as_str()))
            .map(|name| {
                let nearest = nearest(name, known.iter().map(String::as_str));
                let hint = did_you_mean(nearest.as_deref());
                format!("{name} is set, but there is no such setting{hint}")
            })
            .collect()
    }
}

/// Where a value comes from, in order of precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Flag,
    Variable(String),
    File(Location),
    Default,
}

impl Source {
    const fn rank(&self) -> u8 {
        match self {
            Self::Flag => 0,
            Self::Variable(_) => 1,
            Self::File(_) => 2,
            Self::Default => 3,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Variable(name) => f.write_str(name),
            Self::File(place) => write!(f, "{}:{}", place.path.display(), place.line),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting and its value.
pub(super) struct Chosen {
    pub(super) setting: Setting,
    pub(super) values: Vec<OsString>,
    pub(super) source: Source,
}

/// The settings that apply.
pub(in crate::cli) struct InForce {
    pub(in crate::cli) settings: Settings,
    /// What looks like a mistake, but doesn't prevent the server from running.
    pub(in crate::cli) warnings: Vec<String>,
    pub(super) chosen: Vec<Chosen>,
}

/// Combines flags, variables, the file (`TIDEGATE_CONFIG` names it if `file` doesn't) and defaults.
///
/// # Errors
/// Everything that is wrong with the file and the variables.
pub(in crate::cli) fn in_force(
    flags: &Flags,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<InForce, Problems> {
    let named = environment.0.get("TIDEGATE_CONFIG").map(PathBuf::from);
    let path = file.map(Path::to_owned).or(named);
    let settings = options::all();
    let warnings = environment.warnings(&settings);
    let mut problems = Vec::new();
    let mut entries = path.map_or_else(BTreeMap::new, |path| {
        let file = File::read(&path);
        problems.extend(file.problems);
        known_entries(file.entries, &settings, &mut problems)
    });
    let mut chosen = Vec::new();
    for setting in settings {
        let entry = entries.remove(&setting.name);
        chosen.push(choose(setting, flags, environment, entry, &mut problems));
    }
    keep_nearest_key(&mut chosen, &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let settings = settings_of(&chosen)?;
    Ok(InForce {
        settings,
        warnings,
        chosen,
    })
}

/// The entries that are settings.
fn known_entries(
    entries: Vec<Entry>,
    settings: &[Setting],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Entry> {
    let is_known = |entry: &Entry| settings.iter().any(|setting| setting.name == entry.name);
    let (known, unknown): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_known);
    problems.extend(unknown.into_iter().map(|entry| Problem::Unknown {
        nearest: nearest(
            &entry.name.replace('-', "_"),
            settings.iter().map(|setting| setting.name.as_str()),
        ),
        place: entry.place,
        name: entry.name,
    }));
    let named = known.into_iter().map(|entry| (entry.name.clone(), entry));
    named.collect()
}

fn choose(
    setting: Setting,
    flags: &Flags,
    environment: &Environment,
    entry: Option<Entry>,
    problems: &mut Vec<Problem>,
) -> Chosen {
    // The file is checked even if it doesn't apply, so that its errors are known before it does.
    let of_file = entry.and_then(|entry| of_file(&setting, entry, problems));
    let of_variable = || of_variable(&setting, environment);
    let of_flag = flags.of(&setting).map(|values| (Source::Flag, values));
    let (source, values) = of_flag
        .or_else(of_variable)
        .or(of_file)
        .unwrap_or_else(|| (Source::Default, Vec::new()));
    let unchecked = match &source {
        Source::Variable(name) => Some(("environment", name.clone())),
        // clap has checked all other flags; for this one, its error message would show the password.
        Source::Flag if setting.kind == Kind::Address => {
            Some(("command line", format!("--{}", setting.name)))
        }
        Source::Flag | Source::File(_) | Source::Default => None,
    };
    if let Some((place, name)) = unchecked {
        for reason in values.iter().filter_map(|value| setting.check(value).err()) {
            problems.push(Problem::WrongValue {
                place: place.to_owned(),
                name: name.clone(),
                reason,
            });
        }
    }
    Chosen {
        setting,
        values,
        source,
    }
}

fn of_file(
    setting: &Setting,
    entry: Entry,
    problems: &mut Vec<Problem>,
) -> Option<(Source, Vec<OsString>)> {
    if entry.is_list && !setting.is_list {
        problems.push(Problem::WrongKind {
            place: entry.place,
            name: entry.name,
            expected: "one value, and no list",
        });
        return None;
    }
    let mut values = Vec::new();
    for (place, value) in entry.values {
        // As with variables, an empty value counts as not set.
        if value.is_empty() {
            continue;
        }
        let value = OsString::from(value);
        if let Err(reason) = setting.check(&value) {
            problems.push(Problem::WrongValue {
                place: place.to_string(),
                name: setting.name.clone(),
                reason,
            });
        }
        values.push(value);
    }
    (entry.is_list || !values.is_empty()).then_some((Source::File(entry.place), values))
}

fn of_variable(setting: &Setting, environment: &Environment) -> Option<(Source, Vec<OsString>)> {
    let variables = setting.variables();
    let name = variables
        .into_iter()
        .find(|name| environment.0.contains_key(name))?;
    let value = &environment.0[&name];
    let values = match value.to_str().filter(|_| setting.is_list) {
        Some(text) => text.split_whitespace().map(OsString::from).collect(),
        None => vec![value.clone()],
    };
    Some((Source::Variable(name), values))
}

fn keep_nearest_key(chosen: &mut [Chosen], problems: &mut Vec<Problem>) {
    let mut set: Vec<&mut Chosen> = chosen
        .iter_mut()
        .filter(|chosen| KEYS.contains(&chosen.setting.name.as_str()) && !chosen.values.is_empty())
        .collect();
    set.sort_by_key(|chosen| chosen.source.rank());
    if let [first, second, ..] = set.as_slice()
        && first.source.rank() == second.source.rank()
    {
        problems.push(Problem::Contradiction {
            place: second.source.to_string(),
            first: first.setting.name.clone(),
            second: second.setting.name.clone(),
        });
    }
    for other in set.into_iter().skip(1) {
        other.values.clear();
        other.source = Source::Default;
    }
}

fn settings_of(chosen: &[Chosen]) -> Result<Settings, Problems> {
    let mut line = vec![OsString::from("tidegate")];
    let mut secrets = Secrets::default();
    for Chosen {
        setting,
        values,
        source,
    } in chosen
    {
        match setting.kind {
            Kind::Secret => {
                let text = values.first().map(|value| value.to_string_lossy());
                secrets.set(&setting.name, text.map(|text| text.into_owned()));
            }
            // `choose` reads these variables itself, and reports which one it used.
            Kind::Address if matches!(source, Source::Variable(_)) => {}
            Kind::Plain | Kind::Address => {
                line.extend(values.iter().map(|value| setting.as_flag(value)));
            }
        }
    }
    let settings = options::settings_of(line).map_err(|error| {
        // Each value was checked, so only their combination can be wrong.
        let problem = Problem::WrongValue {
            place: "the settings together".to_owned(),
            name: "flags".to_owned(),
            reason: error.render().to_string(),
        };
        Problems(vec![problem])
    })?;
    Ok(settings.with_secrets(secrets))
}

/// The most similar known name, if any is similar.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    known
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|known| likeness(known) > 0.8)
        .map(ToOwned::to_owned)
}

#[cfg(test)]
mod any;
#[cfg(test)]
mod tests;
