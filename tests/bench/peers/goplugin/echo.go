package main

// What is called: an echo that adds one to the number at the request's beginning. The same in Rust: src/call.rs.

import (
	"encoding/binary"
	"errors"
)

// Numbers go up in such steps, so that neither a reply of before nor a guess is taken for a good one.
const step = 0x9e3779b97f4a7c15

// Echo is what host and plugin agree on.
type Echo interface {
	Call(request []byte) ([]byte, error)
}

// answer is the plugin's side.
func answer(payload []byte) {
	if len(payload) >= 8 {
		binary.LittleEndian.PutUint64(payload, binary.LittleEndian.Uint64(payload)+1)
	}
}

// requests makes requests and knows their replies.
type requests struct {
	bytes  []byte
	number uint64
}

func newRequests(size int) *requests {
	if size < 16 {
		size = 16
	}
	bytes := make([]byte, size)
	for at := range bytes {
		bytes[at] = 7
	}
	return &requests{bytes: bytes}
}

// call makes one and checks its reply; the number stands at both ends.
func (r *requests) call(echo Echo) error {
	r.number += step
	end := len(r.bytes) - 8
	binary.LittleEndian.PutUint64(r.bytes, r.number)
	binary.LittleEndian.PutUint64(r.bytes[end:], r.number)
	reply, err := echo.Call(r.bytes)
	if err != nil {
		return err
	}
	if len(reply) != len(r.bytes) || binary.LittleEndian.Uint64(reply) != r.number+1 || binary.LittleEndian.Uint64(reply[end:]) != r.number {
		return errors.New("a reply is not the one to its request")
	}
	return nil
}
