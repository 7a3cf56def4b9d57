//! Log lines to the host. No header, token or body is ever logged; what is, is meant for whoever runs Envoy.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::host;

struct HostLog;

static HOST_LOG: HostLog = HostLog;

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Trace => 0,
            Level::Debug => 1,
            Level::Info => 2,
            Level::Warn => 3,
            Level::Error => 4,
        };
        // There is nowhere to report it to if the log itself fails.
        let _ = host::log(level, &record.args().to_string());
    }

    fn flush(&self) {}
}

/// Sends `log`'s macros to the host, and sees to it that a panic says where it was and nothing else: its message may
/// hold a caller's data.
pub(crate) fn start() {
    // A second start in one process happens in tests only.
    let _ = log::set_logger(&HOST_LOG);
    log::set_max_level(LevelFilter::Warn);
    #[cfg(target_family = "wasm")]
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
        let _ = host::log(5, &format!("panic{}", place.unwrap_or_default()));
    }));
}

/// Follows the host's level, so that lines which would be dropped are never formatted.
pub(crate) fn follow_host_level() {
    let level = match host::log_level() {
        Ok(0) => LevelFilter::Trace,
        Ok(1) => LevelFilter::Debug,
        Ok(2) => LevelFilter::Info,
        Ok(4) => LevelFilter::Error,
        Ok(5..) => LevelFilter::Off,
        Ok(3) | Err(_) => LevelFilter::Warn,
    };
    log::set_max_level(level);
}
