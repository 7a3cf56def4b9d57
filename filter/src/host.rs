//! The host's functions, as safe as they get.
//!
//! The SDK's wrappers panic on every status they do not expect and on every header byte above 0x7F, and one panic ends
//! the worker's VM. These never do: every status comes back as a value, headers and bodies are bytes. This is the one
//! file of the filter with `unsafe`. The functions and their numbers are those of proxy-wasm ABI 0.2.1
//! (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>).
#![expect(unsafe_code, reason = "the boundary to the host is the one place that needs it")]

use std::ptr::{null, null_mut, slice_from_raw_parts_mut};

use portcullis_filter_core::metrics::Kind;
use portcullis_filter_core::reply::LocalReply;
use portcullis_filter_core::step::Headers;

use crate::pairs;

/// Why the host did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    NotFound,
    BadArgument,
    /// Somebody else has changed it first.
    CasMismatch,
    /// A status that the shell treats like any other failure, by its number in the ABI.
    Other(u32),
    /// The host answered `Ok` with something that contradicts itself, or we cannot spell what we want to say.
    Malformed,
}

pub(crate) type HostResult<T> = Result<T, Status>;

/// Header maps, by their numbers in the ABI.
#[derive(Clone, Copy)]
pub(crate) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    CallHeaders = 6,
}

/// Byte buffers, by their numbers in the ABI.
#[derive(Clone, Copy)]
pub(crate) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallBody = 4,
    PluginConfiguration = 7,
}

/// The two halves of an HTTP stream, by their numbers in the ABI.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Request = 0,
    Response = 1,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, message_size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32;
    fn proxy_continue_stream(half: u32) -> u32;
    fn proxy_close_stream(half: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, by: i64) -> u32;
    fn proxy_record_metric(metric: u32, value: u64) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        results: *mut *mut u8,
        results_size: *mut usize,
    ) -> u32;
}

fn check(status: u32) -> HostResult<()> {
    match status {
        0 => Ok(()),
        1 => Err(Status::NotFound),
        2 => Err(Status::BadArgument),
        8 => Err(Status::CasMismatch),
        other => Err(Status::Other(other)),
    }
}

/// Runs `call` with two places for the host to leave a block of memory in, and takes that block over.
fn take(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> HostResult<Vec<u8>> {
    let mut data: *mut u8 = null_mut();
    let mut size: usize = 0;
    check(call(&raw mut data, &raw mut size))?;
    if data.is_null() || size == 0 {
        // Nothing was allocated: a block of no bytes has no memory behind it.
        return Ok(Vec::new());
    }
    if isize::try_from(size).is_err() {
        return Err(Status::Malformed);
    }
    // SAFETY: the ABI obliges the host to get the block from the module's own `proxy_on_memory_allocate(size)` and to
    // fill it. The SDK makes that block as a boxed slice of `size` bytes in the global allocator and gives it away; so
    // pointer and length are those of a `Box<[u8]>` that nobody else owns.
    Ok(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())
}

/// The time in microseconds since the epoch.
pub(crate) fn now_us() -> HostResult<u64> {
    let mut nanoseconds = 0_u64;
    // SAFETY: the host writes one u64 to a place that lives through the call.
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
    Ok(nanoseconds / 1_000)
}

/// The time in milliseconds since the epoch.
pub(crate) fn now_ms() -> HostResult<u64> {
    now_us().map(|microseconds| microseconds / 1_000)
}

/// Logs at a level of the ABI: 0 trace to 5 critical.
pub(crate) fn log(level: u32, message: &str) -> HostResult<()> {
    // SAFETY: the host reads `message` during the call.
    check(unsafe { proxy_log(level, message.as_ptr(), message.len()) })
}

/// The lowest level that the host writes out at present.
pub(crate) fn log_level() -> HostResult<u32> {
    let mut level = 0_u32;
    // SAFETY: the host writes one u32 to a place that lives through the call.
    check(unsafe { proxy_get_log_level(&raw mut level) })?;
    Ok(level)
}

/// Sets how often the root of the effective context ticks.
pub(crate) fn set_tick_period_ms(period: u32) -> HostResult<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_set_tick_period_milliseconds(period) })
}

/// Makes the calls that follow act on another context, until set back or until the callback returns. Refused with
/// [`Status::BadArgument`] if that context is gone.
pub(crate) fn set_effective_context(context: u32) -> HostResult<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_set_effective_context(context) })
}

/// All pairs of a header map, in order, repeated names included.
pub(crate) fn headers(map: Map) -> HostResult<Headers> {
    // SAFETY: `take` passes places that live through the call.
    let bytes = take(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })?;
    pairs::decode(&bytes).ok_or(Status::Malformed)
}

/// Replaces a header map as a whole.
pub(crate) fn set_headers(map: Map, headers: &Headers) -> HostResult<()> {
    let bytes = pairs::encode(headers).ok_or(Status::Malformed)?;
    // SAFETY: the host reads `bytes` during the call.
    check(unsafe { proxy_set_header_map_pairs(map as u32, bytes.as_ptr(), bytes.len()) })
}

/// The first `size` bytes of a buffer, fewer if it holds fewer.
pub(crate) fn buffer(buffer: Buffer, size: usize) -> HostResult<Vec<u8>> {
    if size == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: `take` passes places that live through the call.
    take(|data, taken| unsafe { proxy_get_buffer_bytes(buffer as u32, 0, size, data, taken) })
}

