//! The root context: configuration, ticks and the replies to calls.

use proxy_wasm::traits::{Context, RootContext};

use crate::host::{self, Buffer};
use crate::vm::Announced;
use crate::{logging, vm};

pub(crate) struct Root {
    id: u32,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        Self { id }
    }

    fn configure(&self, size: usize) -> Result<(), String> {
        let configuration = host::buffer(Buffer::PluginConfiguration, size)
            .map_err(|status| format!("the host does not hand out the configuration: {status:?}"))?;
        vm::with(|vm| vm.configure(self.id, configuration))
            .unwrap_or_else(|| Err("configured inside another callback".to_owned()))
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, header_count: usize, body_size: usize, _trailers: usize) {
        vm::with(|vm| vm.on_call(self.id, token, Announced { header_count, body_size }));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        logging::follow_host_level();
        match self.configure(size) {
            Ok(()) => true,
            Err(problems) => {
                log::error!("the configuration is not accepted: {problems}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        logging::follow_host_level();
        vm::with(|vm| vm.on_tick(self.id));
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        vm::with(|vm| vm.remove_root(self.id));
    }
}
