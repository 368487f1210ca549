//! The long name: `modver`.

fn main() -> std::process::ExitCode {
    modver::cli::main()
}
