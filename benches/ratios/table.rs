//! The figures, each with its bar.

use super::cpu::Comparison;

/// Lines to be printed together at the end.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 5]>);

impl Table {
    /// A ratio of processor times, at most `bar`.
    pub(crate) fn cost(&mut self, what: &str, bar: f64, comparison: &Comparison) {
        let [low, median, high] = comparison.ratios();
        self.line(
            what,
            format!("{median:.2}"),
            format!("at most {bar}"),
            median <= bar,
            format!(
                "{:.1} µs / {:.1} µs; median of {} rounds, half of them within {low:.2} to {high:.2}",
                comparison.ours(),
                comparison.bare(),
                comparison.rounds()
            ),
        );
    }

    /// A count, with the bar in words.
    pub(crate) fn count(&mut self, what: &str, count: u64, bar: String, is_met: bool, how: String) {
        self.line(what, count.to_string(), bar, is_met, how);
    }

    /// A share of a whole, at most `bar` where there is one; both in per cent.
    pub(crate) fn share(&mut self, what: &str, share: f64, bar: Option<f64>, how: String) {
        let measured = format!("{share:.1} %");
        match bar {
            Some(bar) => self.line(what, measured, format!("at most {bar} %"), share <= bar, how),
            None => self.plain(what, measured, how),
        }
    }

    /// A figure that has no bar.
    pub(crate) fn plain(&mut self, what: &str, measured: String, how: String) {
        self.0.push([what.to_owned(), measured, String::new(), String::new(), how]);
    }

    fn line(&mut self, what: &str, measured: String, bar: String, is_met: bool, how: String) {
        let verdict = if is_met { "met" } else { "MISSED" };
        self.0.push([what.to_owned(), measured, bar, verdict.to_owned(), how]);
    }

    /// Prints all lines, columns aligned.
    pub(crate) fn print(&self) {
        let header = ["", "measured", "bar", "", ""].map(str::to_owned);
        let lines = || std::iter::once(&header).chain(&self.0);
        let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let [a, b, c, d] = [0, 1, 2, 3].map(width);
        for [what, measured, bar, verdict, how] in lines() {
            println!("{}", format!("{what:a$}  {measured:>b$}  {bar:c$}  {verdict:d$}  {how}").trim_end());
        }
    }
}
