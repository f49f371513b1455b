package telemetry

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipe counts the writes that reach it.
type pipe struct {
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	return p.text.Write(b)
}

func (p *pipe) seen() (string, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String(), p.writes
}

func TestLinesAreWrittenTogetherAndNoneIsLostAtAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &pipe{}
		b := NewBuffer(out, time.Second)
		for range 10 {
			if _, err := b.Write([]byte("line\n")); err != nil {
				t.Fatal(err)
			}
		}
		if text, _ := out.seen(); text != "" {
			t.Errorf("written before the interval: %q", text)
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if text, writes := out.seen(); len(text) != 50 || writes != 1 {
			t.Errorf("%d bytes in %d writes, want 50 in one", len(text), writes)
		}
		if _, err := b.Write([]byte("last\n")); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if text, _ := out.seen(); len(text) != 55 {
			t.Errorf("after Close there are %d bytes, want 55", len(text))
		}
	})
}
