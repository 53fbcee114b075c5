//! iceoryx2: its request-response pattern between two processes, payloads written into and read from shared memory where they lie. Both sides
//! spin: waiting by its events costs a wake-up more than a socket does.

use std::collections::VecDeque;

use iceoryx2::port::client::Client;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::request_response::PortFactory;

use crate::Fault;
use crate::call::{CALL_BYTES_MAX, Replies, Requests, Way, answer};
use crate::child::{self, Child};

/// Requests that a client may have in flight.
const ACTIVE_MAX: usize = 64;

type Echoes = PortFactory<ipc::Service, [u8], (), [u8], ()>;
type Pending = iceoryx2::pending_response::PendingResponse<ipc::Service, [u8], (), [u8], ()>;

fn fault(what: &'static str, error: impl std::fmt::Debug) -> Fault {
    Fault::plain(format!("iceoryx2: {what}: {error:?}"))
}

fn service(name: &str) -> Result<Echoes, Fault> {
    set_log_level(LogLevel::Error);
    let node = NodeBuilder::new().create::<ipc::Service>().map_err(|error| fault("node", error))?;
    let name = ServiceName::new(name).map_err(|error| fault("name", error))?;
    node.service_builder(&name)
        .request_response::<[u8], [u8]>()
        .max_active_requests_per_client(ACTIVE_MAX)
        .max_loaned_requests(ACTIVE_MAX)
        .max_response_buffer_size(2)
        .open_or_create()
        .map_err(|error| fault("service", error))
}

pub(crate) struct Caller {
    client: Client<ipc::Service, [u8], (), [u8], ()>,
    child: Child,
    _service: Echoes,
}

impl Caller {
    pub(crate) fn start(size: usize, core: usize) -> Result<Self, Fault> {
        // A name of its own, so that what a killed peer left behind is in nobody's way.
        let name = format!("croupier-peers/{}/{size}", std::process::id());
        let service = service(&name)?;
        let client = service
            .client_builder()
            .initial_max_slice_len(CALL_BYTES_MAX)
            .create()
            .map_err(|error| fault("client", error))?;
        let child = Child::start("iceoryx", core, &[&name, &size.to_string()], None)?;
        Ok(Self { client, child, _service: service })
    }

    fn send(&self, request: &[u8]) -> Result<Pending, Fault> {
        let loan = self.client.loan_slice_uninit(request.len()).map_err(|error| fault("loan", error))?;
        loan.write_from_slice(request).send().map_err(|error| fault("send", error))
    }
}

fn receive(pending: &Pending, mut with: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
    loop {
        if let Some(response) = pending.receive().map_err(|error| fault("receive", error))? {
            return with(response.payload());
        }
        std::hint::spin_loop();
    }
}

impl Way for Caller {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        let pending = self.send(request)?;
        receive(&pending, |payload| {
            reply[..payload.len()].copy_from_slice(payload);
            Ok(())
        })?;
        Ok(request.len())
    }

    fn pipeline(&mut self, size: usize, calls: u64, window: usize) -> Result<(), Fault> {
        let (mut requests, mut replies) = (Requests::new(size), Replies::new(size));
        let mut flying = VecDeque::new();
        let (mut sent, mut got) = (0, 0);
        let mut reply = vec![0; size];
        while got < calls {
            while sent < calls && flying.len() < window.min(ACTIVE_MAX) {
                flying.push_back(self.send(requests.next())?);
                sent += 1;
            }
            if let Some(pending) = flying.pop_front() {
                receive(&pending, |payload| {
                    reply.copy_from_slice(payload);
                    replies.check(&reply)
                })?;
                got += 1;
            }
        }
        Ok(())
    }

    fn peers(&self) -> Vec<u32> {
        vec![self.child.pid()]
    }
}

/// The other process.
pub(crate) fn serve(name: &str, size: usize) -> Result<(), Fault> {
    let service = service(name)?;
    let server = service
        .server_builder()
        .initial_max_slice_len(CALL_BYTES_MAX)
        .create()
        .map_err(|error| fault("server", error))?;
    let mut bytes = vec![0; size];
    child::ready()?;
    loop {
        let Some(request) = server.receive().map_err(|error| fault("receive", error))? else {
            std::hint::spin_loop();
            continue;
        };
        let payload = request.payload();
        let len = payload.len().min(bytes.len());
        bytes[..len].copy_from_slice(&payload[..len]);
        answer(&mut bytes[..len]);
        let loan = request.loan_slice_uninit(len).map_err(|error| fault("loan", error))?;
        loan.write_from_slice(&bytes[..len]).send().map_err(|error| fault("send", error))?;
    }
}
