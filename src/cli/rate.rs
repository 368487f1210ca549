//! `--limit-rate`, for the commands that move content.

use super::context::Context;
use crate::config::parse_rate;

/// How fast content may move.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RateArgs {
    /// Move at most so many bytes a second, up and down together, such as 800K or 5MiB; 0 is no limit
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    limit_rate: Option<u64>,
}

impl RateArgs {
    /// The context with this limit instead of the one that the settings have.
    pub(crate) fn apply(&self, context: &Context) -> Context {
        let rate = self
            .limit_rate
            .map(|rate| ("transfer.limit_rate".to_owned(), rate.to_string()));
        let mut context = context.clone();
        context.settings.extend(rate);
        context
    }
}
