//go:build bench

package bench_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/bench"
)

var (
	quick = flag.Bool("quick", false, "rehearse: tiny slices, results in .bin, goals not enforced")
	only  = flag.String("only", "", "measure only the figures whose names match; results in .bin, goals not enforced")
)

// partial reports whether the run shows less than the truth.
func partial() bool { return *quick || *only != "" }

// pace is how much is measured.
type pace struct {
	slice   time.Duration // of a side that serves
	compute time.Duration // of a side that only computes
	pairs   int           // that count; one more goes before
	items   int           // in a database before sizes and cold reads are taken
	out     string        // directory of BENCHMARKS.md
}

func chosenPace() pace {
	p := pace{slice: 3 * time.Second, compute: 500 * time.Millisecond, pairs: 5, items: 20_000, out: filepath.Join("..", "..")}
	if *quick {
		p.slice, p.compute, p.items = 300*time.Millisecond, 50*time.Millisecond, 600
	}
	if partial() {
		p.out = filepath.Join(p.out, ".bin")
	}
	return p
}

func TestMain(m *testing.M) {
	if body := os.Getenv(staticBody); body != "" {
		serveStatic(body)
	}
	os.Exit(m.Run())
}

// run is one run of all benchmarks.
type run struct {
	*testing.T
	pace
	report bench.Report
}

// TestBenchmarks measures everything, writes BENCHMARKS.md and the drawing,
// and then fails if a goal is missed.
func TestBenchmarks(t *testing.T) {
	r := &run{T: t, pace: chosenPace()}
	r.describe()
	r.computing()
	r.onSQLite()
	r.onPostgreSQL()
	r.write()
	if missed := r.report.Missed(); len(missed) > 0 && !partial() {
		t.Errorf("goals missed: %v", missed)
	}
}

// side is one of the two programs of a comparison.
type side struct {
	run    func(d time.Duration) (bench.Slice, error)
	meters []meter
}

// measure runs one slice.
func (s side) measure(d time.Duration) (bench.Slice, error) {
	before, err := s.read()
	if err != nil {
		return bench.Slice{}, err
	}
	slice, err := s.run(d)
	if err != nil {
		return bench.Slice{}, err
	}
	after, err := s.read()
	if err != nil {
		return bench.Slice{}, err
	}
	for i := range after {
		slice.CPU = append(slice.CPU, bench.CPU{Part: after[i].Part, Took: after[i].Took - before[i].Took})
	}
	return slice, nil
}

func (s side) read() ([]bench.CPU, error) {
	out := make([]bench.CPU, len(s.meters))
	for i, m := range s.meters {
		took, err := m.read()
		if err != nil {
			return nil, fmt.Errorf("meter %s: %w", m.part, err)
		}
		out[i] = bench.CPU{Part: m.part, Took: took}
	}
	return out, nil
}

// compare lets the sides take turns, each first in every other pair, and
// notes the figure. The first pair only warms up.
func (r *run) compare(f bench.Figure, d time.Duration, ours, baseline side) {
	r.Helper()
	if ok, err := regexp.MatchString(*only, f.Name); err != nil {
		r.Fatal(err)
	} else if !ok {
		return
	}
	for i := range r.pairs + 1 {
		var p bench.Pair
		turns := []func() (err error){
			func() (err error) { p.Ours, err = ours.measure(d); return err },
			func() (err error) { p.Baseline, err = baseline.measure(d); return err },
		}
		for j := range turns {
			if err := turns[(i+j)%2](); err != nil {
				r.Fatalf("%s: %v", f.Name, err)
			}
		}
		if i > 0 {
			f.Pairs = append(f.Pairs, p)
		}
	}
	least, most := f.Spread()
	r.Logf("%-50s %.3f (%.3f to %.3f)", f.Name, f.Ratio(), least, most)
	r.report.Figures = append(r.report.Figures, f)
}

// write writes the report where it belongs.
func (r *run) write() {
	const drawing = "docs/benchmarks.svg"
	text, err := r.report.Markdown(drawing)
	if err != nil {
		r.Fatal(err)
	}
	for name, content := range map[string]string{"BENCHMARKS.md": text, drawing: r.report.SVG()} {
		path := filepath.Join(r.out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			r.Fatal(err)
		}
		r.Logf("wrote %s", path)
	}
}
