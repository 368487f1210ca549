//! One page with everything in it: data, images, and the programs that draw. Opened from a disk without a network it
//! shows the same, and its policy forbids the browser to load anything at all.

use std::fmt::Write as _;

use super::{PlotBody, PlotsOutcome};

const VEGA: &str = include_str!("assets/vega.min.js");
const VEGA_LITE: &str = include_str!("assets/vega-lite.min.js");
const VEGA_EMBED: &str = include_str!("assets/vega-embed.min.js");
const LICENCES: &str = include_str!("assets/LICENSES.md");
const STYLE: &str = include_str!("assets/page.css");
const DRAW: &str = include_str!("assets/draw.js");

/// No network, no files; styles and scripts of the page itself. Expressions of charts are interpreted, not compiled.
const POLICY: &str = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The page as HTML.
#[must_use]
pub fn page(outcome: &PlotsOutcome) -> String {
    let title = format!("Plots: {}", outcome.revs.join(", "));
    let has_charts = outcome
        .plots
        .iter()
        .any(|plot| matches!(plot.body, PlotBody::Chart { .. }));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n",
        title = text(&title)
    );
    if has_charts {
        // A comment ends at the first `--` and `>`, which no licence has.
        let _ = writeln!(page, "<!--\n{}\n-->", LICENCES.replace("--", "- -"));
        for script in [VEGA, VEGA_LITE, VEGA_EMBED] {
            let _ = writeln!(page, "<script>{script}</script>");
        }
    }
    let _ = write!(page, "</head>\n<body>\n<h1>{}</h1>\n<main>\n", text(&title));
    for (number, plot) in outcome.plots.iter().enumerate() {
        let (path, title) = (plot.path.to_string(), text(&plot.title));
        match &plot.body {
            PlotBody::Chart { spec, .. } => {
                let _ = write!(
                    page,
                    "<section>\n<p class=\"path\">{}</p>\n<div class=\"chart\" id=\"chart-{number}\"></div>\n\
                     <script type=\"application/json\" class=\"spec\" data-chart=\"chart-{number}\">{}</script>\n\
                     </section>\n",
                    text(&path),
                    json(spec)
                );
            }
            PlotBody::Images { images } => {
                let _ = write!(
                    page,
                    "<section>\n<p class=\"path\">{}</p>\n<h2>{title}</h2>\n",
                    text(&path)
                );
                page.push_str("<div class=\"images\">\n");
                for image in images {
                    let rev = text(&image.rev);
                    let _ = writeln!(
                        page,
                        "<figure><img src=\"{}\" alt=\"{title} of {rev}\"><figcaption>{rev}</figcaption></figure>",
                        image.data
                    );
                }
                page.push_str("</div>\n</section>\n");
            }
        }
    }
    page.push_str("</main>\n");
    if has_charts {
        let _ = write!(page, "<script>\n{DRAW}</script>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// JSON inside a script: no `</script>` and no `<!--` can end or change it.
fn json(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// Text inside an element or a quoted attribute.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Plot, PlotImage};
    use super::*;
    use crate::path::RepoPath;
    use serde_json::json;

    #[test]
    fn nothing_escapes_from_where_it_belongs() {
        let evil = "</script><script>alert('\"1\"')</script><!--";
        let path = RepoPath::new(b"a<b>.csv").unwrap();
        let outcome = PlotsOutcome {
            revs: vec![evil.to_owned()],
            plots: vec![
                Plot {
                    path: path.clone(),
                    title: evil.to_owned(),
                    body: PlotBody::Chart {
                        spec: json!({"title": evil, "data": {"values": [{"x": evil}]}}),
                        series: Vec::new(),
                    },
                },
                Plot {
                    path,
                    title: evil.to_owned(),
                    body: PlotBody::Images {
                        images: vec![PlotImage {
                            rev: evil.to_owned(),
                            size: 3,
                            data: "data:image/png;base64,AAAA".to_owned(),
                        }],
                    },
                },
            ],
            problems: Vec::new(),
        };
        let page = page(&outcome);
        assert!(!page.contains("<script>alert"), "not as an element");
        assert_eq!(page.matches("</script").count(), 5, "of our own scripts only");
        assert_eq!(page.matches("<script").count(), 5);
        let spec = page
            .split("data-chart=\"chart-0\">")
            .nth(1)
            .unwrap()
            .split("</script")
            .next()
            .unwrap();
        let spec: serde_json::Value = serde_json::from_str(spec).unwrap();
        assert_eq!(spec["title"], evil);
        let comment = page.split("<!--\n").nth(1).unwrap();
        assert!(
            comment
                .split("-->")
                .next()
                .unwrap()
                .contains("University of Washington")
        );
    }

    #[test]
    fn no_script_where_there_are_only_images() {
        let outcome = PlotsOutcome {
            revs: vec!["workspace".to_owned()],
            plots: Vec::new(),
            problems: Vec::new(),
        };
        assert!(!page(&outcome).contains("<script"));
    }
}
