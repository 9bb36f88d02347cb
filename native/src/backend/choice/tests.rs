//! Choices in given environments, among backends that can and can't be reached.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// Variables, and a home directory of their own.
struct Environment {
    variables: BTreeMap<&'static str, String>,
    home: TempDir,
}

impl Environment {
    fn new(variables: &[(&'static str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let own = ("HOME", home.path().to_str().unwrap().to_owned());
        let given = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Self {
            variables: given.chain([own]).collect(),
            home,
        }
    }

    fn without_home(mut self) -> Self {
        self.variables.remove("HOME");
        self
    }

    fn default_file(&self) -> String {
        self.file(".local/state/tidegate/tidegate.db")
    }

    fn file(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_owned()
    }

    async fn choose(&self, asked: Option<&str>) -> Result<Choice, BackendError> {
        let asked = asked.map(|text| text.parse().unwrap());
        choose(
            asked,
            |name| self.variables.get(name).cloned(),
            &Keep::default(),
        )
        .await
    }

    /// Asserts that a file is chosen.
    async fn file_chosen(&self, asked: Option<&str>, file: &str) -> Choice {
        let choice = self.choose(asked).await.unwrap();
        assert_eq!(choice.what, format!("sqlite file {file}"));
        assert!(choice.backend.is_some());
        assert!(Path::new(file).exists());
        choice
    }
}

/// A port that nobody listens on.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn with_nothing_set_it_is_the_default_file_whose_directory_is_made() {
    let environment = Environment::new(&[]);
    let file = environment.default_file();
    let choice = environment.file_chosen(None, &file).await;
    assert!(
        choice.why.starts_with("no backend is named"),
        "{}",
        choice.why
    );
}

#[tokio::test]
async fn the_state_directory_and_the_own_variable_come_before_home() {
    let mut environment = Environment::new(&[]);
    let local = environment.file("local");
    environment.variables.insert("LOCALAPPDATA", local.clone());
    environment
        .file_chosen(None, &format!("{local}/tidegate/tidegate.db"))
        .await;
    let state = environment.file("state");
    environment
        .variables
        .insert("XDG_STATE_HOME", state.clone());
    environment
        .file_chosen(None, &format!("{state}/tidegate/tidegate.db"))
        .await;
    let own = environment.file("own.db");
    environment.variables.insert("TIDEGATE_SQLITE", own.clone());
    environment.file_chosen(None, &own).await;
    environment
        .variables
        .insert("TIDEGATE_SQLITE", format!("sqlite:{own}"));
    environment.file_chosen(Some("sqlite"), &own).await;
}

#[tokio::test]
async fn the_command_line_comes_before_the_own_variable_and_that_before_the_shared_one() {
    let mut environment = Environment::new(&[("PUBSUB_BACKEND", "memory")]);
    let choice = environment.choose(None).await.unwrap();
    assert_eq!(
        (choice.what.as_str(), choice.why.as_str()),
        ("memory", "PUBSUB_BACKEND is memory")
    );
    assert!(choice.backend.is_none());
    let (named, asked) = (environment.file("named.db"), environment.file("asked.db"));
    environment
        .variables
        .insert("TIDEGATE_BACKEND", format!("sqlite:{named}"));
    let choice = environment.file_chosen(None, &named).await;
    assert!(
        choice.why.starts_with("TIDEGATE_BACKEND is sqlite:"),
        "{}",
        choice.why
    );
    let choice = environment
        .file_chosen(Some(&format!("sqlite:{asked}")), &asked)
        .await;
    assert_eq!(choice.why, "it was asked for");
}

#[tokio::test]
async fn auto_looks_around_whatever_the_variables_name() {
    let environment = Environment::new(&[("TIDEGATE_BACKEND", "memory")]);
    environment
        .file_chosen(Some("auto"), &environment.default_file())
        .await;
    let environment =
        Environment::new(&[("TIDEGATE_BACKEND", "auto"), ("PUBSUB_BACKEND", "memory")]);
    environment
        .file_chosen(None, &environment.default_file())
        .await;
}

#[tokio::test]
async fn an_empty_variable_is_not_set() {
    let environment = Environment::new(&[("TIDEGATE_BACKEND", ""), ("REDIS_URL", "")]);
    environment
        .file_chosen(None, &environment.default_file())
        .await;
}

#[tokio::test]
async fn what_is_away_is_passed_over_and_told() {
    let port = closed_port();
    let redis = format!("redis://:hunter2@127.0.0.1:{port}/0");
    let database = format!("postgres://user:hunter2@127.0.0.1:{port}/app?password=hunter2");
    let environment = Environment::new(&[("REDIS_URL", &redis), ("DATABASE_URL", &database)]);
    let choice = environment
        .file_chosen(None, &environment.default_file())
        .await;
    for told in [
        "REDIS_URL is set, but",
        "DATABASE_URL is set, but",
        "no other one is set",
    ] {
        assert!(choice.why.contains(told), "{}", choice.why);
    }
    assert!(!choice.why.contains("hunter2"), "{}", choice.why);
}

#[tokio::test]
async fn a_database_in_a_file_comes_before_the_default_file() {
    let mut environment = Environment::new(&[]);
    let file = environment.file("app.db");
    environment
        .variables
        .insert("DATABASE_URL", format!("sqlite://{file}"));
    let choice = environment.file_chosen(None, &file).await;
    assert!(
        choice.why.contains("DATABASE_URL is set and it answers"),
        "{}",
        choice.why
    );
}

#[tokio::test]
async fn a_database_of_another_kind_is_passed_over_and_told() {
    let environment = Environment::new(&[("DATABASE_URL", "mysql://user:hunter2@db/app")]);
    let choice = environment
        .file_chosen(None, &environment.default_file())
        .await;
    assert!(
        choice.why.contains("DATABASE_URL=mysql://db/app"),
        "{}",
        choice.why
    );
    assert!(!choice.why.contains("hunter2"), "{}", choice.why);
}

#[tokio::test]
async fn a_forced_backend_that_is_away_is_an_error() {
    let port = closed_port();
    for (name, url) in [
        ("REDIS_URL", format!("redis://:hunter2@127.0.0.1:{port}/0")),
        (
            "DATABASE_URL",
            format!("postgres://user:hunter2@127.0.0.1:{port}/app"),
        ),
    ] {
        let word = if name == "REDIS_URL" {
            "redis"
        } else {
            "postgres"
        };
        let environment = Environment::new(&[(name, &url), ("TIDEGATE_BACKEND", word)]);
        for asked in [None, Some(word), Some(url.as_str())] {
            let error = environment.choose(asked).await.err().unwrap();
            assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
            let named = asked.map_or("TIDEGATE_BACKEND is", |_| "it was asked for");
            let message = error.to_string();
            assert!(message.contains("; start it, or name another"), "{message}");
            assert!(message.contains(named), "{message}");
        }
        assert!(!Path::new(&environment.default_file()).exists());
    }
}

#[tokio::test]
async fn a_redis_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let variables = [
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_PASSWORD", "p@ss/hunter2"),
    ];
    let environment = Environment::new(&variables);
    let choice = environment
        .file_chosen(None, &environment.default_file())
        .await;
    assert!(
        choice.why.contains("REDIS_HOST is set, but"),
        "{}",
        choice.why
    );
    assert!(!choice.why.contains("hunter2"), "{}", choice.why);
}

