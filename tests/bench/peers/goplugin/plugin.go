package main

// The plugin's side, and the two protocols that go-plugin has.

import (
	"context"
	"net/rpc"

	"github.com/golang/protobuf/ptypes/wrappers"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "BENCH_ECHO",
	MagicCookieValue: "echo",
}

const (
	netRPC = "net/rpc"
	gRPC   = "gRPC"
)

// The name that the host asks for.
const echoName = "echo"

// plugins are those of one protocol: a process cannot serve both.
func plugins(protocol string) plugin.PluginSet {
	if protocol == gRPC {
		return plugin.PluginSet{echoName: &gRPCPlugin{}}
	}
	return plugin.PluginSet{echoName: &netRPCPlugin{}}
}

// serve is all that the plugin's process does.
func serve(protocol string) {
	config := &plugin.ServeConfig{HandshakeConfig: handshake, Plugins: plugins(protocol)}
	if protocol == gRPC {
		config.GRPCServer = plugin.DefaultGRPCServer
	}
	plugin.Serve(config)
}

// --- net/rpc ---

type netRPCPlugin struct{}

func (*netRPCPlugin) Server(*plugin.MuxBroker) (interface{}, error) { return &netRPCServer{}, nil }

func (*netRPCPlugin) Client(_ *plugin.MuxBroker, client *rpc.Client) (interface{}, error) {
	return &netRPCClient{client}, nil
}

type netRPCServer struct{}

// Call is what net/rpc looks for.
func (*netRPCServer) Call(request []byte, reply *[]byte) error {
	answer(request)
	*reply = request
	return nil
}

type netRPCClient struct{ client *rpc.Client }

func (c *netRPCClient) Call(request []byte) (reply []byte, err error) {
	err = c.client.Call("Plugin.Call", request, &reply)
	return reply, err
}

// --- gRPC ---

// BytesValue stands for a .proto of one's own: it is "message { bytes value = 1; }".
type gRPCPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (*gRPCPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	server.RegisterService(&service, &gRPCServer{})
	return nil
}

func (*gRPCPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, connection *grpc.ClientConn) (interface{}, error) {
	return &gRPCClient{connection}, nil
}

type echoServer interface {
	Call(context.Context, *wrappers.BytesValue) (*wrappers.BytesValue, error)
}

type gRPCServer struct{}

func (*gRPCServer) Call(_ context.Context, request *wrappers.BytesValue) (*wrappers.BytesValue, error) {
	answer(request.Value)
	return request, nil
}

// What a protobuf compiler would make of "service Echo { rpc Call(BytesValue) returns (BytesValue); }".
var service = grpc.ServiceDesc{
	ServiceName: "bench.Echo",
	HandlerType: (*echoServer)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(server interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
			request := new(wrappers.BytesValue)
			if err := decode(request); err != nil {
				return nil, err
			}
			return server.(echoServer).Call(ctx, request)
		},
	}},
}

type gRPCClient struct{ connection *grpc.ClientConn }

func (c *gRPCClient) Call(request []byte) ([]byte, error) {
	reply := new(wrappers.BytesValue)
	err := c.connection.Invoke(context.Background(), "/bench.Echo/Call", &wrappers.BytesValue{Value: request}, reply)
	return reply.Value, err
}
