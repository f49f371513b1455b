//go:build bench

package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/provolt/provolt/internal/bench"
)

// clients is how many connections a server or a database is asked on at once.
const clients = 16

// load is requests for a server on loopback. The generator writes prepared
// bytes and reads no more of an answer than its length: it shares the
// processors with what it measures.
type load struct {
	address string // host:port
	want    int    // status of every answer
	// each makes the source of one client's requests; the bytes are the
	// generator's until the next call.
	each func(client int) func() []byte
}

// always sends the same request.
func always(request []byte) func(int) func() []byte {
	return func(int) func() []byte { return func() []byte { return request } }
}

// inTurn sends the requests one after the other, over all clients.
func inTurn(requests [][]byte) func(int) func() []byte {
	var n atomic.Int64
	return func(int) func() []byte {
		return func() []byte { return requests[int(n.Add(1))%len(requests)] }
	}
}

// run sends requests for the time d.
func (l load) run(d time.Duration) (bench.Slice, error) {
	var ops atomic.Int64
	var faults [clients]error
	var all sync.WaitGroup
	began := time.Now()
	for i := range clients {
		all.Go(func() { faults[i] = l.client(i, began.Add(d), &ops) })
	}
	all.Wait()
	if err := errors.Join(faults[:]...); err != nil {
		return bench.Slice{}, err
	}
	n := ops.Load()
	return bench.Slice{Ops: n, Rate: float64(n) / time.Since(began).Seconds()}, nil
}

// send sends n requests.
func (l load) send(n int64) error {
	var ops, begun atomic.Int64
	var faults [clients]error
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			faults[i] = l.dialogue(i, &ops, func() bool { return begun.Add(1) <= n })
		})
	}
	all.Wait()
	return errors.Join(faults[:]...)
}

func (l load) client(i int, until time.Time, ops *atomic.Int64) error {
	return l.dialogue(i, ops, func() bool { return time.Now().Before(until) })
}

// dialogue asks and reads on one connection while more.
func (l load) dialogue(i int, ops *atomic.Int64, more func() bool) error {
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", l.address)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReaderSize(conn, 64<<10)
	next := l.each(i)
	for more() {
		if _, err := conn.Write(next()); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		status, body, err := readAnswer(answers)
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if status != l.want {
			return fmt.Errorf("answered %d, want %d: %s", status, l.want, body)
		}
		ops.Add(1)
	}
	return nil
}

var (
	contentLength = []byte("Content-Length: ")
	lineEnd       = []byte("\r\n")
)

// readAnswer reads one answer of known length and returns its status; of a
// refusal also the body.
func readAnswer(r *bufio.Reader) (status int, body []byte, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		switch {
		case first && len(line) > 12:
			status, err = strconv.Atoi(string(line[9:12])) // "HTTP/1.1 200 OK"
		case bytes.HasPrefix(line, contentLength):
			length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):])))
		case bytes.HasPrefix(line, []byte("Transfer-Encoding:")):
			err = errors.New("answer of unknown length")
		case bytes.Equal(line, lineEnd):
			if status >= 400 {
				body = make([]byte, length)
				_, err = readFull(r, body)
				return status, body, err
			}
			_, err = r.Discard(length)
			return status, nil, err
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

func readFull(r *bufio.Reader, into []byte) (int, error) {
	n := 0
	for n < len(into) {
		m, err := r.Read(into[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// get is a GET request with the given header lines.
func get(path string, header ...string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "GET %s HTTP/1.1\r\nHost: localhost\r\n", path)
	for _, line := range header {
		out.WriteString(line + "\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}
