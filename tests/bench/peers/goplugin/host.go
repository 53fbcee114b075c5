package main

// The host's side: starts the plugin as go-plugin has it, and calls it as standard input says.

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

func host(protocol, core, words string) error {
	size, err := strconv.Atoi(words)
	if err != nil {
		return fmt.Errorf("the size is no number: %w", err)
	}
	allowed := map[string]plugin.Protocol{netRPC: plugin.ProtocolNetRPC, gRPC: plugin.ProtocolGRPC}
	if _, known := allowed[protocol]; !known {
		return fmt.Errorf("there is no protocol called %s", protocol)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// taskset becomes the plugin: Go looks at its start how many processors it may use.
	command := exec.Command("taskset", "--cpu-list", core, self, "plugin", protocol)
	// By the death of the thread that starts it, so this one must stay.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          plugins(protocol),
		Cmd:              command,
		AllowedProtocols: []plugin.Protocol{allowed[protocol]},
		Logger:           hclog.NewNullLogger(),
	})
	defer client.Kill()
	connection, err := client.Client()
	if err != nil {
		return fmt.Errorf("the plugin cannot be started: %w", err)
	}
	raw, err := connection.Dispense(echoName)
	if err != nil {
		return fmt.Errorf("the plugin has no echo: %w", err)
	}
	// Not on the thread that stays: a goroutine that is bound to one is handed over at each call.
	done := make(chan error)
	go func() { done <- obey(raw.(Echo), size, command.Process.Pid) }()
	return <-done
}

func obey(echo Echo, size, pid int) error {
	out := bufio.NewWriter(os.Stdout)
	in := bufio.NewReader(os.Stdin)
	fmt.Fprintf(out, "ready %d\n", pid)
	for {
		if err := out.Flush(); err != nil {
			return err
		}
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var budget, calls, window int64
		if _, err := fmt.Sscanf(line, "trips %d", &budget); err == nil {
			times, err := trips(echo, size, time.Duration(budget))
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "trips %d\n", len(times))
			if err := binary.Write(out, binary.LittleEndian, times); err != nil {
				return err
			}
		} else if _, err := fmt.Sscanf(line, "pipeline %d %d", &calls, &window); err == nil {
			if err := pipeline(echo, size, calls, window); err != nil {
				return err
			}
			fmt.Fprintln(out, "done")
		} else {
			return fmt.Errorf("not understood: %q", line)
		}
	}
}

// trips calls one after the other for about as long as budget, and returns what each took, in nanoseconds.
func trips(echo Echo, size int, budget time.Duration) ([]int64, error) {
	requests := newRequests(size)
	times := make([]int64, 0, 1<<16)
	first := time.Now()
	for last := first; last.Sub(first) < budget; {
		if err := requests.call(echo); err != nil {
			return nil, err
		}
		now := time.Now()
		times = append(times, int64(now.Sub(last)))
		last = now
	}
	return times, nil
}

// pipeline makes calls with so many of them in flight.
func pipeline(echo Echo, size int, calls, window int64) error {
	var all sync.WaitGroup
	failed := make(chan error, window)
	for n := int64(0); n < window; n++ {
		all.Add(1)
		go func() {
			defer all.Done()
			requests := newRequests(size)
			for atomic.AddInt64(&calls, -1) >= 0 {
				if err := requests.call(echo); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	all.Wait()
	close(failed)
	return <-failed
}
