//! What one VM holds between callbacks, and everything that is done in its root context.
//!
//! A configuration update brings a new root context into the same VM, while old streams live on under the old one.
//! So the state is a thread-local and not a member of a context. The newest root context is the one that acts; the
//! others only take what still comes in for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use portcullis_filter_core::config::BodyGate;
use portcullis_filter_core::step::{Call, CallOutcome, Effect};
use portcullis_filter_core::worker::Worker;

use crate::host::{self, Buffer, Map};
use crate::metrics::HostMetrics;
use crate::shared::HostData;
use crate::stream::Stream;
use crate::verify::Verifier;

/// How often the root context ticks when nothing is urgent: the grain of back-off and of deadlines.
const SLOW_TICK_MS: u32 = 250;

/// How soon it ticks when a stream waits for a call: calls may only be made from a callback of the root context,
/// because the SDK ties them to the context whose callback is running.
const FAST_TICK_MS: u32 = 1;

thread_local! {
    static VM: RefCell<Vm> = RefCell::new(Vm::default());
}

/// Runs `work` on this VM's state. `None`, which no host should bring about, if a callback runs inside another one.
pub(crate) fn with<T>(work: impl FnOnce(&mut Vm) -> T) -> Option<T> {
    VM.try_with(|vm| vm.try_borrow_mut().ok().map(|mut vm| work(&mut vm))).ok().flatten()
}

#[derive(Default)]
pub(crate) struct Vm {
    worker: Option<Worker>,
    verifier: Verifier,
    /// Root contexts with a good configuration, oldest first. The last one acts.
    roots: Vec<ConfiguredRoot>,
    ticks_fast: bool,
    streams: HashMap<u32, Rc<RefCell<Stream>>>,
    calls: HashMap<u32, CallInFlight>,
    /// Calls that will never be answered: to be reported at the next tick.
    lost: Vec<u64>,
    /// Calls that came up in a callback of a root context that does not act any more.
    postponed: Vec<Call>,
    /// Streams whose response goes on at the next tick.
    releases: Vec<u32>,
    metrics: HostMetrics,
}

struct ConfiguredRoot {
    id: u32,
    configuration: Vec<u8>,
    body_gate: BodyGate,
}

struct CallInFlight {
    root: u32,
    id: u64,
}

/// What the host says of a reply before it is read.
#[derive(Clone, Copy)]
pub(crate) struct Announced {
    /// 0 for a reset, which comes without headers.
    pub(crate) header_count: usize,
    /// Bytes.
    pub(crate) body_size: usize,
}

impl Vm {
    /// What a stream's callback needs: the worker, unless no configuration was good so far, and the verifier.
    pub(crate) fn parts(&mut self) -> (Option<&mut Worker>, &Verifier) {
        (self.worker.as_mut(), &self.verifier)
    }

    pub(crate) fn add_stream(&mut self, id: u32, stream: Rc<RefCell<Stream>>) {
        self.streams.insert(id, stream);
    }

    /// See [`Stream::release`].
    pub(crate) fn release_soon(&mut self, id: u32) {
        self.releases.push(id);
    }

    pub(crate) fn remove_stream(&mut self, id: u32) {
        self.streams.remove(&id);
    }

    /// Takes a root context's configuration. The error names every problem; then the VM goes on as it was.
    pub(crate) fn configure(&mut self, root: u32, configuration: Vec<u8>) -> Result<(), String> {
        match &mut self.worker {
            Some(worker) => worker.reconfigure(&configuration)?,
            None => self.worker = Some(Worker::configure(&configuration, filter_id())?),
        }
        let body_gate = self.worker.as_ref().map_or(BodyGate::Hold, |worker| worker.config().body_gate);
        self.roots.retain(|known| known.id != root);
        self.roots.push(ConfiguredRoot { id: root, configuration, body_gate });
        // Soon, so that the watch starts before the first request. Not now: in the VM that only tries a configuration
        // out there is never a tick, and so it stays unknown to the token-service.
        self.ticks_fast = false;
        self.hurry(root);
        if self.ticks_fast { Ok(()) } else { Err("the host refuses to tick".to_owned()) }
    }

