//! Whatever a file, variables and flags contain, the result is a configuration or a message about what is wrong; and the file that is
//! printed for a configuration configures a server in the same way.

use clap::{Args as _, Command, FromArgMatches as _};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::cli::config::show;

/// A part of each secret and password, which must never be shown.
const HUSH: &str = "hushhushhushhushhushhushhushhush";

/// Values for settings.
const VALUES: [&str; 34] = [
    "",
    "0",
    "1",
    "007",
    "+5",
    "-1",
    "1.5",
    "18446744073709551616",
    "true",
    "false",
    "off",
    "auto",
    "250ms",
    "1s",
    "24h",
    "1e9s",
    "99999999999999d",
    "64KiB",
    "18014398509481984KiB",
    "0GiB",
    "job:*",
    "**",
    "a::b",
    "user:*=1000,7d,1MiB",
    "job:1=,,",
    "https://app.example",
    "127.0.0.1:0",
    "[::1]:1",
    "unix:/nowhere/socket",
    "inherited",
    "10.0.0.0/8",
    "10.0.0.0/99",
    "json",
    "two words",
];

/// Addresses of backends, all with a password.
const ADDRESSES: [&str; 5] = [
    "redis://ada:P@h/0",
    "postgres://ada:P@h/x",
    "rediss://:P@",
    "redis:/ada:P@h",
    "rediss:ada:P",
];

#[derive(Clone, Debug)]
struct Setup {
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    file: String,
}

impl Setup {
    /// The resulting settings, or a message about what is wrong.
    fn in_force(&self) -> Result<InForce, String> {
        let environment = self.variables.iter().cloned();
        let environment = environment.map(|(name, value)| (name, OsString::from(value)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidegate.toml");
        std::fs::write(&path, &self.file).unwrap();
        in_force(&self.flags(), Some(&path), &Environment::of(environment))
            .map_err(|problems| problems.to_string())
    }

    /// The flags of a command line.
    fn flags(&self) -> Flags {
        let command = Flags::augment_args(Command::new("tidegate"));
        let line = std::iter::once("tidegate").chain(self.flags.iter().map(String::as_str));
        let matches = command.clone().try_get_matches_from(line);
        let matches = matches.unwrap_or_else(|_| command.get_matches_from(["tidegate"]));
        Flags::from_arg_matches(&matches).unwrap()
    }
}

/// A setting, and a value for it.
fn any_assignment() -> impl Strategy<Value = (String, String)> {
    let names: Vec<String> = options::all()
        .into_iter()
        .map(|setting| setting.name)
        .collect();
    let any_value = prop_oneof![8 => select(&VALUES[..]).prop_map(str::to_owned), 1 => "\\PC{0,9}"];
    (select(names), any_value, select(&ADDRESSES[..])).prop_map(|(name, value, address)| {
        let value = match name.as_str() {
            "jwt_secret" | "ticket_secret" => format!("{HUSH}{value}"),
            "backend" => address.replace('P', HUSH),
            // The files that they name would be read.
            "jwks" | "oidc_issuer" | "jwt_secret_file" | "tls_cert" | "tls_key" => {
                "/nowhere/at.all".to_owned()
            }
            _ => value,
        };
        (name, value)
    })
}

/// A line of a file, usually one that sets something.
fn any_line() -> impl Strategy<Value = String> {
    (any_assignment(), 0..12_u8, "\\PC{0,12}").prop_map(|((name, value), shape, noise)| {
        let quoted = serde_json::Value::from(value.clone());
        match shape {
            0 => format!("{name} = [{quoted}, {quoted}]"),
            1 => format!("{} = {quoted}", name.replace('_', "-")),
            2 => format!("{name} = {{ value = {quoted} }}"),
            3 => format!("[{name}]"),
            4 => noise,
            5 if !value.contains(HUSH) => format!("{name} = {value}"),
            _ => format!("{name} = {quoted}"),
        }
    })
}

fn any_setup() -> impl Strategy<Value = Setup> {
    let flags = vec(any_assignment(), 0..3).prop_map(|flags| {
        let flag =
            |(name, value): (String, String)| format!("--{}={value}", name.replace('_', "-"));
        flags.into_iter().map(flag).collect()
    });
    let variables = vec((any_assignment(), 0..9_u8), 0..4).prop_map(|variables| {
        let variable = |((name, value), odd): ((String, String), u8)| {
            let end = if odd == 0 { "X" } else { "" };
            (format!("TIDEGATE_{}{end}", name.to_uppercase()), value)
        };
        variables.into_iter().map(variable).collect()
    });
    let file = vec(any_line(), 0..5).prop_map(|lines| lines.join("\n"));
    let file = prop_oneof![6 => file, 1 => "(?s).{0,40}"];
    (flags, variables, file).prop_map(|(flags, variables, file)| Setup {
        flags,
        variables,
        file,
    })
}

fn shown(in_force: &InForce) -> (String, String) {
    let (mut table, mut file) = (Vec::new(), Vec::new());
    show::as_table(in_force, &mut table).unwrap();
    show::as_file(in_force, &mut file).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(table), text(file))
}

/// What is set and may be shown. An empty value counts as not set.
fn set(in_force: &InForce) -> Vec<(&str, Vec<&OsString>)> {
    let may_show =
        |chosen: &&Chosen| chosen.setting.kind == Kind::Plain && chosen.source != Source::Default;
    let chosen = in_force.chosen.iter().filter(may_show);
    let chosen = chosen.map(|chosen| {
        let values = chosen.values.iter().filter(|value| !value.is_empty());
        (chosen.setting.name.as_str(), values.collect())
    });
    chosen
        .filter(|(_, values): &(_, Vec<_>)| !values.is_empty())
        .collect()
}

proptest! {
    #[test]
    fn anything_is_a_configuration_or_is_told_in_words(setup in any_setup()) {
        let in_force = match setup.in_force() {
            Ok(in_force) => in_force,
            Err(told) => {
                prop_assert!(!told.is_empty() && !told.contains(HUSH), "{told}");
                return Ok(());
            }
        };
        let (table, file) = shown(&in_force);
        for told in [&table, &file, &in_force.warnings.join("\n")] {
            prop_assert!(!told.contains(HUSH), "{told}");
        }
        if let Err(told) = in_force.settings.config() {
            prop_assert!(!format!("{told:#}").contains(HUSH), "{told:#}");
        }
        let printed = Setup { flags: Vec::new(), variables: Vec::new(), file };
        let again = printed.in_force();
        let Ok(again) = again else {
            return Err(TestCaseError::fail(format!("{:?} of {}", again.err(), printed.file)));
        };
        prop_assert_eq!(set(&again), set(&in_force));
    }
}
