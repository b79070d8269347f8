//! The scripts, and how one is called.

use std::sync::LazyLock;

use ::redis::{Cmd, Script, ToRedisArgs, cmd};

pub(super) static RESERVE: LazyLock<Lua> =
    LazyLock::new(|| Lua::with(&[REHASH, APPEND, GUARDS], include_str!("reserve.lua")));
pub(super) static ADMIT: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("admit.lua")));
pub(super) static COUNT: LazyLock<Lua> = LazyLock::new(|| Lua::with(&[REHASH, GUARDS], include_str!("count.lua")));
pub(super) static RELEASE: LazyLock<Lua> = LazyLock::new(|| Lua::with(&[REHASH, APPEND], include_str!("release.lua")));
pub(super) static SAVE: LazyLock<Lua> = LazyLock::new(|| Lua::with(&[REHASH, APPEND], include_str!("save.lua")));
pub(super) static ADOPT: LazyLock<Lua> = LazyLock::new(|| Lua::with(&[APPEND], include_str!("adopt.lua")));
pub(super) static LOAD: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("load.lua")));
pub(super) static LIST: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("list.lua")));
pub(super) static OWNED: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("owned.lua")));
pub(super) static BEAT: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("beat.lua")));
pub(super) static LEAVE: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("leave.lua")));
pub(super) static EVENTS: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("events.lua")));
pub(super) static PUT_BACK: LazyLock<Lua> =
    LazyLock::new(|| Lua::with(&[REHASH, APPEND], include_str!("put_back.lua")));
pub(super) static KEEP_CHECK_IN: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("keep_check_in.lua")));
pub(super) static TAKE_CHECK_IN: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("take_check_in.lua")));
pub(super) static PUT_CHECK_IN_BACK: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("put_check_in_back.lua")));
pub(super) static NEW_EPOCH: LazyLock<Lua> = LazyLock::new(|| Lua::new(include_str!("new_epoch.lua")));

/// What other scripts begin with.
const APPEND: &str = include_str!("append.lua");
const GUARDS: &str = include_str!("guards.lua");
const REHASH: &str = include_str!("rehash.lua");

/// A script that runs as one step.
pub(super) struct Lua {
    source: String,
    hash: String,
}

impl Lua {
    fn new(source: impl Into<String>) -> Self {
        let source = source.into();
        let hash = Script::new(&source).get_hash().to_owned();
        Self { source, hash }
    }

    /// With `parts` after its first line, which says how it is to be run.
    fn with(parts: &[&str], source: &'static str) -> Self {
        let (shebang, rest) = source.split_once('\n').unwrap_or_default();
        Self::new([&[shebang], parts, &[rest]].concat().join("\n"))
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

    /// What decides where in a cluster the keys are: it is the same for all.
    pub(super) fn hash_tag(&self) -> &str {
        let key = self.keys.first().map_or("", String::as_str);
        key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or(key, |(tag, _)| tag)
    }

    /// By hash: what is sent as long as the server knows the script.
    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.lua.hash)
    }

    /// With the script's text, from which the server learns it.
    pub(super) fn by_source(&self) -> Cmd {
        self.command("EVAL", &self.lua.source)
    }

    fn command(&self, name: &'static str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}
