//! The functions that the module imports. Those that it only links, because the SDK names them, refuse everything.

use super::{Call, Event, Headers, Metric, proxy_on_memory_allocate, with};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const CAS_MISMATCH: u32 = 8;
const UNIMPLEMENTED: u32 = 12;

/// Reads what the module points at.
///
/// # Safety
/// `data` points at `size` readable bytes, or `size` is 0.
unsafe fn read(data: *const u8, size: usize) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, size) }.to_vec()
}

/// Hands bytes over in memory of the module's own.
///
/// # Safety
/// `data` and `size` can be written to.
unsafe fn hand_over(bytes: &[u8], data: *mut *mut u8, size: *mut usize) -> u32 {
    if let Some(claimed) = with(|host| host.null_results) {
        // SAFETY: the caller's promise.
        unsafe { (*data, *size) = (std::ptr::null_mut(), claimed) };
        return OK;
    }
    // SAFETY: the module's allocator gives as many bytes as asked for; the rest is the caller's promise.
    unsafe {
        let block = proxy_on_memory_allocate(bytes.len());
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), block, bytes.len());
        (*data, *size) = (block, bytes.len());
    }
    OK
}

fn write_map(headers: &Headers) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).expect("fits").to_le_bytes();
    let mut bytes = number(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(text);
        bytes.push(0);
    }
    bytes
}

fn read_map(bytes: &[u8]) -> Headers {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut at = 4 + 8 * number(0);
    let mut text = |size: usize| {
        let text = bytes[at..at + size].to_vec();
        assert_eq!(bytes[at + size], 0);
        at += size + 1;
        text
    };
    (0..number(0)).map(|index| (text(number(4 + 8 * index)), text(number(8 + 8 * index)))).collect()
}

