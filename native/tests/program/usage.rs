//! Errors in a command line or the environment, and what only looks like one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::commands::{publish, subscribe};
use crate::support::place::Place;
use crate::support::program::{Server, finish, program, run};

#[tokio::test]
async fn what_is_wrong_with_a_command_line_has_an_exit_status_of_its_own() {
    let server = Server::start().await;
    let url = server.url.as_str();
    for (arguments, word) in [
        (&["sub", "--server", url, "a*"][..], "a*"),
        (&["sub", "--server", url, "a b"], "byte"),
        (&["sub", "--server", url, "a", "-n", "0"], "0"),
        (
            &["sub", "--server", url, "a", "--throttle", "25h"],
            "throttle",
        ),
        (
            &[
                "sub",
                "--server",
                url,
                "a",
                "--conflate",
                "collect",
                "--delta",
            ],
            "collect",
        ),
        (&["pub", "--server", url, "a b", "1"], "byte"),
        (&["pub", "--server", url, "a:*", "1"], "a:*"),
        (&["pub", "--server", url, "a", "nonsense"], "not JSON"),
        (&["pub", "--server", url, "a", "--jsno"], "--jsno"),
        (&["pub", "--backend", "memory", "a", "1"], "in memory"),
        (&["sub", "--backend", "memory", "a"], "in memory"),
        (&["run", "--backend", "memory", "--", "true"], "in memory"),
        (
            &["run", "--server", url, "--job", "a:b", "--", "true"],
            "a:b",
        ),
    ] {
        let outcome = run(arguments).await;
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(word), "{arguments:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn every_number_is_a_value_and_options_may_stand_around_it() {
    let server = Server::start().await;
    for (offset, arguments) in [
        &["a", "-5"][..],
        &["a", "-1.5e-7"],
        &["a", "-0", "--json"],
        &["--json", "a", "-5"],
        &["a", "--json", "-5"],
        &["a", "--", "-5"],
        &["a", "-5", "--end", "complete"],
    ]
    .into_iter()
    .enumerate()
    {
        let outcome = publish(&server, arguments).await;
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        let value = arguments
            .iter()
            .find(|text| text.starts_with(['-']) && !text.starts_with("--"));
        let printed = subscribe(&server, &["a", "-n", "1"]).await.stdout;
        assert_eq!(printed, format!("a #{} {}\n", offset + 1, value.unwrap()));
    }
}

#[tokio::test]
async fn a_variable_that_is_no_text_is_named_and_not_passed_over() {
    let nobody = Place::new().url();
    let named = ["--server", &nobody];
    for (variable, arguments) in [
        ("TIDEGATE_SERVER", &["pub", "a", "1"][..]),
        ("TIDEGATE_SERVER", &["sub", "a"]),
        ("TIDEGATE_SERVER", &["run", "--", "true"]),
        (
            "TIDEGATE_TOKEN",
            &[&["pub"], &named[..], &["a", "1"]].concat(),
        ),
        ("TIDEGATE_JWT_SECRET", &["token", "--user", "ada"]),
        ("TIDEGATE_JWT_AUDIENCE", &["token", "--user", "ada"]),
        ("TIDEGATE_BACKEND", &["migrate", "--print"]),
        ("REDIS_URL", &["migrate", "--print", "--backend", "auto"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = program(arguments);
        program.env("TIDEGATE_JWT_SECRET", "0123456789abcdef0123456789abcdef");
        program.env("TIDEGATE_SQLITE", folder.path().join("topics.db"));
        program.env(variable, OsStr::from_bytes(b"http://caf\xe9"));
        let outcome = finish(program.spawn().unwrap()).await;
        assert_eq!(outcome.code, 2, "{variable}, {arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(variable), "{outcome:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_name_of_a_file_need_not_be_text() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join(OsStr::from_bytes(b"secr\xe9t"));
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let mut token = program(&["token", "--user", "ada"]);
    token.env("TIDEGATE_JWT_SECRET_FILE", &secret);
    let outcome = finish(token.spawn().unwrap()).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let mut publisher = program(&["pub", "--server", &Place::new().url(), "a", "1"]);
    publisher.env("TIDEGATE_CA", &secret);
    let outcome = finish(publisher.spawn().unwrap()).await;
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("secr"), "{outcome:?}");
}
