package telemetry

import (
	"bufio"
	"io"
	"sync"
	"time"
)

// Buffer gathers log lines, so that a request does not wait for the disk or
// the pipe that its line goes to. What a killed process had gathered in the
// last interval is lost; nothing of the registry's data is ever in a log.
type Buffer struct {
	mu   sync.Mutex
	out  *bufio.Writer
	stop chan struct{}
	done chan struct{}
}

// bufferSize holds some 250 lines.
const bufferSize = 64 << 10

// NewBuffer writes what was gathered to w at every interval, when the buffer is
// full and on Close.
func NewBuffer(w io.Writer, every time.Duration) *Buffer {
	b := &Buffer{out: bufio.NewWriterSize(w, bufferSize), stop: make(chan struct{}), done: make(chan struct{})}
	go b.run(every)
	return b
}

func (b *Buffer) run(every time.Duration) {
	defer close(b.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			_ = b.flush() // the next line reports what keeps failing
		}
	}
}

func (b *Buffer) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Flush()
}

// Write implements io.Writer.
func (b *Buffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(line)
}

// Close writes the rest and ends the intervals.
func (b *Buffer) Close() error {
	close(b.stop)
	<-b.done
	return b.flush()
}
