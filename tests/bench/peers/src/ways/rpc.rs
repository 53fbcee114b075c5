//! tarpc over a Unix socket, with its bincode transport: one connection, a single-threaded runtime on each side.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_bytes::ByteBuf;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context, serde_transport};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio_stream::StreamExt;

use crate::Fault;
use crate::call::{Requests, Way, answer};
use crate::child::{self, Child};
use crate::ways::{TRY_AGAIN, runtime};

/// How long a call may take: tarpc sends it along.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service. `ByteBuf`, as serde would send a plain vector byte by byte.
#[tarpc::service]
trait Echo {
    async fn call(number: u64, payload: ByteBuf) -> (u64, ByteBuf);
}

fn fault(error: impl std::fmt::Display) -> Fault {
    Fault::plain(format!("tarpc: {error}"))
}

fn context() -> context::Context {
    let mut context = context::current();
    context.deadline = Instant::now() + PATIENCE;
    context
}

pub(crate) struct Caller {
    client: EchoClient,
    runtime: Runtime,
    number: u64,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Caller {
    pub(crate) fn start(core: usize) -> Result<Self, Fault> {
        let folder = tempfile::tempdir().map_err(fault)?;
        let path = folder.path().join("rpc");
        let child = Child::start("rpc", core, &[&path.to_string_lossy()], None)?;
        let runtime = runtime()?;
        let client = runtime.block_on(connect(path))?;
        Ok(Self { client, runtime, number: 0, child, _folder: folder })
    }
}

async fn connect(path: PathBuf) -> Result<EchoClient, Fault> {
    loop {
        match serde_transport::unix::connect(&path, Bincode::default).await {
            Ok(transport) => {
                let config = client::Config::default();
                return Ok(EchoClient::new(config, transport).spawn());
            }
            Err(_) => tokio::time::sleep(TRY_AGAIN).await,
        }
    }
}

impl Way for Caller {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        self.number += 1;
        let called = self.client.call(context(), self.number, ByteBuf::from(request));
        let (number, payload) = self.runtime.block_on(called).map_err(fault)?;
        if number != self.number {
            return Err(fault("a reply to another call"));
        }
        reply[..payload.len()].copy_from_slice(&payload);
        Ok(payload.len())
    }

    fn pipeline(&mut self, size: usize, calls: u64, window: usize) -> Result<(), Fault> {
        let left = Rc::new(Cell::new(calls));
        let failed: Rc<RefCell<Option<Fault>>> = Rc::default();
        let set = LocalSet::new();
        for _ in 0..window {
            let (left, failed, client) = (left.clone(), failed.clone(), self.client.clone());
            set.spawn_local(async move {
                let mut requests = Requests::new(size);
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    let payload = ByteBuf::from(requests.next());
                    let got = client.call(context(), left.get(), payload).await.map_err(fault);
                    if let Err(error) = got.and_then(|(_, payload)| requests.check(&payload)) {
                        failed.replace(Some(error));
                        return;
                    }
                }
            });
        }
        self.runtime.block_on(set);
        failed.take().map_or(Ok(()), Err)
    }

    fn peers(&self) -> Vec<u32> {
        vec![self.child.pid()]
    }
}

#[derive(Clone)]
struct Answers;

impl Echo for Answers {
    async fn call(self, _: context::Context, number: u64, mut payload: ByteBuf) -> (u64, ByteBuf) {
        answer(&mut payload);
        (number, payload)
    }
}

/// The other process.
pub(crate) fn serve(path: &Path) -> Result<(), Fault> {
    runtime()?.block_on(async {
        let mut incoming = serde_transport::unix::listen(path, Bincode::default).await.map_err(fault)?;
        child::ready()?;
        while let Some(connection) = incoming.next().await {
            let channel = BaseChannel::with_defaults(connection.map_err(fault)?);
            let mut requests = std::pin::pin!(channel.execute(Answers.serve()));
            // A task each, as its documentation has it.
            while let Some(response) = requests.next().await {
                tokio::spawn(response);
            }
        }
        Ok(())
    })
}
