//! The program when nobody reads its output: its exit status stays the same.

use std::process::Stdio;

use crate::commands::publish;
use crate::support::place::Place;
use crate::support::program::{Outcome, Server, finish, program};

/// Where an output leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Attentive,
    Gone,
    /// A full disk.
    #[cfg(target_os = "linux")]
    Full,
}

impl Reader {
    fn stream(self) -> Stdio {
        match self {
            Self::Attentive => Stdio::piped(),
            Self::Gone => std::io::pipe().unwrap().1.into(),
            #[cfg(target_os = "linux")]
            Self::Full => {
                let full = std::fs::File::options().write(true).open("/dev/full");
                full.unwrap().into()
            }
        }
    }
}

async fn run(arguments: &[&str], stdout: Reader, stderr: Reader) -> Outcome {
    let mut program = program(arguments);
    if arguments[0] == "token" {
        program.env("TIDEGATE_JWT_SECRET", "0123456789abcdef0123456789abcdef");
    }
    program.stdout(stdout.stream()).stderr(stderr.stream());
    finish(program.spawn().unwrap()).await
}

#[tokio::test]
async fn nobody_who_reads_changes_no_exit_status() {
    use Reader::{Attentive, Gone};
    let server = Server::start().await;
    publish(&server, &["ended", "1", "--end", "failed"]).await;
    let nobody = Place::new().url();
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("topics.db").display());
    for (arguments, code) in [
        (
            &["run", "--server", &nobody, "--", "sh", "-c", "exit 3"][..],
            3,
        ),
        (&["run", "--server", &nobody, "--", "true"], 0),
        (
            &["run", "--server", &server.url, "--", "no-such-program"],
            127,
        ),
        (&["pub", "--server", &nobody, "a", "1"], 3),
        (&["pub", "--server", &server.url, "a", "1", "--json"], 0),
        (&["sub", "--server", &server.url, "ended"], 4),
        (&["sub", "--server", &nobody, "a"], 3),
        (&["top", "--server", &server.url], 1),
        (&["token", "--user", "ada"], 0),
        (&["token"], 2),
        (&["migrate", "--backend", &file, "--print"], 0),
        (&["config", "print"], 0),
        (&["config", "check"], 0),
        (&["config", "check", "/no/such/file"], 2),
        (&["completions", "bash"], 0),
        (
            &["serve", "--backend", "memory", "--listen", "0.0.0.0:0"],
            2,
        ),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["nonsense"], 2),
    ] {
        for (stdout, stderr) in [
            (Attentive, Attentive),
            (Attentive, Gone),
            (Gone, Attentive),
            (Gone, Gone),
        ] {
            let outcome = run(arguments, stdout, stderr).await;
            // A topic whose publications nobody reads is not watched to its end.
            let is_left = stdout == Gone && arguments.contains(&"ended");
            let code = if is_left { 0 } else { code };
            assert_eq!(outcome.code, code, "{arguments:?}: {outcome:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_cannot_be_written_is_a_failure_of_what_was_asked_for_alone() {
    use Reader::{Attentive, Full};
    let nobody = Place::new().url();
    for arguments in [
        &["token", "--user", "ada"][..],
        &["config", "print"],
        &["completions", "bash"],
    ] {
        let outcome = run(arguments, Full, Attentive).await;
        assert_eq!(outcome.code, 1, "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains("No space"), "{outcome:?}");
    }
    let command = ["run", "--server", &nobody, "--", "sh", "-c", "exit 3"];
    assert_eq!(run(&command, Attentive, Full).await.code, 3);
}
