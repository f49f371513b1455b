//go:build bench

package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/provolt/provolt/internal/bench"
)

// describe notes what the machine is, and nothing that names it.
func (r *run) describe() {
	r.report.Machine = []bench.Fact{
		{Name: "processors", Value: fmt.Sprintf("%d × %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"))},
		{Name: "memory", Value: field("/proc/meminfo", "MemTotal")},
		{Name: "system", Value: fmt.Sprintf("%s/%s, Linux %s", runtime.GOOS, runtime.GOARCH, firstWord("/proc/sys/kernel/osrelease"))},
		{Name: "Go", Value: runtime.Version()},
		{Name: "making 8 KB durable (write and fdatasync)", Value: r.durable().String() + " (median of 200)"},
		{Name: "load before the start (1 minute)", Value: firstWord("/proc/loadavg")},
	}
	r.report.Method = []bench.Fact{
		{Name: "day", Value: time.Now().UTC().Format(time.DateOnly)},
		{Name: "slices", Value: fmt.Sprintf("%d pairs of %v a side; %v where a side only computes; pgbench at least 1 s", r.pairs, r.slice, r.compute)},
		{Name: "clients", Value: fmt.Sprintf("%d at once, unless the figure says another number", clients)},
		{Name: "the registry", Value: "the shipped binary, `provolt serve` in production mode, rate limits off, access log on and written to a file"},
	}
}

// field is the value of a "name : value" line of a file of the kernel.
func field(file, name string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstWord(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil || len(strings.Fields(string(raw))) == 0 {
		return "unknown"
	}
	return strings.Fields(string(raw))[0]
}

// durable is how long the disk below the databases takes to keep a page.
func (r *run) durable() time.Duration {
	f, err := os.Create(filepath.Join(r.TempDir(), "page"))
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 8192)
	var took []time.Duration
	for i := range 200 {
		began := time.Now()
		if _, err := f.WriteAt(page, int64(i*len(page))); err != nil {
			r.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			r.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	return bench.Median(took).Round(10 * time.Microsecond)
}
