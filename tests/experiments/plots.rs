//! `plots`.

use crate::support::Scratch;
use crate::{complaint, project};

#[test]
fn one_page_with_everything_in_it() {
    let s = project();
    s.write("loss.csv", "epoch,train,valid\n0,4,5\n1,3,4\n");
    let url = s.mv(["plots", "diff"]).ok();
    assert!(
        url.starts_with("file:///") && url.ends_with("/modver_plots/index.html"),
        "{url}"
    );
    let page = s.read("modver_plots/index.html");
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("default-src 'none'"));
    assert!(
        !page.contains("src=\"http") && !page.contains("Loss </script>"),
        "no network, nothing escapes"
    );
    assert_eq!(
        page.matches("data:image/svg+xml;base64,").count(),
        2,
        "of both versions"
    );
    let spec = page.split("class=\"spec\"").nth(1).unwrap().split_once('>').unwrap().1;
    let spec = spec.split("</script").next().unwrap();
    let spec: serde_json::Value = serde_json::from_str(spec).unwrap();
    assert_eq!(spec["title"], "Loss </script><b>");
    let rows = spec["data"]["values"].as_array().unwrap();
    assert_eq!(rows.len(), 10, "three and two rows, two columns");
    assert_eq!(
        rows[0],
        serde_json::json!({"epoch": 0, "rev": "HEAD", "field": "train", "value": 4})
    );
    assert_eq!(s.git(["status", "--short", "modver_plots"]).ok(), "", "git ignores it");
}

#[test]
fn bars_for_a_terminal() {
    let s = project();
    let shown = s.mv(["plots", "show", "--text"]).ok();
    assert!(shown.contains("images/a.svg\n  1 image: workspace\n"), "{shown}");
    assert!(
        shown.contains("  train  █▃▁") && shown.contains("4 → 1  (lowest 1, highest 4)"),
        "{shown}"
    );
    assert!(!s.path("modver_plots").exists());
}

#[test]
fn templates_and_columns() {
    let s = Scratch::new();
    s.write("p.csv", "actual,predicted\na,a\nb,a\n");
    s.write(
        "mine.json",
        r#"{"mark": "point", "data": {"values": "<DVC_METRIC_DATA>"}, "x": "<MV_X>"}"#,
    );
    for template in ["confusion", "bar", "linear", "mine.json"] {
        s.mv([
            "plots",
            "show",
            "p.csv",
            "-t",
            template,
            "-x",
            "actual",
            "-y",
            "predicted",
            "-o",
            "o.html",
        ])
        .ok();
    }
    let page = String::from_utf8(s.read("o.html")).unwrap();
    assert!(page.contains(r#""x":"actual""#));
    for (args, code, text) in [
        (&["-t", "nope"][..], 1, "there is no template `nope`"),
        (&["-x", "nope"], 3, "has no column `nope`; it has actual, predicted"),
    ] {
        let out = complaint(s.mv(["plots", "show", "p.csv"].iter().chain(args)), code);
        assert!(out.contains(text), "{out}");
    }
    s.write("bad.json", r#"["<MV_NEW>", "<MV_DATA>"]"#);
    let out = complaint(s.mv(["plots", "show", "p.csv", "-t", "bad.json"]), 3);
    assert!(out.contains("unknown place `<MV_NEW>`"), "{out}");
    let out = complaint(s.mv(["plots", "show", "no.csv"]), 1);
    assert!(out.contains("`no.csv`"), "{out}");
    s.write("ragged.csv", "a,b\n1\n");
    let out = complaint(s.mv(["plots", "show", "ragged.csv"]), 3);
    assert!(out.contains("ragged.csv:2: 1 fields, but the first row has 2"), "{out}");
}
