// The go-plugin peer: host and plugin in one program.
//
//	goplugin host PROTOCOL CORE SIZE     starts the plugin, bound to CORE; says "ready PID"; does what standard input asks for:
//	    trips NANOSECONDS                calls one after the other for so long; "trips COUNT", then the time of each, 8 bytes, little endian
//	    pipeline CALLS WINDOW            that many calls by WINDOW goroutines; "done"
//	goplugin plugin PROTOCOL             what the host starts; go-plugin alone knows how to talk to it
//
// PROTOCOL is "net/rpc" or "gRPC". The host ends with its input, and the plugin with the host.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "goplugin:", err)
		os.Exit(1)
	}
}

func run(words []string) error {
	switch {
	case len(words) == 4 && words[0] == "host":
		return host(words[1], words[2], words[3])
	case len(words) == 2 && words[0] == "plugin":
		serve(words[1])
		return nil
	}
	return fmt.Errorf("usage: goplugin host net/rpc|gRPC CORE SIZE, or goplugin plugin net/rpc|gRPC")
}
