//! Lets the usual chains of credentials run the commands that a user's configuration names.

use std::fmt::Debug;

use reqsign_core::{CommandExecute, CommandOutput, Context, ProvideCredential};

/// A chain that may run commands, as `credential_process` of an AWS profile and `az account get-access-token` are.
#[derive(Debug)]
pub(super) struct WithCommands<P>(pub(super) P);

impl<P> ProvideCredential for WithCommands<P>
where
    P: ProvideCredential + Debug,
{
    type Credential = P::Credential;

    async fn provide_credential(&self, context: &Context) -> reqsign_core::Result<Option<Self::Credential>> {
        let context = context.clone().with_command_execute(Commands);
        self.0.provide_credential(&context).await
    }
}

#[derive(Debug)]
struct Commands;

impl CommandExecute for Commands {
    async fn command_execute(&self, program: &str, args: &[&str]) -> reqsign_core::Result<CommandOutput> {
        let output = tokio::process::Command::new(program)
            .args(args)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| {
                reqsign_core::Error::unexpected(format!("cannot run `{program}` for credentials")).with_source(error)
            })?;
        Ok(CommandOutput {
            status: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}
