//! The HTTP context that the SDK drives: hands each callback to its [`Stream`] together with the VM's state.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_filter_core::config::BodyGate;
use portcullis_filter_core::worker::Worker;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::stream::Stream;
use crate::verify::Verifier;
use crate::vm;

pub(crate) struct Http {
    id: u32,
    stream: Rc<RefCell<Stream>>,
}

impl Http {
    pub(crate) fn new(id: u32, root: u32) -> Self {
        let gate = vm::with(|vm| vm.body_gate(root)).unwrap_or(BodyGate::Hold);
        let stream = Rc::new(RefCell::new(Stream::new(id, gate)));
        vm::with(|vm| vm.add_stream(id, Rc::clone(&stream)));
        Self { id, stream }
    }

    /// Runs one callback; `closed` is for a VM without a good configuration.
    fn run(
        &self,
        work: impl FnOnce(&mut Stream, &mut Worker, &Verifier) -> Action,
        closed: impl FnOnce(&mut Stream) -> Action,
    ) -> Action {
        let Ok(mut stream) = self.stream.try_borrow_mut() else { return Action::Pause };
        vm::with(|vm| {
            let action = match vm.parts() {
                (Some(worker), verifier) => work(&mut stream, worker, verifier),
                (None, _) => closed(&mut stream),
            };
            if stream.takes_releasing() {
                vm.release_soon(self.id);
            }
            vm.hurry_if_needed(self.id);
            action
        })
        .unwrap_or(Action::Pause)
    }

    fn run_request(&self, work: impl FnOnce(&mut Stream, &mut Worker, &Verifier) -> Action) -> Action {
        self.run(work, Stream::fail)
    }

    fn run_response(&self, work: impl FnOnce(&mut Stream, &mut Worker, &Verifier) -> Action) -> Action {
        // Without a worker nothing was ever let go, so what comes back is our own answer.
        self.run(work, |_| Action::Continue)
    }

    /// The stream is over, whichever callback says so first. Envoy writes its access log after these callbacks, so
    /// what is known at the end still gets in.
    fn finish(&self) {
        let Ok(mut stream) = self.stream.try_borrow_mut() else { return };
        vm::with(|vm| {
            if let (Some(worker), _) = vm.parts() {
                stream.finish(worker);
            }
        });
        stream.record();
    }
}

impl Context for Http {
    fn on_done(&mut self) -> bool {
        self.finish();
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.run_request(|stream, worker, verifier| {
            stream.on_request_headers(end_of_stream, worker, verifier)
        })
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.run_request(|stream, worker, verifier| {
            stream.on_request_body(size, end_of_stream, worker, verifier)
        })
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.run_request(Stream::on_request_trailers)
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.run_response(|stream, worker, verifier| {
            stream.on_response_headers(end_of_stream, worker, verifier)
        })
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.run_response(|stream, worker, verifier| {
            stream.on_response_body(size, end_of_stream, worker, verifier)
        })
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.run_response(Stream::on_response_trailers)
    }

    fn on_log(&mut self) {
        self.finish();
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        vm::with(|vm| vm.remove_stream(self.id));
    }
}
