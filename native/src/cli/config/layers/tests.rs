use clap::{Args as _, Command, FromArgMatches as _};

use super::*;

/// A configuration of three layers, each as a user would write it.
#[derive(Default)]
struct Setup {
    flags: Vec<&'static str>,
    variables: Vec<(&'static str, &'static str)>,
    file: Option<String>,
}

impl Setup {
    fn in_force(&self) -> Result<InForce, Problems> {
        let line = std::iter::once(&"tidegate").chain(&self.flags);
        let matches = Flags::augment_args(Command::new("tidegate")).get_matches_from(line);
        let flags = Flags::from_arg_matches(&matches).unwrap();
        let variables = self.variables.iter();
        let environment = Environment::of(
            variables.map(|(name, value)| ((*name).to_owned(), OsString::from(*value))),
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidegate.toml");
        let path = self.file.as_ref().map(|text| {
            std::fs::write(&path, text).unwrap();
            path
        });
        in_force(&flags, path.as_deref(), &environment)
    }

    /// The value of a setting, and the layer that it comes from.
    fn of(&self, name: &str) -> (Vec<String>, u8) {
        let in_force = self.in_force().unwrap();
        let chosen = in_force
            .chosen
            .iter()
            .find(|chosen| chosen.setting.name == name);
        let chosen = chosen.unwrap();
        let values = chosen.values.iter();
        let values = values.map(|value| value.to_str().unwrap().to_owned());
        (values.collect(), chosen.source.rank())
    }

    /// The problems, each with its place, without the directory.
    fn problems(&self) -> Vec<String> {
        let problems = self.in_force().err().expect("something is wrong").0;
        let texts = problems.iter().map(ToString::to_string);
        texts
            .map(|text| match text.split_once("/tidegate.toml:") {
                Some((_, rest)) => rest.to_owned(),
                None => text,
            })
            .collect()
    }
}

fn of_file(text: &str) -> Setup {
    Setup {
        file: Some(text.to_owned()),
        ..Setup::default()
    }
}

#[test]
fn a_flag_counts_before_a_variable_before_the_file_before_the_default() {
    for layers in 0..8_u8 {
        let has = |rank: u8| layers & (1 << rank) != 0;
        let setup = Setup {
            flags: if has(0) {
                vec!["--history=10", "--origin=http://flag"]
            } else {
                vec![]
            },
            variables: if has(1) {
                vec![
                    ("TIDEGATE_HISTORY", "11"),
                    ("TIDEGATE_ORIGIN", "http://a  http://b"),
                ]
            } else {
                vec![("TIDEGATE_HISTORY", "")]
            },
            file: has(2).then(|| "history = 12\norigin = [\"http://file\"]".to_owned()),
        };
        let rank = (0..3).find(|rank| has(*rank)).unwrap_or(3);
        let history = [vec!["10"], vec!["11"], vec!["12"], vec![]];
        let origin = [
            vec!["http://flag"],
            vec!["http://a", "http://b"],
            vec!["http://file"],
            vec![],
        ];
        for (name, values) in [("history", history), ("origin", origin)] {
            let values = values[usize::from(rank)].iter();
            let expected: Vec<String> = values.map(ToString::to_string).collect();
            assert_eq!(setup.of(name), (expected, rank), "{name} by {layers:03b}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_all_at_once_and_by_its_place() {
    let setup = of_file(
        "history = \"many\"\nconections = 5\n\norigin = [\"https://ok\",\n  \"nonsense\"]\nshards = [1]\n\
         [limits]\nconnections = 5\n",
    );
    assert_eq!(
        setup.problems(),
        [
            "7:1: limits takes a text, a number, true or false; settings have no tables",
            "2:1: no setting is called \"conections\"; did you mean connections?",
            "1:11: history: \"many\": invalid digit found in string",
            "6:1: shards takes one value, and no list",
            "5:3: origin: \"nonsense\": expected a scheme and a host, such as https://app.example",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_told_by_its_place() {
    let problems = of_file("history = 1\nshards = = 2\n").problems();
    assert!(problems[0].starts_with("2:10: "), "{problems:?}");
    let missing = Setup {
        variables: vec![("TIDEGATE_CONFIG", "/nowhere/at.all")],
        ..Setup::default()
    };
    assert!(missing.problems()[0].contains("/nowhere/at.all"));
}

#[test]
fn what_is_wrong_is_told_even_where_it_does_not_count() {
    let setup = Setup {
        flags: vec!["--history=3"],
        ..of_file("history = false")
    };
    assert_eq!(setup.problems().len(), 1);
}

#[test]
fn a_variable_with_a_wrong_value_is_told_by_its_name() {
    let setup = Setup {
        variables: vec![("TIDEGATE_HEARTBEAT", "soon")],
        ..Setup::default()
    };
    let problems = setup.problems();
    assert!(problems[0].contains("TIDEGATE_HEARTBEAT"), "{problems:?}");
}

#[test]
fn an_address_that_is_none_is_told_wherever_it_is_said_and_without_its_password() {
    let wrong = "redis:/ada:hush@cache";
    let setups = [
        Setup {
            flags: vec!["--backend=redis:/ada:hush@cache"],
            ..Setup::default()
        },
        Setup {
            variables: vec![("TIDEGATE_BACKEND", wrong)],
            ..Setup::default()
        },
        of_file(&format!("backend = {wrong:?}")),
    ];
    for setup in setups {
        let problems = setup.problems();
        assert!(problems[0].contains("redis://…"), "{problems:?}");
        assert!(!problems[0].contains("hush"), "{problems:?}");
    }
}

#[test]
fn a_variable_that_is_none_of_ours_is_warned_of() {
    let setup = Setup {
        variables: vec![("TIDEGATE_HISTROY", "5"), ("TIDEGATE_TOKEN", "t")],
        ..Setup::default()
    };
    let warnings = setup.in_force().unwrap().warnings;
    assert_eq!(
        warnings,
        ["TIDEGATE_HISTROY is set, but there is no such setting; did you mean TIDEGATE_HISTORY?"]
    );
}

#[test]
fn of_the_keys_that_tokens_are_checked_by_the_nearest_counts() {
    let setup = Setup {
        flags: vec!["--jwks=keys.json"],
        variables: vec![(
            "TIDEGATE_JWT_SECRET",
            "a secret of at least thirty-two bytes",
        )],
        ..of_file("jwt_secret_file = \"secret\"")
    };
    assert_eq!(setup.of("jwks"), (vec!["keys.json".to_owned()], 0));
    assert_eq!(setup.of("jwt_secret"), (vec![], 3));
    assert_eq!(setup.of("jwt_secret_file"), (vec![], 3));
    let both = of_file("jwks = \"a\"\njwt_secret_file = \"b\"").in_force();
    let told = both.err().expect("only one can count").to_string();
    for name in ["jwks", "jwt_secret_file", "tidegate.toml"] {
        assert!(told.contains(name), "{told}");
    }
}

#[test]
fn settings_have_flags_with_the_same_name_and_secrets_have_none() {
    let settings = options::all();
    let command = Flags::augment_args(Command::new("tidegate"));
    for setting in &settings {
        let flag = setting.name.replace('_', "-");
        let is_flag = command
            .get_arguments()
            .any(|arg| arg.get_long() == Some(&flag));
        assert_eq!(is_flag, setting.kind != Kind::Secret, "{flag}");
        assert!(!setting.meaning.is_empty(), "{flag}");
    }
    assert!(settings.iter().any(|setting| setting.kind == Kind::Address));
}