    /// What the streams of a root context go by, to their end: whether the host holds their headers stands in the same
    /// configuration of Envoy, and a stream of an older one does not change with the worker.
    pub(crate) fn body_gate(&self, root: u32) -> BodyGate {
        let root = self.roots.iter().find(|known| known.id == root);
        root.map_or(BodyGate::Hold, |root| root.body_gate)
    }

    /// A root context is gone, and with it the calls made under it, of which the host does not tell. If it was the
    /// acting one, because the update that brought it was rejected elsewhere, its predecessor takes over.
    pub(crate) fn remove_root(&mut self, root: u32) {
        let was_acting = self.acting_root() == Some(root);
        self.roots.retain(|known| known.id != root);
        let lost = &mut self.lost;
        self.calls.retain(|_, call| {
            if call.root == root {
                lost.push(call.id);
            }
            call.root != root
        });
        if !was_acting {
            return;
        }
        // The predecessor ticks slowly by itself and finds everything at its next tick.
        self.ticks_fast = false;
        if let (Some(worker), Some(heir)) = (&mut self.worker, self.roots.last())
            && let Err(problems) = worker.reconfigure(&heir.configuration)
        {
            log::error!("cannot go back to the configuration before: {problems}");
        }
    }

    /// One tick of a root context.
    pub(crate) fn on_tick(&mut self, root: u32) {
        if self.acting_root() != Some(root) {
            return;
        }
        let Ok(now_ms) = host::now_ms() else { return };
        let Some(worker) = &mut self.worker else { return };
        let mut effects: Vec<Effect> = self.postponed.drain(..).map(Effect::Call).collect();
        for id in self.lost.drain(..) {
            effects.extend(worker.on_call(id, CallOutcome::Failed, now_ms));
        }
        effects.extend(worker.on_tick(now_ms));
        worker.renew_running(&HostData, now_ms);
        worker.beat(&HostData, now_ms);
        worker.hand_over_metrics(|sample| self.metrics.take(sample));
        for stream in std::mem::take(&mut self.releases) {
            self.enter(stream, root, |stream, _, _| stream.release());
        }
        self.carry_out(effects, root, now_ms);
        self.set_pace(root);
    }

    /// The reply to a call, or that there will be none.
    pub(crate) fn on_call(&mut self, root: u32, token: u32, announced: Announced) {
        let Some(call) = self.calls.remove(&token) else { return };
        let limit = self.worker.as_ref().and_then(|worker| worker.awaits(call.id));
        let outcome = limit.and_then(|limit| read_reply(announced, limit)).unwrap_or(CallOutcome::Failed);
        let (Some(worker), Ok(now_ms)) = (&mut self.worker, host::now_ms()) else {
            self.lost.push(call.id);
            return;
        };
        let effects = worker.on_call(call.id, outcome, now_ms);
        self.carry_out(effects, root, now_ms);
        self.hurry_if_needed(root);
    }

    /// After a callback of `context`: if it left work for the root context, lets that tick at once.
    pub(crate) fn hurry_if_needed(&mut self, context: u32) {
        if self.is_urgent() {
            self.hurry(context);
        }
    }

    fn is_urgent(&self) -> bool {
        !self.lost.is_empty()
            || !self.postponed.is_empty()
            || !self.releases.is_empty()
            || self.worker.as_ref().is_some_and(Worker::has_work)
    }

    fn acting_root(&self) -> Option<u32> {
        self.roots.last().map(|root| root.id)
    }

    /// Sets the acting root's tick to fast from within a callback of `context`.
    fn hurry(&mut self, context: u32) {
        let Some(root) = self.acting_root() else { return };
        if self.ticks_fast || host::set_effective_context(root).is_err() {
            return;
        }
        self.ticks_fast = host::set_tick_period_ms(FAST_TICK_MS).is_ok();
        return_to(context);
    }

