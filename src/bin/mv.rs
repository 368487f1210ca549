//! The short name: `mv`, ours or the system's (the rule is in `cli/names.rs`).

fn main() -> std::process::ExitCode {
    modver::cli::main_mv()
}