macro_rules! refuse_if_told {
    ($function:literal) => {
        if let Some(status) = with(|host| host.fails($function)) {
            return status;
        }
    };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_log(level: u32, message: *const u8, size: usize) -> u32 {
    refuse_if_told!("proxy_log");
    // SAFETY: the ABI's promise about arguments; so for all below.
    let message = unsafe { read(message, size) };
    with(|host| host.log.push((level, String::from_utf8(message).expect("text"))));
    OK
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_log_level(level: *mut u32) -> u32 {
    refuse_if_told!("proxy_get_log_level");
    // SAFETY: see `proxy_log`.
    unsafe { *level = 0 };
    OK
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    refuse_if_told!("proxy_get_current_time_nanoseconds");
    // SAFETY: see `proxy_log`.
    unsafe { *time = with(|host| host.now_ms) * 1_000_000 };
    OK
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> u32 {
    refuse_if_told!("proxy_set_tick_period_milliseconds");
    with(|host| {
        let context = host.effective_id();
        *host.roots.get_mut(&context).expect("only root contexts tick") = period;
    });
    OK
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context: u32) -> u32 {
    refuse_if_told!("proxy_set_effective_context");
    with(|host| {
        if !host.streams.contains_key(&context) && !host.roots.contains_key(&context) {
            return BAD_ARGUMENT;
        }
        host.effective = context;
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32 {
    refuse_if_told!("proxy_get_header_map_pairs");
    let headers = with(|host| {
        if map == 6 {
            return Some(host.reply.0.clone());
        }
        let id = host.effective_id();
        let stream = host.streams.get(&id)?;
        match map {
            0 => stream.request_headers.clone(),
            2 => stream.response_headers.clone(),
            _ => None,
        }
    });
    let Some(headers) = headers else { return BAD_ARGUMENT };
    let bytes = with(|host| host.raw_map.clone()).unwrap_or_else(|| write_map(&headers));
    // SAFETY: see `proxy_log`.
    unsafe { hand_over(&bytes, data, size) }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32 {
    refuse_if_told!("proxy_set_header_map_pairs");
    // SAFETY: see `proxy_log`.
    let headers = read_map(&unsafe { read(data, size) });
    with(|host| {
        let id = host.effective_id();
        let stream = host.stream(id);
        let (target, event) = match map {
            0 => (&mut stream.request_headers, Event::RequestHeaders(headers.clone())),
            1 => (&mut stream.request_trailers, Event::RequestTrailers(headers.clone())),
            2 => (&mut stream.response_headers, Event::ResponseHeaders(headers.clone())),
            _ => return BAD_ARGUMENT,
        };
        if target.is_none() {
            return BAD_ARGUMENT;
        }
        *target = Some(headers);
        stream.events.push(event);
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_buffer_bytes(
    buffer: u32,
    start: usize,
    length: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    refuse_if_told!("proxy_get_buffer_bytes");
    let bytes = with(|host| match buffer {
        4 => host.reply.1.clone(),
        7 => host.configuration.clone(),
        _ => {
            let id = host.effective_id();
            let stream = host.stream(id);
            if buffer == 0 { stream.request_body.clone() } else { stream.response_body.clone() }
        }
    });
    let end = bytes.len().min(start.saturating_add(length));
    // SAFETY: see `proxy_log`.
    unsafe { hand_over(&bytes[start.min(end)..end], data, size) }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_buffer_bytes(
    buffer: u32,
    start: usize,
    length: usize,
    data: *const u8,
    size: usize,
) -> u32 {
    refuse_if_told!("proxy_set_buffer_bytes");
    // SAFETY: see `proxy_log`.
    let bytes = unsafe { read(data, size) };
    with(|host| {
        let id = host.effective_id();
        let stream = host.stream(id);
        let (held, event) = match buffer {
            0 => (&mut stream.request_body, Event::RequestBody(bytes.clone())),
            1 => (&mut stream.response_body, Event::ResponseBody(bytes.clone())),
            _ => panic!("buffer {buffer} is not to be written"),
        };
        assert!(start == 0 && length >= held.len().max(1), "not the whole buffer");
        *held = bytes;
        stream.events.push(event);
    });
    OK
}

fn note(event: Event) -> u32 {
    with(|host| {
        let id = host.effective_id();
        host.stream(id).events.push(event);
    });
    OK
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(half: u32) -> u32 {
    refuse_if_told!("proxy_continue_stream");
    note(if half == 0 { Event::Continue } else { Event::ContinueResponse })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_close_stream(half: u32) -> u32 {
    refuse_if_told!("proxy_close_stream");
    note(Event::Reset(half))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_send_local_response(
    status: u32,
    details: *const u8,
    details_size: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    grpc_status: i32,
) -> u32 {
    refuse_if_told!("proxy_send_local_response");
    assert_eq!(grpc_status, -1);
    // SAFETY: see `proxy_log`.
    let (details, body, headers) =
        unsafe { (read(details, details_size), read(body, body_size), read(headers, headers_size)) };
    let details = String::from_utf8(details).expect("text");
    note(Event::Reply { status, headers: read_map(&headers), body, details })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_property(
    path: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    refuse_if_told!("proxy_get_property");
    // SAFETY: see `proxy_log`.
    let path = unsafe { read(path, path_size) };
    let value = with(|host| {
        assert!(host.streams.contains_key(&host.effective_id()), "only a stream has properties");
        match path.as_slice() {
            b"source\0address" => {
                host.source_asked += 1;
                host.source_address.clone()
            }
            b"response\0flags" => host.response_flags.map(|flags| flags.to_le_bytes().to_vec()),
            b"response\0code_details" => host.response_details.clone(),
            other => panic!("nobody needs {:?}", String::from_utf8_lossy(other)),
        }
    });
    // SAFETY: see `proxy_log`.
    value.map_or(NOT_FOUND, |value| unsafe { hand_over(&value, data, size) })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_property(
    path: *const u8,
    path_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    refuse_if_told!("proxy_set_property");
    // SAFETY: see `proxy_log`.
    let (path, value) = unsafe { (read(path, path_size), read(value, value_size)) };
    let text = |bytes| String::from_utf8(bytes).expect("text");
    with(|host| {
        let id = host.effective_id();
        host.stream(id).filter_state.insert(text(path), text(value));
    });
    OK
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> u32 {
    refuse_if_told!("proxy_get_shared_data");
    // SAFETY: see `proxy_log`.
    let key = unsafe { read(key, key_size) };
    let Some((value, number)) = with(|host| host.shared.get(&key).cloned()) else { return NOT_FOUND };
    // SAFETY: see `proxy_log`.
    unsafe {
        *cas = number;
        hand_over(&value, data, size)
    }
}

/// As Envoy does it: where there is nothing, any number will do.
#[unsafe(no_mangle)]
extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    cas: u32,
) -> u32 {
    refuse_if_told!("proxy_set_shared_data");
    // SAFETY: see `proxy_log`.
    let (key, value) = unsafe { (read(key, key_size), read(value, value_size)) };
    with(|host| {
        let present = host.shared.get(&key).map(|(_, number)| *number);
        if present.is_some_and(|number| cas != 0 && cas != number) {
            return CAS_MISMATCH;
        }
        host.last_cas += 1;
        let number = host.last_cas;
        host.shared.insert(key, (value, number));
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_call_foreign_function(
    name: *const u8,
    name_size: usize,
    arguments: *const u8,
    arguments_size: usize,
    results: *mut *mut u8,
    results_size: *mut usize,
) -> u32 {
    refuse_if_told!("proxy_call_foreign_function");
    // SAFETY: see `proxy_log`.
    let (name, arguments) = unsafe { (read(name, name_size), read(arguments, arguments_size)) };
    match name.as_slice() {
        b"clear_route_cache" => note(Event::ClearRouteCache),
        b"verify_signature" => {
            let verdict = with(|host| {
                host.verified.push(arguments);
                host.verifies.clone()
            });
            // SAFETY: see `proxy_log`.
            verdict.map_or(NOT_FOUND, |verdict| unsafe { hand_over(&verdict, results, results_size) })
        }
        _ => NOT_FOUND,
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    body: *const u8,
    body_size: usize,
    _trailers: *const u8,
    _trailers_size: usize,
    timeout_ms: u32,
    token: *mut u32,
) -> u32 {
    refuse_if_told!("proxy_http_call");
    // SAFETY: see `proxy_log`.
    let (cluster, headers, body) =
        unsafe { (read(cluster, cluster_size), read(headers, headers_size), read(body, body_size)) };
    let chosen = with(|host| {
        host.last_token += 1;
        let call = Call {
            token: host.last_token,
            context: host.effective_id(),
            cluster: String::from_utf8(cluster).expect("text"),
            headers: read_map(&headers),
            body,
            timeout_ms,
        };
        host.calls.push(call);
        host.last_token
    });
    // SAFETY: see `proxy_log`.
    unsafe { *token = chosen };
    OK
}

/// Numbers are for one VM, and a name that is defined again gets another one, as in Envoy.
#[unsafe(no_mangle)]
extern "C" fn proxy_define_metric(kind: u32, name: *const u8, size: usize, metric: *mut u32) -> u32 {
    refuse_if_told!("proxy_define_metric");
    // SAFETY: see `proxy_log`.
    let name = String::from_utf8(unsafe { read(name, size) }).expect("text");
    let number = with(|host| {
        host.metrics.push(Metric { kind, name, values: Vec::new() });
        u32::try_from(host.metrics.len() - 1).expect("fits")
    });
    // SAFETY: see `proxy_log`.
    unsafe { *metric = number };
    OK
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(metric: u32, by: i64) -> u32 {
    refuse_if_told!("proxy_increment_metric");
    change_metric(metric, u64::try_from(by).expect("counters grow"), |kind| kind == 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(metric: u32, value: u64) -> u32 {
    refuse_if_told!("proxy_record_metric");
    change_metric(metric, value, |kind| kind != 0)
}

fn change_metric(metric: u32, value: u64, fits: fn(u32) -> bool) -> u32 {
    with(|host| {
        let Some(metric) = host.metrics.get_mut(metric as usize) else { return BAD_ARGUMENT };
        assert!(fits(metric.kind), "{metric:?} is changed like another kind");
        metric.values.push(value);
        OK
    })
}

/// Functions that the SDK links and the shell never calls, with their numbers of arguments.
macro_rules! unused {
    ($($name:ident($($argument:ident),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($($argument: usize),*) -> u32 {
                $(let _ = $argument;)*
                UNIMPLEMENTED
            }
        )*
    };
}

unused! {
    proxy_get_header_map_value(a, b, c, d, e);
    proxy_remove_header_map_value(a, b, c);
    proxy_replace_header_map_value(a, b, c, d, e);
    proxy_add_header_map_value(a, b, c, d, e);
    proxy_register_shared_queue(a, b, c);
    proxy_resolve_shared_queue(a, b, c, d, e);
    proxy_dequeue_shared_queue(a, b, c);
    proxy_enqueue_shared_queue(a, b, c);
    proxy_grpc_call(a, b, c, d, e, f, g, h, i, j, k, l);
    proxy_grpc_stream(a, b, c, d, e, f, g, h, i);
    proxy_grpc_send(a, b, c, d);
    proxy_grpc_cancel(a);
    proxy_grpc_close(a);
    proxy_get_status(a, b, c);
    proxy_done();
    proxy_get_metric(a, b);
}
