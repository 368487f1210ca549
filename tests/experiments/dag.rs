//! `dag`.

use crate::support::Scratch;
use crate::{complaint, project};

#[test]
fn drawn_folded_full_and_by_outputs() {
    let s = project();
    let folded = s.mv(["dag"]).ok();
    for name in ["│ raw │", "│ prepare │", "│ train@… (2) │", "evaluate"] {
        assert_eq!(folded.matches(name).count(), 1, "{folded}");
    }
    let full = s.mv(["dag", "--full"]).ok();
    assert!(full.contains("train@cnn") && full.contains("train@rnn"), "{full}");
    let one = s.mv(["dag", "train@cnn", "--full"]).ok();
    assert!(!one.contains("rnn") && !one.contains("evaluate"), "{one}");
    let outs = s.mv(["dag", "--outs", "--mermaid"]).ok();
    assert!(
        outs.contains("[\"models/cnn\"]") && outs.contains("(\"raw\")"),
        "{outs}"
    );
    let dot = s.mv(["dag", "--dot"]).ok();
    assert!(dot.starts_with("digraph {") && dot.contains("n0 -> n1"), "{dot}");
    let json = s.mv(["dag", "--json"]).ok();
    assert!(
        json.contains(r#"{"name":"train@… (2)","kind":"group","stages":2}"#),
        "{json}"
    );
    assert!(json.contains(r#""edges":[{"from":0,"to":1},"#), "{json}");
    assert!(complaint(s.mv(["dag", "trian"]), 1).contains("trian"));
}

#[test]
fn too_wide_is_listed() {
    let s = Scratch::new();
    let mut stages = String::new();
    for at in 0..60 {
        stages.push_str(&format!("[stages.stage-{at}]\ncmd = \"x\"\nouts = [\"o{at}\"]\n"));
    }
    stages.push_str("[stages.last]\ncmd = \"x\"\ndeps = [\"o0\", \"o59\"]\nouts = [\"last\"]\n");
    s.write("mv.toml", stages);
    let listed = s.mv(["dag"]).ok();
    assert!(listed.contains("last\n  needs stage-0\n  needs stage-59"), "{listed}");
    let none = complaint(Scratch::new().mv(["dag"]), 0);
    assert!(none.contains("there are no stages"), "{none}");
}
