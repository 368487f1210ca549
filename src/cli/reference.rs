//! `docs/commands.md`, generated from the arguments themselves.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::args::Cli;
use super::topics;

/// The text of `docs/commands.md`.
#[must_use]
pub fn reference() -> String {
    let mut root = Cli::command().term_width(0).max_term_width(0);
    root.build();
    let mut page = String::from(
        "# Commands\n\n<!-- Generated from the program's own help. To change it, change `src/cli` and run \
         `UPDATE_DOCS=1 cargo test --test docs`. -->\n",
    );
    line(&mut page, "");
    paragraph(&mut page, &root);
    line(&mut page, "| command | |\n|---|---|");
    for command in visible(&root) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        line(&mut page, &format!("| [`{name}`](#modver-{name}) | {} |", cell(&about)));
    }
    line(&mut page, "\n## Global options\n\nEvery command takes these.\n");
    table(&mut page, root.get_arguments().filter(|arg| arg.is_global_set()));
    for command in visible(&root) {
        section(&mut page, command, "modver", 2);
    }
    for (title, topic) in [
        ("The two names", "names"),
        ("Exit codes", "exit-codes"),
        ("JSON output", "json"),
    ] {
        let text = topics::page(topic).unwrap_or_default();
        line(&mut page, &format!("\n## {title}\n\n```text\n{}\n```", text.trim_end()));
    }
    while page.contains("\n\n\n") {
        page = page.replace("\n\n\n", "\n\n");
    }
    page
}

fn section(page: &mut String, command: &Command, parent: &str, level: usize) {
    let name = format!("{parent} {}", command.get_name());
    line(page, &format!("\n{} {name}\n", "#".repeat(level)));
    paragraph(page, command);
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        line(page, &format!("Also called `{}`.\n", aliases.join("`, `")));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    line(page, &format!("```text\n{usage}\n```\n"));
    let own = || {
        command
            .get_arguments()
            .filter(|arg| !arg.is_global_set() && !is_builtin(arg))
    };
    if own().next().is_some() {
        table(
            page,
            own()
                .filter(|arg| arg.is_positional())
                .chain(own().filter(|arg| !arg.is_positional())),
        );
    }
    if let Some(examples) = command.get_after_help().map(ToString::to_string) {
        let (examples, more) = examples.split_once("\n\n").unwrap_or((&examples, ""));
        let examples: Vec<&str> = examples.lines().skip(1).map(str::trim_start).collect();
        line(page, &format!("\n```sh\n{}\n```", examples.join("\n")));
        if !more.is_empty() {
            line(page, &format!("\n{}", more.trim_end()));
        }
    }
    for sub in visible(command) {
        section(page, sub, &name, level + 1);
    }
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn is_builtin(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

fn paragraph(page: &mut String, command: &Command) {
    let about = command.get_long_about().or_else(|| command.get_about());
    if let Some(about) = about.map(ToString::to_string) {
        line(page, &format!("{}\n", about.trim_end()));
    }
}

fn table<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    line(page, "| | |\n|---|---|");
    for arg in args {
        let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let values = arg.get_possible_values();
        if !values.is_empty() && arg.get_action().takes_values() {
            let values: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
            let _ = write!(help, ": `{}`", values.join("`, `"));
        }
        line(page, &format!("| `{}` | {} |", cell(&spelling(arg)), cell(&help)));
    }
}

/// `-r, --remote <NAME>` or `[TARGET]...`.
fn spelling(arg: &Arg) -> String {
    let text = arg.to_string();
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(_)) => format!("-{short}, {text}"),
        _ => text,
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}
