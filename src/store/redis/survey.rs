//! What a node of Redis says about itself, and what is wrong with it for us.

use crate::timestamp::Timestamp;

const OLDEST_MAJOR: u32 = 7;
const NEVER_EVICTS: &str = "noeviction";

/// A node where data is written, as `INFO` describes it. What it does not say is
/// absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Its address in a cluster; empty where there is only one.
    pub node: String,
    /// As Redis writes it, such as `7.0.15`.
    pub version: Option<String>,
    /// What it drops when memory is short.
    pub eviction: Option<String>,
    /// Whether it keeps what it has written when it is started again.
    pub append_only: Option<bool>,
    /// How many replicas are connected to it.
    pub replicas: Option<u32>,
    /// Its clock.
    pub time: Option<Timestamp>,
}

impl Survey {
    pub(super) fn read(node: String, info: &str) -> Self {
        let value = |name: &str| {
            info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
        };
        let number = |name: &str| value(name)?.parse::<u64>().ok();
        Self {
            node,
            version: value("redis_version"),
            eviction: value("maxmemory_policy"),
            append_only: number("aof_enabled").map(|enabled| enabled != 0),
            replicas: number("connected_slaves").and_then(|count| count.try_into().ok()),
            time: number("server_time_usec").map(|micros| Timestamp::from_millis(micros / 1000)),
        }
    }

    /// Whether this Redis has everything that the scripts need.
    #[must_use]
    pub fn is_new_enough(&self) -> bool {
        let major = self.version.as_deref().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        major.is_some_and(|major| major >= OLDEST_MAJOR)
    }

    /// What an operator must correct, each with how. `wait_replicas` is how many
    /// replicas writes wait for.
    #[must_use]
    pub fn faults(&self, wait_replicas: u32) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.is_new_enough() {
            let version = self.version.as_deref().unwrap_or("unknown");
            faults.push(format!("version {version} is too old; 7.0 is needed"));
        }
        if let Some(policy) = self.eviction.as_deref().filter(|policy| *policy != NEVER_EVICTS) {
            faults.push(format!("maxmemory-policy {policy} may drop logins; set {NEVER_EVICTS}"));
        }
        if let Some(replicas) = self.replicas.filter(|replicas| *replicas < wait_replicas) {
            let problem =
                format!("{replicas} replicas are connected; wait_replicas = {wait_replicas} refuses all starts");
            faults.push(format!("{problem}; add replicas or lower it"));
        }
        faults
    }

    /// What an operator should know but may have decided.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.eviction.is_none() {
            notes.push(format!("the eviction policy cannot be read; it must be {NEVER_EVICTS}"));
        }
        if self.append_only == Some(false) {
            notes.push("appendonly is off: a restart forgets every login and which phones have rung".to_owned());
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::Survey;

    fn faults(version: &str) -> Vec<String> {
        let info = format!("# Server\r\nredis_version:{version}\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n");
        let survey = Survey::read(String::new(), &info);
        assert_eq!(survey.notes(), Vec::<String>::new());
        survey.faults(0)
    }

    #[test]
    fn scripts_need_redis_7() {
        for version in ["7.0.0", "7.2.4", "8.0.1", "10.1.0"] {
            assert_eq!(faults(version), Vec::<String>::new());
        }
        for version in ["6.2.14", "2.8.0", "unknown"] {
            assert_eq!(faults(version), [format!("version {version} is too old; 7.0 is needed")]);
        }
    }

    #[test]
    fn what_is_not_said_is_told() {
        let silent = Survey::read(String::new(), "# Server\r\n");
        assert_eq!(silent.faults(1), ["version unknown is too old; 7.0 is needed"]);
        assert_eq!(silent.notes(), ["the eviction policy cannot be read; it must be noeviction"]);
    }
}
