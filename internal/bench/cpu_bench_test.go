//go:build bench

package bench_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// meter reads how much processor time a part has taken so far.
type meter struct {
	part string
	read func() (time.Duration, error)
}

// tick is the unit of /proc/PID/stat; Linux reports 100 a second everywhere.
const tick = 10 * time.Millisecond

// Fields of /proc/PID/stat, counted from behind the program's name.
const (
	statParent   = 1
	statUser     = 11 // followed by system, then both of the children it has waited for
	statChildren = 13
)

func stat(pid int) ([]string, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, fmt.Errorf("read processor time (this needs Linux): %w", err)
	}
	return strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:])), nil
}

// ticks adds two neighbouring fields.
func ticks(fields []string, first int) time.Duration {
	a, _ := strconv.Atoi(fields[first])
	b, _ := strconv.Atoi(fields[first+1])
	return time.Duration(a+b) * tick
}

// server meters one process.
func server(pid int) meter {
	return meter{"server", func() (time.Duration, error) {
		fields, err := stat(pid)
		if err != nil {
			return 0, err
		}
		return ticks(fields, statUser), nil
	}}
}

// family meters a process and its children, those that ended included: a
// PostgreSQL server.
func family(part string, pid int) meter {
	return meter{part, func() (time.Duration, error) {
		fields, err := stat(pid)
		if err != nil {
			return 0, err
		}
		sum := ticks(fields, statUser) + ticks(fields, statChildren)
		entries, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return 0, err
		}
		for _, entry := range entries {
			child, _ := strconv.Atoi(filepath.Base(entry))
			fields, err := stat(child)
			if err == nil && fields[statParent] == strconv.Itoa(pid) { // one that has just ended counts above
				sum += ticks(fields, statUser)
			}
		}
		return sum, nil
	}}
}

// usage meters this test binary (syscall.RUSAGE_SELF) or the programs it ran
// to their end (syscall.RUSAGE_CHILDREN).
func usage(part string, who int) meter {
	return meter{part, func() (time.Duration, error) {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			return 0, err
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
	}}
}

// postmaster is the process of the server that a connection string leads to
// over its socket directory.
func postmaster(t *testing.T, database string) int {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(u.Query().Get("host"), "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
