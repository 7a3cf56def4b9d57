//! The host's shared data, as the core counts in it.

use portcullis_filter_core::shared::{SharedData, Unavailable, Versioned};

use crate::host;

/// Common to all VMs with the same `vm_id`, so to all workers of this Envoy.
pub(crate) struct HostData;

impl SharedData for HostData {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
        let found = host::shared_data(key).map_err(|status| refused("read", status))?;
        Ok(found.map(|(value, version)| Versioned { value, version }))
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
        host::set_shared_data(key, value, version).map_err(|status| refused("written", status))
    }
}

fn refused(what: &str, status: host::Status) -> Unavailable {
    log::error!("the host's shared data cannot be {what}, so limits cannot be counted: {status:?}");
    Unavailable
}
