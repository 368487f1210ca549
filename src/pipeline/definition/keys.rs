//! The keys of a stage, in one place: for mistakes in spelling, and for the schema in `docs/` to be compared with.

/// Keys of `[stages.NAME]`.
pub const STAGE_KEYS: &[&str] = &[
    "cmd",
    "wdir",
    "deps",
    "outs",
    "params",
    "metrics",
    "plots",
    "env",
    "frozen",
    "always",
    "desc",
    "meta",
    "timeout",
    "retries",
    "resources",
    "matrix",
    "foreach",
    "vars",
];

/// Keys of an output that is a table.
pub const OUT_KEYS: &[&str] = &["path", "cache", "persist", "push", "remote", "desc", "type", "labels"];

/// Keys that a metric has besides.
pub const METRIC_KEYS: &[&str] = &["tolerance"];

/// Keys that a plot has besides.
pub const PLOT_KEYS: &[&str] = &["x", "y", "title", "x_label", "y_label", "template", "header"];

/// Keys of parameters of a named file.
pub const PARAMS_KEYS: &[&str] = &["file", "keys"];

/// Keys of `matrix` that are no axes.
pub const MATRIX_KEYS: &[&str] = &["include", "exclude"];

/// What to write instead of a key that DVC or another tool has.
pub(super) fn instead(key: &str) -> Option<&'static str> {
    match key {
        "always_changed" => Some("always = true"),
        "outputs" => Some("outs = [\"PATH\"]"),
        "inputs" | "dependencies" => Some("deps = [\"PATH\"]"),
        "command" | "commands" | "run" => Some("cmd = \"COMMAND\""),
        "do" => Some("write the keys of the stage beside `foreach`, without `do`"),
        "outs_no_cache" => Some("outs = [{ path = \"PATH\", cache = false }]"),
        "outs_persist" => Some("outs = [{ path = \"PATH\", persist = true }]"),
        "metrics_no_cache" => Some("metrics = [\"PATH\"]   since git keeps metrics unless cache = true"),
        "plots_no_cache" => Some("plots = [{ path = \"PATH\", cache = false }]"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::config::keys::{KEYS, Kind, OTHER_TABLES};

    fn schema() -> Value {
        serde_json::from_str(include_str!("../../../docs/mv.toml.schema.json")).unwrap()
    }

    fn properties<'a>(schema: &'a Value, pointer: &str) -> BTreeSet<&'a str> {
        let object = schema.pointer(pointer).and_then(Value::as_object);
        object
            .unwrap_or_else(|| panic!("{pointer}"))
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn the_schema_has_the_same_keys() {
        let schema = schema();
        let set = |lists: &[&[&'static str]]| lists.concat().into_iter().collect::<BTreeSet<_>>();
        assert_eq!(properties(&schema, "/$defs/stage/properties"), set(&[STAGE_KEYS]));
        assert_eq!(properties(&schema, "/$defs/out/properties"), set(&[OUT_KEYS]));
        assert_eq!(
            properties(&schema, "/$defs/metric/properties"),
            set(&[OUT_KEYS, METRIC_KEYS])
        );
        assert_eq!(
            properties(&schema, "/$defs/plot/properties"),
            set(&[OUT_KEYS, PLOT_KEYS])
        );
        assert_eq!(properties(&schema, "/$defs/params/properties"), set(&[PARAMS_KEYS]));
        assert_eq!(properties(&schema, "/$defs/matrix/properties"), set(&[MATRIX_KEYS]));
        let mut sections: BTreeSet<&str> = KEYS.iter().map(|spec| spec.section).collect();
        sections.extend(OTHER_TABLES);
        assert_eq!(properties(&schema, "/properties"), sections);
        for first in KEYS {
            let section = first.section;
            let pointer = if first.per_remote {
                "/$defs/remote/properties".to_owned()
            } else {
                format!("/properties/{section}/properties")
            };
            // Secrets are refused in `mv.toml`.
            let names = KEYS
                .iter()
                .filter(|spec| spec.section == section && spec.kind != Kind::Secret);
            assert_eq!(
                properties(&schema, &pointer),
                names.map(|spec| spec.name).collect(),
                "{section}"
            );
        }
    }

    /// Every ```toml block of the page.
    #[test]
    fn the_examples_of_the_reference_are_sound() {
        let page = include_str!("../../../docs/mv-toml.md");
        let mut examples = 0;
        for block in page.split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap();
            let table: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let stages = table.get("stages").and_then(toml::Value::as_table);
            for (name, stage) in stages.into_iter().flatten() {
                let keys = stage.as_table().unwrap().keys();
                for key in keys {
                    assert!(STAGE_KEYS.contains(&key.as_str()), "{name}.{key}");
                }
            }
            examples += 1;
        }
        assert!(examples > 5);
    }
}