    /// At the end of the acting root's tick: fast if more is to be done, slow otherwise.
    fn set_pace(&mut self, root: u32) {
        if self.is_urgent() {
            self.hurry(root);
        } else if self.ticks_fast {
            self.ticks_fast = host::set_tick_period_ms(SLOW_TICK_MS).is_err();
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, root: u32, now_ms: u64) {
        for notice in self.worker.iter_mut().flat_map(Worker::take_notices) {
            log::warn!("{notice}");
        }
        for effect in effects {
            match effect {
                Effect::Call(call) if self.acting_root() == Some(root) => self.dispatch(&call, root),
                Effect::Call(call) => self.postponed.push(call),
                Effect::Wake(streams) => {
                    for stream in streams {
                        self.enter(stream, root, |stream, worker, verifier| {
                            stream.resume(worker, verifier, now_ms);
                        });
                    }
                }
                Effect::End(streams) => {
                    for stream in streams {
                        self.enter(stream, root, |stream, _, _| stream.end());
                    }
                }
            }
        }
    }

    /// Must run in a callback of `root`. A call that cannot be sent is reported at the next tick and not here, so that
    /// a worker which tries again at once cannot keep this loop going.
    fn dispatch(&mut self, call: &Call, root: u32) {
        let cluster = self.worker.as_ref().map(|worker| worker.cluster(call)).unwrap_or_default();
        match send(&cluster, call) {
            Some(token) => {
                self.calls.insert(token, CallInFlight { root, id: call.id });
            }
            None => self.lost.push(call.id),
        }
    }

    /// Lets a stream act as if in a callback of its own.
    fn enter(&mut self, id: u32, root: u32, work: impl FnOnce(&mut Stream, &mut Worker, &Verifier)) {
        let Some(stream) = self.streams.get(&id).cloned() else { return };
        let Ok(mut stream) = stream.try_borrow_mut() else { return };
        let Some(worker) = &mut self.worker else { return };
        if host::set_effective_context(id).is_ok() {
            work(&mut stream, worker, &self.verifier);
            return_to(root);
        }
    }
}

/// Ends what `set_effective_context` began.
fn return_to(context: u32) {
    if host::set_effective_context(context).is_err() {
        log::error!("the host does not know the context whose callback is running");
    }
}

/// `None` for a reset, and where the host does not hand out what it announced.
fn read_reply(announced: Announced, limit: usize) -> Option<CallOutcome> {
    let Announced { header_count, body_size } = announced;
    if header_count == 0 {
        return None;
    }
    if body_size > limit {
        return Some(CallOutcome::TooLarge);
    }
    let headers = host::headers(Map::CallHeaders).ok()?;
    let body = host::buffer(Buffer::CallBody, body_size).ok()?;
    (body.len() == body_size).then_some(CallOutcome::Replied { headers, body })
}

/// The host's token for the call; `None` if the host refuses it, for want of a cluster or of a healthy host in it.
fn send(cluster: &str, call: &Call) -> Option<u32> {
    let headers = call
        .headers
        .iter()
        .map(|(name, value)| Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?)))
        .collect::<Option<Vec<_>>>()?;
    let body = (!call.body.is_empty()).then_some(call.body.as_slice());
    // The host takes 0 for "wait for ever".
    let timeout = Duration::from_millis(call.timeout_ms.clamp(1, u64::from(i32::MAX.unsigned_abs())));
    let sent = proxy_wasm::hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout);
    if let Err(status) = &sent {
        log::info!("cannot send a call to cluster {cluster}: {status:?}");
    }
    sent.ok()
}

/// Tells this VM apart from all others: 128 bits from the seeds that the standard library draws for its maps.
fn filter_id() -> String {
    let half = |salt: u8| {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u8(salt);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}
