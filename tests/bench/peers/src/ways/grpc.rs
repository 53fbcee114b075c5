//! gRPC by tonic over a Unix socket: one connection, a single-threaded runtime on each side, windows large enough for the largest call.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tonic::{Request, Response, Status};
use tower::service_fn;

use crate::Fault;
use crate::call::{Requests, Way, answer};
use crate::child::{self, Child};
use crate::ways::{TRY_AGAIN, runtime};

/// Of HTTP/2's flow control: many of the largest calls.
const WINDOW_BYTES: u32 = 8 << 20;

/// What stands for a .proto file: `message Packet { uint64 number = 1; bytes payload = 2; }`, and in `build.rs`
/// `service Echo { rpc Call(Packet) returns (Packet); }`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Packet {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
}

#[allow(unreachable_pub, missing_docs, clippy::all, reason = "generated")]
mod made {
    include!(concat!(env!("OUT_DIR"), "/bench.Echo.rs"));
}

use made::echo_client::EchoClient;
use made::echo_server::{Echo, EchoServer};

fn fault(error: impl std::fmt::Display) -> Fault {
    Fault::plain(format!("gRPC: {error}"))
}

pub(crate) struct Caller {
    client: EchoClient<Channel>,
    runtime: Runtime,
    number: u64,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Caller {
    pub(crate) fn start(core: usize) -> Result<Self, Fault> {
        let folder = tempfile::tempdir().map_err(fault)?;
        let path = folder.path().join("grpc");
        let child = Child::start("grpc", core, &[&path.to_string_lossy()], None)?;
        let runtime = runtime()?;
        let client = runtime.block_on(connect(path))?;
        Ok(Self { client, runtime, number: 0, child, _folder: folder })
    }
}

async fn connect(path: PathBuf) -> Result<EchoClient<Channel>, Fault> {
    // A name is asked for; the connector does not look at it.
    let endpoint = Endpoint::from_static("http://localhost")
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    loop {
        let path = path.clone();
        let connector = service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        match endpoint.connect_with_connector(connector).await {
            Ok(channel) => return Ok(EchoClient::new(channel)),
            Err(_) => tokio::time::sleep(TRY_AGAIN).await,
        }
    }
}

impl Way for Caller {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        self.number += 1;
        let packet = Packet { number: self.number, payload: request.to_vec() };
        let got = self.runtime.block_on(self.client.call(packet)).map_err(fault)?.into_inner();
        if got.number != self.number {
            return Err(fault("a reply to another call"));
        }
        reply[..got.payload.len()].copy_from_slice(&got.payload);
        Ok(got.payload.len())
    }

    fn pipeline(&mut self, size: usize, calls: u64, window: usize) -> Result<(), Fault> {
        let left = Rc::new(Cell::new(calls));
        let failed: Rc<RefCell<Option<Fault>>> = Rc::default();
        let set = LocalSet::new();
        for _ in 0..window {
            let (left, failed, mut client) = (left.clone(), failed.clone(), self.client.clone());
            set.spawn_local(async move {
                let mut requests = Requests::new(size);
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    let packet = Packet { number: left.get(), payload: requests.next().to_vec() };
                    let got = client.call(packet).await.map_err(fault);
                    let checked = got.and_then(|got| requests.check(&got.into_inner().payload));
                    if let Err(error) = checked {
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

struct Answers;

#[tonic::async_trait]
impl Echo for Answers {
    async fn call(&self, request: Request<Packet>) -> Result<Response<Packet>, Status> {
        let mut packet = request.into_inner();
        answer(&mut packet.payload);
        Ok(Response::new(packet))
    }
}

/// The other process.
pub(crate) fn serve(path: &Path) -> Result<(), Fault> {
    runtime()?.block_on(async {
        let incoming = UnixListenerStream::new(UnixListener::bind(path).map_err(fault)?);
        child::ready()?;
        Server::builder()
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .add_service(EchoServer::new(Answers))
            .serve_with_incoming(incoming)
            .await
            .map_err(fault)
    })
}