/// Replaces all that a buffer holds.
pub(crate) fn set_buffer(buffer: Buffer, bytes: &[u8]) -> HostResult<()> {
    // A length beyond the end means the whole buffer, also when it is empty: Envoy takes 0 for "put in front".
    // SAFETY: the host reads `bytes` during the call.
    check(unsafe { proxy_set_buffer_bytes(buffer as u32, 0, usize::MAX, bytes.as_ptr(), bytes.len()) })
}

/// Lets a paused request go on.
pub(crate) fn continue_request() -> HostResult<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_continue_stream(Half::Request as u32) })
}

/// Lets a paused response go on.
pub(crate) fn continue_response() -> HostResult<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_continue_stream(Half::Response as u32) })
}

/// Resets the stream: the last resort when nothing else can keep it from going on.
pub(crate) fn reset(half: Half) -> HostResult<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_close_stream(half as u32) })
}

/// Answers the effective stream. `LocalReply::details` end up in `%RESPONSE_CODE_DETAILS%`.
pub(crate) fn send_local_reply(reply: &LocalReply) -> HostResult<()> {
    let headers = pairs::encode(&reply.headers).ok_or(Status::Malformed)?;
    // SAFETY: the host reads the three blocks during the call.
    check(unsafe {
        proxy_send_local_response(
            reply.status,
            reply.details.as_ptr(),
            reply.details.len(),
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            // Not a gRPC answer.
            -1,
        )
    })
}

/// The client's address and port, as Envoy's settings find it: the same as in the access log.
pub(crate) fn source_address() -> HostResult<String> {
    String::from_utf8(property(b"source\0address")?).map_err(|_| Status::Malformed)
}

/// Envoy's flags for how the stream ended, one bit each.
pub(crate) fn response_flags() -> HostResult<u64> {
    let bytes = property(b"response\0flags")?;
    bytes.try_into().map(u64::from_le_bytes).map_err(|_| Status::Malformed)
}

/// Envoy's word for where the response comes from, or why there is none.
pub(crate) fn response_details() -> HostResult<String> {
    String::from_utf8(property(b"response\0code_details")?).map_err(|_| Status::Malformed)
}

/// A property of the effective stream; the parts of its path are separated by NUL.
fn property(path: &[u8]) -> HostResult<Vec<u8>> {
    // SAFETY: the host reads `path` during the call; `take` passes places that live through it.
    take(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets a value that access logs read as `%FILTER_STATE(wasm.<key>:PLAIN)%`.
pub(crate) fn set_filter_state(key: &str, value: &str) -> HostResult<()> {
    // SAFETY: the host reads both blocks during the call.
    check(unsafe { proxy_set_property(key.as_ptr(), key.len(), value.as_ptr(), value.len()) })
}

/// What all VMs of this Envoy share under `key`, with the number that tells it from other values of the same key;
/// `None` if nothing was ever written there.
pub(crate) fn shared_data(key: &str) -> HostResult<Option<(Vec<u8>, u32)>> {
    let mut cas = 0_u32;
    // SAFETY: the host reads `key` during the call and writes one u32; `take` passes places that live through it.
    let value = take(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
    });
    match value {
        Ok(value) => Ok(Some((value, cas))),
        Err(Status::NotFound) => Ok(None),
        Err(status) => Err(status),
    }
}

/// Writes what all VMs share if it still has the number `cas`; without one, if there is nothing yet. `false` if not.
pub(crate) fn set_shared_data(key: &str, value: &[u8], cas: Option<u32>) -> HostResult<bool> {
    // The host takes 0 for "whatever is there". Where there is nothing it takes any number, and otherwise only the right
    // one, which counts up from 1.
    let cas = cas.filter(|cas| *cas != 0).unwrap_or(u32::MAX);
    // SAFETY: the host reads both blocks during the call.
    let status = unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    match check(status) {
        Ok(()) => Ok(true),
        Err(Status::CasMismatch) => Ok(false),
        Err(status) => Err(status),
    }
}

/// A metric's number, by which this VM names it. One that is there already is the same for all VMs of this Envoy.
pub(crate) fn define_metric(kind: Kind, name: &str) -> HostResult<u32> {
    let kind = match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 2,
    };
    let mut metric = 0_u32;
    // SAFETY: the host reads `name` during the call and writes one u32 to a place that lives through it.
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut metric) })?;
    Ok(metric)
}

/// Adds to a counter.
pub(crate) fn increment_metric(metric: u32, by: u64) -> HostResult<()> {
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    // SAFETY: no memory is involved.
    check(unsafe { proxy_increment_metric(metric, by) })
}

/// Sets a gauge, or adds to a histogram.
pub(crate) fn record_metric(metric: u32, value: u64) -> HostResult<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_record_metric(metric, value) })
}

/// Chooses the route anew, after headers changed. A host without this function chooses late enough by itself.
pub(crate) fn clear_route_cache() -> HostResult<()> {
    match call_foreign_function("clear_route_cache", None) {
        Ok(_) | Err(Status::NotFound) => Ok(()),
        Err(status) => Err(status),
    }
}

/// Calls a function that the host offers beyond the ABI; [`Status::NotFound`] if it does not.
pub(crate) fn call_foreign_function(name: &str, arguments: Option<&[u8]>) -> HostResult<Vec<u8>> {
    let (data, size) = arguments.map_or((null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
    // SAFETY: the host reads name and arguments during the call; `take` passes places that live through it.
    take(|results, results_size| unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), data, size, results, results_size)
    })
}
