//! The settings: those that have flags, and secrets, which have none.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::error::ContextKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::cli::place::check_address;
use crate::cli::serve::Settings;

/// A setting.
pub(super) struct Setting {
    pub(super) name: String,
    /// The heading of its group.
    pub(super) heading: Option<String>,
    pub(super) meaning: String,
    pub(super) defaults: Vec<String>,
    pub(super) is_list: bool,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    /// May contain a password, which is never shown.
    Address,
    /// Has no flag, and is never shown.
    Secret,
}

/// Secrets, and what they are for. They can be set by the file and by the environment.
const SECRETS: [(&str, &str); 2] = [
    (
        "jwt_secret",
        "Require tokens, signed with HS256 and this secret of at least 32 bytes",
    ),
    (
        "ticket_secret",
        "Sign tickets with this secret of at least 32 bytes; servers behind the same load balancer need the same one",
    ),
];

/// The setting after which the secrets are listed.
const SECRETS_FOLLOW: &str = "jwks";

/// All settings, in the order of the flags.
pub(super) fn all() -> Vec<Setting> {
    let mut settings = Vec::new();
    for arg in command().get_arguments() {
        let Some(long) = arg.get_long().filter(|long| *long != "help") else {
            continue;
        };
        let setting = of_flag(arg, long);
        let heading = setting.heading.clone();
        let is_before_secrets = setting.name == SECRETS_FOLLOW;
        settings.push(setting);
        if is_before_secrets {
            settings.extend(SECRETS.map(|(name, meaning)| Setting {
                name: name.to_owned(),
                heading: heading.clone(),
                meaning: format!("{meaning}. It has no flag"),
                defaults: Vec::new(),
                is_list: false,
                kind: Kind::Secret,
            }));
        }
    }
    settings
}

fn of_flag(arg: &Arg, long: &str) -> Setting {
    let meaning = arg.get_long_help().or_else(|| arg.get_help());
    let defaults = arg.get_default_values().iter();
    Setting {
        name: long.replace('-', "_"),
        heading: arg.get_help_heading().map(ToOwned::to_owned),
        meaning: meaning.map(ToString::to_string).unwrap_or_default(),
        defaults: defaults
            .map(|value| value.to_string_lossy().into_owned())
            .collect(),
        is_list: matches!(arg.get_action(), ArgAction::Append),
        kind: if long == "backend" {
            Kind::Address
        } else {
            Kind::Plain
        },
    }
}

fn command() -> Command {
    Settings::augment_args(Command::new("tidegate"))
}

impl Setting {
    /// The variables that set it; the first one that is set applies.
    pub(super) fn variables(&self) -> Vec<String> {
        let mut variables = vec![format!("TIDEGATE_{}", self.name.to_uppercase())];
        if self.name == "backend" {
            variables.push("PUBSUB_BACKEND".to_owned());
        }
        variables
    }

    /// The flag that sets it to `value`.
    pub(super) fn as_flag(&self, value: &OsString) -> OsString {
        let mut flag = OsString::from(format!("--{}=", self.name.replace('_', "-")));
        flag.push(value);
        flag
    }

    /// Checks that it can have this value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, value: &OsString) -> Result<(), String> {
        match self.kind {
            Kind::Secret => match value.to_str() {
                Some(_) => Ok(()),
                None => Err("it is not UTF-8".to_owned()),
            },
            Kind::Address => check_address(&value.to_string_lossy()),
            Kind::Plain => {
                let line = [OsString::from("tidegate"), self.as_flag(value)];
                let parsed = command().try_get_matches_from(line);
                parsed.map(|_| ()).map_err(|error| reason(&error))
            }
        }
    }
}

/// What is wrong with a value, without the flag by which it was tried.
fn reason(error: &clap::Error) -> String {
    use std::error::Error as _;
    let shown = |kind| error.get(kind).map(ToString::to_string);
    match (error.source(), shown(ContextKind::ValidValue)) {
        (Some(source), _) => format!(
            "{:?}: {source}",
            shown(ContextKind::InvalidValue).unwrap_or_default()
        ),
        (None, Some(known)) => format!(
            "{:?} is not one of {known}",
            shown(ContextKind::InvalidValue).unwrap_or_default()
        ),
        (None, None) => error.kind().to_string(),
    }
}

/// Parses flags to settings.
///
/// # Errors
/// As clap's.
pub(super) fn settings_of(line: Vec<OsString>) -> Result<Settings, clap::Error> {
    Settings::from_arg_matches(&command().try_get_matches_from(line)?)
}

/// The flags of the command line, as given.
pub(in crate::cli) struct Flags {
    given: BTreeMap<String, Vec<OsString>>,
}

impl Flags {
    pub(super) fn of(&self, setting: &Setting) -> Option<Vec<OsString>> {
        self.given.get(&setting.name).cloned()
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self {
            given: BTreeMap::new(),
        };
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for arg in command().get_arguments() {
            let Some(long) = arg.get_long() else {
                continue;
            };
            let id = arg.get_id().as_str();
            if matches.value_source(id) == Some(ValueSource::CommandLine) {
                let values = matches.get_raw(id).into_iter().flatten();
                let values = values.map(ToOwned::to_owned).collect();
                self.given.insert(long.replace('-', "_"), values);
            }
        }
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        Settings::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Settings::augment_args_for_update(command)
    }
}
