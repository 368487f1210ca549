//! The filter in the repository's git configuration: `filter.modver.process` and `filter.modver.required`.
//!
//! Only git's own configuration can name a program, so each clone has to be told once. It is required: where it cannot
//! run, git refuses to add content in place of a pointer, and to check out a pointer in place of content.

use super::discover::GitRepo;
use super::error::Result;

const PROCESS: &str = "filter.modver.process";
const REQUIRED: &str = "filter.modver.required";
const COMMAND: &str = "modver filter-process";

impl GitRepo {
    /// The command that git runs as the filter, if it is configured, here or for all repositories of the user.
    ///
    /// # Errors
    /// When `git` cannot be run.
    pub fn filter_command(&self) -> Result<Option<String>> {
        let repo = self.local();
        let command = repo.config_snapshot().string(PROCESS).map(|value| value.to_string());
        Ok(command.filter(|command| !command.is_empty()))
    }

    /// Configures the filter for this clone, unless it is configured; whether that was to be done. A command that
    /// somebody chose stays.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn configure_filter(&self) -> Result<bool> {
        // What another process wrote since this repository was opened counts, too.
        if self.config_value(PROCESS)?.is_some() {
            return Ok(false);
        }
        self.git(&["config", "--local", REQUIRED, "true"], Vec::new())?;
        self.git(&["config", "--local", PROCESS, COMMAND], Vec::new())?;
        Ok(true)
    }

    /// Takes the filter out of the repository's configuration; whether it was there. A command that somebody chose stays.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn remove_filter(&self) -> Result<bool> {
        if self.local_config(PROCESS)?.as_deref() != Some(COMMAND.as_bytes()) {
            return Ok(false);
        }
        // Git refuses content without the filter as long as it is required, so that goes last.
        self.git(&["config", "--local", "--unset", PROCESS], Vec::new())?;
        if self.local_config(REQUIRED)?.is_some() {
            self.git(&["config", "--local", "--unset", REQUIRED], Vec::new())?;
        }
        Ok(true)
    }

    fn config_value(&self, key: &str) -> Result<Option<String>> {
        let listed = self.git(
            &["config", "--null", "--includes", "--get-regexp", "^filter\\.modver\\."],
            Vec::new(),
        );
        let listed = match listed {
            Ok(listed) => listed,
            // Nothing matches.
            Err(super::GitError::Failed { status, .. }) if status.code() == Some(1) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut found = None;
        for entry in listed.split(|&b| b == 0) {
            let text = String::from_utf8_lossy(entry);
            if let Some((name, value)) = text.split_once('\n')
                && name == key
            {
                found = Some(value.to_owned()).filter(|value| !value.is_empty());
            }
        }
        Ok(found)
    }
}
