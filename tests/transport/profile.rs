//! Credentials from the environment and from `~/.aws`, in a process of their own.

use std::process::Command;

use modver::remote::transport::{RemoteSpec, TransportError, open};

use super::options;
use super::s3::S3Server;

/// What the parent asks its child to open; the child runs as this same test.
const CHILD: &str = "MODVER_TEST_CHILD";

fn ask(endpoint: &str, profile: Option<&str>) -> Result<(), TransportError> {
    let spec = RemoteSpec {
        url: "s3://bucket/p".into(),
        endpoint: Some(endpoint.into()),
        profile: profile.map(str::to_owned),
        ..RemoteSpec::default()
    };
    open(&spec, &options())?.list("").map(drop)
}

#[test]
fn profiles_and_environment() {
    if let Ok(what) = std::env::var(CHILD) {
        return child(&what);
    }
    let server = S3Server::start();
    let home = tempfile::tempdir().unwrap();
    let aws = home.path().join(".aws");
    std::fs::create_dir(&aws).unwrap();
    let keys = |id: &str, secret: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    let right = keys(&server.access_key, &server.secret_key);
    let wrong = keys("nobody", "nothing");
    std::fs::write(aws.join("credentials"), format!("[default]\n{wrong}\n[lab]\n{right}")).unwrap();
    let answer = format!(
        "{{\"Version\": 1, \"AccessKeyId\": \"{}\", \"SecretAccessKey\": \"{}\"}}",
        server.access_key, server.secret_key
    );
    std::fs::write(home.path().join("answer.json"), answer).unwrap();
    let config = format!(
        "[profile lab]\nregion = eu-west-1\n[profile command]\ncredential_process = cat {}\n",
        home.path().join("answer.json").display()
    );
    std::fs::write(aws.join("config"), config).unwrap();

    let run = |what: &str, home: &std::path::Path, env: &[(&str, &str)]| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "profile::profiles_and_environment", "--nocapture"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", home)
            .env(CHILD, format!("{what} {}", server.endpoint))
            .envs(env.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{what}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let wrong_env = [("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", "nothing")];
    let right_env = [
        ("AWS_ACCESS_KEY_ID", server.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key.as_str()),
    ];
    run("profile-works", home.path(), &wrong_env);
    run("plain-works", home.path(), &right_env);
    run("plain-works", home.path(), &[("AWS_PROFILE", "lab")]);
    run("plain-refused", home.path(), &[]);
    run("command-works", home.path(), &wrong_env);
    let empty = tempfile::tempdir().unwrap();
    run("nothing-found", empty.path(), &[("AWS_EC2_METADATA_DISABLED", "true")]);
}

fn child(what: &str) {
    let (what, endpoint) = what.split_once(' ').unwrap();
    let profile = match what {
        "profile-works" => Some("lab"),
        "command-works" => Some("command"),
        _ => None,
    };
    match (what, ask(endpoint, profile)) {
        ("profile-works" | "plain-works" | "command-works", Ok(()))
        | ("plain-refused", Err(TransportError::Unauthenticated { .. }))
        | ("nothing-found", Err(TransportError::NoCredentials { .. })) => {}
        (what, result) => panic!("{what}: {result:?}"),
    }
}
