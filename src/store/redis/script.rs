//! The scripts, and how one is called.

use std::sync::LazyLock;

use ::redis::{Cmd, Script, ToRedisArgs, cmd};

pub(super) static RESERVE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("reserve.lua")));
pub(super) static RELEASE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("release.lua")));
pub(super) static SAVE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("save.lua")));
pub(super) static LIST: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("list.lua")));

/// A script that runs as one step.
pub(super) struct Lua {
    source: &'static str,
    hash: String,
}

impl Lua {
    fn new(source: &'static str) -> Self {
        Self { source, hash: Script::new(source).get_hash().to_owned() }
    }
}

/// One call of a script, with what it touches and what it is told.
pub(super) struct Call {
    lua: &'static Lua,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(lua: &'static Lua) -> Self {
        Self { lua, keys: Vec::new(), arguments: Vec::new() }
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.keys.push(key);
        self
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    /// By hash: what is sent as long as the server knows the script.
    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.lua.hash)
    }

    /// With the script's text, from which the server learns it.
    pub(super) fn by_source(&self) -> Cmd {
        self.command("EVAL", self.lua.source)
    }

    fn command(&self, name: &'static str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}
