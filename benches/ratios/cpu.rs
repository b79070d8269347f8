//! Processor time of this process, and two kinds of work compared by it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What two kinds of work cost, each per piece, in rounds that took turns.
pub(crate) struct Comparison {
    rounds: Vec<(Duration, Duration)>,
}

impl Comparison {
    /// Measures both in turns, after one round each that does not count. Each
    /// round of work says how many pieces it did.
    pub(crate) async fn of(
        rounds: usize,
        mut ours: impl AsyncFnMut() -> u32,
        mut bare: impl AsyncFnMut() -> u32,
    ) -> Self {
        let _warm_up = (cost(&mut ours).await, cost(&mut bare).await);
        let mut measured = Vec::with_capacity(rounds);
        for round in 0..rounds {
            // Whoever goes first may profit or suffer from it.
            measured.push(if round % 2 == 0 {
                (cost(&mut ours).await, cost(&mut bare).await)
            } else {
                let bare = cost(&mut bare).await;
                (cost(&mut ours).await, bare)
            });
        }
        Self { rounds: measured }
    }

    /// How many rounds were measured.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// First quartile, median and third quartile of the rounds' ratios.
    pub(crate) fn ratios(&self) -> [f64; 3] {
        let ratios = sorted(self.rounds.iter().map(|(ours, bare)| ours.as_secs_f64() / bare.as_secs_f64()));
        [1, 2, 3].map(|quarter| ratios[ratios.len() * quarter / 4])
    }

    /// Median of what our work costs, in microseconds.
    pub(crate) fn ours(&self) -> f64 {
        median_micros(self.rounds.iter().map(|(ours, _)| *ours))
    }

    /// Median of what the bare work costs, in microseconds.
    pub(crate) fn bare(&self) -> f64 {
        median_micros(self.rounds.iter().map(|(_, bare)| *bare))
    }
}

/// Per piece; the work says how many it did.
pub(crate) async fn cost(work: &mut impl AsyncFnMut() -> u32) -> Duration {
    let before = processor_time();
    let pieces = work().await;
    assert!(pieces > 0, "no work was done");
    (processor_time() - before) / pieces
}

/// Of all threads of this process, in user and kernel mode.
pub(crate) fn processor_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// Of the calling thread alone.
pub(crate) fn processor_time_of_thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("processor time is positive")
}

fn median_micros(costs: impl Iterator<Item = Duration>) -> f64 {
    median(costs.map(|cost| cost.as_secs_f64() * 1e6))
}

/// The one in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    values[values.len() / 2]
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
