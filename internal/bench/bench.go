// Package bench compares what the registry does with the plainest program that
// does the same work, so that nobody has to trust a figure that was measured
// on another machine, on another day, or against nothing.
//
// A Figure is a median of ratios: our side and the baseline run in turns, in
// short slices, and each slice is divided by its neighbour. A busy machine
// slows both; what is left is what we cost. The measuring itself is in this
// package's tests under the build tag bench, run by "make bench", which writes
// BENCHMARKS.md and docs/benchmarks.svg with this package.
package bench

import (
	"cmp"
	"slices"
	"time"
)

// Slice is what one side did in one slice.
type Slice struct {
	Ops  int64   // operations that ended in the slice
	Rate float64 // per second
	CPU  []CPU   // what they took of the processors; empty if not measured
}

// CPU is what the processes of one part took during a slice.
type CPU struct {
	Part string // "server", "database", "client"
	Took time.Duration
}

// Pair is a slice of ours and its neighbour of the baseline.
type Pair struct{ Ours, Baseline Slice }

// Figure is one comparison.
type Figure struct {
	Name     string // what we do: "GET a passport, cached"
	Baseline string // what it is compared with
	Goal     float64
	Aim      float64 // beyond the goal; 0: none
	LeftOut  string  // what the figure does not show
	Missed   string  // why the goal is missed and what would help; shown only then
	Pairs    []Pair
}

// Ratio is the median over the pairs of our rate divided by the baseline's.
func (f Figure) Ratio() float64 {
	return Median(f.ratios())
}

// Spread is the smallest and the largest of the ratios.
func (f Figure) Spread() (least, most float64) {
	r := f.ratios()
	return slices.Min(r), slices.Max(r)
}

// Met reports whether the ratio reaches the goal. A figure without one is
// always met.
func (f Figure) Met() bool { return f.Ratio() >= f.Goal }

func (f Figure) ratios() []float64 {
	out := make([]float64, len(f.Pairs))
	for i, p := range f.Pairs {
		out[i] = p.Ours.Rate / p.Baseline.Rate
	}
	return out
}

// sides takes the slices of ours and of the baseline apart.
func (f Figure) sides() (ours, baseline []Slice) {
	for _, p := range f.Pairs {
		ours, baseline = append(ours, p.Ours), append(baseline, p.Baseline)
	}
	return ours, baseline
}

func rate(side []Slice) float64 {
	out := make([]float64, len(side))
	for i, s := range side {
		out[i] = s.Rate
	}
	return Median(out)
}

// each is the median time of processors per operation, by part in the order
// of the slices.
func each(side []Slice) []CPU {
	var out []CPU
	for i, part := range side[0].CPU {
		took := make([]time.Duration, len(side))
		for j, s := range side {
			took[j] = s.CPU[i].Took / time.Duration(max(s.Ops, 1))
		}
		out = append(out, CPU{part.Part, Median(took)})
	}
	return out
}

// Median is the middle one; of an even number, the lower of the two.
func Median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// Size is something that must not be larger than a limit.
type Size struct {
	Name  string
	Bytes int64
	Limit int64
	Of    []Share // where the bytes go, largest first
	Note  string
}

// Met reports whether the size is within its limit.
func (s Size) Met() bool { return s.Bytes <= s.Limit }

// Share is a part of a size.
type Share struct {
	Name  string
	Bytes int64
}

// Report is everything that was measured in one run.
type Report struct {
	Machine []Fact // of the machine and the programs, without names
	Method  []Fact // how long a slice was and the like
	Figures []Figure
	Sizes   []Size
}

// Fact is one line about where and how it was measured.
type Fact struct{ Name, Value string }

// Missed names the figures and sizes whose goals are missed.
func (r Report) Missed() []string {
	var out []string
	for _, f := range r.Figures {
		if !f.Met() {
			out = append(out, f.Name)
		}
	}
	for _, s := range r.Sizes {
		if !s.Met() {
			out = append(out, s.Name)
		}
	}
	return out
}