#[tokio::test]
async fn a_word_without_its_address_says_what_to_set() {
    for (word, told) in [("redis", "REDIS_URL"), ("postgres", "DATABASE_URL")] {
        let error = Environment::new(&[])
            .choose(Some(word))
            .await
            .err()
            .unwrap();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn what_names_no_backend_is_told_with_its_variable() {
    let environment = Environment::new(&[("PUBSUB_BACKEND", "redsi")]);
    let error = environment.choose(None).await.err().unwrap();
    assert!(
        error.to_string().contains("PUBSUB_BACKEND=redsi"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_can_not_be_made_says_what_to_set() {
    let environment = Environment::new(&[]).without_home();
    let error = environment.choose(None).await.err().unwrap();
    assert!(error.to_string().contains("set TIDEGATE_SQLITE"), "{error}");
    let mut environment = Environment::new(&[]);
    let occupied = environment.file("occupied");
    std::fs::write(&occupied, "").unwrap();
    environment.variables.insert("XDG_STATE_HOME", occupied);
    let error = environment.choose(None).await.err().unwrap();
    assert!(error.to_string().contains("set TIDEGATE_SQLITE"), "{error}");
}

#[test]
fn a_password_of_the_environment_is_encoded_and_not_shown() {
    let variables = [
        ("REDIS_HOST", "::1"),
        ("REDIS_PASSWORD", "p@ss:/?#hunter2 é"),
    ];
    let environment = Environment::new(&variables);
    let choosing = Choosing {
        environment: &|name| environment.variables.get(name).cloned(),
        keep: &Keep::default(),
        may_change: false,
    };
    let (url, _) = choosing.redis().unwrap().unwrap();
    assert_eq!(
        url.secret(),
        "redis://:p%40ss%3A%2F%3F%23hunter2%20%C3%A9@[::1]:6379/0"
    );
    assert_eq!(url.to_string(), "redis://[::1]:6379/0");
}
