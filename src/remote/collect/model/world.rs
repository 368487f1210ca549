//! The simulated remote and its time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::hash::FileId;
use crate::remote::transport::{
    Body, ObjectMeta, Place, PutMode, PutOutcome, Result, Traffic, Transport, TransportError,
};

/// A generator of numbers: splitmix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// How an actor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It computes, and will ask or end.
    Runs,
    /// It wants to do a request.
    Asks,
    /// It may do its request.
    Allowed,
    /// It may do its request, and dies before it hears of it.
    Last,
    /// Its process is dead: every request fails.
    Dead,
    Ended,
}

struct Actor {
    stand: Stand,
    wakes: SystemTime,
    /// Whether it may die.
    mortal: bool,
}

struct State {
    objects: BTreeMap<String, (Vec<u8>, SystemTime)>,
    clock: SystemTime,
    dice: Dice,
    actors: Vec<Actor>,
    watch: bool,
    /// Whether actors fall asleep and die.
    calm: bool,
    /// What all did so far, in a number.
    trace: u64,
}

/// A remote that several actors share, and the only clock there is.
pub(super) struct World {
    state: Mutex<State>,
    changed: Condvar,
}

impl World {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                objects: BTreeMap::new(),
                clock: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
                dice: Dice(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ 0xabc),
                actors: Vec::new(),
                calm: false,
                trace: 0,
                watch: std::env::var_os("MODVER_MODEL_WATCH").is_some(),
            }),
            changed: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new actor; it runs from now on and must [end](Self::end).
    pub(super) fn enter(&self, mortal: bool) -> usize {
        let mut state = self.state();
        state.actors.push(Actor {
            stand: Stand::Runs,
            wakes: SystemTime::UNIX_EPOCH,
            mortal,
        });
        state.actors.len() - 1
    }

    pub(super) fn end(&self, actor: usize) {
        self.state().actors[actor].stand = Stand::Ended;
        self.changed.notify_all();
    }

    /// A process in the place of a dead one.
    pub(super) fn revive(&self, actor: usize) -> bool {
        let mut state = self.state();
        let dead = state.actors[actor].stand == Stand::Dead;
        if dead {
            state.actors[actor].stand = Stand::Runs;
        }
        dead
    }

    pub(super) fn clock(&self) -> SystemTime {
        self.state().clock
    }

    pub(super) fn leap(&self, by: Duration) {
        self.state().clock += by;
    }

    /// From now on nobody falls asleep or dies.
    pub(super) fn lets_nobody_sleep(&self) {
        self.state().calm = true;
    }

    pub(super) fn trace(&self) -> u64 {
        self.state().trace
    }

    pub(super) fn say(&self, actor: usize, what: &str) {
        let state = self.state();
        if state.watch {
            let at = state.clock.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() - 1_800_000_000;
            eprintln!("{:>4}d{:05} [{actor}] {what}", at / 86_400, at % 86_400);
        }
    }

    /// Lets the actors run until all have ended: one request at a time.
    pub(super) fn run(&self) {
        loop {
            let mut state = self.settled();
            let now = state.clock;
            let asks = |actor: &Actor| actor.stand == Stand::Asks;
            let awake: Vec<usize> = (0..state.actors.len())
                .filter(|i| asks(&state.actors[*i]) && state.actors[*i].wakes <= now)
                .collect();
            if awake.is_empty() {
                let next = state
                    .actors
                    .iter()
                    .filter(|actor| asks(actor))
                    .map(|actor| actor.wakes)
                    .min();
                match next {
                    Some(next) => state.clock = next,
                    None => return,
                }
                continue;
            }
            let chosen = awake[state.dice.below(awake.len() as u64) as usize];
            let passes = match state.dice.below(40) {
                0 => Duration::from_secs(3600 + state.dice.below(86_400)),
                _ => Duration::from_millis(20 + state.dice.below(2000)),
            };
            state.clock += passes;
            if !state.calm && state.dice.one_in(60) {
                // It falls asleep before its next request.
                let days = state.dice.below(30);
                let asleep = Duration::from_secs(days * 86_400 + state.dice.below(86_400));
                state.actors[chosen].wakes = state.clock + asleep;
                continue;
            }
            let dies = !state.calm && state.actors[chosen].mortal && state.dice.one_in(250);
            state.actors[chosen].stand = match dies {
                false => Stand::Allowed,
                true if state.dice.one_in(2) => Stand::Last,
                true => Stand::Dead,
            };
            self.changed.notify_all();
        }
    }

    /// Waits until nobody computes: the order of requests depends on the seed alone.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        while state
            .actors
            .iter()
            .any(|actor| !matches!(actor.stand, Stand::Asks | Stand::Ended))
        {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Lets the last actor but one do `after` requests, then the last one all of its, then the first the rest; whether it
    /// did so many.
    pub(super) fn run_within(&self, after: u64) -> bool {
        let (mut done, mut whole) = (0, false);
        loop {
            let mut state = self.settled();
            let last = state.actors.len() - 1;
            let asks = |actor: usize| state.actors[actor].stand == Stand::Asks;
            let chosen = match (asks(last - 1), asks(last)) {
                (false, false) => return whole,
                (true, true) if done < after => last - 1,
                (_, true) => last,
                (true, false) => last - 1,
            };
            whole |= chosen == last && asks(last - 1);
            done += 1;
            state.clock += Duration::from_secs(1);
            state.actors[chosen].stand = Stand::Allowed;
            self.changed.notify_all();
        }
    }

    /// Waits for its turn, then does a request.
    fn request<T>(&self, actor: usize, what: &str, act: impl FnOnce(&mut State) -> T) -> Result<T> {
        let mut state = self.state();
        let place = || Place::new("world", what);
        if state.actors[actor].stand == Stand::Dead {
            return Err(TransportError::Interrupted(place()));
        }
        state.actors[actor].stand = Stand::Asks;
        self.changed.notify_all();
        loop {
            match state.actors[actor].stand {
                Stand::Allowed => break,
                Stand::Last => {
                    act(&mut state);
                    state.actors[actor].stand = Stand::Dead;
                    drop(state);
                    self.say(actor, &format!("dies behind {what}"));
                    return Err(TransportError::Interrupted(place()));
                }
                Stand::Dead => {
                    drop(state);
                    self.say(actor, "dies");
                    return Err(TransportError::Interrupted(place()));
                }
                _ => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
        let done = act(&mut state);
        state.actors[actor].stand = Stand::Runs;
        let at = state.clock.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let step = format!("{} {at:?} {actor} {what}", state.trace);
        let digest = FileId::of(step.as_bytes());
        state.trace = u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap());
        drop(state);
        if !what.starts_with("get") && !what.starts_with("list") && !what.starts_with("stat") {
            self.say(actor, what);
        }
        Ok(done)
    }
}

/// What one actor sees of the world.
pub(super) struct Line {
    pub(super) world: Arc<World>,
    pub(super) actor: usize,
}

fn place(key: &str) -> Place {
    Place::new("world", key)
}

impl Line {
    fn read(&self, what: &str, key: &str) -> Result<Vec<u8>> {
        let found = self.world.request(self.actor, &format!("{what} {key}"), |state| {
            state.objects.get(key).map(|(bytes, _)| bytes.clone())
        })?;
        found.ok_or_else(|| TransportError::NotFound(place(key)))
    }
}

impl Transport for Line {
    fn describe(&self) -> &str {
        "world"
    }

    fn get(&self, key: &str, _limit: u64) -> Result<Vec<u8>> {
        self.read("get", key)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let bytes = self.read("get", key)?;
        let range = range.start as usize..range.end as usize;
        bytes
            .get(range.clone())
            .map(<[u8]>::to_vec)
            .ok_or(TransportError::OutOfRange {
                place: place(key),
                start: range.start as u64,
                end: range.end as u64,
            })
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        let bytes = match body {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::File(path) => crate::fs::read(path, 1 << 30).unwrap(),
        };
        self.world.request(self.actor, &format!("put {key}"), |state| {
            if mode == PutMode::IfAbsent && state.objects.contains_key(key) {
                return PutOutcome::Existed;
            }
            let now = state.clock;
            state.objects.insert(key.to_owned(), (bytes, now));
            PutOutcome::Created
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        // As readdir: in parts, in no order, each as things are when it is read.
        let mut found = BTreeMap::new();
        for part in 0..2 {
            self.world.request(self.actor, &format!("list {prefix}"), |state| {
                for (key, (bytes, at)) in state.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
                    if u64::from(*FileId::of(key.as_bytes()).as_bytes().first().unwrap()) % 2 == part {
                        let meta = ObjectMeta {
                            key: key.clone(),
                            size: bytes.len() as u64,
                            modified: Some(*at),
                            etag: None,
                        };
                        found.insert(key.clone(), meta);
                    }
                }
            })?;
        }
        Ok(found.into_values().collect())
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.world.request(self.actor, &format!("stat {key}"), |state| {
            state.objects.get(key).map(|(bytes, at)| ObjectMeta {
                key: key.to_owned(),
                size: bytes.len() as u64,
                modified: Some(*at),
                etag: None,
            })
        })
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.world.request(self.actor, &format!("delete {key}"), |state| {
            state.objects.remove(key);
        })
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
