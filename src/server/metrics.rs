//! Numbers in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram, in milliseconds.
const BOUNDS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000, 120_000];

/// What was counted since the server started.
#[derive(Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len()],
    micros: AtomicU64,
    count: AtomicU64,
    uploads: AtomicU64,
    pub(super) wrong_content: AtomicU64,
}

/// An upload that is going on.
pub(super) struct ActiveUpload<'a>(&'a Metrics);

impl Drop for ActiveUpload<'_> {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    pub(super) fn upload(&self) -> ActiveUpload<'_> {
        self.uploads.fetch_add(1, Relaxed);
        ActiveUpload(self)
    }

    pub(super) fn count(&self, method: &'static str, status: u16, bytes_in: u64, bytes_out: u64, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((method, status)).or_default() += 1;
        drop(requests);
        self.bytes_in.fetch_add(bytes_in, Relaxed);
        self.bytes_out.fetch_add(bytes_out, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Relaxed);
        self.count.fetch_add(1, Relaxed);
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            if micros <= bound * 1_000 {
                bucket.fetch_add(1, Relaxed);
            }
        }
    }

    /// All of it; `stored` are bytes by repository.
    pub(super) fn text(&self, stored: &[(String, u64)], sessions: usize) -> String {
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{text}");
        };
        let about =
            |name: &str, kind: &str, help: &str| format!("# HELP modver_{name} {help}\n# TYPE modver_{name} {kind}");
        line(format_args!(
            "{}",
            about("requests_total", "counter", "Requests that were answered.")
        ));
        for ((method, status), n) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            line(format_args!(
                "modver_requests_total{{method=\"{method}\",status=\"{status}\"}} {n}"
            ));
        }
        let single = [
            (
                "received_bytes_total",
                "counter",
                "Bytes of content received.",
                &self.bytes_in,
            ),
            ("sent_bytes_total", "counter", "Bytes of content sent.", &self.bytes_out),
            (
                "active_uploads",
                "gauge",
                "Uploads that are being received.",
                &self.uploads,
            ),
            (
                "wrong_content_total",
                "counter",
                "Uploads refused because their content was not what the key says.",
                &self.wrong_content,
            ),
        ];
        for (name, kind, help, value) in single {
            line(format_args!(
                "{}\nmodver_{name} {}",
                about(name, kind, help),
                value.load(Relaxed)
            ));
        }
        line(format_args!(
            "{}\nmodver_upload_sessions {sessions}",
            about("upload_sessions", "gauge", "Resumable uploads that have begun.")
        ));
        line(format_args!(
            "{}",
            about(
                "request_duration_seconds",
                "histogram",
                "Time to the end of the answer."
            )
        ));
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            let seconds = Duration::from_millis(bound).as_secs_f64();
            line(format_args!(
                "modver_request_duration_seconds_bucket{{le=\"{seconds}\"}} {}",
                bucket.load(Relaxed)
            ));
        }
        let count = self.count.load(Relaxed);
        line(format_args!(
            "modver_request_duration_seconds_bucket{{le=\"+Inf\"}} {count}"
        ));
        line(format_args!(
            "modver_request_duration_seconds_sum {}",
            Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64()
        ));
        line(format_args!("modver_request_duration_seconds_count {count}"));
        line(format_args!(
            "{}",
            about("stored_bytes", "gauge", "Bytes stored, by repository.")
        ));
        for (repository, bytes) in stored {
            line(format_args!(
                "modver_stored_bytes{{repository=\"{repository}\"}} {bytes}"
            ));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.count("GET", 200, 1, 2, Duration::from_millis(7));
        let active = metrics.upload();
        let text = metrics.text(&[("data".into(), 9)], 3);
        drop(active);
        for line in [
            "modver_requests_total{method=\"GET\",status=\"200\"} 1",
            "modver_active_uploads 1",
            "modver_request_duration_seconds_bucket{le=\"0.005\"} 0",
            "modver_request_duration_seconds_bucket{le=\"0.01\"} 1",
            "modver_request_duration_seconds_bucket{le=\"+Inf\"} 1",
            "modver_stored_bytes{repository=\"data\"} 9",
            "modver_upload_sessions 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
