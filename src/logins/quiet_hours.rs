//! Quiet hours: when a tenant's agents call nobody to have them identified.
//!
//! Pure: the present is handed in. Called by the start, for outbound calls alone.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::timestamp::Timestamp;

/// From one time of the day to another, every day, by the clocks of a time zone.
/// Lasts past midnight when the end is earlier in the day than the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    from: NaiveTime,
    to: NaiveTime,
    time_zone: Tz,
}

impl QuietHours {
    /// `None` when beginning and end are the same: that could mean always or never.
    #[must_use]
    pub fn new(from: NaiveTime, to: NaiveTime, time_zone: Tz) -> Option<Self> {
        (from != to).then_some(Self { from, to, time_zone })
    }

    /// When they end, if they last at `now`.
    #[must_use]
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let millis = i64::try_from(now.as_millis()).ok()?;
        let today = self.time_zone.timestamp_millis_opt(millis).single()?.date_naive();
        let days = [today.pred_opt(), Some(today)].into_iter().flatten();
        let spans = days.filter_map(|day| self.span(day));
        spans.filter(|(begin, end)| (*begin..*end).contains(&now)).map(|(_, end)| end).max()
    }

    /// Those that begin on `day`. A time of the day that comes twice, as clocks are
    /// set back, counts the first time for the beginning and the second for the end.
    fn span(&self, day: NaiveDate) -> Option<(Timestamp, Timestamp)> {
        let last_day = if self.from < self.to { day } else { day.succ_opt()? };
        let (begin, end) = (day.and_time(self.from), last_day.and_time(self.to));
        let begin = self.time_zone.from_local_datetime(&begin).earliest().or_else(|| self.skipped(begin))?;
        let end = self.time_zone.from_local_datetime(&end).latest().or_else(|| self.skipped(end))?;
        Some((timestamp(begin)?, timestamp(end)?))
    }

    /// A time that clocks jump over: as they would have had it without the jump.
    fn skipped(&self, local: NaiveDateTime) -> Option<DateTime<Tz>> {
        let day = TimeDelta::days(1);
        self.time_zone.from_local_datetime(&local.checked_sub_signed(day)?).latest()?.checked_add_signed(day)
    }
}

fn timestamp(at: DateTime<Tz>) -> Option<Timestamp> {
    u64::try_from(at.timestamp_millis()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, to: &str) -> QuietHours {
        let time = |text| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        QuietHours::new(time(from), time(to), chrono_tz::Europe::Oslo).unwrap()
    }

    fn at(utc: &str) -> Timestamp {
        timestamp(DateTime::parse_from_rfc3339(utc).unwrap().with_timezone(&chrono_tz::UTC)).unwrap()
    }

    fn assert_ends(quiet: QuietHours, table: &[(&str, Option<&str>)]) {
        for (now, end) in table {
            assert_eq!(quiet.end(at(now)), end.map(at), "{now}");
        }
    }

    /// SR11. In January Oslo is an hour ahead of UTC.
    #[test]
    fn a_night_lasts_past_midnight() {
        assert_ends(
            hours("21:00", "08:00"),
            &[
                ("2027-01-14T19:59:59Z", None),
                ("2027-01-14T20:00:00Z", Some("2027-01-15T07:00:00Z")),
                ("2027-01-14T22:59:59Z", Some("2027-01-15T07:00:00Z")),
                ("2027-01-14T23:30:00Z", Some("2027-01-15T07:00:00Z")),
                ("2027-01-15T06:59:59Z", Some("2027-01-15T07:00:00Z")),
                ("2027-01-15T07:00:00Z", None),
            ],
        );
    }

    /// SR11.
    #[test]
    fn hours_within_a_day_do_not_touch_the_night() {
        assert_ends(
            hours("11:30", "12:30"),
            &[
                ("2027-01-14T10:29:59Z", None),
                ("2027-01-14T10:30:00Z", Some("2027-01-14T11:30:00Z")),
                ("2027-01-14T11:30:00Z", None),
                ("2027-01-14T23:00:00Z", None),
            ],
        );
    }

    /// SR11. On 28 March 2027 clocks jump from 02:00 to 03:00: the night is an hour
    /// shorter, and 08:00 is 06:00 UTC.
    #[test]
    fn a_night_in_which_clocks_are_put_forward_ends_by_the_clock() {
        assert_ends(
            hours("21:00", "08:00"),
            &[
                ("2027-03-27T20:00:00Z", Some("2027-03-28T06:00:00Z")),
                ("2027-03-28T05:59:59Z", Some("2027-03-28T06:00:00Z")),
                ("2027-03-28T06:00:00Z", None),
                ("2027-03-28T19:00:00Z", Some("2027-03-29T06:00:00Z")),
            ],
        );
        // Half past two does not come: it is half past three, as without the jump.
        assert_ends(
            hours("21:00", "02:30"),
            &[("2027-03-28T01:29:59Z", Some("2027-03-28T01:30:00Z")), ("2027-03-28T01:30:00Z", None)],
        );
        assert_ends(
            hours("02:30", "04:00"),
            &[("2027-03-28T01:29:59Z", None), ("2027-03-28T01:30:00Z", Some("2027-03-28T02:00:00Z"))],
        );
    }

    /// SR11. On 31 October 2027 the hour from 02:00 to 03:00 comes twice: the night
    /// begins with the first and ends with the second, and does not stop between.
    #[test]
    fn a_night_in_which_clocks_are_put_back_is_one_night() {
        assert_ends(
            hours("21:00", "08:00"),
            &[
                ("2027-10-30T19:00:00Z", Some("2027-10-31T07:00:00Z")),
                ("2027-10-31T06:59:59Z", Some("2027-10-31T07:00:00Z")),
            ],
        );
        assert_ends(
            hours("21:00", "02:30"),
            &[
                ("2027-10-31T00:45:00Z", Some("2027-10-31T01:30:00Z")),
                ("2027-10-31T01:29:59Z", Some("2027-10-31T01:30:00Z")),
                ("2027-10-31T01:30:00Z", None),
            ],
        );
        assert_ends(
            hours("02:30", "04:00"),
            &[
                ("2027-10-31T00:29:59Z", None),
                ("2027-10-31T00:30:00Z", Some("2027-10-31T03:00:00Z")),
                ("2027-10-31T01:15:00Z", Some("2027-10-31T03:00:00Z")),
            ],
        );
    }

    #[test]
    fn hours_that_end_when_they_begin_are_none() {
        let noon = NaiveTime::from_hms_opt(12, 0, 0).unwrap();
        assert_eq!(QuietHours::new(noon, noon, chrono_tz::Europe::Oslo), None);
    }
}
