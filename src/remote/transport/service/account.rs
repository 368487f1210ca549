//! Who asks, and in which region: settings first, then the usual AWS places.
//!
//! Of the environment it reads (through `reqsign`) `AWS_PROFILE`, `AWS_REGION`,
//! `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE`,
//! and what the credential chain reads. Order of credentials, as in the AWS command line: keys from the settings; the
//! profile from the settings; keys in the environment; the profile of `AWS_PROFILE` or `default`; SSO; web identity;
//! `credential_process`; the container's; the machine's.
//!
//! Not supported: profiles that assume a role (`role_arn` with `source_profile`).

use std::path::PathBuf;

use reqsign_aws_v4::{Credential, DefaultCredentialProvider, StaticCredentialProvider};
use reqsign_core::{Env as _, OsEnv, ProvideCredentialChain};

use super::super::url::{Credentials, RemoteSpec};
use super::commands::WithCommands;
use super::first_var;

/// A configuration file is a few kilobytes.
const CONFIG_LIMIT: u64 = 4 << 20;

/// Where to look for credentials.
pub(super) fn chain(spec: &RemoteSpec) -> ProvideCredentialChain<Credential> {
    if let Some(Credentials {
        access_key_id,
        secret_access_key,
        session_token,
    }) = &spec.credentials
    {
        let keys = StaticCredentialProvider::new(access_key_id.expose(), secret_access_key.expose());
        return ProvideCredentialChain::new().push(match session_token {
            Some(token) => keys.with_session_token(token.expose()),
            None => keys,
        });
    }
    let builder = DefaultCredentialProvider::builder();
    let builder = match &spec.profile {
        // Who names a profile does not want the keys that happen to be in the environment.
        Some(profile) => builder.no_env().with_profile(profile),
        None => builder,
    };
    ProvideCredentialChain::new().push(WithCommands(builder.build()))
}

/// The endpoint from the environment.
pub(super) fn endpoint() -> Option<String> {
    first_var(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
}

/// The region from the settings, the environment or the profile.
pub(super) fn region(spec: &RemoteSpec) -> Option<String> {
    spec.region
        .clone()
        .or_else(|| first_var(&["AWS_REGION", "AWS_DEFAULT_REGION"]))
        .or_else(|| {
            let profile = spec.profile.clone().or_else(|| first_var(&["AWS_PROFILE"]));
            let file = first_var(&["AWS_CONFIG_FILE"]).unwrap_or_else(|| "~/.aws/config".to_owned());
            let path = match file.strip_prefix("~/") {
                Some(rest) => OsEnv.home_dir()?.join(rest),
                None => PathBuf::from(file),
            };
            // A configuration that cannot be read is no configuration.
            let bytes = crate::fs::read(&path, CONFIG_LIMIT).ok()?;
            profile_region(
                &String::from_utf8_lossy(&bytes),
                profile.as_deref().unwrap_or("default"),
            )
        })
}

/// The `region` of a profile in the text of `~/.aws/config`.
fn profile_region(config: &str, profile: &str) -> Option<String> {
    let mut inside = false;
    for line in config.lines() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            let section = section.trim();
            let named = section.strip_prefix("profile").map(str::trim);
            inside = named == Some(profile) || (profile == "default" && section == "default");
        } else if inside
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "region"
            && !value.trim().is_empty()
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_of_a_profile() {
        let config =
            "# c\n[default]\nregion=eu-west-1\n[profile lab]\noutput = json\n region = us-west-2 \n[profile x]\n";
        assert_eq!(profile_region(config, "default").as_deref(), Some("eu-west-1"));
        assert_eq!(profile_region(config, "lab").as_deref(), Some("us-west-2"));
        assert_eq!(profile_region(config, "x"), None);
        assert_eq!(profile_region(config, "absent"), None);
        assert_eq!(
            profile_region("[profile default]\nregion = a", "default").as_deref(),
            Some("a")
        );
    }

    #[test]
    fn settings_come_before_everything() {
        let spec = RemoteSpec {
            region: Some("mars-1".into()),
            ..RemoteSpec::default()
        };
        assert_eq!(region(&spec).as_deref(), Some("mars-1"));
    }
}
