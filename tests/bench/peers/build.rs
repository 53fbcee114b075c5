//! Makes the gRPC client and server of `Echo` without a protobuf compiler: the messages are written down in `ways/grpc.rs`.

fn main() {
    let call = tonic_build::manual::Method::builder()
        .name("call")
        .route_name("Call")
        .input_type("crate::ways::grpc::Packet")
        .output_type("crate::ways::grpc::Packet")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let service = tonic_build::manual::Service::builder().name("Echo").package("bench").method(call).build();
    tonic_build::manual::Builder::new().compile(&[service]);
    println!("cargo::rerun-if-changed=build.rs");
}
