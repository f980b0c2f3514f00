//! Metric families and their text.

use prometheus::{Encoder, TextEncoder, proto};

use crate::HistogramFigures;

/// One series: its labels and its value.
pub(super) type Series<'a> = (&'a [(&'a str, &'a str)], f64);

/// Metric families in the order of their first mention.
#[derive(Default)]
pub(super) struct Page(Vec<proto::MetricFamily>);

impl Page {
    /// A value that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str, series: &[Series<'_>]) {
        for (labels, value) in series {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(*value);
            self.add(name, help, proto::MetricType::GAUGE, labels).set_gauge(gauge);
        }
    }

    /// A value that only goes up.
    pub(super) fn counter(&mut self, name: &str, help: &str, series: &[Series<'_>]) {
        for (labels, value) in series {
            let mut counter = proto::Counter::default();
            counter.set_value(*value);
            self.add(name, help, proto::MetricType::COUNTER, labels).set_counter(counter);
        }
    }

    /// A distribution; the bucket without bound is added here.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        figures: &HistogramFigures,
    ) {
        let bucket = |&(bound, count): &(f64, u64)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        };
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(figures.within_secs.iter().map(bucket).collect());
        histogram.set_sample_count(figures.count);
        histogram.set_sample_sum(figures.sum_secs);
        self.add(name, help, proto::MetricType::HISTOGRAM, labels).set_histogram(histogram);
    }

    /// The text of all.
    pub(super) fn text(&self) -> String {
        let mut out = Vec::new();
        match TextEncoder::new().encode(&self.0, &mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            // Only a family without any series is an error, and `add` makes none of these.
            Err(error) => format!("# {error}\n"),
        }
    }

    /// A new series of this family.
    fn add(
        &mut self,
        name: &str,
        help: &str,
        kind: proto::MetricType,
        labels: &[(&str, &str)],
    ) -> &mut proto::Metric {
        let at = self.0.iter().position(|family| family.name() == name).unwrap_or_else(|| {
            let mut family = proto::MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            self.0.push(family);
            self.0.len() - 1
        });
        let mut metric = proto::Metric::default();
        metric.set_label(labels.iter().map(label).collect());
        let series = self.0[at].mut_metric();
        series.push(metric);
        series.last_mut().expect("just pushed")
    }
}

fn label((name, value): &(&str, &str)) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name((*name).to_owned());
    pair.set_value((*value).to_owned());
    pair
}
